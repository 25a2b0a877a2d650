"""DICOM that is damaged or strange, and how a sound slice is made."""

from __future__ import annotations

import io
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG2MPML,
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
)

DATA = np.random.default_rng(0).integers(-1000, 1000, (5, 64, 48), np.int16)
_PIXELS = b"\xe0\x7f\x10\0OW"
_SHARED_GROUPS = b"\0\x52\x29\x92SQ\0\0\xff\xff\xff\xff"
_REFERENCED = b"\x08\0\x10\x11SQ\0\0\xff\xff\xff\xff"
_OPEN_ITEM = b"\xfe\xff\0\xe0\xff\xff\xff\xff"
Change = Callable[[Dataset, int], None]


@dataclass(frozen=True)
class Damaged:
    """An input; `may_open` if what is wrong cannot be seen, or is mended and told."""

    name: str
    path: Path
    may_open: bool = False


def write_slice(
    path: Path, index: int = 0, change: Change | None = None, syntax: Any = None, **changes: Any
) -> Path:
    """One slice of `DATA` as DICOM."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, "1.2.3"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, f"1.2.3.{index}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "1.2", "1.3", "1.4"
    ds.PatientName, ds.PatientID, ds.Modality, ds.InstanceNumber = "Doe^Jane", "1", "CT", index
    ds.Rows, ds.Columns, ds.SamplesPerPixel = *DATA.shape[1:], 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.PixelSpacing, ds.RescaleSlope, ds.RescaleIntercept = [0.8, 0.7], 1, -1024
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.ImagePositionPatient = [0, 0, 3 * index]
    ds.PixelData = DATA[index % len(DATA)].tobytes()
    ds["PixelData"].VR = "OW"
    if syntax is not None and syntax.is_encapsulated:
        ds.compress(syntax, generate_instance_uid=False)
    elif syntax is not None:
        meta.TransferSyntaxUID = syntax
    for name, value in changes.items():
        setattr(ds, name, value)
    if change is not None:
        change(ds, index)
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


def absurd_dicom(folder: Path) -> Iterator[Damaged]:
    """Single files whose attributes make no sense."""

    def film(ds: Dataset, index: int) -> None:
        ds.file_meta.TransferSyntaxUID = MPEG2MPML
        ds["PixelData"].is_undefined_length = True
        ds.PixelData = encapsulate([b"no film"])

    def inner_size(ds: Dataset, index: int) -> None:
        frame = bytearray(ds.PixelData)
        place = frame.find(b"\xff\x4f\xff\x51") + 8
        frame[place : place + 8] = (60_000).to_bytes(4) * 2
        ds.PixelData = bytes(frame)

    cases: dict[str, dict[str, Any]] = {
        "huge-rows": {"Rows": 65535, "Columns": 65535},
        "no-rows": {"Rows": 0},
        "many-frames": {"NumberOfFrames": 2**31 - 1},
        "minus-frames": {"NumberOfFrames": -4},
        "many-bits": {"BitsAllocated": 65528},
        "odd-bits": {"BitsAllocated": 13},
        "many-samples": {"SamplesPerPixel": 65535},
        "colour": {"PhotometricInterpretation": "RGB"},
        "aslant": {"ImageOrientationPatient": [1, 0, 0, 0.7, 0.7, 0]},
        "no-direction": {"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]},
        "few-numbers": {"ImagePositionPatient": [1, 2]},
        "nan-place": {"ImagePositionPatient": ["nan", 0, 0]},
        "endless-slope": {"RescaleSlope": "1e400"},
        "film": {"change": film},
        "huge-frame": {"syntax": JPEG2000Lossless, "change": inner_size},
        "no-pixels": {"change": lambda ds, index: delattr(ds, "PixelData")},
        "minus-spacing": {"PixelSpacing": [-1, -1]},
        "zero-spacing": {"PixelSpacing": [0, 0]},
    }
    mended = ("minus-spacing", "zero-spacing")
    for name, changes in cases.items():
        path = folder / f"dicom-{name}" / "slice.dcm"
        with warnings.catch_warnings():  # pydicom's, on what is written wrong on purpose
            warnings.simplefilter("ignore")
            write_slice(path, **changes)
        yield Damaged(f"dicom-{name}", path, name in mended)
    path = write_slice(folder / "dicom-nested" / "slice.dcm")
    start, pixels = path.read_bytes().split(_PIXELS)
    deep = _SHARED_GROUPS + _OPEN_ITEM + (_REFERENCED + _OPEN_ITEM) * 3000
    path.write_bytes(start + deep + _PIXELS + pixels)
    yield Damaged("dicom-nested", path)
    wrong = dcmread(write_slice(folder / "dicom-endian" / "slice.dcm"))
    content = io.BytesIO()
    dcmwrite(content, wrong)
    swapped = content.getvalue().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0")
    (folder / "dicom-endian" / "slice.dcm").write_bytes(swapped)
    yield Damaged(f"dicom-called-{ExplicitVRBigEndian.keyword}", folder / "dicom-endian")


def strange_folders(folder: Path) -> Iterator[Damaged]:
    """Folders in which something is wrong with one slice, or with how all of them lie."""

    def series(name: str, count: int = 5, **changes: Any) -> Path:
        for index in range(count):
            write_slice(folder / name / f"{index}", index, **changes)
        return folder / name

    def at(places: list[float]) -> Change:
        return lambda ds, index: setattr(ds, "ImagePositionPatient", [0, 0, places[index]])

    yield Damaged("folder-empty-uids", series(
        "uids", SeriesInstanceUID="", StudyInstanceUID="", FrameOfReferenceUID="",
        SOPInstanceUID="",
    ), may_open=True)  # fmt: skip
    series("patients")
    write_slice(folder / "patients" / "other", 5, PatientName="Roe^Richard", PatientID="2")
    for index in range(6, 10):
        write_slice(folder / "patients" / f"{index}", index, PatientID="2")
    yield Damaged("folder-two-patients", folder / "patients", may_open=True)
    yield Damaged("folder-gap", series("gap", change=at([0, 3, 6, 300, 600])))
    yield Damaged("folder-missing", series("missing", change=at([0, 3, 6, 12, 15])), may_open=True)
    yield Damaged("folder-far-away", series("far", change=at([0, 3, 6, 9, 1e300])))
    series("twice")
    write_slice(folder / "twice" / "again", 2, RescaleIntercept=7)
    yield Damaged("folder-two-images-at-one-place", folder / "twice")
    for name, content in (("cut", None), ("garbage", bytes(range(256)) * 20)):
        path = series(name) / "2"
        magic = path.read_bytes()[:132]
        path.write_bytes(path.read_bytes()[:800] if content is None else magic + content)
        yield Damaged(f"folder-one-{name}", path.parent)
    loop = folder / "loop"
    loop.mkdir()
    (loop / "round").symlink_to(loop, target_is_directory=True)
    yield Damaged("folder-link-round-in-a-circle", loop)
    shutil.copytree(folder / "gap", folder / "unreadable")
    (folder / "unreadable" / "0").unlink()
    (folder / "unreadable" / "0").symlink_to("/nowhere")
    yield Damaged("folder-broken-link", folder / "unreadable")
