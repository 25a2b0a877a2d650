"""First answers for a worklist while things go wrong: each case done once, and told at the end.

    python benchmarks/fleet.py CT.npz -o FOLDER

The npz carries boxes; its slices are dealt out to the cases. A worker is killed in the middle of a
case, the disk is full (a tmpfs in a namespace, Linux alone), the Dask cluster is killed and started
again, two commands share the cases. At last a case is opened and segmented as the dock does it,
with what the command kept and without, and what is encoded is counted.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil

from napari_medsam_lite.core.segmentation import group_by_label, number_names
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.engine.disk_cache import DiskCache
from napari_medsam_lite.engine.prepared import prepare_volume
from napari_medsam_lite.engine.segmenter import Segmenter
from napari_medsam_lite.engine.timings import Timings
from napari_medsam_lite.io.formats import read_labels
from napari_medsam_lite.io.opened import find_case
from napari_medsam_lite.io.worklist import read_worklist

CASES, SLICES = 5, 4
PARTS = "killed", "full", "restarted", "together", "opened"
COMMAND = [
    sys.executable,
    "-c",
    "from napari_medsam_lite.cli import main; raise SystemExit(main())",
]
ON_A_FULL_DISK = 'mount -t tmpfs -o size=8k none "$0" && exec "$@"'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("npz")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--preset", default="auto")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    bench = Bench(Path(options.npz), Path(options.output).absolute(), options.preset)
    for part in options.parts:
        start = time.perf_counter()
        print(f"{part}: {getattr(bench, part)()} ({time.perf_counter() - start:.0f} s)", flush=True)


class Bench:
    """Each part has a folder of cases of its own, and begins with nothing kept."""

    def __init__(self, npz: Path, folder: Path, preset: str) -> None:
        self._folder, self._preset = folder, preset
        folder.mkdir(parents=True)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        held = np.load(npz)
        self._images, self._spacing = held["imgs"], held["spacing"]
        areas = np.prod(held["boxes"][:, 3:5] - held["boxes"][:, :2], axis=1)
        self._box = held["boxes"][areas.argmax()]
        first = int(self._box[2]), int(self._box[5]) + 1 - SLICES
        self._starts = np.linspace(*first, CASES).astype(int)

    def killed(self) -> str:
        """Kill a worker while it has a case, by SIGKILL."""
        cases = self._cases("killed")
        command = self._start(cases, "--workers", "2")
        holder = self._first_holder(cases)
        os.kill(holder, signal.SIGKILL)
        return self._told(command, cases)

    def full(self) -> str:
        """No room for any labels; then the same command with room."""
        cases = self._cases("full")
        cases[0].results.mkdir()
        room = ["unshare", "-rm", "sh", "-c", ON_A_FULL_DISK, str(cases[0].results)]
        first = self._start(cases, "--workers", "2", prefix=room)
        told, _ = first.communicate()
        failed = [row for row in json.loads(told) if row["outcome"] == "failed"]
        reasons = Counter(row["reason"].partition(": ")[2] for row in failed)
        again = self._told(self._start(cases), cases)
        return f"exit {first.returncode}, {len(failed)} failed {dict(reasons)}; again: {again}"

    def restarted(self) -> str:
        """Kill scheduler and workers while a case is worked on, and start them anew."""
        cases = self._cases("restarted")
        file = self._folder / "scheduler.json"
        cluster = _cluster(file, "0")
        address = str(json.loads(file.read_text())["address"])
        command = self._start(cases, "--scheduler", address)
        self._first_holder(cases)
        _kill(cluster)
        file.unlink()
        cluster = _cluster(file, address.rpartition(":")[2])
        told = self._told(command, cases)
        _kill(cluster)
        return told

    def together(self) -> str:
        """Two commands at once on one folder."""
        cases = self._cases("together")
        both = [self._start(cases), self._start(cases)]
        return " | ".join(self._told(command, cases) for command in both)

    def opened(self) -> str:
        """What the dock does when a case is opened and All is pressed."""
        (case, *_) = cases = self._cases("opened")
        self._start(cases).communicate()
        found = find_case(case)
        settings = Settings(preset=self._preset)
        told = []
        kept = DiskCache()
        for name, disk in (("kept", kept), ("not kept", None)):
            segmenter, timings = Segmenter(self._preset), Timings()
            segmenter.load()
            segmenter.cache.disk = disk
            start = time.perf_counter()
            prepared = prepare_volume(found.contents.volume, settings.window, settings.axis)
            boxes = tuple(found.contents.boxes)
            _, segments = group_by_label(boxes, number_names(found.names))
            masks = segmenter.segment(prepared, segments, replace(settings), timings)
            next(masks)
            first = time.perf_counter() - start
            for _ in masks:
                pass
            whole = time.perf_counter() - start
            told.append(
                f"{name}: {timings.slices_encoded} encoded, first mask after {first:.2f} s, "
                f"all after {whole:.2f} s"
            )
        return "; ".join(told)

    def _cases(self, name: str) -> list:
        folder = self._folder / name
        folder.mkdir()
        x0, y0, _, x1, y1, _ = map(int, self._box)
        for number, start in enumerate(self._starts):
            part = self._images[start : start + SLICES]
            boxes = np.array([[x0, y0, 0, x1, y1, SLICES - 1]])
            path = folder / f"case{number}.npz"
            np.savez_compressed(path, imgs=part, boxes=boxes, spacing=self._spacing)
        shutil.rmtree(self._folder / "cache", ignore_errors=True)
        return list(read_worklist(folder))

    def _start(self, cases: list, *more: str, prefix: list[str] | None = None) -> subprocess.Popen:
        words = ["segment", "--worklist", str(cases[0].source.parent), "--preset", self._preset]
        return subprocess.Popen(
            [*(prefix or []), *COMMAND, *words, "--json", *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _first_holder(self, cases: list) -> int:
        """The process that has a case, once one is done."""

        def found() -> int | None:
            holders = [each.holder() for each in cases] if cases[0].has_labels else []
            return next((each.pid for each in holders if each is not None), None)

        return _until(found)

    def _told(self, command: subprocess.Popen, cases: list) -> str:
        told, _ = command.communicate()
        rows = Counter(row["outcome"] for row in json.loads(told))
        whole = sum(bool(read_labels(case.labels).any()) for case in cases)
        return f"exit {command.returncode}, {dict(rows)}, {whole} of {len(cases)} have labels"


def _cluster(file: Path, port: str) -> list[subprocess.Popen]:
    """A scheduler and two workers."""
    scheduler = _module("dask_scheduler", "--host=127.0.0.1", f"--port={port}", file)
    _until(lambda: (file.exists() and file.stat().st_size) or None)
    return [scheduler, *(_module("dask_worker", "--nthreads=1", "--no-nanny", file) for _ in "12")]


def _module(name: str, *options: object) -> subprocess.Popen:
    *words, file = map(str, options)
    return subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.{name}", *words, "--no-dashboard",
         f"--scheduler-file={file}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _kill(processes: list[subprocess.Popen]) -> None:
    for process in processes:
        for child in (*psutil.Process(process.pid).children(recursive=True), process):
            child.kill()
        process.wait()


def _until(look: Callable[[], int | None]) -> int:
    while True:
        if (found := look()) is not None:
            return found
        time.sleep(0.05)


if __name__ == "__main__":
    main()
