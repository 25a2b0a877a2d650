"""Every preset on real CT: seconds, memory, agreement with eager and with the organs.

    python benchmarks/presets.py ../shared/ct/CT_tseg_gts.npz --every 3 -o presets.json

Boxes come from the labels, slice by slice, grown by 5 in the frame, as the published script does.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from napari_medsam_lite.acceleration.presets import PRESETS
from napari_medsam_lite.acceleration.tuning import compare as tuning
from napari_medsam_lite.core.agreement import dice
from napari_medsam_lite.core.frame import ModelFrame
from napari_medsam_lite.core.settings import AUTO
from napari_medsam_lite.model.weights import find_checkpoint

MARGIN = 5


def real_case(path: Path, every: int) -> tuple[tuning.CalibrationCase, np.ndarray]:
    """Every n-th slice with the boxes of its labels, and the labels' masks in the frame."""
    with np.load(path) as data:
        images, labels = data["imgs"], data["gts"]
    frame = ModelFrame(*images.shape[1:])
    h, w = frame.inner
    rows = (np.arange(h) * images.shape[1] / h).astype(int)
    columns = (np.arange(w) * images.shape[2] / w).astype(int)
    frames, owners, boxes, truths = [], [], [], []
    for index in range(0, len(images), every):
        resized = frame.resize(images[index : index + 1])[0].astype(np.float32)
        resized = (resized - resized.min()) / max(resized.max() - resized.min(), 1e-8)
        padded = np.zeros((256, 256), np.float32)
        padded[:h, :w] = resized
        truth = np.zeros((256, 256), labels.dtype)
        truth[:h, :w] = labels[index][np.ix_(rows, columns)]
        for label in np.unique(truth)[1:]:
            y, x = np.nonzero(truth == label)
            low = max(x.min() - MARGIN, 0), max(y.min() - MARGIN, 0)
            boxes.append([*low, min(x.max() + MARGIN, 255), min(y.max() + MARGIN, 255)])
            owners.append(len(frames))
            truths.append(truth == label)
        frames.append(np.repeat(padded[None], 3, axis=0))
    case = tuning.CalibrationCase(np.stack(frames), np.array(owners), np.array(boxes, np.float32))
    return case, np.stack(truths)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", type=Path)
    parser.add_argument("--every", type=int, default=3, help="every n-th slice")
    parser.add_argument("--presets", default=",".join(PRESETS))
    parser.add_argument("--device", default=AUTO)
    parser.add_argument("-o", "--output", type=Path, default=Path("presets.json"))
    options = parser.parse_args()
    case, truths = real_case(options.case, options.every)
    sys.stderr.write(f"{len(case.frames)} slices, {len(case.boxes)} boxes\n")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for row in tuning.measure_presets(
            find_checkpoint(),
            options.device,
            case,
            options.presets.split(","),
            keep=Path(folder),
        ):
            if isinstance(row, str):
                continue
            masks = Path(folder, f"{row.preset}.npy")
            organs = None
            if row.reason is None:
                pairs = zip(np.load(masks), truths, strict=True)
                organs = float(np.mean([dice(mask, truth) for mask, truth in pairs]))
            rows.append(asdict(row) | {"organs": organs})
            print(json.dumps(rows[-1]), flush=True)
    options.output.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
