"""The torch presets on a GPU: what its matrix units could do, and what each preset makes of them.

    python benchmarks/gpu.py ../shared/ct/CT_tseg_gts.npz -o gpu.json

Per preset: ms an image alone and in batches, at 256 and 96 pixels, ms a box in batches of 8, the
peak of memory on the GPU, the agreement of the masks with `eager`, and the share of the measured
matrix rate that the encoder reaches. Then the published way, a box at a time; the encoder's first
convolutions in more and fewer strips; and the kernels that take longest.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from presets import real_case
from torch.utils.flop_counter import FlopCounterMode

from napari_medsam_lite.acceleration.availability import unavailable
from napari_medsam_lite.acceleration.load import load_backend
from napari_medsam_lite.acceleration.presets import PRESETS
from napari_medsam_lite.acceleration.torch.folded import encoder as folded
from napari_medsam_lite.core.agreement import dice
from napari_medsam_lite.model.build import load_lite_medsam
from napari_medsam_lite.model.weights import find_checkpoint

TORCH = [name for name, preset in PRESETS.items() if preset.runtime != "openvino"]
SIDES, BATCHES, BOXES = (256, 96), (1, 4, 8), 8
MATRIX = 8192


@dataclass(frozen=True)
class Clock:
    """Times work on a device, which is waited for."""

    device: str
    repeats: int

    def wait(self) -> None:
        if self.device != "cpu":
            torch.cuda.synchronize()

    def ms(self, work: Callable[[], object]) -> float:
        """The median of the repeats, after some that are not counted."""
        for _ in range(min(3, self.repeats)):
            work()
        times = []
        for _ in range(self.repeats):
            self.wait()
            start = time.perf_counter()
            work()
            self.wait()
            times.append(1000 * (time.perf_counter() - start))
        return median(times)


def matrix_rates(clock: Clock, side: int) -> dict[str, float]:
    """TFLOP/s of a square product of random numbers."""
    rates = {}
    for dtype in (torch.float32, torch.bfloat16):
        a, b = (torch.randn(side, side, device=clock.device).to(dtype) for _ in range(2))
        seconds = clock.ms(lambda a=a, b=b: a @ b) / 1000
        rates[str(dtype).removeprefix("torch.")] = 2 * side**3 / seconds / 1e12
    return rates


def gflop(checkpoint: Any) -> dict[str, float]:
    """Products and sums of the published network, for one image and for one box."""
    model = load_lite_medsam(checkpoint)
    with FlopCounterMode(display=False) as encoding:
        embedding = model.encode(torch.zeros(1, 3, 256, 256))
    with FlopCounterMode(display=False) as decoding:
        model.decode(embedding, torch.tensor([[50.0, 50, 100, 100]]))
    return {
        "image": encoding.get_total_flops() / 1e9,
        "box": decoding.get_total_flops() / 1e9,
    }


def preset_row(name: str, clock: Clock, case: Any, checkpoint: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"preset": name}
    device = clock.device
    reason = unavailable(name, device)
    if reason:
        return row | {"reason": reason}
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    backend = load_backend(name, device, checkpoint)
    for side in SIDES:
        backend.prepare(side)
        row[f"ready {side}"] = round(time.perf_counter() - start, 1)
    for side in SIDES:
        frames = np.ascontiguousarray(case.frames[:8, :, :side, :side])
        for batch in BATCHES:
            images = np.resize(frames, (batch, *frames.shape[1:]))
            spent = clock.ms(partial(backend.encode_images, images))
            row[f"image {side}, {batch} together"] = spent / batch
        one = backend.encode_images(frames[:1])[0]
        boxes = np.tile(np.array([[20, 20, 60, 70]], np.float32), (BOXES, 1))
        for count in (1, BOXES):
            spent = clock.ms(partial(backend.decode_boxes, [one] * count, boxes[:count]))
            row[f"box {side}, {count} together"] = spent / count
    if device != "cpu":
        row["MiB on the GPU"] = torch.cuda.max_memory_allocated() / 2**20
    embeddings = [backend.encode_images(frame[None])[0] for frame in case.frames]
    masks = [
        backend.decode_boxes(
            [embeddings[i] for i in case.owners[at : at + BOXES]], case.boxes[at : at + BOXES]
        )[0]
        > 0
        for at in range(0, len(case.boxes), BOXES)
    ]
    return row | {"masks": np.concatenate(masks)}


def published(clock: Clock, case: Any, checkpoint: Any) -> dict[str, float]:
    """One box the published way: its slice encoded anew, eager float32, the mask brought back."""
    model = load_lite_medsam(checkpoint).to(clock.device)
    frame, box = torch.from_numpy(case.frames[:1]), torch.from_numpy(case.boxes[:1])

    @torch.inference_mode()
    def once() -> None:
        model.decode(model.encode(frame.to(clock.device)), box.to(clock.device))[0].cpu()

    return {"ms a box": clock.ms(once)}


def strips(clock: Clock, case: Any, checkpoint: Any) -> dict[str, float]:
    """ms an image with `bf16`, by the number of strips."""
    found, usual = {}, folded.STRIPS
    for count in (1, 2, 4):
        folded.STRIPS = count
        backend = load_backend("bf16", clock.device, checkpoint)
        for batch in (1, 4):
            images = case.frames[:batch]
            spent = clock.ms(partial(backend.encode_images, images))
            found[f"{count} strips, {len(images)} together"] = spent / len(images)
    folded.STRIPS = usual
    return found


def kernels(device: str, case: Any, checkpoint: Any) -> str:
    """What `bf16` spends its time with, four images together."""
    from torch.profiler import ProfilerActivity, profile

    backend = load_backend("bf16", device, checkpoint)
    backend.encode_images(case.frames[:4])
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device != "cpu" else [])]
    with profile(activities=kinds) as told:
        for _ in range(5):
            backend.encode_images(case.frames[:4])
    by = "self_cpu_time_total" if device == "cpu" else "self_cuda_time_total"
    return told.key_averages().table(sort_by=by, row_limit=25, max_name_column_width=70)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", type=Path, help="an .npz with imgs and gts")
    parser.add_argument("--every", type=int, default=3, help="every n-th slice")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--presets", default=",".join(TORCH))
    parser.add_argument("--matrix", type=int, default=MATRIX, help="side of the square product")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("-o", "--output", type=Path, default=Path("gpu.json"))
    options = parser.parse_args()
    case, truths = real_case(options.case, options.every)
    checkpoint, device = find_checkpoint(), options.device
    clock = Clock(device, options.repeats)
    found: dict[str, Any] = {"torch": torch.__version__, "slices": len(case.frames)}
    found["device"] = torch.cuda.get_device_name() if device != "cpu" else "cpu"
    found["matrix TFLOP/s"] = matrix_rates(clock, options.matrix)
    found["GFLOP"] = gflop(checkpoint)
    found["published"] = published(clock, case, checkpoint)
    print(json.dumps(found), flush=True)
    rows, wanted = [], None
    for name in options.presets.split(","):
        try:
            row = preset_row(name, clock, case, checkpoint)
        except Exception as error:  # one preset that fails leaves the others to be measured
            row = {"preset": name, "reason": f"{type(error).__name__}: {error}"}
        masks = row.pop("masks", None)
        if masks is not None:
            wanted = masks if wanted is None else wanted
            pairs = zip(masks, wanted, truths, strict=True)
            scores = [(dice(mask, eager), dice(mask, truth)) for mask, eager, truth in pairs]
            row["Dice with the first"], row["Dice with organs"] = np.mean(scores, axis=0).tolist()
            kind = "float32" if PRESETS[name].precision == "float32" else "bfloat16"
            spent, rate = row["image 256, 8 together"], found["matrix TFLOP/s"][kind]
            row["share of the matrix rate"] = found["GFLOP"]["image"] / spent / rate
        rows.append(row)
        print(json.dumps(row), flush=True)
    found["presets"] = rows
    found["strips"] = strips(clock, case, checkpoint)
    print(json.dumps(found["strips"]), flush=True)
    options.output.write_text(json.dumps(found, indent=1))
    print(kernels(device, case, checkpoint))


if __name__ == "__main__":
    main()
