"""Seeded random use of the real window, some hundred actions a process; a failure is shrunk.

Each process has folders of its own for settings, caches and state. One that crashes, or whose
event loop stands still for long, has failed as much as one that finds something untrue.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torture_parts.shrink import shortest

SCRIPT = Path(__file__).parents[1] / "torture.py"
SCREEN = "-screen 0 1000x700x24"
A_PROCESS_S = 900.0
Action = tuple[str, int]


@dataclass
class Outcome:
    """What one process came to.

    Attributes
    ----------
    failure : str
        The same for the same fault; empty if there was none.
    detail : str
        For people.
    found : dict
        What it told itself; empty if it could not.
    """

    failure: str
    detail: str
    actions: list[Action]
    found: dict[str, Any]


def own_folders(folder: Path) -> dict[str, str]:
    """An environment in which nothing of the user is read or written."""
    named = {f"XDG_{n.upper()}_HOME": str(folder / n) for n in ("cache", "config", "state", "data")}
    config = {"NAPARI_CONFIG": str(folder / "napari" / "settings.yaml")}
    return {**os.environ, **named, **config, "PYTHONFAULTHANDLER": "1"}


def with_screen(command: Sequence[str]) -> list[str]:
    """The command, with a virtual screen where there is no other."""
    if sys.platform != "linux" or os.environ.get("DISPLAY") or not shutil.which("xvfb-run"):
        return list(command)
    return ["xvfb-run", "-a", "-s", SCREEN, *command]


def run_plan(plan: dict[str, Any], real: bool = False) -> Outcome:
    """Play a plan in a fresh process."""
    with tempfile.TemporaryDirectory(prefix="torture-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        files = [folder / each for each in ("plan.json", "log.jsonl", "result.json")]
        files[0].write_text(json.dumps(plan))
        command = [sys.executable, str(SCRIPT), "play", *map(str, files)]
        code, output = _run(
            with_screen([*command, "--real"] if real else command),
            {**own_folders(folder), "TMPDIR": name},
        )
        lines = files[1].read_text().splitlines() if files[1].exists() else []
        actions = [tuple(json.loads(line)) for line in lines]
        found = json.loads(files[2].read_text()) if files[2].exists() else {}
    if not found:
        hung = code is None or "Timeout (" in output
        return Outcome("hang" if hung else f"crash ({code})", output[-6000:], actions, {})
    problems = found["problems"]
    failure = problems[0]["key"] if problems else ""
    detail = "\n".join(f"{p['kind']}: {p['text']}\n{p['detail']}" for p in problems)
    return Outcome(failure, detail, actions, found)


def _run(command: list[str], environment: dict[str, str]) -> tuple[int | None, str]:
    """Exit status, None if it had to be killed, and what was printed."""
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=A_PROCESS_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return None, process.communicate()[0]
        return process.returncode, output


def shrink(plan: dict[str, Any], outcome: Outcome, real: bool, tries: int) -> list[Action]:
    """The shortest list of actions with the same failure."""

    def fails(actions: Sequence[Action]) -> bool:
        again = run_plan({**plan, "actions": list(actions)}, real)
        print(f"  {len(actions)} actions: {again.failure or 'no failure'}", flush=True)
        return again.failure == outcome.failure

    if not fails(outcome.actions):
        print("  not met again with the same actions", flush=True)
        return outcome.actions
    return shortest(outcome.actions, fails, tries)


@dataclass
class Total:
    """Over all processes."""

    actions: int = 0
    processes: int = 0
    crashes: int = 0
    hangs: int = 0
    gap: tuple[float, str, str] = (0.0, "", "")
    our_gap: tuple[float, str, str] = (0.0, "", "")
    growth_kib: int = 0
    counted: int = 0
    foreign: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """Count one more."""
        found = outcome.found
        self.processes += 1
        self.actions += found.get("done", len(outcome.actions))
        self.foreign.update(found.get("foreign", ()))
        self.counts.update(found.get("counts", {}))
        self.crashes += outcome.failure.startswith("crash")
        self.hangs += outcome.failure == "hang"
        if found:
            self.gap = max(self.gap, tuple(found["gap"]))
            self.our_gap = max(self.our_gap, tuple(found["our_gap"]))
            self.counted += found["counted"]
            self.growth_kib += found["last"]["rss_kib"] - found["first"]["rss_kib"]


def monkey(actions: int, seed: int, a_process: int, real: bool, tries: int) -> int:
    """Play so many actions, report, and return how many faults were found."""
    from torture_parts.play import plan_of

    total, faults = Total(), {}
    while total.actions < actions:
        plan = plan_of(seed + total.processes, min(a_process, actions - total.actions))
        outcome = run_plan(plan, real)
        total.add(outcome)
        _tell(plan, outcome)
        if not outcome.actions:
            print(outcome.detail)
            return 1
        if outcome.failure and outcome.failure not in faults:
            faults[outcome.failure] = plan["seed"]
            kept = shrink(plan, outcome, real, tries) if tries else outcome.actions
            print(json.dumps({**plan, "actions": kept, "failure": outcome.failure}), flush=True)
    print(
        f"{total.actions} actions in {total.processes} processes: {total.crashes} crashes, "
        f"{total.hangs} hangs, {len(faults)} faults; longest gap {total.our_gap[0]:.2f} s with our "
        f"code on the stack ({total.our_gap[1]}), {total.gap[0]:.2f} s with any ({total.gap[1]}); "
        f"memory grew {total.growth_kib / max(total.counted, 1):.1f} KiB an action"
    )
    print(total.our_gap[2])
    print("  " + ", ".join(f"{count} {what}" for what, count in total.counts.items()))
    for text, count in total.foreign.most_common(5):
        print(f"  of napari's own, {count} times: {text}")
    return len(faults)


def replay(file: Path, real: bool, tries: int) -> int:
    """Play a list again that was printed, and shrink it if `tries`."""
    plan = json.loads(file.read_text())
    outcome = run_plan(plan, real)
    _tell(plan, outcome)
    print(outcome.found.get("counts", ""), outcome.found.get("foreign", ""))
    if tries and outcome.failure:
        print(json.dumps({**plan, "actions": shrink(plan, outcome, real, tries)}))
    return bool(outcome.failure)


def _tell(plan: dict[str, Any], outcome: Outcome) -> None:
    found = outcome.found
    told = (
        f"{found['done']} actions in {found['seconds']} s, longest gap {found['our_gap'][0]:.2f} s "
        f"({found['our_gap'][1]}) and {found['gap'][0]:.2f} s ({found['gap'][1]}), "
        f"{found['first']['rss_kib'] >> 10} to {found['last']['rss_kib'] >> 10} MiB"
        if found
        else f"{len(outcome.actions)} actions"
    )
    print(f"seed {plan['seed']} {plan['scenes']}: {told}. {outcome.failure}", flush=True)
    if outcome.failure:
        print(outcome.detail, flush=True)
