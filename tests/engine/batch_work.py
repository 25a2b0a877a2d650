"""Work for worker processes, which must be able to import it."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from napari_medsam_lite.core.errors import PromptError


def halve(case):
    """Half of an even number; an odd one is a failure."""
    if case % 2:
        raise PromptError(f"{case} is odd.")
    return case // 2, os.environ.get("OMP_NUM_THREADS"), os.getpid()


def leave_a_mark(path):
    """Note in the file `path` that this case was begun, then done."""
    with Path(path).open("a") as file:
        file.write(f"begun {os.getpid()}\n")
    time.sleep(0.3)
    with Path(path).open("a") as file:
        file.write("done\n")
    return str(path)


def die_on_three(case):
    """End the process on case 3, as running out of memory does."""
    if case == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return case


def die_once(path):
    """End the process unless the file `path` says that it was tried before."""
    if not Path(path).exists():
        Path(path).write_text("tried")
        os.kill(os.getpid(), signal.SIGKILL)
    return Path(path).read_text()


@dataclass(frozen=True)
class Target:
    """A file that is written once, unless it may be overwritten."""

    path: Path
    overwrite: bool = False


def write_and_die(case):
    """Write the file of a case and end the process, unless it may be overwritten."""
    if not case.overwrite:
        with case.path.open("x") as file:
            file.write("written")
        os.kill(os.getpid(), signal.SIGKILL)
    return case.path.read_text()


def divide(case):
    """Not careful with 0."""
    return 12 / case
