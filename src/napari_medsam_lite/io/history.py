"""The runs of this and earlier sessions, with a picture of each, in one SQLite file.

Any number of processes may use it at once: each act is one transaction on a connection of its own,
so nothing is held open between two, and a process that is killed leaves the file as it was.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import TypeVar

import psutil

from napari_medsam_lite.core.errors import FileFormatError, MedSAMLiteError
from napari_medsam_lite.core.files import identity_of, is_there, state_folder
from napari_medsam_lite.io.history_entry import HistoryEntry, from_json, to_json
from napari_medsam_lite.io.history_sql import SCHEMA, TRIM_PICTURES, TRIM_RUNS, VERSION

FILE, DAMAGED = "history.sqlite3", "damaged.sqlite3"
MAX_RUNS = 10_000
MAX_PICTURE_BYTES = 256 * 2**20
BUSY_S = 10.0
"""How long another process, which writes for some milliseconds, is waited for."""

_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space",
    sqlite3.SQLITE_IOERR: "the disk is full or does not answer; free some space",
    sqlite3.SQLITE_READONLY: "permission is denied; make its folder one that you may write to",
    sqlite3.SQLITE_CANTOPEN: "its folder may not be written to, or its disk is full",
    sqlite3.SQLITE_BUSY: "another program is writing to it; try again",
}

T = TypeVar("T")
_log = logging.getLogger(__name__)


class History:
    """What was run, the latest last; the oldest runs make room.

    What `delete` marks is gone for everyone and comes back by `restore`, until `purge` removes it
    for good.

    Parameters
    ----------
    folder : path, optional
        Default: ``history`` in the user's state folder. Made when something is added.
    tell : callable
        Is told a sentence if the file was damaged and a new one was begun.
    max_runs, max_picture_bytes : int
        What it may hold. A run may lose its picture before it goes itself.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        tell: Callable[[str], None] = _log.warning,
        max_runs: int = MAX_RUNS,
        max_picture_bytes: int = MAX_PICTURE_BYTES,
    ) -> None:
        self.file = Path(state_folder("history") if folder is None else folder, FILE)
        self._tell, self._limits = tell, (max_runs, max_picture_bytes)
        # Deleted rows tell whose they are: another window of the same user must not purge them.
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{token_hex(4)}"

    def add(self, entry: HistoryEntry, picture: bytes = b"") -> None:
        """Keep a run with its picture, a PNG file's bytes.

        Raises
        ------
        MedSAMLiteError
            If it cannot be kept.
        """

        def act(file: sqlite3.Connection) -> None:
            _insert(file, entry)
            if picture:
                file.execute("INSERT OR REPLACE INTO pictures VALUES (?, ?)", (entry.id, picture))
            self._trim(file)

        self._write(act)

    def add_missing(self, entries: Iterable[HistoryEntry]) -> None:
        """Keep those runs that are not known; errors as `add`."""

        def act(file: sqlite3.Connection) -> None:
            for entry in entries:
                _insert(file, entry)
            self._trim(file)

        self._write(act)

    def entries(self) -> list[HistoryEntry]:
        """All runs, the one that was added last first, without their records; errors as `add`."""
        rows = self._read(
            lambda file: file.execute(
                "SELECT entry FROM runs WHERE deleted_by = '' ORDER BY serial DESC"
            ).fetchall()
        )
        return list(_readable(text for (text,) in rows or ()))

    def get(self, start: str) -> HistoryEntry:
        """The run whose id begins so, with its record.

        Raises
        ------
        MedSAMLiteError
            If there is none, or more than one.
        """
        rows = self._read(
            lambda file: file.execute(
                "SELECT entry, record FROM runs "
                "WHERE deleted_by = '' AND substr(id, 1, ?) = ? LIMIT 2",
                (len(start), start),
            ).fetchall()
        )
        if not rows or not start:
            raise MedSAMLiteError(f"There is no run '{start}' in the history.")
        if len(rows) > 1:
            raise MedSAMLiteError(f"Several runs begin with '{start}'; give more of the id.")
        ((text, record),) = rows
        return _whole(text, record)

    def picture(self, id: str) -> bytes:
        """The PNG of a run; empty if there is none. Errors as `add`."""
        found = self._read(
            lambda file: file.execute("SELECT png FROM pictures WHERE id = ?", (id,)).fetchone()
        )
        return bytes(found[0]) if found else b""

    def delete(self, ids: Iterable[str]) -> None:
        """Take runs out, so that they can be restored; errors as `add`."""
        self._mark(ids, self._owner)

    def restore(self, ids: Iterable[str]) -> None:
        """Bring runs back that were deleted; errors as `add`."""
        self._mark(ids, "")

    def purge(self, *, own: bool) -> None:
        """Remove for good what was deleted by processes that are gone, and if `own` by this object.

        What those of other machines that share the folder deleted is left to them. Errors as `add`.
        """
        if not is_there(self.file):
            return

        def act(file: sqlite3.Connection) -> None:
            rows = file.execute("SELECT DISTINCT deleted_by FROM runs WHERE deleted_by != ''")
            owners = [owner for (owner,) in rows.fetchall()]
            gone = [(each,) for each in owners if _is_over(each) or (own and each == self._owner)]
            file.executemany("DELETE FROM runs WHERE deleted_by = ?", gone)

        self._write(act)

    def _mark(self, ids: Iterable[str], owner: str) -> None:
        rows = [(owner, id) for id in ids]
        self._write(
            lambda file: file.executemany("UPDATE runs SET deleted_by = ? WHERE id = ?", rows)
        )

    def _trim(self, file: sqlite3.Connection) -> None:
        most_runs, most_bytes = self._limits
        # By the order of adding: a clock that once was wrong keeps nothing for ever.
        file.execute(TRIM_RUNS, (most_runs,))
        file.execute(TRIM_PICTURES, (most_bytes,))

    def _read(self, act: Callable[[sqlite3.Connection], T]) -> T | None:
        """What `act` finds; None where nothing was kept yet."""
        return self._in_transaction(act) if is_there(self.file) else None

    def _write(self, act: Callable[[sqlite3.Connection], object]) -> None:
        try:
            # For the user alone: the pictures show patients.
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _refusal(self.file, str(error.strerror)) from error
        self._in_transaction(act)

    def _in_transaction(self, act: Callable[[sqlite3.Connection], T]) -> T:
        """Do `act` whole or not at all; on a new file if this one is damaged."""
        found = identity_of(self.file)
        try:
            with self._opened() as file:
                return act(file)
        except sqlite3.Error as error:
            if _code(error) not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                advice = _ADVICE.get(_code(error), f"the system says '{error}'")
                raise _refusal(self.file, advice) from error
        self._set_aside(found)
        try:
            with self._opened() as file:
                return act(file)
        except sqlite3.Error as error:
            raise _refusal(self.file, f"the system says '{error}'") from error

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """The file in one transaction."""
        with closing(sqlite3.connect(self.file, BUSY_S, isolation_level=None)) as file:
            # What is deleted must not stay readable in the file, nor take its place.
            file.executescript("PRAGMA secure_delete = ON; PRAGMA foreign_keys = ON")
            if _version(file) == 0:  # later it would be written anew each time
                file.execute("PRAGMA auto_vacuum = FULL")
            # At once: of two that read first and then both want to write, one would have to fail.
            file.execute("BEGIN IMMEDIATE")
            try:
                self._check_version(file)
                yield file
            except BaseException:
                if file.in_transaction:
                    file.execute("ROLLBACK")
                raise
            file.execute("COMMIT")

    def _check_version(self, file: sqlite3.Connection) -> None:
        version = _version(file)
        if version > VERSION:
            raise _refusal(self.file, "it is of a newer version; update napari-medsam-lite")
        if version == 0:
            for statement in filter(str.strip, SCHEMA.split(";")):
                file.execute(statement)
            file.execute(f"PRAGMA user_version = {VERSION}")

    def _set_aside(self, found: tuple[object, ...]) -> None:
        """Give the file that was `found` damaged another name, unless another process has."""
        if identity_of(self.file) != found:
            return
        aside = self.file.with_name(DAMAGED)
        try:
            # With its journal, which would be taken for one of the new file.
            for end in ("-journal", ""):
                part = Path(f"{self.file}{end}")
                if is_there(part):
                    part.replace(f"{aside}{end}")
        except OSError as error:
            raise _refusal(self.file, "it is damaged; remove it") from error
        self._tell(f"The history was damaged and is begun anew; the old file is {aside}.")


def _is_over(owner: str) -> bool:
    """Whether the process that is named there ran on this machine and is gone."""
    host, pid, _ = owner.rsplit(":", 2)
    return host == socket.gethostname() and not psutil.pid_exists(int(pid))


def _version(file: sqlite3.Connection) -> int:
    """Of what is in the file; 0 if it is new."""
    return int(file.execute("PRAGMA user_version").fetchone()[0])


def _insert(file: sqlite3.Connection, entry: HistoryEntry) -> None:
    record = None
    if entry.record is not None:
        record = zlib.compress(json.dumps(to_json(entry)["record"]).encode())
    line = json.dumps(to_json(replace(entry, record=None)))
    file.execute(
        "INSERT INTO runs (id, entry, record) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING",
        (entry.id, line, record),
    )


def _readable(texts: Iterable[str]) -> Iterator[HistoryEntry]:
    """The entries; what somebody else wrote into the file is passed over."""
    for text in texts:
        try:
            yield from_json(json.loads(text))
        except (FileFormatError, ValueError) as error:
            _log.debug("A line of the history is passed over: %s", error)


def _whole(text: str, record: bytes | None) -> HistoryEntry:
    try:
        held = None if record is None else json.loads(zlib.decompress(record))
        return from_json({**json.loads(text), "record": held})
    except (ValueError, zlib.error) as error:
        raise MedSAMLiteError(f"This run of the history is damaged: {error}.") from error


def _code(error: sqlite3.Error) -> int:
    """The primary result code; 0 where Python itself raised."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _refusal(file: Path, advice: str) -> MedSAMLiteError:
    return MedSAMLiteError(f"The history {file} cannot be used: {advice}.")
