"""A case of a worklist, and its standing, which lies beside the data for all to see.

What is known of a case goes into ``medsam-lite``, a folder beside the images or beside the list,
and never among the images: ``NAME.status.json``, ``NAME.nii.gz`` (labels), ``NAME.medsam.json``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from napari_medsam_lite.core.boxes import Box3D, WorldBox
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.files import is_there, make_folder, replacing
from napari_medsam_lite.io.boxes import read_named_boxes
from napari_medsam_lite.io.claims import Claim, Holder, holder
from napari_medsam_lite.io.guard import reading

Standing = Literal["new", "begun", "done", "needs review"]

STANDINGS: tuple[Standing, ...] = get_args(Standing)
FOLDER = "medsam-lite"
BOX_FILES = (".boxes.json", ".boxes.csv")
LONGEST_NOTE = 2000
_VERSION = 1
MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class CaseStatus:
    """How far a case is.

    Attributes
    ----------
    standing : str
        One of `STANDINGS`.
    note : str
        What people tell each other of it, one line.
    changed : str
        UTC, ISO 8601; empty if nobody has touched the case yet.
    who : str
        Who changed it last.
    """

    standing: Standing = "new"
    note: str = ""
    changed: str = ""
    who: str = ""


@dataclass(frozen=True)
class WorkCase:
    """One case of a worklist.

    Attributes
    ----------
    name : str
        Its own in the worklist; what belongs to the case is called so.
    source : Path
        A file, or a folder of DICOM files.
    results : Path
        The folder of what belongs to it; not made yet perhaps.
    """

    name: str
    source: Path
    results: Path

    @property
    def labels(self) -> Path:
        """Where its masks go."""
        return self.results / f"{self.name}.nii.gz"

    @property
    def case_file(self) -> Path:
        """Where its boxes, segments and settings go."""
        return self.results / f"{self.name}.medsam.json"

    @property
    def status_file(self) -> Path:
        """Where its standing goes."""
        return self.results / f"{self.name}.status.json"

    @property
    def has_labels(self) -> bool:
        """Whether there are masks: while the case is new, they are first answers."""
        return is_there(self.labels)

    @property
    def stamp(self) -> tuple[object, ...]:
        """What is another once somebody has worked on it."""
        labels = self.labels.stat().st_mtime_ns if self.has_labels else 0
        return self.status(), labels

    def status(self) -> CaseStatus:
        """Its standing as the file says; what cannot be read needs review."""
        try:
            with reading(self.status_file, "the status of a case"):
                if self.status_file.stat().st_size > MOST_BYTES:
                    raise ValueError("it is over 1 MiB")
                return _status_of(json.loads(self.status_file.read_text("utf-8")))
        except FileFormatError as error:
            if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                return CaseStatus()
            return CaseStatus("needs review", f"Its status file is damaged: {error}")

    def mark(self, standing: Standing, note: str | None = None) -> CaseStatus:
        """Say how far the case is, in the name of this process's user; of several, the last wins.

        Parameters
        ----------
        standing : str
            One of `STANDINGS`.
        note : str, optional
            Default: the one that is there stays.

        Raises
        ------
        FileFormatError
            If it cannot be written.
        """
        kept = self.status().note if note is None else note
        line = " ".join(kept.split())[:LONGEST_NOTE]
        now = datetime.now(UTC).isoformat(timespec="seconds")
        status = CaseStatus(standing, line, now, name_of(Holder.myself()))
        content = {
            "version": _VERSION,
            "status": status.standing,
            "note": status.note,
            "changed": status.changed,
            "who": status.who,
        }
        make_folder(self.results)
        with replacing(self.status_file) as unfinished:
            unfinished.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
        return status

    def claim(self) -> Claim | Holder:
        """Take the case, or tell who has it; errors as `Claim.take`."""
        return Claim.take(make_folder(self.results) / self.name)

    def holder(self) -> Holder | None:
        """Who has the case now, this process perhaps."""
        return holder(self.results / self.name)

    def named_boxes(self) -> list[tuple[str, Box3D | WorldBox]]:
        """The boxes of ``NAME.boxes.json`` or ``.csv`` beside the image; empty if there is none.

        Raises
        ------
        FileFormatError
            If the file is damaged.
        """
        from napari_medsam_lite.io.folders import stem  # brings nibabel, slow to the dock

        beside = (self.source.with_name(stem(self.source) + end) for end in BOX_FILES)
        found = next(filter(is_there, beside), None)
        return [] if found is None else read_named_boxes(found)


@dataclass(frozen=True)
class WorkRow:
    """A case as it stands when it was looked at.

    Attributes
    ----------
    case : WorkCase
        Which.
    status : CaseStatus
        How far it is.
    holder : Holder or None
        Who has it.
    answered : bool
        Whether there are first answers that nobody has touched.
    """

    case: WorkCase
    status: CaseStatus
    holder: Holder | None
    answered: bool

    @classmethod
    def of(cls, case: WorkCase) -> WorkRow:
        """Look at `case`; never fails, for a damaged case needs review."""
        status = case.status()
        return cls(case, status, case.holder(), status.standing == "new" and case.has_labels)


def rows_of(cases: Iterable[WorkCase]) -> list[WorkRow]:
    """All `cases` as they stand: looks at each folder once, and at what is there alone."""
    found: list[WorkRow] = []
    names: dict[Path, list[str]] = {}
    for case in cases:
        if case.results not in names:
            names[case.results] = _names_in(case.results)
        there = names[case.results]
        touched = any(name.startswith((f"{case.name}.", f".{case.name}.")) for name in there)
        found.append(WorkRow.of(case) if touched else WorkRow(case, CaseStatus(), None, False))
    return found


def name_of(who: Holder) -> str:
    """As people are told of them: "reader-1 on ws2"."""
    return f"{who.who} on {who.host}"


def count_of(rows: Sequence[WorkRow], standing: Standing = "done") -> int:
    """How many of `rows` stand so."""
    return sum(row.status.standing == standing for row in rows)


def _names_in(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are enough
    except OSError:  # not made yet
        return []


def _status_of(content: object) -> CaseStatus:
    if not isinstance(content, dict) or content.get("status") not in STANDINGS:
        raise ValueError("it names none of " + ", ".join(STANDINGS))
    texts = [content.get(key, "") for key in ("note", "changed", "who")]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("note, changed and who are texts")
    return CaseStatus(content["status"], *texts)
