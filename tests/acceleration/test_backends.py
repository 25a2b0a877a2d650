"""What every backend promises, and how far presets are from eager on real slices."""

import numpy as np
import pytest
from tests.acceleration.conftest import BOXES
from tests.acceleration.processor import needs_units

from napari_medsam_lite.acceleration.ct_like import ct_like_frames
from napari_medsam_lite.acceleration.load import load_backend
from napari_medsam_lite.acceleration.presets import PRESETS
from napari_medsam_lite.core.agreement import dice
from napari_medsam_lite.core.errors import BackendUnavailableError

QUICK = ["eager", "sdpa", "openvino", pytest.param("bf16", marks=needs_units("bf16"))]


@pytest.mark.parametrize("name", QUICK)
def test_contract(name, checkpoint, frames):
    backend = load_backend(name, "cpu", checkpoint)
    assert backend.preset is PRESETS[name]
    assert ("(OpenVINO " in backend.device) == (name == "openvino")
    assert backend.free_memory() > 2**20
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


@pytest.fixture(scope="module")
def reference(checkpoint):
    return load_backend("eager", "cpu", checkpoint)


@pytest.mark.parametrize(
    "name", ["sdpa", "nested", "openvino", pytest.param("bf16", marks=needs_units("bf16"))]
)
def test_a_smaller_frame_gives_the_masks_of_eager(name, checkpoint, reference):
    """Also when sides take turns, and through the array that is stored."""
    backend = load_backend(name, "cpu", checkpoint)
    kept = {}
    for side in (128, 192):
        frames = ct_like_frames(1, side=side)
        kept[side] = frames, backend.embedding_to_array(backend.encode_images(frames)[0])
    for side, (frames, array) in kept.items():
        boxes = BOXES * np.float32(side / 256)
        embeddings = [backend.embedding_from_array(array)] * len(boxes)
        logits, iou = backend.decode_boxes(embeddings, boxes)
        wanted, score = reference.decode_boxes(reference.encode_images(frames) * len(boxes), boxes)
        assert logits.shape == wanted.shape == (len(boxes), side, side)
        agreement = np.mean([dice(a > 0, b > 0) for a, b in zip(logits, wanted, strict=True)])
        # In two-byte floats three boxes on a synthetic slice miss the mean that is promised for
        # real CT: 0.981 and 0.982, a score by 0.07, with AVX-512 BF16.
        two_bytes = name == "bf16" or "bf16" in backend.device
        assert agreement >= PRESETS[name].agreement - (0.01 if two_bytes else 0)
        np.testing.assert_allclose(iou, score, atol=0.1 if two_bytes else 0.02)


@pytest.mark.parametrize("name", ["eager", "sdpa"])
@pytest.mark.parametrize("count", [1, 2])
def test_an_embedding_that_is_kept_keeps_no_other_in_memory(name, checkpoint, frames, count):
    embeddings = load_backend(name, "cpu", checkpoint).encode_images(frames[:count])
    assert [e.untyped_storage().nbytes() for e in embeddings] == [e.nbytes for e in embeddings]


def test_a_preset_that_cannot_run_is_refused(checkpoint):
    with pytest.raises(BackendUnavailableError, match="runs on cuda alone"):
        load_backend("cuda-max", "cpu", checkpoint)


@pytest.fixture(scope="module")
def real(shared_ct):
    """Two real slices, their frames and the boxes of their labels."""
    from napari_medsam_lite.core.frame import FRAME, ModelFrame

    with np.load(shared_ct / "CT_tseg_gts.npz") as data:
        images, labels = data["imgs"][5::15], data["gts"][5::15]
    frame = ModelFrame(*images.shape[1:])
    h, w = frame.inner
    frames = np.zeros((len(images), 3, FRAME, FRAME), np.float32)
    frames[:, :, :h, :w] = (frame.resize(images) / np.float32(255))[:, None]
    owners, boxes = [], []
    for owner, label in ((i, n) for i in range(len(images)) for n in np.unique(labels[i])[1:]):
        y, x = np.nonzero(labels[owner] == label)
        low = np.array([x.min(), y.min()]) * frame.scales[0] - 5
        high = np.array([x.max() + 1, y.max() + 1]) * frame.scales[0] + 5
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
@pytest.mark.parametrize(
    "name", ["sdpa", "nested", "openvino", pytest.param("bf16", marks=needs_units("bf16"))]
)
def test_agreement_on_real_slices(name, checkpoint, real, eager_masks):
    masks = masks_of(name, checkpoint, real)
    agreement = np.mean([dice(a, b) for a, b in zip(masks, eager_masks, strict=True)])
    assert agreement >= PRESETS[name].agreement
