"""DICOM segmentations: written for others, read from others, and damaged."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from collections import namedtuple
from pathlib import Path

import highdicom as hd
import nrrd
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import format_number_as_ds as ds
from scipy.spatial.transform import Rotation

from napari_medsam_lite.core.errors import FileFormatError, MedSAMLiteError
from napari_medsam_lite.core.label_volume import on_grid_of
from napari_medsam_lite.core.labelset import BUILT_IN, Code, LabelClass, color_of
from napari_medsam_lite.core.volume import Source, Volume
from napari_medsam_lite.io.affine import affine_from_lps
from napari_medsam_lite.io.formats import holds_labels, is_ours, read_label_volume, write_labels

# Enough of what the reader of images leaves in a volume's source.
Slice = namedtuple("Slice", "path frame")

SHAPE = (4, 5, 6)
KIDNEY = LabelClass(52, "Niere links, größer", (1, 200, 77), BUILT_IN["abdomen"].classes[12].code)
PLAIN = LabelClass(7, "x" * 90, color_of(7))
LABELS = np.zeros(SHAPE, np.uint8)
LABELS[1:3, 1:4, 2:5] = 52
LABELS[2, 0, 0] = 7
NAMES = ["l.dcm", "l.labelmap.dcm"]


def make_series(
    folder: Path,
    shape: tuple[int, int, int] = SHAPE,
    spacing: tuple[float, float, float] = (2.0, 0.8, 0.7),
    rotation: np.ndarray | None = None,
    origin: tuple[float, float, float] = (-100.0, -200.5, 30.25),
    **changes: object,
) -> Volume:
    """A CT series of empty slices, and the volume that it is read as."""
    axes = np.eye(3) if rotation is None else rotation  # columns: along a row, a column, the slices
    uids = {name: generate_uid() for name in ("Study", "Series")}
    slices = []
    for index in range(shape[0]):
        image = pydicom.Dataset()
        image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, generate_uid()
        image.StudyInstanceUID, image.SeriesInstanceUID = uids["Study"], uids["Series"]
        image.FrameOfReferenceUID = "1.2.3.4"
        image.PatientName, image.PatientID, image.PatientBirthDate = "Müller^Jörg", "0815", ""
        image.SpecificCharacterSet = "ISO_IR 100"
        image.PatientSex = image.AccessionNumber = image.StudyID = ""
        image.StudyDate = image.StudyTime = image.ReferringPhysicianName = ""
        image.Modality, image.InstanceNumber = "CT", index + 1
        place = np.asarray(origin) + axes[:, 2] * spacing[0] * index
        image.ImagePositionPatient = [ds(float(value)) for value in place]
        image.ImageOrientationPatient = [ds(float(v)) for v in (*axes[:, 0], *axes[:, 1])]
        image.PixelSpacing = [ds(spacing[1]), ds(spacing[2])]
        image.SliceThickness = "5"
        image.Rows, image.Columns = shape[1:]
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated = image.BitsStored = 16
        image.HighBit, image.PixelRepresentation = 15, 1
        image.PixelData = bytes(2 * shape[1] * shape[2])
        for name, value in changes.items():
            setattr(image, name, value)
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.file_meta.MediaStorageSOPClassUID = CTImageStorage
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID or "1.2.3.5"
        path = folder / f"{index}.dcm"
        image.save_as(path, enforce_file_format=True)
        slices.append(Slice(path, 0))
    lps = np.eye(4)
    lps[:3, :3] = axes * (spacing[2], spacing[1], spacing[0])
    lps[:3, 3] = origin
    data = np.zeros(shape, np.int16)
    affine = affine_from_lps(lps[:3, :3], lps[:3, 3])
    return Volume(data, spacing, affine, "ct", Source(folder, tuple(slices)))


def write(path: Path, *args: object, **kwargs: object) -> Path:
    path.unlink(missing_ok=True)
    write_labels(path, *args, **kwargs)
    return path


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink would take minutes
)
@given(
    angles=st.one_of(st.just((0, 0, 0)), st.tuples(*[st.floats(-180, 180)] * 3)),
    spacing=st.tuples(*[st.floats(0.3, 8)] * 3),
    origin=st.tuples(*[st.floats(-500, 500)] * 3),
    name=st.sampled_from(NAMES),
    kind=st.sampled_from([np.uint8, np.uint16, np.int32]),
    backwards=st.booleans(),
    data=st.data(),
)
def test_voxels_lie_where_they_lay(tmp_path, angles, spacing, origin, name, kind, backwards, data):
    rotation = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    if backwards:
        rotation[:, 2] *= -1
    volume = make_series(tmp_path, spacing=spacing, rotation=rotation, origin=origin)
    values = [0, 1, 9, 200 if kind is np.uint8 else 40_000]
    drawn = data.draw(st.lists(st.sampled_from(values), min_size=120, max_size=120))
    labels = np.array(drawn, kind).reshape(SHAPE)
    labels[1, 1, 1] = 9
    path = write(tmp_path / name, labels, volume)

    np.testing.assert_array_equal(on_grid_of(read_label_volume(path), volume), labels)
    for value, frame, place in frames_of(path):
        rows, columns = np.nonzero(frame)
        for row, column in list(zip(rows, columns, strict=True))[:5]:
            x, y, z = place(row, column)
            index = np.linalg.inv(volume.affine) @ (z, -y, -x, 1)
            nearest = np.rint(index).astype(int)[:3]
            world = volume.affine @ (*nearest, 1)
            np.testing.assert_allclose(world[:3], (z, -y, -x), rtol=0, atol=1e-3)
            assert labels[tuple(nearest)] == value


def frames_of(path: Path):
    """Each frame of a segmentation by pydicom alone: label, mask, and pixel to LPS millimetres."""
    file = pydicom.dcmread(path)
    shared = file.SharedFunctionalGroupsSequence[0]
    down, right = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    across = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    pixels = file.pixel_array.reshape(-1, file.Rows, file.Columns)
    labels = {
        int(s.SegmentNumber): int(s.SegmentDescription.split()[1].rstrip(":"))
        for s in file.SegmentSequence
        if s.SegmentNumber > 0  # the background of a label map
    }
    for group, frame in zip(file.PerFrameFunctionalGroupsSequence, pixels, strict=True):
        origin = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)

        def place(row, column, origin=origin):
            return origin + across[:3] * right * column + across[3:] * down * row

        if file.SegmentationType == "LABELMAP":
            for value in set(np.unique(frame)) - {0}:
                yield labels[int(value)], frame == value, place
        else:
            held = group if "SegmentIdentificationSequence" in group else shared
            (item,) = held.SegmentIdentificationSequence
            segment = item.ReferencedSegmentNumber
            yield labels[int(segment)], frame, place


@pytest.mark.parametrize("name", NAMES)
def test_names_colours_codes_and_numbers_come_back(tmp_path, name):
    path = write(tmp_path / name, LABELS, make_series(tmp_path), classes=(PLAIN, KIDNEY))
    found = read_label_volume(path)
    assert found.classes == (PLAIN, KIDNEY)
    assert found.notes == ()
    assert holds_labels(path) and is_ours(path)


def test_highdicom_finds_what_the_standard_asks_for(tmp_path):
    volume = make_series(tmp_path)
    path = write(tmp_path / "l.dcm", LABELS, volume, classes=(PLAIN, KIDNEY))
    found = hd.seg.segread(path)
    assert found.segmentation_type == hd.seg.SegmentationTypeValues.BINARY
    assert list(found.segment_numbers) == [1, 2]
    described = found.get_segment_description(2)
    assert described.segment_label == KIDNEY.name
    kind = described.segmented_property_type
    assert (kind.value, kind.scheme_designator, kind.meaning) == ("64033007", "SCT", "Kidney")
    side = kind.SegmentedPropertyTypeModifierCodeSequence[0]
    assert side.CodeMeaning == "Left"
    assert described.segmented_property_category.value == "123037004"
    color = hd.color.CIELabColor.from_dicom_value(described.RecommendedDisplayCIELabValue)
    assert color.to_rgb() == KIDNEY.color
    assert found.get_segment_description(1).segment_label == "x" * 64
    # On the very images, of the same patient and study.
    first = pydicom.dcmread(volume.source.path / "0.dcm")
    assert str(found.PatientName) == str(first.PatientName) == "Müller^Jörg"
    assert found.StudyInstanceUID == first.StudyInstanceUID
    assert found.FrameOfReferenceUID == first.FrameOfReferenceUID
    (series,) = found.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == first.SeriesInstanceUID
    assert len(series.ReferencedInstanceSequence) == 4
    measures = found.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert float(measures.SpacingBetweenSlices) == 2  # and not how thick they are


def test_dicom3tools_finds_no_error(tmp_path):
    if not (validator := shutil.which("dciodvfy")):
        pytest.skip("dciodvfy of dicom3tools is not installed")
    path = write(tmp_path / "l.dcm", LABELS, make_series(tmp_path), classes=(PLAIN, KIDNEY))
    done = subprocess.run([validator, path], capture_output=True, text=True, check=False)
    assert "Segmentation" in done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("Error")] == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("missing", ["StudyInstanceUID", "SOPInstanceUID", "SOPClassUID"])
def test_images_without_their_numbers_get_the_same_ones_each_time(tmp_path, name, missing):
    volume = make_series(tmp_path, **{missing: ""})
    made = []
    for _ in range(2):
        path = write(tmp_path / name, LABELS, volume)
        np.testing.assert_array_equal(on_grid_of(read_label_volume(path), volume), LABELS)
        file = pydicom.dcmread(path)
        (series,) = file.ReferencedSeriesSequence
        made.append((file.StudyInstanceUID, series.SeriesInstanceUID, file.FrameOfReferenceUID))
    assert made[0] == made[1] and all(uid.is_valid for uid in made[0])


def test_images_without_a_patient_are_enough(tmp_path):
    volume = make_series(tmp_path)
    for each in volume.source.header:
        image = pydicom.dcmread(each.path)
        for name in ("PatientID", "PatientBirthDate", "AccessionNumber", "StudyID", "StudyTime"):
            delattr(image, name)
        image.save_as(each.path)
    write(tmp_path / "l.dcm", LABELS, volume)


@pytest.mark.parametrize("name", NAMES)
def test_frames_of_one_file(tmp_path, name, shared_dicom):
    path = shared_dicom / "eCT_Supplemental.dcm"
    image = pydicom.dcmread(path, stop_before_pixels=True)
    groups = image.PerFrameFunctionalGroupsSequence
    positions = [np.array(g.PlanePositionSequence[0].ImagePositionPatient, float) for g in groups]
    first = (*groups, image.SharedFunctionalGroupsSequence[0])
    across = next(
        np.array(g.PlaneOrientationSequence[0].ImageOrientationPatient, float)
        for g in first
        if "PlaneOrientationSequence" in g
    )
    down, right = next(
        map(float, g.PixelMeasuresSequence[0].PixelSpacing)
        for g in first
        if "PixelMeasuresSequence" in g
    )
    lps = np.eye(4)
    lps[:3, :3] = np.stack(
        [across[:3] * right, across[3:] * down, positions[0] - positions[1]], axis=1
    )
    lps[:3, 3] = positions[1]  # the other way round than in the file
    affine = affine_from_lps(lps[:3, :3], lps[:3, 3])
    shape = (2, image.Rows, image.Columns)
    source = Source(path, (Slice(path, 1), Slice(path, 0)))
    spacing = tuple(np.linalg.norm(affine[:3, :3], axis=0))
    volume = Volume(np.zeros(shape, np.int16), spacing, affine, "ct", source)
    labels = np.zeros(shape, np.uint8)
    labels[0, 10:20, 10:30] = 3
    labels[1, 50:60, 10:30] = 4
    found = read_label_volume(write(tmp_path / name, labels, volume))
    np.testing.assert_array_equal(on_grid_of(found, volume), labels)


@pytest.fixture
def shared_dicom() -> Path:
    """The folder with real DICOM, beside the repository."""
    folder = Path(__file__).parents[2].parent / "shared" / "dicom"
    if not folder.is_dir():
        pytest.skip(f"the real DICOM files are not here ({folder})")
    return folder


def real_series(folder: Path) -> Volume:
    """Where the three slices of the real CT lie; its voxels do not matter."""
    files = sorted(folder.iterdir(), reverse=True)  # from the feet up
    first, last = (pydicom.dcmread(p, stop_before_pixels=True) for p in (files[0], files[-1]))
    ends = [np.array(image.ImagePositionPatient, float) for image in (first, last)]
    lps = np.diag([*map(float, first.PixelSpacing), 1.0, 1.0])
    lps[:3, 2] = (ends[1] - ends[0]) / (len(files) - 1)
    lps[:3, 3] = ends[0]
    affine = affine_from_lps(lps[:3, :3], lps[:3, 3])
    shape = (len(files), first.Rows, first.Columns)
    header = tuple(Slice(path, 0) for path in files)
    return Volume(
        np.zeros(shape, np.int16),
        tuple(np.linalg.norm(affine[:3, :3], axis=0)),
        affine,
        "ct",
        Source(folder, header),
    )


def test_a_real_segmentation_equals_its_twin(shared_dicom):
    folder = shared_dicom / "ct_with_seg"
    found = read_label_volume(folder / "liver.dcm")
    twin = nrrd.read(str(folder / "liver_seg.nrrd"))[0].T
    np.testing.assert_array_equal(on_grid_of(found, real_series(folder / "ct-3slice")), twin)
    code = Code("SRT", "T-62000", "Liver")
    assert found.classes == (LabelClass(1, "Liver", (221, 130, 101), code),)
    assert found.notes == ()


def test_real_segments_that_overlap_are_told_and_the_later_one_is_kept(shared_dicom):
    folder = shared_dicom / "ct_with_seg"
    found = read_label_volume(folder / "partial_overlaps.dcm")
    assert [each.name for each in found.classes] == [
        "GREEN",
        "ORANGE",
        "PURPLE",
        "LIGHT_BLUE",
        "DARK_BLUE",
    ]
    twins = [nrrd.read(str(folder / f"partial_overlaps-{i}.nrrd"))[0].T for i in (1, 2, 3)]
    data = on_grid_of(found, real_series(folder / "ct-3slice"))
    masks = [np.any([twin == number for twin in twins], axis=0) for number in range(1, 6)]
    for number, mask in enumerate(masks, start=1):
        later = np.any([*masks[number:], np.zeros_like(mask)], axis=0)
        np.testing.assert_array_equal(data == number, mask & ~later)
    lost = sum(map(np.count_nonzero, masks)) - np.count_nonzero(np.any(masks, axis=0))
    assert found.notes == (f"Segments overlap in {lost} voxels; there the later one is kept.",)


def test_a_real_segmentation_is_written_again_on_its_ct(tmp_path, shared_dicom):
    volume = real_series(shared_dicom / "ct_with_seg" / "ct-3slice")
    found = read_label_volume(shared_dicom / "ct_with_seg" / "liver.dcm")
    labels = on_grid_of(found, volume)
    again = read_label_volume(write(tmp_path / "l.dcm", labels, volume, classes=found.classes))
    np.testing.assert_array_equal(on_grid_of(again, volume), labels)
    assert again.classes == found.classes


@pytest.mark.parametrize("name", NAMES)
def test_what_no_dicom_image_lies_behind_is_refused(tmp_path, name):
    for source in (None, Source(Path("ct.nii")), Source(Path("ct"), ()), Source(Path("ct"), (1,))):
        volume = Volume(np.zeros(SHAPE, np.int16), source=source)
        with pytest.raises(FileFormatError, match="name their folder as the image"):
            write(tmp_path / name, LABELS, volume)
    with pytest.raises(FileFormatError, match="There are no labels to save"):
        write(tmp_path / name, LABELS * 0, make_series(tmp_path))
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_segment_without_voxels_is_kept(tmp_path, name):
    found = read_label_volume(
        write(tmp_path / name, LABELS * 0, make_series(tmp_path), classes=(KIDNEY,))
    )
    assert not found.data.any() and found.classes == (KIDNEY,)


def damaged(path: Path) -> dict[str, bytes]:
    whole = path.read_bytes()
    cases = {
        "empty": b"",
        "text": b"hello",
        "no file meta": whole[128:],
        "an image": (path.parent / "0.dcm").read_bytes(),
    }
    cases |= {f"cut at {share}": whole[: int(len(whole) * share)] for share in (0.2, 0.5, 0.8)}
    changes = {
        "huge": {"Rows": 65535, "Columns": 65535},
        "many": {"NumberOfFrames": 2**31 - 1},
        "negative": {"NumberOfFrames": -1},
        "none": {"NumberOfFrames": 0},
        "fractional": {"SegmentationType": "FRACTIONAL"},
        "odd type": {"SegmentationType": "OTHER"},
        "no segments": {"SegmentSequence": []},
        "no frames": {"PerFrameFunctionalGroupsSequence": []},
        "no places": {"SharedFunctionalGroupsSequence": []},
        "odd bits": {"BitsAllocated": 7},
        "no pixels": {"PixelData": b""},
    }
    for what, values in changes.items():
        file = pydicom.dcmread(path)
        for key, value in values.items():
            setattr(file, key, value)
        cases[what] = saved(file, path)
    # Half a number: a US value of three bytes.
    label = whole.index(b"\x62\x00\x04\x00US")
    cases["half a number"] = whole[: label + 6] + b"\x03" + whole[label + 7 :]
    far = pydicom.dcmread(path)
    plane = far.PerFrameFunctionalGroupsSequence[-1].PlanePositionSequence[0]
    plane.ImagePositionPatient = [-100, -200.5, 2_000_000_030.25]
    cases["far apart"] = saved(far, path)
    return cases


def saved(file: pydicom.Dataset, path: Path) -> bytes:
    changed = path.with_name("changed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file.save_as(changed)
    return changed.read_bytes()


def test_a_damaged_file_is_told_in_one_sentence(tmp_path):
    cases = damaged(write(tmp_path / "l.dcm", LABELS, make_series(tmp_path)))
    for what, content in cases.items():
        path = tmp_path / "damaged.dcm"
        path.write_bytes(content)
        with pytest.raises(MedSAMLiteError) as told:
            read_label_volume(path)
            pytest.fail(f"'{what}' was read")
        assert str(path) in str(told.value) and "\n" not in str(told.value), what
