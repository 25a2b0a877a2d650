"""Makes phantom.npz: parts of the phantom, and what ``eager`` answers for them.

Run once, with the code that the real CT had shown to equal the published scripts voxel for voxel:

    python tests/parity/make_phantom.py tests/parity/phantom.npz

Run it again only after the parity with the real CT has been shown anew.
"""

import sys

import numpy as np

from napari_medsam_lite import Box3D, Volume, VolumePredictor
from napari_medsam_lite.sample.ct import ct_phantom

SLICES, ROWS, COLUMNS = slice(28, 33), slice(40, 220), slice(20, 250)
SURE = 1e-3
"""Logits nearer to zero than this may change sign with the order of a processor's sums."""


def main(target: str) -> None:
    sample = ct_phantom()
    hu = np.clip(sample.volume.data[SLICES, ROWS, COLUMNS], -160, 240)
    imgs = ((hu + 160) * (255 / 400)).astype(np.uint8)
    gts = sample.truth[SLICES, ROWS, COLUMNS]
    boxes = [tight_box(gts == label) for label in np.unique(gts)[1:]]
    predictor = VolumePredictor("eager", "cpu")
    predictor.set_volume(Volume(imgs))
    masks = np.zeros((len(boxes), *imgs.shape), bool)
    sure = np.ones_like(masks)
    for item in predictor.propagate_in_volume(boxes, "published"):
        masks[item.object, item.index][item.window] = item.patch
        sure[item.object, item.index][item.window] = np.abs(item.logits) > SURE
    np.savez_compressed(
        target,
        imgs=imgs,
        gts=gts,
        boxes=np.array([(b.z0, b.y0, b.x0, b.z1, b.y1, b.x1) for b in boxes]),
        masks=np.packbits(masks),
        sure=np.packbits(sure),
        segs=predictor.segment_from_labels(gts),
    )


def tight_box(mask: np.ndarray) -> Box3D:
    """The box of a (Z, Y, X) mask, grown by two voxels in the slice."""
    (z0, y0, x0), (z1, y1, x1) = (end(np.argwhere(mask), axis=0) for end in (np.min, np.max))
    height, width = mask.shape[1:]
    return Box3D(
        int(z0),
        max(int(y0) - 2, 0),
        max(int(x0) - 2, 0),
        int(z1),
        min(int(y1) + 2, height - 1),
        min(int(x1) + 2, width - 1),
    )


if __name__ == "__main__":
    main(sys.argv[1])
