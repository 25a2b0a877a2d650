import numpy as np
import pytest
from pydicom import dcmread, dcmwrite
from pydicom.uid import (
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from napari_medsam_lite.core.errors import FileFormatError, UnsupportedImageError
from napari_medsam_lite.io.formats import read_volume

DATA = np.random.default_rng(0).integers(-1000, 1000, (4, 64, 48), np.int16)
DATA[:, 5:15, 5:15] = 40


def with_gdcm(path, syntax):
    """The file again, encoded by gdcm: pydicom has no encoder for these."""
    gdcm = pytest.importorskip("gdcm")
    kinds = {
        JPEGLossless: gdcm.TransferSyntax.JPEGLosslessProcess14,
        JPEGLosslessSV1: gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    }
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(kinds[syntax]))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(path))
    assert writer.Write()


def save_as(path, syntax):
    ds = dcmread(path)
    if syntax in (JPEGLossless, JPEGLosslessSV1):
        with_gdcm(path, syntax)
    elif syntax.is_encapsulated:
        ds.compress(syntax, generate_instance_uid=False)
        ds.save_as(path)
    else:
        list(ds)  # converts what pydicom has left as it was read
        ds.file_meta.TransferSyntaxUID = syntax
        order = {"implicit_vr": syntax.is_implicit_VR, "little_endian": syntax.is_little_endian}
        if not syntax.is_little_endian:
            ds.PixelData = np.frombuffer(ds.PixelData, "<i2").astype(">i2").tobytes()
            order["force_encoding"] = True
        dcmwrite(path, ds, **order)
    assert dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID == syntax


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, on what gdcm writes
@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEG2000Lossless,
        JPEGLSLossless,
        JPEGLossless,
        JPEGLosslessSV1,
    ],
    ids=lambda uid: uid.keyword,
)
def test_every_transfer_syntax_gives_the_same_voxels(tmp_path, write_series, syntax):
    for path in write_series(tmp_path / "ct", DATA, RescaleIntercept=-1024):
        save_as(path, syntax)
    volume = read_volume(tmp_path / "ct")
    np.testing.assert_array_equal(volume.data, DATA - 1024)
    assert volume.notes == ()


def test_a_compression_that_cannot_be_read_is_named(tmp_path, write_series):
    def film(ds, index):
        ds.file_meta.TransferSyntaxUID = MPEG2MPML
        ds["PixelData"].is_undefined_length = True
        ds.PixelData = b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\2\0\0\0ab\xfe\xff\xdd\xe0\0\0\0\0"

    write_series(tmp_path / "film", DATA[:, :2, :2], change=film)
    with pytest.raises(UnsupportedImageError, match="MPEG2"):
        read_volume(tmp_path / "film")


@pytest.mark.parametrize(
    ("slope", "intercept", "dtype"),
    [(1, 0, np.int16), (1, -1024, np.int16), (1, -32000, np.int32), (0.5, 3, np.float32)],
)
def test_values_are_rescaled_in_the_smallest_type_that_holds_them(
    tmp_path, write_series, slope, intercept, dtype
):
    write_series(tmp_path / "ct", DATA, RescaleSlope=slope, RescaleIntercept=intercept)
    data = read_volume(tmp_path / "ct").data
    assert data.dtype == dtype
    np.testing.assert_allclose(data, DATA * slope + float(intercept))


def test_each_slice_has_its_own_scale(tmp_path, write_series):
    def own(ds, index):
        ds.RescaleSlope = index + 1

    write_series(tmp_path / "pet", DATA, Modality="PT", change=own)
    volume = read_volume(tmp_path / "pet")
    np.testing.assert_array_equal(volume.data, DATA * np.arange(1, 5)[:, None, None])
    assert volume.modality == "PT"


def test_eight_bits_stay_eight_bits(tmp_path, write_series):
    def narrow(ds, index):
        ds.BitsAllocated = ds.BitsStored = 8
        ds.HighBit, ds.PixelRepresentation = 7, 0
        ds.PixelData = (DATA[index] % 256).astype(np.uint8).tobytes()

    write_series(tmp_path / "us", DATA, change=narrow)
    data = read_volume(tmp_path / "us").data
    assert data.dtype == np.uint8
    np.testing.assert_array_equal(data, DATA % 256)


@pytest.mark.parametrize(
    ("modality", "padding", "limit", "shown"),
    [("CT", -2000, None, -1024), ("CT", -2100, -1990, -1024), ("MR", -2000, None, 0)],
)
def test_padding_is_background_and_told(tmp_path, write_series, modality, padding, limit, shown):
    data = DATA.copy()
    data[:, 0], data[:, 1] = -2000, padding

    def pad(ds, index):
        ds.add_new("PixelPaddingValue", "SS", padding)
        if limit is not None:
            ds.add_new("PixelPaddingRangeLimit", "SS", limit)

    write_series(tmp_path / "ct", data, Modality=modality, change=pad)
    volume = read_volume(tmp_path / "ct")
    assert (volume.data[:, :2] == shown).all()
    np.testing.assert_array_equal(volume.data[:, 2:], DATA[:, 2:])
    assert volume.notes == (f"Padding, which is no measurement, is shown as {shown}.",)


def test_dark_and_bright_are_as_in_other_images(tmp_path, write_series):
    write_series(tmp_path / "dx", DATA, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(read_volume(tmp_path / "dx").data, -1 - DATA)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless], ids=lambda u: u.keyword)
def test_a_frame_of_another_size_than_the_header_says(tmp_path, write_series, syntax):
    (path,) = write_series(tmp_path, DATA[:1])
    ds = dcmread(path)
    ds.compress(syntax, generate_instance_uid=False)
    ds.Rows = 20
    ds.save_as(path)
    with pytest.raises(FileFormatError, match=r"shape \(64, 48, 1\), its header says \(20, 48\)"):
        read_volume(path)


def test_a_deflated_bomb_is_not_inflated(tmp_path, write_series, monkeypatch):
    (path,) = write_series(tmp_path, DATA[:1])
    save_as(path, DeflatedExplicitVRLittleEndian)
    monkeypatch.setattr("napari_medsam_lite.io.dicom_attributes._INFLATED_MOST", 1000)
    with pytest.raises(FileFormatError, match="deflated and holds more than"):
        read_volume(path)


def test_a_header_cannot_claim_more_than_there_is(tmp_path, write_series):
    (path,) = write_series(tmp_path, DATA[:1], Rows=60_000, Columns=60_000)
    with pytest.raises(FileFormatError, match="speaks of 7200000000 bytes"):
        read_volume(path)
