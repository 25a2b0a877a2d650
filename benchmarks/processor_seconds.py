"""Processor seconds of each preset on one core: a figure that other programs hardly disturb.

taskset -c 0 python benchmarks/processor_seconds.py eager sdpa openvino
"""

import subprocess
import sys
import time

import numpy as np

from napari_medsam_lite.acceleration.ct_like import ct_like_frames
from napari_medsam_lite.acceleration.load import load_backend
from napari_medsam_lite.model.weights import find_checkpoint

REPEATS, BATCH = 7, 8


def best(work) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def measure(name: str) -> None:
    backend = load_backend(name, "cpu", find_checkpoint())
    frames = ct_like_frames(1)
    embeddings = backend.encode_images(frames) * BATCH
    boxes = np.tile(np.array([[80, 80, 140, 150]], np.float32), (BATCH, 1))
    backend.decode_boxes(embeddings, boxes)
    slice_ = best(lambda: backend.encode_images(frames))
    box = best(lambda: backend.decode_boxes(embeddings, boxes)) / BATCH
    print(f"| `{name}` | {slice_:.3f} | {box * 1e3:.1f} |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        measure(sys.argv[1])
    else:  # a process each: the allocator's settings stay with a process
        for each in sys.argv[1:]:
            subprocess.run([sys.executable, __file__, each], check=True)
