"""Tries to break the plugin, and says with figures how far it came.

    python benchmarks/torture.py                    all parts
    python benchmarks/torture.py --short            all parts in a minute or two
    python benchmarks/torture.py monkey --actions 5000 --seed 1
    python benchmarks/torture.py monkey --replay FAULT.json
    python benchmarks/torture.py kill | day | two | disk | clock

`monkey` prints for each fault a line of JSON, the shortest list of actions that still fails: put it
into a file for `--replay`. A virtual screen is used where there is no other (xvfb-run). Nothing of
the user is read or written: each part has folders of its own. The exit status is the number of
faults.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from torture_parts import clock, disk, monkey, two

FULL = {"monkey": 5000, "kill": 100, "day": 7200, "two": 2000}
SHORT = {"monkey": 40, "kill": 3, "day": 40, "two": 100}
KILL = Path(__file__).with_name("kill.py")


def main() -> int:
    """The number of faults."""
    options = _options()
    inside: Path | None = options.inside
    if options.part == "play":
        from torture_parts.play import play

        play(*options.files, real=options.real)
    if inside is not None:
        return min(_inside(options, inside), 100)
    names = list(PARTS) if options.part is None else [options.part]
    return min(sum(PARTS[name](options) for name in names), 100)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", choices=[*PARTS, "play"])
    parser.add_argument("files", type=Path, nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--short", action="store_true", help="little of everything, for CI")
    parser.add_argument("--actions", type=int, help="of the monkey; default 5000")
    parser.add_argument("--a-process", type=int, default=250, help="actions of one process")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--real", action="store_true", help="the monkey with the real network")
    parser.add_argument("--tries", type=int, default=60, help="to shrink a fault; 0: leave it long")
    parser.add_argument("--replay", type=Path, help="a list of the monkey's actions")
    parser.add_argument("--clicks", type=int, help="of the day; default 7200")
    parser.add_argument("--rounds", type=int, help="of each of the processes; default 2000")
    parser.add_argument("--shared", choices=[*two.SHARED], help=argparse.SUPPRESS)
    return parser.parse_args()


def _count(options: argparse.Namespace, part: str, asked: int | None = None) -> int:
    return asked or (SHORT if options.short else FULL)[part]


def _monkey(options: argparse.Namespace) -> int:
    if options.replay:
        return monkey.replay(options.replay, options.real, options.tries)
    count = _count(options, "monkey", options.actions)
    return monkey.monkey(count, options.seed, options.a_process, options.real, options.tries)


def _kill(options: argparse.Namespace) -> int:
    if not KILL.exists():
        print("kill: there is no autosave to kill")
        return 0
    command = [sys.executable, str(KILL), "--kills", str(_count(options, "kill"))]
    return subprocess.run(monkey.with_screen(command), check=False).returncode


def _day(options: argparse.Namespace) -> int:
    count = str(_count(options, "day", options.clicks))
    with tempfile.TemporaryDirectory(prefix="torture-", ignore_cleanup_errors=True) as name:
        command = [sys.executable, __file__, "day", "--inside", name, "--clicks", count]
        environment = {**monkey.own_folders(Path(name)), "TMPDIR": name}
        done = subprocess.run(monkey.with_screen(command), env=environment, check=False)
    return done.returncode


def _two(options: argparse.Namespace) -> int:
    return two.two(_count(options, "two", options.rounds))


PARTS = {
    "monkey": _monkey,
    "kill": _kill,
    "day": _day,
    "two": _two,
    "disk": lambda _: disk.in_namespace(),
    "clock": lambda options: clock.clock(options.short),
}


def _inside(options: argparse.Namespace, folder: Path) -> int:
    """A part in the process that was prepared for it."""
    if options.part == "disk":
        return disk.inside(folder)
    if options.part == "clock":
        return clock.inside(options.short)
    if options.part == "two":
        return two.inside(folder, options.shared, options.rounds, options.seed)
    from torture_parts.day import day

    return day(options.clicks)


if __name__ == "__main__":
    sys.exit(main())
