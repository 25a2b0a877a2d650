"""``medsam-lite worklist``, and ``segment --worklist``: first answers for the cases of a folder."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from napari_medsam_lite.cli.cases import CaseFiles, CaseRunner, Job
from napari_medsam_lite.cli.options import Commands, add_command, print_json, progress_bar
from napari_medsam_lite.cli.recording import Done, Report, recorded
from napari_medsam_lite.cli.streams import one_line, quieten_libraries
from napari_medsam_lite.core.segmentation import number_names
from napari_medsam_lite.engine.batch import Outcome, run_in_processes
from napari_medsam_lite.engine.cluster import run_on_cluster
from napari_medsam_lite.io.claims import Holder
from napari_medsam_lite.io.kept_claim import KeptClaim
from napari_medsam_lite.io.opened import find_case
from napari_medsam_lite.io.work_case import WorkCase, WorkRow, count_of, name_of
from napari_medsam_lite.io.worklist import read_worklist

Answers = Iterable[Outcome[WorkCase, Report]]

PATIENCE_S = 30.0
"""How long a case is waited for that a worker of the same user has, which may be dying."""
PAUSE_S = 0.5


def add_commands(commands: Commands) -> None:
    """Add ``worklist``."""
    parser = add_command(
        commands,
        "worklist",
        "the cases of a folder or list, how far each is and who has it",
        "medsam-lite worklist cases",
        run,
    )
    parser.add_argument("path", metavar="DIR", help="a folder, or a text file with a path a line")


def run(args: argparse.Namespace) -> int:
    """A line a case."""
    rows = [WorkRow.of(case) for case in read_worklist(args.path)]
    if args.json:
        print_json([_plain(row) for row in rows])
        return 0
    width = max(len(row.case.name) for row in rows)
    for row in rows:
        print(one_line(f"{row.case.name:{width}}  {_told(row)}"))
    print(f"{count_of(rows)} of {len(rows)} done")
    return 0


class FirstAnswers:
    """Gives a case its first answers, unless it has some or a person has begun it.

    Pickled for worker processes. The case is claimed meanwhile, so of several that try, one works
    on it. Labels appear whole and are never replaced: a case that has them is done, whoever died
    afterwards.

    Parameters
    ----------
    job : Job
        Without boxes: each case brings its own.
    """

    def __init__(self, job: Job) -> None:
        self.job = replace(job, settings=replace(job.settings, on_disk=True))

    def __call__(self, case: WorkCase) -> Done:
        """What became of the case; raises what `CaseRunner` does."""
        quieten_libraries()
        if (reason := not_due(WorkRow.of(case))) is not None:
            return Done(_left(case, reason))
        claim = case.claim()
        if isinstance(claim, Holder):
            return Done(_held(case, claim))
        with KeptClaim(claim):
            # Somebody may have been faster; who has the claim sees what they left.
            if (reason := not_due(WorkRow.of(case))) is not None:
                return Done(_left(case, reason))
            return self._answer(case)

    def _answer(self, case: WorkCase) -> Done:
        start = time.perf_counter()
        found = find_case(case)
        boxes, names = tuple(found.contents.boxes), found.names
        if not boxes:
            return Done(_left(case, "it has no boxes"))
        runner = CaseRunner(replace(self.job, boxes=boxes, names=names, ids=number_names(names)))
        files = CaseFiles(case.source, case.labels)
        answer = runner.segment(files, (found.contents, time.perf_counter() - start))
        if (reason := not_due(WorkRow.of(case))) is not None:
            return Done(_left(case, reason))
        done = runner.write(files, answer)
        return replace(done, report=done.report | {"case": case.name, "outcome": "done"})


def not_due(row: WorkRow) -> str | None:
    """Why the case is to get no first answers; None if it is."""
    if row.status.standing != "new":
        who = f" ({row.status.who})" if row.status.who else ""
        return f"it is {row.status.standing}{who}"
    return "it has its answers" if row.answered else None


def answer_worklist(args: argparse.Namespace, job: Job) -> int:
    """Give the cases of ``args.worklist`` their first answers, and tell at the end."""
    cases = read_worklist(args.worklist)
    found: list[Report] = []
    failures: list[Report] = []
    with progress_bar("first answers") as progress:
        for outcome in answers(cases, FirstAnswers(job), args.workers, args.scheduler):
            if outcome.result is not None:
                found.append(outcome.result)
            elif outcome.error is not None:
                if args.debug:
                    raise outcome.error
                failures.append(_row(outcome.case, "failed", str(outcome.error)))
            progress(len(found) + len(failures), len(cases))
    tell([*found, *failures], args.json)
    return 1 if failures else 0


def answers(
    cases: Sequence[WorkCase], work: FirstAnswers, workers: int, scheduler: str | None
) -> Iterator[Outcome[WorkCase, Report]]:
    """What became of each case, once; those that are done already are not sent to workers."""
    due: list[WorkCase] = []
    for case in cases:
        reason = not_due(WorkRow.of(case))
        if reason is None:
            due.append(case)
        else:
            yield Outcome(case, _left(case, reason))

    def start(some: Sequence[WorkCase]) -> Answers:
        if scheduler is not None:
            return recorded(run_on_cluster(work, some, scheduler))
        return recorded(run_in_processes(work, some, workers))

    yield from _once_more(start, due)


def _once_more(
    start: Callable[[Sequence[WorkCase]], Answers], cases: Sequence[WorkCase]
) -> Iterator[Outcome[WorkCase, Report]]:
    """Try what a worker of this user had again at the end, for that one may have died."""
    held: list[Outcome[WorkCase, Report]] = []
    for outcome in start(cases) if cases else ():
        if outcome.result is not None and outcome.result.get("is_own"):
            held.append(outcome)
        else:
            yield outcome
    end = time.monotonic() + PATIENCE_S
    while any(each.case.holder() for each in held) and time.monotonic() < end:
        time.sleep(PAUSE_S)
    free = [each.case for each in held if each.case.holder() is None]
    yield from (each for each in held if each.case not in free)
    yield from start(free) if free else ()


def tell(rows: Sequence[Report], as_json: bool) -> None:
    """Each case on standard output, then how many are done; what failed on standard error."""
    if as_json:
        print_json(rows)
    for row in rows:
        if row["outcome"] == "done":
            text = f"{row['slices_encoded']} slices encoded, {row['seconds']['total']:.1f} s"
        else:
            text = row["reason"]
        line = one_line(f"{row['case']}: {row['outcome']}, {text}")
        if row["outcome"] == "failed":
            print(line, file=sys.stderr)
        elif not as_json:
            print(line)
    counts = (sum(row["outcome"] == each for row in rows) for each in ("done", "left", "failed"))
    print("{} done, {} left as they are, {} failed.".format(*counts), file=sys.stderr)


def _row(case: WorkCase, outcome: str, reason: str) -> Report:
    return {"case": case.name, "input": str(case.source), "outcome": outcome, "reason": reason}


def _left(case: WorkCase, reason: str) -> Report:
    return _row(case, "left", reason)


def _held(case: WorkCase, who: Holder) -> Report:
    is_own = who.who == Holder.myself().who
    return _left(case, f"{name_of(who)} has it") | {"is_own": is_own}


def _told(row: WorkRow) -> str:
    status = row.status
    parts: list[str] = [status.standing]
    if row.answered:
        parts.append("first answers are there")
    if status.who:
        parts.append(f"{status.who}, {_local(status.changed)}")
    if row.holder is not None:
        parts.append(f"{name_of(row.holder)} has it since {_local(row.holder.since)}")
    return "; ".join((*parts, *([status.note] if status.note else [])))


def _local(text: str) -> str:
    """A time of ISO 8601 as of this machine's clock; anything else as it is."""
    try:
        return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return text


def _plain(row: WorkRow) -> dict[str, Any]:
    case, status, who = row.case, row.status, row.holder
    return {
        "case": case.name,
        "input": str(case.source),
        "labels": str(case.labels) if case.has_labels else None,
        "status": status.standing,
        "first_answers": row.answered,
        "note": status.note,
        "changed": status.changed,
        "who": status.who,
        "holder": None if who is None else {"who": name_of(who), "since": who.since},
    }
