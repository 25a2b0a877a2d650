"""Slices of voxels that are not square: given to the network squeezed, or in true proportions.

    python benchmarks/proportions.py CASE...

A case is a folder with ``ct.nii.gz`` and ``labels.nii.gz``. Mean Dice with the truth across axes 1
and 2, on the largest slice of each label, with the tight box grown by two voxels.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from napari_medsam_lite import Box2D, Volume, read_volume
from napari_medsam_lite.core.agreement import dice
from napari_medsam_lite.core.boxes import tight_box
from napari_medsam_lite.engine.prepared import PreparedVolume, prepare_volume
from napari_medsam_lite.engine.segmenter import Segmenter
from napari_medsam_lite.io.formats import read_labels

MARGIN = 2
LEAST = 200
"""Voxels that a label must have on its largest slice."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="+", type=Path)
    parser.add_argument("--preset", default="openvino")
    parser.add_argument("--window", default="abdomen")
    options = parser.parse_args()
    segmenter = Segmenter(options.preset)
    print("| case | spacing z, y, x | axis | slices | squeezed | true proportions |")
    print("|---|---|---|---|---|---|")
    for case in options.cases:
        volume, truth = read_volume(case / "ct.nii.gz"), read_labels(case / "labels.nii.gz")
        for axis in (1, 2):
            row = measure(segmenter, volume, truth, axis, options.window)
            spacing = ", ".join(f"{size:.2f}" for size in volume.spacing)
            means = " | ".join(f"{mean:.3f}" for mean in np.mean(row, axis=0))
            print(f"| {case.name} | {spacing} | {axis} | {len(row)} | {means} |")


def measure(
    segmenter: Segmenter, volume: Volume, truth: np.ndarray, axis: int, window: str
) -> list[tuple[float, float]]:
    """Dice of each label, squeezed and in true proportions."""
    prepared, found = prepare_volume(volume, window, axis), []
    others = tuple(a for a in range(3) if a != axis)
    for label in np.unique(truth)[1:]:
        organ = truth == label
        areas = organ.sum(axis=others)
        index = int(areas.argmax())
        if areas[index] < LEAST:
            continue
        mask = np.moveaxis(organ, axis, 0)[index]
        box = tight_box(mask)
        grown = Box2D(box.y0 - MARGIN, box.x0 - MARGIN, box.y1 + MARGIN, box.x1 + MARGIN)
        found.append(
            tuple(
                score(segmenter, way, index, grown, mask)
                for way in (prepared.as_published, prepared)
            )
        )
    return found


def score(
    segmenter: Segmenter, prepared: PreparedVolume, index: int, box: Box2D, mask: np.ndarray
) -> float:
    (item,) = segmenter.segment_slice(prepared, index, [box])
    return dice(item.mask, mask)


if __name__ == "__main__":
    main()
