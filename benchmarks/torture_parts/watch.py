"""Nets under a process: exceptions that nobody handled, the window's heartbeat, what grows."""

from __future__ import annotations

import faulthandler
import gc
import logging
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import psutil

BEAT_MS = 10
LOOK_AFTER_S = 0.25
"""A gap longer than this has its stack taken."""
EVENTS = ("excepthook", "notification")
"""Where a fault of napari's own, without a line of ours in its traceback, is only counted."""
HARMLESS_QT = ("propagateSizeHints", "QSocketNotifier", "QFont", "requestActivate")


@dataclass
class Problem:
    """Something that must not be."""

    kind: str
    text: str
    detail: str = ""

    @property
    def key(self) -> str:
        """The same for the same fault, whatever the numbers in it."""
        return f"{self.kind}: {''.join(c for c in self.text if not c.isdigit())[:100]}"

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return {**asdict(self), "key": self.key}


class Gap(NamedTuple):
    """A time without a beat, the action that it was in, and what the main thread was doing."""

    seconds: float
    action: str
    stack: str


class Nets:
    """Collects what reached sys.excepthook, threads, Python's collector, napari or the log.

    Attributes
    ----------
    problems : list of Problem
        Faults.
    foreign : list of str
        napari's own, which are none of ours: a box drawn half-way between two slices, a stroke
        beyond the layer.
    told : list of str
        What a person was told.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.foreign: list[str] = []
        self.told: list[str] = []

    def spread(self) -> None:
        """Catch from now on, for the whole process."""
        from napari.utils.notifications import notification_manager
        from qtpy.QtCore import qInstallMessageHandler

        sys.excepthook = lambda _, error, __: self.caught("excepthook", error)
        threading.excepthook = lambda args: self.caught("thread", args.exc_value)
        sys.unraisablehook = lambda args: self.caught("unraisable", args.exc_value)
        notification_manager.notification_ready.connect(self._on_notification)
        nets = self

        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                if record.exc_info and record.exc_info[1] is not None:
                    nets.caught("log", record.exc_info[1])

        logging.getLogger("napari_medsam_lite").addHandler(Handler(logging.WARNING))
        qInstallMessageHandler(self._on_qt)

    def caught(self, where: str, error: BaseException | None) -> None:
        """An exception that nobody handled."""
        if error is None:
            return
        frames = traceback.extract_tb(error.__traceback__)
        ours = [f for f in frames if "napari_medsam_lite" in f.filename]
        last = (ours or frames)[-1]
        text = f"{type(error).__name__} at {Path(last.filename).name}:{last.name}: {error}"
        if not ours and where in EVENTS:
            self.foreign.append(text[:200])
            return
        self.add(where, text[:300], "".join(traceback.format_exception(error))[-4000:])

    def add(self, kind: str, text: str, detail: str = "") -> None:
        """Keep a problem."""
        self.problems.append(Problem(kind, text, detail))

    def _on_notification(self, told: Any) -> None:
        error = getattr(told, "exception", None)
        if error is not None:
            self.caught("notification", error)
        elif str(told.severity) == "error":
            self.add("notification", str(told.message)[:300])
        else:
            self.told.append(str(told.message))

    def _on_qt(self, _: object, __: object, text: str) -> None:
        if not any(known in text for known in HARMLESS_QT):
            self.told.append(f"Qt: {text}")


class Heartbeat:
    """A timer on the event loop; the longest time between two beats, and where it was spent.

    Attributes
    ----------
    longest : Gap
        Of all.
    ours : Gap
        Of those with a function of the plugin on the stack: the others are napari's own, which
        compiles programs for a GPU that is not there.
    """

    def __init__(self) -> None:
        from qtpy.QtCore import QTimer

        self.doing = "start"
        self.longest = self.ours = Gap(0.0, "", "")
        self._last = time.monotonic()
        self._paused, self._seen = False, ""
        self._main = threading.main_thread().ident
        self._timer = QTimer()
        self._timer.timeout.connect(self._beat)
        self._timer.start(BEAT_MS)
        threading.Thread(target=self._look, daemon=True, name="torture-look").start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What the harness itself does meanwhile is nobody's gap."""
        self._beat()
        self._paused = True
        try:
            yield
        finally:
            self._last, self._paused = time.monotonic(), False

    def _beat(self) -> None:
        now = time.monotonic()
        gap, self._last = now - self._last, now
        if self._paused:
            return
        found, self._seen = Gap(gap, self.doing, self._seen), ""
        self.longest = max(self.longest, found)
        if "napari_medsam_lite" in found.stack:
            self.ours = max(self.ours, found)

    def _look(self) -> None:
        while True:
            time.sleep(LOOK_AFTER_S / 4)
            if not self._seen and time.monotonic() - self._last > LOOK_AFTER_S:
                self._seen = _stack_of(self._main)


def _stack_of(thread: int | None) -> str:
    """Where a thread is.

    Not by `sys._current_frames`: to walk the frames of a thread that runs crashed Python 3.11.
    """
    with tempfile.TemporaryFile("w+") as file:
        faulthandler.dump_traceback(file)
        file.seek(0)
        parts = file.read().split("\n\n")
    return next((part for part in parts if f"{thread:016x}" in part), "")


def figures() -> dict[str, int]:
    """Memory in KiB, threads and open files of this process, after all is freed that can be."""
    gc.collect()
    with suppress(OSError, AttributeError):
        import ctypes

        ctypes.CDLL("libc.so.6").malloc_trim(0)
    process = psutil.Process()
    files = process.num_fds() if hasattr(process, "num_fds") else process.num_handles()
    return {
        "rss_kib": process.memory_info().rss >> 10,
        "threads": process.num_threads(),
        "files": files,
    }
