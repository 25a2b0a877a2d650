"""What every backend promises, and how far presets are from eager on real slices."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from tests.acceleration.conftest import BOXES

from napari_medsam_lite.acceleration.load import load_backend
from napari_medsam_lite.acceleration.presets import PRESETS
from napari_medsam_lite.core.agreement import dice
from napari_medsam_lite.core.errors import BackendUnavailableError, Interrupted, MedSAMLiteError

QUICK = ["eager", "sdpa", "bf16", "openvino"]


@pytest.mark.parametrize("name", QUICK)
def test_contract(name, checkpoint, frames):
    backend = load_backend(name, "cpu", checkpoint)
    assert backend.preset is PRESETS[name]
    assert "CPU" in backend.device.upper() or "Xeon" in backend.device
    embeddings = backend.encode_images(frames)
    assert len(embeddings) == len(frames)
    assert all(e.nbytes >= 2 * 256 * 64 * 64 for e in embeddings)
    logits, iou = backend.decode_boxes([embeddings[0], embeddings[1], embeddings[0]], BOXES)
    assert logits.shape == (3, 256, 256)
    assert iou.shape == (3,)
    assert logits.dtype == iou.dtype == np.float32
    alone, _ = backend.decode_boxes(embeddings[:1], BOXES[2:])
    assert dice(alone[0] > 0, logits[2] > 0) > 0.99
    assert np.isfinite(logits).all()


def test_openvino_keeps_what_it_gave(checkpoint, frames):
    """Its own buffers are used again; what it hands out must not change with the next call."""
    backend = load_backend("openvino", "cpu", checkpoint)
    first, second = (backend.encode_images(frame[None])[0] for frame in frames)
    assert not np.array_equal(first, second)
    logits, _ = backend.decode_boxes([first] * 10, np.repeat(BOXES[:1], 10, axis=0))
    np.testing.assert_allclose(logits[0], logits[9], atol=0.3)


def test_openvino_decodes_boxes_of_one_slice_together_and_answers_in_order(checkpoint, frames):
    backend = load_backend("openvino", "cpu", checkpoint)
    first, second = backend.encode_images(frames)
    owners = [second, first, first, first, second, first, second, second, second, second]
    boxes = np.array([[20 + 4 * i, 30, 90 + 9 * i, 120] for i in range(len(owners))], np.float32)
    logits, iou = backend.decode_boxes(owners, boxes)
    for i, owner in enumerate(owners):
        alone, score = backend.decode_boxes([owner], boxes[i : i + 1])
        assert dice(alone[0] > 0, logits[i] > 0) > 0.99
        assert iou[i] == pytest.approx(score[0], abs=0.02)


def test_openvino_gives_up_an_encoding_on_request_and_works_on(checkpoint, frames):
    backend = load_backend("openvino", "cpu", checkpoint)
    backend.interrupt()  # with nothing in flight
    before = backend.encode_images(frames)
    ended = []

    def encode():
        try:
            while True:
                backend.encode_images(frames)
        except MedSAMLiteError as error:
            ended.append(error)

    thread = threading.Thread(target=encode)
    thread.start()
    while thread.is_alive():
        backend.interrupt()
        thread.join(0.01)
    assert isinstance(ended[0], Interrupted)
    for one, other in zip(before, backend.encode_images(frames), strict=True):
        np.testing.assert_array_equal(one, other)


def test_openvino_starts_without_torch_the_second_time(checkpoint):
    load_backend("openvino", "cpu", checkpoint)
    code = (
        "import sys; from napari_medsam_lite.acceleration.load import load_backend;"
        "from napari_medsam_lite.model.weights import find_checkpoint;"
        "load_backend('openvino', 'cpu', find_checkpoint());"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_openvino_fails_as_this_package_does(checkpoint):
    backend = load_backend("openvino", "cpu", checkpoint)
    with pytest.raises(MedSAMLiteError, match="OpenVINO failed in the decoder"):
        backend.decode_boxes([np.zeros((5, 256), np.float16)], BOXES[:1])


def test_a_preset_that_cannot_run_is_refused(checkpoint):
    with pytest.raises(BackendUnavailableError, match="runs on cuda alone"):
        load_backend("cuda-max", "cpu", checkpoint)


@pytest.fixture(scope="module")
def real(shared_ct):
    """Every fifth real slice, their frames and the boxes of their labels."""
    from napari_medsam_lite.core.frame import FRAME, ModelFrame

    with np.load(shared_ct / "CT_tseg_gts.npz") as data:
        images, labels = data["imgs"][::5], data["gts"][::5]
    frame = ModelFrame(*images.shape[1:])
    h, w = frame.inner
    frames = np.zeros((len(images), 3, FRAME, FRAME), np.float32)
    frames[:, :, :h, :w] = (frame.resize(images) / np.float32(255))[:, None]
    owners, boxes = [], []
    for owner, label in ((i, n) for i in range(len(images)) for n in np.unique(labels[i])[1:]):
        y, x = np.nonzero(labels[owner] == label)
        low = np.array([x.min(), y.min()]) * frame.scale - 5
        high = np.array([x.max() + 1, y.max() + 1]) * frame.scale + 5
        owners.append(owner)
        boxes.append(np.clip([*low, *high], 0, 255))
    return frames, owners, np.array(boxes, np.float32)


def masks_of(name, checkpoint, real):
    frames, owners, boxes = real
    backend = load_backend(name, "cpu", checkpoint)
    embeddings = backend.encode_images(frames)
    batches = [slice(start, start + 8) for start in range(0, len(boxes), 8)]
    return np.concatenate(
        [
            backend.decode_boxes([embeddings[i] for i in owners[batch]], boxes[batch])[0] > 0
            for batch in batches
        ]
    )


@pytest.fixture(scope="module")
def eager_masks(checkpoint, real):
    return masks_of("eager", checkpoint, real)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sdpa", "nested", "bf16", "openvino"])
def test_agreement_on_real_slices(name, checkpoint, real, eager_masks):
    masks = masks_of(name, checkpoint, real)
    agreement = np.mean([dice(a, b) for a, b in zip(masks, eager_masks, strict=True)])
    assert agreement >= PRESETS[name].agreement
