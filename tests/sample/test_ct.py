import hashlib
import time
from pathlib import Path

import numpy as np
import pytest

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.sample import ct as samples
from napari_medsam_lite.sample.ct import ct_phantom, totalseg_ct

HU = {
    "liver": (90, 130),
    "spleen": (105, 145),
    "right kidney": (155, 205),
    "left kidney": (155, 205),
    "aorta": (170, 230),
    "gallbladder": (0, 45),
}


@pytest.fixture(scope="module")
def phantom():
    return ct_phantom()


def test_the_phantom_is_a_ct(phantom):
    volume = phantom.volume
    assert volume.shape == (64, 256, 256)
    assert volume.data.dtype == np.int16
    assert volume.spacing == (3.0, 1.5, 1.5)
    np.testing.assert_array_equal(np.diag(volume.affine), [3, -1.5, -1.5, 1])  # LPS
    assert -1024 <= volume.data.min() < -900
    assert 400 < volume.data.max() < 1500
    noise = volume.data[:, :20, :20].std()  # air outside the body
    assert 8 < noise < 16


def test_the_organs_have_their_hu_and_size(phantom):
    assert tuple(HU) == phantom.names
    assert phantom.truth.max() == len(phantom.names)
    litre = 1e6 / np.prod(phantom.volume.spacing)
    for organ, name in enumerate(phantom.names, start=1):
        mask = phantom.truth == organ
        low, high = HU[name]
        assert low < phantom.volume.data[mask].mean() < high, name
        assert 0.01 < mask.sum() / litre < 2, name


def test_the_liver_is_on_the_right_and_the_kidneys_at_the_back(phantom):
    def middle(name):
        return np.argwhere(phantom.truth == phantom.names.index(name) + 1).mean(axis=0)

    liver, spleen = middle("liver"), middle("spleen")
    assert liver[2] < 128 < spleen[2]  # LPS: columns run from the patient's right to left
    assert middle("right kidney")[2] < middle("aorta")[2] < middle("left kidney")[2]
    assert middle("left kidney")[1] > liver[1]  # rows run to the back
    assert middle("left kidney")[0] < spleen[0]  # slices run to the head


def test_the_boxes_are_tight_and_grown_by_two_in_the_slice(phantom):
    for organ, box in enumerate(phantom.boxes, start=1):
        where = np.argwhere(phantom.truth == organ)
        z0, y0, x0 = where.min(axis=0)
        z1, y1, x1 = where.max(axis=0)
        assert (box.z0, box.y0, box.x0) == (z0, y0 - 2, x0 - 2)
        assert (box.z1, box.y1, box.x1) == (z1, y1 + 2, x1 + 2)
        assert z0 <= box.key <= z1


def test_equal_seeds_give_equal_voxels(phantom):
    start = time.perf_counter()
    again = ct_phantom(0)
    assert time.perf_counter() - start < 10  # 1.5 s on an idle machine
    assert again.volume.fingerprint == phantom.volume.fingerprint
    np.testing.assert_array_equal(again.truth, phantom.truth)
    assert ct_phantom(1).volume.fingerprint != phantom.volume.fingerprint


def test_the_real_ct_comes_from_the_cache(shared_ct, tmp_path, monkeypatch):
    content = (shared_ct / "totalseg_ct.nii.gz").read_bytes()
    assert hashlib.sha256(content).hexdigest() == samples.TOTALSEG_SHA256
    (tmp_path / samples.TOTALSEG_NAME).write_bytes(content)
    monkeypatch.setattr("pooch.core.stream_download", lambda *a, **k: pytest.fail("fetched"))
    assert totalseg_ct(tmp_path).shape == (30, 101, 122)


def test_offline_is_one_sentence(tmp_path, monkeypatch):
    def offline(*args, **kwargs):
        raise ConnectionError("no route to host")

    monkeypatch.setattr("pooch.retrieve", offline)
    with pytest.raises(
        FileFormatError, match=r"needs the network the first time .*phantom"
    ) as caught:
        totalseg_ct(tmp_path)
    assert "\n" not in str(caught.value)


def test_another_file_is_not_taken(tmp_path, monkeypatch):
    other = tmp_path / "other.nii.gz"
    other.write_bytes(b"something else")
    monkeypatch.setattr(samples, "TOTALSEG_URLS", (Path(other).as_uri(),))
    with pytest.raises(FileFormatError):
        totalseg_ct(tmp_path / "cache")
