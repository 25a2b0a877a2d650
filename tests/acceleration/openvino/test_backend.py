"""What the second runtime promises besides the contract, with the real network."""

import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from tests.acceleration.conftest import BOXES

from napari_medsam_lite.acceleration.backend import silent
from napari_medsam_lite.acceleration.load import load_backend
from napari_medsam_lite.acceleration.openvino.files import network_files
from napari_medsam_lite.core.agreement import dice
from napari_medsam_lite.core.errors import Interrupted, MedSAMLiteError
from napari_medsam_lite.core.frame import FRAME


@pytest.fixture(scope="module")
def backend(checkpoint):
    return load_backend("openvino", "cpu", checkpoint)


def test_what_it_gave_stays(backend, frames):
    """Its own buffers are used again; what it hands out must not change with the next call."""
    first, second = (backend.encode_images(frame[None])[0] for frame in frames)
    assert not np.array_equal(first, second)
    logits, _ = backend.decode_boxes([first] * 10, np.repeat(BOXES[:1], 10, axis=0))
    np.testing.assert_allclose(logits[0], logits[9], atol=0.3)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a thread's cores")
def test_its_threads_may_run_on_any_core(backend, frames):
    """Pinned, those of every process would crowd on the first cores."""
    backend.encode_images(frames[:1])
    cores = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):  # one that has ended meanwhile
            cores.add(frozenset(os.sched_getaffinity(int(task.name))))
    assert cores == {frozenset(os.sched_getaffinity(0))}


def test_it_decodes_boxes_of_one_slice_together_and_answers_in_order(backend, frames):
    first, second = backend.encode_images(frames)
    owners = [second, first, first, first, second, first, second, second, second, second]
    boxes = np.array([[20 + 4 * i, 30, 90 + 9 * i, 120] for i in range(len(owners))], np.float32)
    logits, iou = backend.decode_boxes(owners, boxes)
    for i, owner in enumerate(owners):
        alone, score = backend.decode_boxes([owner], boxes[i : i + 1])
        assert dice(alone[0] > 0, logits[i] > 0) > 0.99
        assert iou[i] == pytest.approx(score[0], abs=0.02)


@pytest.mark.parametrize("threads", ["1", "2"])
def test_it_gives_up_an_encoding_on_request_and_works_on(checkpoint, frames, monkeypatch, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    backend = load_backend("openvino", "cpu", checkpoint)
    backend.prepare(FRAME)
    backend.interrupt()  # with nothing in flight
    start = time.monotonic()
    before = backend.encode_images(frames)
    seconds = (time.monotonic() - start) / len(frames)
    many = np.repeat(frames, 10, axis=0)
    ended = []

    def encode():
        try:
            backend.encode_images(many)
        except MedSAMLiteError as error:
            ended.append(error)

    thread = threading.Thread(target=encode)
    thread.start()
    thread.join(seconds * 1.5)  # in the midst of the second image
    assert thread.is_alive()
    start = time.monotonic()
    while thread.is_alive():  # one between two images has no effect
        backend.interrupt()
        thread.join(0.05)
    assert isinstance(ended[0], Interrupted)
    assert time.monotonic() - start < seconds * len(many) / 4
    for one, other in zip(before, backend.encode_images(frames), strict=True):
        np.testing.assert_array_equal(one, other)


def test_it_starts_without_torch_the_second_time(backend):
    code = (
        "import sys; from napari_medsam_lite.acceleration.load import load_backend;"
        "from napari_medsam_lite.model.weights import find_checkpoint;"
        "load_backend('openvino', 'cpu', find_checkpoint()).prepare(256);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_fails_as_this_package_does(backend):
    with pytest.raises(MedSAMLiteError, match="OpenVINO failed in the decoder"):
        backend.decode_boxes([np.zeros((4096, 5), np.float16)], BOXES[:1])


@pytest.fixture
def copy(backend, checkpoint, tmp_path, monkeypatch):
    """The network's files copied to a cache folder of the test's own, nothing compiled yet."""
    with network_files(checkpoint, 256, "CPU", False, silent) as files:
        folder = files.encoder.parent
    own = tmp_path / "cache"
    kept = own / "openvino" / folder.name
    shutil.copytree(folder, kept, ignore=shutil.ignore_patterns("compiled"))
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(own))
    return kept


def masks(backend, frames):
    embeddings = backend.encode_images(frames[:1])
    return backend.decode_boxes(embeddings * len(BOXES), BOXES)[0]


def flip(file):
    """Invert a byte in every 4 kB, as a failing disk may."""
    content = bytearray(file.read_bytes())
    for place in range(2000, len(content), 4096):
        content[place] ^= 0xFF
    file.chmod(0o640)
    file.write_bytes(content)


def test_damage_of_what_was_compiled_changes_no_mask(copy, backend, checkpoint, frames):
    wanted = masks(backend, frames)
    np.testing.assert_array_equal(
        masks(load_backend("openvino", "cpu", checkpoint), frames), wanted
    )
    blobs = list((copy / "compiled").glob("*.blob"))
    assert blobs
    for blob in blobs:
        flip(blob)
    np.testing.assert_array_equal(
        masks(load_backend("openvino", "cpu", checkpoint), frames), wanted
    )


@pytest.mark.slow
def test_damaged_weights_are_converted_again(copy, backend, checkpoint, frames):
    flip(copy / "encoder.bin")
    said = []
    again = load_backend("openvino", "cpu", checkpoint)
    again.prepare(256, said.append)
    assert "converting the network for OpenVINO, once" in said
    np.testing.assert_array_equal(masks(again, frames), masks(backend, frames))


def test_it_works_where_nothing_can_be_kept(copy, backend, checkpoint, frames, monkeypatch):
    """From a temporary folder, which is gone when the network is loaded."""
    files = "napari_medsam_lite.acceleration.openvino.files"
    loaded_from = []

    def export(checkpoint, side, folder, attend):
        loaded_from.append(folder)
        shutil.copytree(copy, folder, dirs_exist_ok=True)

    monkeypatch.setattr("napari_medsam_lite.acceleration.openvino.export.export", export)
    blocked = copy.parents[1] / "file"
    blocked.write_text("in the way")
    monkeypatch.setattr(f"{files}.cache_folder", lambda _: blocked)
    there = load_backend("openvino", "cpu", checkpoint)
    there.prepare(256)
    assert not loaded_from[0].exists()
    np.testing.assert_array_equal(masks(there, frames), masks(backend, frames))


@pytest.mark.slow
def test_nncf_makes_an_encoder_of_8_bits(copy, backend, checkpoint, frames, monkeypatch):
    """Calibrated on one frame instead of sixteen."""
    pytest.importorskip("nncf")
    monkeypatch.setattr(
        "napari_medsam_lite.acceleration.openvino.export.ct_like_frames", lambda **_: frames[:1]
    )
    network = load_backend("openvino-int8", "cpu", checkpoint)
    network.prepare(FRAME)
    (folder,) = copy.parent.glob("*-int8-*")
    assert b'"i8"' in (folder / "encoder.xml").read_bytes()
    pairs = zip(masks(network, frames) > 0, masks(backend, frames) > 0, strict=True)
    assert np.mean([dice(a, b) for a, b in pairs]) > 0.9
