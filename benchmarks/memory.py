"""Peak memory of a large case: 512 x 512 x 600 int16, five objects through all slices.

python benchmarks/memory.py --preset openvino
"""

from __future__ import annotations

import argparse
import resource
import sys
import time

import numpy as np

from napari_medsam_lite import Box3D, Volume, VolumePredictor

SHAPE = (600, 512, 512)
CENTRES = [(130, 140), (140, 370), (260, 256), (380, 150), (370, 360)]
RADIUS = 45


def large_volume() -> Volume:
    """Five bright rods in soft tissue, with noise; made slice by slice to stay small."""
    rng = np.random.default_rng(0)
    y, x = np.ogrid[: SHAPE[1], : SHAPE[2]]
    plane = np.where((y - 256) ** 2 + (x - 256) ** 2 < 240**2, 20, -1000).astype(np.int16)
    for row, column in CENTRES:
        plane[(y - row) ** 2 + (x - column) ** 2 < RADIUS**2] = 150
    noise = rng.integers(-25, 26, (8, *SHAPE[1:]), dtype=np.int16)
    data = np.empty(SHAPE, np.int16)
    for index in range(SHAPE[0]):
        data[index] = plane + noise[index % 8]
    return Volume(data, (1, 0.8, 0.8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="auto")
    parser.add_argument("--overlap", default="surer")
    parser.add_argument("--slices", type=int, default=SHAPE[0])
    options = parser.parse_args()
    grown = RADIUS + 6
    boxes = [
        Box3D(0, row - grown, column - grown, options.slices - 1, row + grown, column + grown)
        for row, column in CENTRES
    ]
    predictor = VolumePredictor(options.preset)
    predictor.set_volume(large_volume())
    start = time.perf_counter()
    labels = predictor.segment_volume(boxes, overlap=options.overlap)
    seconds = time.perf_counter() - start
    unit = 2**20 if sys.platform == "darwin" else 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    print(
        f"{predictor.preset}: peak {peak:.0f} MiB resident, {seconds:.1f} s, "
        f"{predictor.timings.slices_encoded} slices, {predictor.timings.boxes_decoded} boxes, "
        f"{len(np.unique(labels)) - 1} objects"
    )


if __name__ == "__main__":
    main()
