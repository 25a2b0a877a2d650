"""The published way of working, to measure against.

Eager float32; with 3D boxes every slice is encoded again for every box, as the published 3D
script does; with labels as prompts once a slice, as the published FLARE script does; one box at a
time; the allocator as it is. Run it as
``python -m napari_medsam_lite.benchmark.published FILE... -o FOLDER``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from napari_medsam_lite.acceleration.torch.device import resolve_device
from napari_medsam_lite.core.case import Case
from napari_medsam_lite.core.files import make_folder
from napari_medsam_lite.core.frame import ModelFrame, Patch
from napari_medsam_lite.core.window import parse_window
from napari_medsam_lite.engine.painting import LabelPainter, empty_labels
from napari_medsam_lite.engine.preprocess import encoder_frames
from napari_medsam_lite.engine.propagation.published import boxes_of_labels, propagate
from napari_medsam_lite.engine.propagation.slice_mask import SliceMask
from napari_medsam_lite.io.formats import read_case, write_labels
from napari_medsam_lite.model.build import load_lite_medsam
from napari_medsam_lite.model.lite_medsam import LiteMedSAM
from napari_medsam_lite.model.weights import find_checkpoint


class PublishedScript:
    """One case, segmented as the published scripts do."""

    def __init__(self, model: LiteMedSAM, case: Case, device: torch.device) -> None:
        self._model, self._case, self._device = model.to(device), case, device
        self._volume = case.volume
        self._limits = parse_window(None, case.volume).fit(case.volume)
        self._frame = ModelFrame(*case.volume.plane_shape(0))

    def labels(self) -> NDArray[np.unsignedinteger]:
        """(Z, Y, X) labels, from the case's boxes or else from its truth."""
        if self._case.boxes:
            return self._from_boxes()
        return self._from_truth()

    def _from_boxes(self) -> NDArray[np.unsignedinteger]:
        ids = range(1, len(self._case.boxes) + 1)
        labels = empty_labels(self._volume.shape, ids)
        painter = LabelPainter(labels, 0, ids, "overwrite")
        for number, box in enumerate(self._case.boxes):
            for item in propagate([box], 0, self._frame, self._encode_and_decode):
                painter.paint(
                    SliceMask(number, item.index, item.score, item.corner, item.logits, item.shape)
                )
        return labels

    def _from_truth(self) -> NDArray[np.unsignedinteger]:
        truth = self._case.gts
        assert truth is not None
        ids = [int(i) for i in np.unique(truth) if i > 0]
        labels = empty_labels(self._volume.shape, ids)
        painter = LabelPainter(labels, 0, ids, "overwrite")
        for index, plane in enumerate(truth):
            embedding = self._encode(index)
            for label, box in boxes_of_labels(plane, self._frame):
                patch, score = self._decode(embedding, box)
                painter.paint(
                    SliceMask(
                        ids.index(label), index, score, patch.corner, patch.logits, plane.shape
                    )
                )
        return labels

    def _encode_and_decode(
        self, indices: list[int], boxes: NDArray[np.float32]
    ) -> list[tuple[Patch, float]]:
        pairs = zip(indices, boxes, strict=True)
        return [self._decode(self._encode(index), box) for index, box in pairs]

    @torch.inference_mode()
    def _encode(self, index: int) -> torch.Tensor:
        frames = encoder_frames(self._volume.slices(0, [index]), self._limits, self._frame)
        return self._model.encode(torch.from_numpy(frames.copy()).to(self._device))

    @torch.inference_mode()
    def _decode(self, embedding: torch.Tensor, box: NDArray[np.float32]) -> tuple[Patch, float]:
        logits, iou = self._model.decode(embedding, torch.from_numpy(box)[None].to(self._device))
        return self._frame.mask_to_image(logits[0, 0].cpu().numpy()), float(iou)


def main(argv: Sequence[str] | None = None) -> None:
    """Segment the files named; prints the seconds of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("inputs", nargs="+", type=Path)
    parser.add_argument("-o", "--output", required=True, type=Path)
    parser.add_argument("--device", default="cpu", help="as in medsam-lite segment")
    args = parser.parse_args(argv)
    device = resolve_device(args.device)
    model = load_lite_medsam(find_checkpoint())
    make_folder(args.output)
    for path in args.inputs:
        start = time.perf_counter()
        case = read_case(path)
        labels = PublishedScript(model, case, device).labels()
        write_labels(args.output / path.name, labels, case.volume, gts=case.gts)
        print(f"{path.name} {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    main()
