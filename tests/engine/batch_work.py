"""Work for worker processes, which must be able to import it."""

import os
import signal
import time
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


def die(case):
    """End the process, as running out of memory does."""
    os.kill(os.getpid(), signal.SIGKILL)
    return case
