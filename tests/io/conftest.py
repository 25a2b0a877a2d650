"""DICOM files made as scanners make them, and the real ones beside the repository."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


def slice_of(
    data: np.ndarray,
    index: int,
    spacing: tuple[float, float, float],
    directions: np.ndarray,
    origin: Any,
    **changes: Any,
) -> FileDataset:
    """Slice `index` of (Z, Y, X) int16 data; `directions` are those of x, y, z in LPS, a row each.

    `changes` are DICOM keywords; None leaves one out.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    row, column, normal = directions
    values = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.4",
        "FrameOfReferenceUID": "1.2.3.5",
        "PatientName": "Doe^Jane",
        "PatientID": "JD-4711",
        "PatientBirthDate": "19500704",
        "StudyDate": "20240229",
        "SeriesDescription": "Abdomen Doe 20240229 1.0",
        "SeriesNumber": 3,
        "InstanceNumber": index + 1,
        "Modality": "CT",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "Rows": data.shape[1],
        "Columns": data.shape[2],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1,
        "RescaleSlope": 1,
        "RescaleIntercept": 0,
        "PixelSpacing": [float(spacing[1]), float(spacing[2])],
        "ImageOrientationPatient": [float(v) for v in (*row, *column)],
        "ImagePositionPatient": [float(v) for v in origin + index * spacing[0] * normal],
        "WindowCenter": [40, 300],
        "WindowWidth": [400, 1500],
    } | changes
    for name, value in values.items():
        if value is not None:
            setattr(ds, name, value)
    ds.PixelData = data[index].astype("<i2").tobytes()
    ds["PixelData"].VR = "OW"
    return ds


@pytest.fixture
def write_series() -> Callable[..., list[Path]]:
    """``write_series(folder, data, ...)`` -> a file a slice; `change(ds, index)` comes last."""

    def write(
        folder: Path,
        data: np.ndarray,
        *,
        spacing: tuple[float, float, float] = (3.0, 0.8, 0.7),
        directions: Any = ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        origin: Any = (-100.0, -50.0, 20.0),
        name: str = "{:03}",
        change: Callable[[Dataset, int], None] = lambda ds, index: None,
        **changes: Any,
    ) -> list[Path]:
        folder.mkdir(exist_ok=True, parents=True)
        paths = []
        for index in range(len(data)):
            ds = slice_of(
                data, index, spacing, np.array(directions, float), np.asarray(origin), **changes
            )
            change(ds, index)
            paths.append(folder / name.format(index))
            ds.save_as(paths[-1], enforce_file_format=True)
        return paths

    return write


@pytest.fixture(scope="session")
def shared_dicom() -> Path:
    """The folder with real DICOM, beside the repository."""
    folder = Path(__file__).parents[2].parent / "shared" / "dicom"
    if not folder.is_dir():
        pytest.skip(f"the real DICOM files are not here ({folder})")
    return folder
