"""A whole case, the published way and ours, one after the other in one run.

    python benchmarks/against_published.py CASE.npz --preset openvino

Both as whole processes: start, loading, reading, network, writing. The published way encodes a
slice again for every box, in eager float32; ours is `medsam-lite segment` with its defaults. With
labels of truth beside (``--truth LABELS.npz`` with ``gts``), the mean Dice of both is printed too.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from napari_medsam_lite.core.agreement import dice_by_label


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", type=Path)
    parser.add_argument("--preset", default="openvino")
    parser.add_argument("--device", default="cpu", help="of both ways")
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--options", nargs="*", default=[], help="more for medsam-lite segment")
    options = parser.parse_args()
    truth = None if options.truth is None else np.load(options.truth)["gts"]
    package = "napari_medsam_lite"
    with tempfile.TemporaryDirectory() as folder:
        ours = Path(folder, "ours.npz")
        segment = [package, "segment", options.case, "-o", ours, "--preset", options.preset]
        place = ["--device", options.device]
        commands = {
            "published": (
                [f"{package}.benchmark.published", options.case, "-o", folder, *place],
                Path(folder, options.case.name),
            ),
            "ours": ([*segment, *place, *(f"--{option}" for option in options.options)], ours),
        }
        seconds = {}
        for name, (command, labels) in commands.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-m", *map(str, command)], check=True)
            seconds[name] = time.perf_counter() - start
            told = f"{name}: {seconds[name]:.1f} s"
            if truth is not None:
                found = np.load(labels)["segs"]
                told += f", Dice {np.mean(list(dice_by_label(found, truth).values())):.3f}"
            print(told, flush=True)
    print(f"ratio {seconds['published'] / seconds['ours']:.1f}")


if __name__ == "__main__":
    main()
