"""Who works on what: a small file beside it, that goes stale safely when its process is gone.

A claim of this machine is judged by its process alone: its number, when it was started and since
which boot of the system. No clock is asked, so one that is set to another hour steals no claim and
keeps none alive. A process of another machine cannot be seen; there the claim's file is touched
now and then, and its age is taken by the clock of the disk that both files lie on.
"""

from __future__ import annotations

import getpass
import json
import os
import random
import secrets
import socket
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from functools import cache
from pathlib import Path

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.files import replacing, this_machine

STALE_S = 300.0
"""A claim of another machine that was not refreshed for so long is nobody's."""
NAME_VARIABLE = "MEDSAM_LITE_NAME"
"""What a user wants to be called instead of by their login."""
TRIES = 50
"""In a race of many; each wins or sees who won after one or two."""
PAUSE_S = 0.02
SUFFIX = ".medsam-lock"


@dataclass(frozen=True)
class Holder:
    """Who has a claim.

    Attributes
    ----------
    who, host : str
        For people: the user's name and the machine's.
    pid : int
        The process.
    since : str
        Local time, ISO 8601.
    machine, boot, started : str
        What tells the process from every other one that has or had its number.
    token : str
        Of this one claim.
    """

    who: str = "somebody"
    host: str = "a machine"
    pid: int = 0
    since: str = ""
    machine: str = ""
    boot: str = ""
    started: str = ""
    token: str = field(default_factory=lambda: secrets.token_hex(8))

    @classmethod
    def myself(cls) -> Holder:
        """The process that asks, with a new token."""
        return cls(
            who=_user(),
            host=socket.gethostname(),
            pid=os.getpid(),
            since=datetime.now().astimezone().isoformat(timespec="seconds"),
            machine=this_machine(),
            boot=_boot(),
            started=_started(os.getpid()),
        )

    @property
    def is_here(self) -> bool:
        """Whether it is a process of this machine, so that it can be seen."""
        return self.machine == this_machine()

    @property
    def is_running(self) -> bool:
        """Of a process of this machine: whether it is still there."""
        return self.boot == _boot() and self.started == _started(self.pid) != ""


class Claim:
    """What this process has; call `refresh` several times in `STALE_S` while it does.

    Parameters
    ----------
    path : path
        What is claimed.
    file : path
        The claim's own file.
    holder : Holder
        This process, with the claim's token.
    """

    def __init__(self, path: Path, file: Path, holder: Holder) -> None:
        self.path, self.holder, self._file = path, holder, file

    @classmethod
    def take(cls, path: str | Path, stale_s: float = STALE_S) -> Claim | Holder:
        """Claim `path`, a file or folder that need not be there; or tell who has it.

        Of any number of processes that ask at once, one gets it.

        Parameters
        ----------
        path : path
            Its folder must be there; the claim is a hidden file beside it.
        stale_s : float
            Seconds after which a claim of another machine counts no more.

        Raises
        ------
        FileFormatError
            If the operating system refuses (no permission, no such folder, ...).
        """
        path, myself = Path(path), Holder.myself()
        for _ in range(TRIES):
            found = _claims_on(path)
            if (held := _first_alive(found, stale_s)) is not None:
                return held
            file = _file(path, found[0].number + 1 if found else 0)
            if _written(file, myself):
                # Two may have looked at different moments. Each makes its file first and looks
                # again then, so at least one of them sees the other's and gives up.
                if all(each.file == file or each in found for each in _claims_on(path)):
                    for stale in found:
                        _remove(stale.file)
                    return cls(path, file, myself)
                _remove(file)
            time.sleep(random.uniform(0, PAUSE_S))
        raise FileFormatError(f"{path} is taken and left all the time; try again.")

    def refresh(self) -> bool:
        """Show other machines that this process is there; whether the claim is still its own."""
        if not self._is_ours:
            return False
        try:
            os.utime(self._file)  # without a time: a network disk takes its own clock's
        except OSError:
            return False
        return True

    def release(self) -> None:
        """Let go, if the claim is still this process's; else nothing is touched."""
        if self._is_ours:
            _remove(self._file)

    @property
    def _is_ours(self) -> bool:
        found = _read(self._file)
        return found is not None and found.token == self.holder.token


def holder(path: str | Path, stale_s: float = STALE_S) -> Holder | None:
    """Who has `path` now, this process perhaps; None if nobody has."""
    return _first_alive(_claims_on(Path(path)), stale_s)


@dataclass(frozen=True)
class _Held:
    """A claim as found.

    A stale one is not replaced by removing its file, which may be another's by then, but by making
    one with the next number, which one process alone can do; then it is removed.
    """

    number: int
    file: Path
    holder: Holder

    def is_stale(self, stale_s: float) -> bool:
        if self.holder.is_here:
            return not self.holder.is_running
        try:
            return _age(self.file) > stale_s
        except OSError:  # gone meanwhile: looked at again
            return True


def _file(path: Path, number: int) -> Path:
    return path.with_name(f".{path.name}.{number}{SUFFIX}")


def _claims_on(path: Path) -> list[_Held]:
    """All that there are, the newest first."""
    start = f".{path.name}."
    try:
        names = os.listdir(path.parent)  # noqa: PTH208 - names are enough
    except OSError:
        return []
    own = (n for n in names if n.startswith(start) and n.endswith(SUFFIX))
    numbers = (name[len(start) : -len(SUFFIX)] for name in own)
    found = []
    for number in sorted((int(n) for n in numbers if n.isdecimal()), reverse=True):
        file = _file(path, number)
        if (held := _read(file)) is not None:
            found.append(_Held(number, file, held))
    return found


def _first_alive(found: list[_Held], stale_s: float) -> Holder | None:
    return next((each.holder for each in found if not each.is_stale(stale_s)), None)


def _read(file: Path) -> Holder | None:
    """Who a file names; somebody, if that cannot be read; None if there is no file."""
    try:
        content = json.loads(file.read_text("utf-8"))
        known = {each.name: content[each.name] for each in fields(Holder)}
        return Holder(**known)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError):  # made, but not filled yet
        return Holder(token="")


def _written(file: Path, holder: Holder) -> bool:
    """Whether the claim's file was made here, whole; False if another was faster."""
    try:
        with replacing(file, overwrite=False) as unfinished:
            unfinished.write_text(json.dumps(asdict(holder), indent=1), "utf-8")
    except FileFormatError as error:
        if isinstance(error.__cause__, FileExistsError):
            return False
        raise
    return True


def _age(file: Path) -> float:
    """Seconds since the file was touched, by the clock of its disk; also if that was set back."""
    try:
        with tempfile.TemporaryFile(dir=file.parent) as probe:
            now = os.fstat(probe.fileno()).st_mtime
    except OSError:  # nothing may be written there
        now = time.time()
    return abs(now - file.stat().st_mtime)


def _remove(file: Path) -> None:
    with suppress(OSError):
        file.unlink()


@cache
def _user() -> str:
    if name := os.environ.get(NAME_VARIABLE, "").strip():
        return name
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user may have no name
        return "somebody"


@cache
def _boot() -> str:
    """What tells this run of the system from earlier ones, where the system tells it."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return ""


def _started(pid: int) -> str:
    """When process `pid` was started; empty if there is none."""
    if _boot():  # so there is a /proc
        return _ticks(pid)
    import psutil

    try:
        return repr(psutil.Process(pid).create_time())
    except psutil.Error:
        return ""


def _ticks(pid: int) -> str:
    """As `_started`, in ticks since the boot: psutil adds its time, which moves with the clock."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except OSError:
        return ""
    state, *numbers = status.rpartition(")")[2].split()
    return "" if state in "ZX" else numbers[18]  # a zombie holds nothing
