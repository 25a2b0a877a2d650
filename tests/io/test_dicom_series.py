import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedCTImageStorage

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.io.dicom import list_dicom
from napari_medsam_lite.io.formats import read_volume

DATA = np.random.default_rng(0).integers(-1000, 1000, (5, 6, 4), np.int16)


def counts(folder):
    return sorted(len(series.slices) for series in list_dicom(folder))


@pytest.mark.parametrize("tell", ["PatientName", "PatientID", "PatientBirthDate"])
@pytest.mark.parametrize("uids", [True, False])
def test_two_patients_never_mix(tmp_path, write_series, tell, uids):
    no_uids = dict.fromkeys(("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"), "")
    shared = {} if uids else no_uids
    write_series(tmp_path, DATA, name="a{}", **shared)
    write_series(tmp_path, DATA[:4], name="b{}", origin=(0, 0, 35), **shared | {tell: "19700101"})
    assert counts(tmp_path) == [4, 5]
    with pytest.raises(FileFormatError, match="holds 2 series; choose one"):
        read_volume(tmp_path)


def test_empty_uids_are_no_trouble(tmp_path, write_series):
    empty = dict.fromkeys(
        ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"), ""
    )
    write_series(tmp_path / "ct", DATA, **empty)
    np.testing.assert_array_equal(read_volume(tmp_path / "ct").data, DATA)


@pytest.mark.parametrize(
    "changes",
    [
        {"ImageType": ["DERIVED", "SECONDARY", "LOCALIZER"]},
        {"directions": [[0, 1, 0], [0, 0, -1], [-1, 0, 0]]},
        {"spacing": (3, 2, 2)},
        {"Modality": "OT"},
        {"FrameOfReferenceUID": "9.9"},
    ],
)
def test_a_localizer_is_listed_apart_and_told(tmp_path, write_series, changes):
    write_series(tmp_path, DATA)
    write_series(tmp_path, DATA[:1], name="scout", origin=(0, 0, 7), **changes)
    assert counts(tmp_path) == [1, 5]
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.data, DATA)
    assert volume.notes == (
        "1 image of the same series is of another size, direction or kind and is listed apart.",
    )


@pytest.mark.parametrize("tell", ["AcquisitionNumber", "EchoTime", "TriggerTime"])
def test_phases_at_one_place_are_volumes_of_their_own(tmp_path, write_series, tell):
    for phase in (1, 2, 3):
        write_series(tmp_path, DATA * phase % 700, name=f"{phase}-{{}}", **{tell: phase})
    assert counts(tmp_path) == [5, 5, 5]
    volume = read_volume(tmp_path, series="2")
    np.testing.assert_array_equal(volume.data, DATA * 2 % 700)
    assert "holds 3 volumes at one place" in volume.notes[0]


def test_series_are_listed_by_number(tmp_path, write_series):
    for number in (12, 2, None):
        write_series(tmp_path / str(number), DATA, SeriesNumber=number)
    assert [series.name for series in list_dicom(tmp_path)] == ["CT 2", "CT 12", "CT"]


def test_a_multi_frame_file_says_where_each_frame_lies(tmp_path, write_series):
    (path,) = write_series(tmp_path, DATA[:1])
    order = [3, 0, 4, 1, 2]

    def many(ds, index):
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
        ds.NumberOfFrames = 5
        ds.PixelData = DATA[order].tobytes()
        frames, shared = [], Dataset()
        for z in order:
            place, frame = Dataset(), Dataset()
            place.ImagePositionPatient = [-100, -50, 20 + 3 * z]
            frame.PlanePositionSequence = Sequence([place])
            frames.append(frame)
        for group, names in {
            "PlaneOrientationSequence": ["ImageOrientationPatient"],
            "PixelMeasuresSequence": ["PixelSpacing"],
            "PixelValueTransformationSequence": ["RescaleIntercept", "RescaleSlope"],
            "FrameVOILUTSequence": ["WindowCenter", "WindowWidth"],
        }.items():
            item = Dataset()
            for name in names:
                setattr(item, name, getattr(ds, name))
                delattr(ds, name)
            setattr(shared, group, Sequence([item]))
        shared.PixelValueTransformationSequence[0].RescaleIntercept = -24
        del ds.ImagePositionPatient
        ds.SharedFunctionalGroupsSequence = Sequence([shared])
        ds.PerFrameFunctionalGroupsSequence = Sequence(frames)

    write_series(tmp_path, DATA[:1], change=many)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.data, DATA - 24)
    np.testing.assert_allclose(volume.affine[:3, 3], (20, 50, 100))
    assert volume.spacing == (3, 0.8, 0.7)
    assert volume.window == (40, 400)
    assert [one.frame for one in volume.source.header] == [1, 3, 4, 0, 2]


def test_files_without_an_image_are_told(tmp_path, write_series):
    def no_image(ds, index):
        for name in ("Rows", "Columns", "PixelData"):
            delattr(ds, name)
        ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"  # a report

    write_series(tmp_path, DATA)
    write_series(tmp_path, DATA[:1], name="report", change=no_image)
    assert read_volume(tmp_path).notes == ("1 file that holds no image is left out.",)
    with pytest.raises(FileFormatError, match="holds no DICOM image"):
        read_volume(tmp_path / "report")
