"""Damaged and harmful files, each given to ``medsam-lite segment`` in a process of its own.

python benchmarks/damaged_files.py --shared ../shared

Each must be refused in one sentence on standard error, with exit status 1, leave nothing behind,
and take little memory and time. What damage nobody can see (a bit of a voxel) may open. Needs a
system with fork (Linux, macOS).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from damaged_inputs import Damaged, make_inputs

from napari_medsam_lite.cli import cases, main
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.io import formats  # noqa: F401 - once, before the processes part

MOST_MIB, MOST_SECONDS, ADDRESS_SPACE = 600, 20, 12 << 30
OPENED = "OPENED"


@dataclass(frozen=True)
class Outcome:
    """What became of an input; `fault` is empty if it is as it should be."""

    name: str
    status: int | None
    said: str
    mib: float
    seconds: float
    fault: str


def check(damaged: Damaged) -> Outcome:
    """Run one in a process of its own, and judge what it did."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        process = context.Process(target=_run, args=(damaged.path, folder, theirs))
        process.start()
        theirs.close()
        answered = ours.poll(MOST_SECONDS)
        try:
            status, said, printed, mib = ours.recv() if answered else (None, "", "", 0.0)
        except EOFError:
            status, said, printed, mib = None, "", "", 0.0
        if not answered:
            process.kill()
        process.join()
        left = sorted(path.name for path in Path(folder).rglob("*"))
    seconds = time.perf_counter() - start
    fault = _fault(damaged, status, said, printed, mib, left) if answered else "took too long"
    return Outcome(damaged.name, status, said.strip(), round(mib), round(seconds, 2), fault)


def _run(path: Path, folder: str, answer: Connection) -> None:
    """In the child: read as `segment` does; the network is not asked."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def opened(self: object, files: object, contents: tuple[cases.Case, float]) -> None:
        raise MedSAMLiteError(" ".join([f"{OPENED}.", *contents[0].volume.notes]))

    cases.CaseRunner.segment = opened  # type: ignore[method-assign,assignment]
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        status = main(
            ["segment", str(path), "-o", f"{folder}/labels.nii.gz", "--box", "0,0,0,1,1,1"]
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    answer.send((status, error.getvalue(), out.getvalue(), (peak - before) / unit))


def _fault(
    damaged: Damaged, status: int | None, said: str, printed: str, mib: float, left: list[str]
) -> str:
    if status is None:
        return "died without a word"
    if status != 1:
        return f"exit status {status}"
    if len(said.strip().splitlines()) != 1 or printed:
        return f"{len(said.splitlines())} lines on standard error, {len(printed)} letters on output"
    if "Traceback" in said or not said.strip().endswith((".", ")")):
        return "no sentence"
    if OPENED in said and not damaged.may_open:
        return "opened"
    if left:
        return f"left {left} behind"
    return f"{mib:.0f} MiB" if mib > MOST_MIB else ""


def check_all(inputs: Sequence[Damaged]) -> Iterator[Outcome]:
    """One after the other: each alone has the machine's memory to itself."""
    yield from map(check, inputs)


def main_() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, help="a folder with real files")
    parser.add_argument("--json", type=Path, help="all outcomes in a file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        inputs = list(make_inputs(Path(folder), args.shared))
        outcomes = []
        for outcome in check_all(inputs):
            outcomes.append(outcome)
            if outcome.fault:
                print(f"FAULT {outcome.name}: {outcome.fault}: {outcome.said}", flush=True)
    count = Counter(
        "at fault" if o.fault else "opened" if OPENED in o.said else "refused" for o in outcomes
    )
    print(f"{len(outcomes)} inputs: {dict(count)}")
    most, longest = max(o.mib for o in outcomes), max(o.seconds for o in outcomes)
    print(f"most memory {most} MiB, longest {longest} s")
    if args.json:
        args.json.write_text(json.dumps([asdict(o) for o in outcomes], indent=1))
    return int(count["at fault"] > 0)


if __name__ == "__main__":
    sys.exit(main_())
