"""A full disk, a read-only one, a folder that is gone: a clear sentence, and the old file is there.

In a mount namespace of our own (`unshare`), so that real small disks can be mounted without being
root; what is mounted goes with the process.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from napari_medsam_lite import Box3D, Volume
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.labelset import LabelClass
from napari_medsam_lite.core.segmentation import Segment, Segmentation
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.engine.disk_cache import DiskCache
from napari_medsam_lite.engine.embedding_key import EmbeddingKey
from torture_parts.monkey import SCRIPT, own_folders

SIZE_KIB = 256
CLASSES = (LabelClass(1, "liver", (200, 60, 60)),)
FORMATS = (".nii.gz", ".nii", ".npz", ".seg.nrrd")
Write = Callable[[Path], None]


@dataclass(frozen=True)
class Writer:
    """Something that the program writes: a small one, and one that the small disk cannot hold.

    Attributes
    ----------
    is_quiet : bool
        Nobody is told, because nothing is lost.
    read : callable
        What can be read again of what was written.
    """

    name: str
    small: Write
    large: Write
    is_quiet: bool = False
    read: Callable[[Path], object] = field(default=lambda disk: _content(disk))


def in_namespace() -> int:
    """Run this part again where it may mount disks; 0 if all held."""
    unshare = shutil.which("unshare")
    probe = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", tempfile.gettempdir()]
    if unshare is None or subprocess.run(probe, capture_output=True, check=False).returncode:
        print("disk: no disk can be mounted here (unshare -rm), so nothing was tried")
        return 0
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        command = ["unshare", "-rm", sys.executable, str(SCRIPT), "disk", "--inside", name]
        return subprocess.run(command, env=own_folders(Path(name)), check=False).returncode


def inside(folder: Path) -> int:
    """All writers on all bad disks; how many did not hold."""
    faults = tried = 0
    for writer in writers():
        for how in (full, read_only, gone):
            tried += 1
            fault = _fault(writer, how, folder)
            faults += bool(fault)
            if fault:
                print(f"  {writer.name} on a disk that is {how.__name__}: {fault}")
    print(f"disk: {tried} cases (full, read-only, gone), {faults} faults")
    return faults


def writers() -> list[Writer]:
    """What is written, by name."""
    found = [Writer(f"labels{s}", _labels(s, 8), _labels(s, 128)) for s in FORMATS]
    found += [
        Writer("embeddings", _embedding(10), _embedding(10**6), is_quiet=True),
        Writer("run file", _run_file(1), _run_file(20_000)),
        Writer("case file", _case_file(1), _case_file(20_000)),
        Writer("keys", _keys(1), _keys(60_000)),
        _autosave(),
    ]
    return found


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """As it is: too small."""
    yield


@contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """Nothing can be written."""
    _mount("-o", "remount,ro", str(disk))
    yield
    _mount("-o", "remount,rw", str(disk))


@contextmanager
def gone(disk: Path) -> Iterator[None]:
    """Unmounted, with all that was on it, where nobody can make such a folder; and back."""
    aside = disk.parent / "aside"
    aside.mkdir(exist_ok=True)
    _mount("--move", str(disk), str(aside))
    disk.rmdir()
    _mount("-o", "remount,ro", str(disk.parent))
    yield
    _mount("-o", "remount,rw", str(disk.parent))
    disk.mkdir()
    _mount("--move", str(aside), str(disk))


def _fault(writer: Writer, how: Callable[[Path], object], folder: Path) -> str:
    """What is wrong; empty if nothing is."""
    place = Path(tempfile.mkdtemp(dir=folder))
    _mount("-t", "tmpfs", "tmpfs", str(place))
    disk = place / "disk"
    disk.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={SIZE_KIB}k", "tmpfs", str(disk))
    try:
        writer.small(disk)
        before = writer.read(disk)
        with how(disk):  # type: ignore[attr-defined]
            told = _told(writer.large, disk)
        if told is None and not writer.is_quiet:
            return "nothing was told"
        if told is not None and (writer.is_quiet or "\n" in told or not told.endswith(".")):
            return f"told: {told!r}"
        if writer.read(disk) != before:
            return "what was there before is not there any more"
        writer.small(disk)
        return ""
    except Exception as error:
        return f"raised {error!r}"
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)


def _told(write: Write, disk: Path) -> str | None:
    try:
        write(disk)
    except MedSAMLiteError as error:
        return str(error)
    return None


def _content(disk: Path) -> dict[str, bytes]:
    return {str(p.relative_to(disk)): p.read_bytes() for p in disk.rglob("*") if p.is_file()}


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _labels(suffix: str, size: int) -> Write:
    def write(disk: Path) -> None:
        from napari_medsam_lite.io.formats import write_labels

        # Noise, for labels of one value would be packed into nothing.
        labels = np.random.default_rng(0).integers(0, 2, (size, size, size)).astype(np.uint8)
        image = Volume(np.zeros(labels.shape, np.int16), (3, 1, 1))
        write_labels(disk / f"a{suffix}", labels, image, classes=CLASSES)

    return write


def _embedding(count: int) -> Write:
    def write(disk: Path) -> None:
        from napari_medsam_lite.core.frame import ModelFrame
        from napari_medsam_lite.core.window import AS_STORED

        key = EmbeddingKey(str(count), AS_STORED, ModelFrame(8, 8), "a preset")
        DiskCache(disk, 10**9).put(key, np.ones(count, np.float16))

    return write


def _run_file(count: int) -> Write:
    def write(disk: Path) -> None:
        from napari_medsam_lite.io.runfile import run_record, save_run

        image = Volume(np.zeros((8, 8, 8), np.int16), (1, 1, 1))
        run = run_record(image, [Box3D(0, 1, 1, 7, 6, 6)] * count, Settings(), "0" * 64)
        save_run(disk / "a.run.json", run, np.eye(4))

    return write


def _case_file(count: int) -> Write:
    def write(disk: Path) -> None:
        from napari_medsam_lite.io.case_record import CaseRecord, FileReference
        from napari_medsam_lite.io.casefile import save_case

        segments = tuple(Segment(number=n, name="liver") for n in range(1, count + 1))
        case = CaseRecord(FileReference("ct.nii.gz"), (8, 8, 8), None, Segmentation(segments))
        save_case(disk / "a.medsam.json", case)

    return write


def _autosave() -> Writer:
    from napari_medsam_lite.io import journal
    from napari_medsam_lite.io.journal_records import Patch

    journals: dict[Path, journal.Journal] = {}
    noise = np.random.default_rng(0).integers(0, 255, (1024, 1024)).astype(np.uint8)

    def writing(place: int, labels: np.ndarray) -> Write:
        def write(disk: Path) -> None:
            file = disk / "autosave" / "journal"
            kept = journals.setdefault(disk, journal.Journal(file, (2, *noise.shape)))
            kept.append([Patch((place,), labels)])

        return write

    def read(disk: Path) -> bytes | None:
        found = journal.read(journals[disk].file)
        return None if found is None else found.labels().tobytes()

    small, large = writing(0, np.ones_like(noise)), writing(1, noise)
    return Writer("autosave", small, large, read=read)


def _keys(count: int) -> Write:
    def write(disk: Path) -> None:
        from napari_medsam_lite.gui.keys.stored import write_keys

        write_keys(disk / "keys.json", {f"action {n}": "Q" for n in range(count)})

    return write
