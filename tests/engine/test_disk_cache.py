import multiprocessing
import os
from dataclasses import replace
from importlib import metadata

import numpy as np
import pytest

from napari_medsam_lite import Box3D, Volume, VolumePredictor
from napari_medsam_lite.core.errors import BackendUnavailableError
from napari_medsam_lite.core.window import AS_STORED, Limits
from napari_medsam_lite.engine import disk_cache
from napari_medsam_lite.engine.cache import EmbeddingCache
from napari_medsam_lite.engine.disk_cache import OVERHEAD, DiskCache, default_folder
from napari_medsam_lite.engine.embedding_key import EmbeddingKey

KEY = EmbeddingKey("volume", 0, 7, AS_STORED, "sdpa on a CPU with a checkpoint")


def key(index):
    return replace(KEY, index=index)


def array(value=0, count=1000):
    return (np.arange(count).reshape(2, -1) / 512 + value).astype(np.float16)


@pytest.fixture
def disk(tmp_path):
    return DiskCache(tmp_path / "embeddings")


def test_another_process_finds_what_was_put(disk):
    disk.put(KEY, array())
    found = DiskCache(disk.folder).get(KEY)
    np.testing.assert_array_equal(found, array())
    assert found.dtype == np.float16


@pytest.mark.parametrize(
    "change",
    [
        {"volume": "other"},
        {"axis": 1},
        {"index": 8},
        {"limits": Limits(0.0, 1.0)},
        {"backend": "eager"},
    ],
)
def test_all_of_the_key_counts(disk, change):
    disk.put(KEY, array())
    assert disk.get(replace(KEY, **change)) is None


def test_other_code_makes_other_embeddings(disk, monkeypatch):
    disk.put(KEY, array())
    monkeypatch.setattr(disk_cache, "code_version", lambda: "another")
    assert disk.get(KEY) is None


def test_an_entry_is_a_zarr_array(disk):
    import zarr

    disk.put(KEY, array())
    store = zarr.storage.ZipStore(disk.file(KEY), mode="r")
    opened = zarr.open_array(store, mode="r")
    np.testing.assert_array_equal(opened[...], array())
    assert opened.metadata.zarr_format == 3
    assert opened.attrs["index"] == 7
    store.close()


def test_damage_is_seen_wherever_it_is(disk):
    disk.put(KEY, array())
    file = disk.file(KEY)
    whole = file.read_bytes()
    assert len(whole) < array().nbytes + OVERHEAD
    for place in range(0, len(whole), 13):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        found = disk.get(KEY)
        assert found is None or np.array_equal(found, array()), place
    for end in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:end])
        assert disk.get(KEY) is None
    disk.put(KEY, array())
    np.testing.assert_array_equal(disk.get(KEY), array())


def test_the_least_recently_used_files_make_room(tmp_path):
    disk = DiskCache(tmp_path, max_bytes=4 * (array().nbytes + OVERHEAD))
    for index in range(3):
        disk.put(key(index), array(index))
        os.utime(disk.file(key(index)), (index, index))
    (tmp_path / "mine.txt").write_text("not the cache's")
    assert disk.get(key(0)) is not None
    for index in range(3, 9):
        disk.put(key(index), array(index))
        held = sum(file.stat().st_size for file in tmp_path.glob("*.zarr.zip"))
        assert held <= disk.max_bytes
        if index == 4:
            assert disk.get(key(0)) is not None
            assert disk.get(key(1)) is None
    assert disk.get(key(8)) is not None
    assert (tmp_path / "mine.txt").exists()


def test_what_was_left_unfinished_goes_too(disk):
    disk.put(KEY, array())
    left = disk.file(KEY).with_suffix(".zip.0123")
    left.write_bytes(b"half")
    os.utime(left, (1, 1))
    DiskCache(disk.folder, max_bytes=array().nbytes + OVERHEAD).put(key(8), array())
    assert not left.exists()


def test_an_embedding_larger_than_the_bound_is_not_kept(tmp_path):
    disk = DiskCache(tmp_path / "embeddings", max_bytes=100)
    disk.put(KEY, array())
    assert disk.get(KEY) is None


def test_two_processes_at_once(disk, importable):
    from cache_work import write_and_read

    context = multiprocessing.get_context("spawn")
    others = [
        context.Process(target=write_and_read, args=(disk.folder, start)) for start in (100, 200)
    ]
    for other in others:
        other.start()
    for other in others:
        other.join(120)
    assert [other.exitcode for other in others] == [0, 0]
    assert not [file for file in disk.folder.iterdir() if file.suffix != ".zip"]


def test_an_unusable_folder(tmp_path):
    (tmp_path / "file").write_text("in the way")
    disk = DiskCache(tmp_path / "file" / "embeddings")
    disk.put(KEY, array())
    assert disk.get(KEY) is None


def test_a_full_disk(disk):
    resource = pytest.importorskip("resource", reason="Windows has no limit on a file's size")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        disk.put(KEY, array(count=100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert disk.get(KEY) is None
    assert list(disk.folder.iterdir()) == []


@pytest.mark.parametrize("version", [None, "2.18.7"])
def test_without_zarr(monkeypatch, version):
    def answer(name):
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(disk_cache.metadata, "version", answer)
    with pytest.raises(BackendUnavailableError, match=r"napari-medsam-lite\[disk-cache\]"):
        DiskCache()


def test_the_default_folder_is_the_users(monkeypatch, tmp_path):
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path / "cache"))
    assert default_folder() == tmp_path / "cache" / "embeddings"
    assert DiskCache().folder == default_folder()
    assert not (tmp_path / "cache").exists()


class Codec:
    """What the cache asks of a backend."""

    def embedding_to_array(self, embedding):
        return embedding.astype(np.float16)

    def embedding_from_array(self, array):
        return array.astype(np.float32)


def test_memory_before_disk(disk):
    cache = EmbeddingCache(disk=disk)
    third = np.full((2, 2), 1 / 3, np.float32)
    kept = cache.put(KEY, third, Codec())
    assert kept.dtype == np.float32
    assert cache.get(KEY) is kept
    again = EmbeddingCache(disk=disk)
    assert again.get(KEY) is None
    np.testing.assert_array_equal(again.get(KEY, Codec()), kept)
    disk.file(KEY).unlink()
    assert again.get(KEY) is not None


@pytest.fixture(scope="module")
def case():
    """Two slices with a bright disk, and its box."""
    z, y, x = np.ogrid[:2, :60, :80]
    inside = ((y - 30) / 15) ** 2 + ((x - 40) / 20) ** 2 + z < 1
    hu = np.where(inside, 60, -90) + np.random.default_rng(0).normal(0, 8, inside.shape)
    return Volume(hu.astype(np.int16), (3, 1, 1)), Box3D(0, 14, 19, 1, 46, 61)


def segment(case, disk, network=None):
    predictor = VolumePredictor("sdpa", "cpu", cache=EmbeddingCache(disk=disk))
    predictor._backend = network
    predictor.set_volume(case[0])
    labels = predictor.segment_volume([case[1]])
    # A worker process has fewer of them, and what it kept is of use to all.
    assert "threads" in predictor.device
    assert "threads" not in predictor._key(0).backend
    return labels, predictor.timings.slices_encoded, predictor.load()


def test_a_case_opened_again_encodes_nothing(case, disk):
    first, encoded, network = segment(case, disk)
    assert encoded == 2
    assert first.any()
    again, encoded, _ = segment(case, DiskCache(disk.folder), network)
    assert encoded == 0
    np.testing.assert_array_equal(again, first)

    one, _ = sorted(disk.folder.iterdir())
    one.write_bytes(one.read_bytes()[:-1000])
    repaired, encoded, _ = segment(case, disk, network)
    assert encoded == 1
    np.testing.assert_array_equal(repaired, first)
    assert segment(case, disk, network)[1] == 0

    (disk.folder.parent / "file").write_text("in the way")
    without, encoded, _ = segment(case, DiskCache(disk.folder.parent / "file"), network)
    assert encoded == 2
    np.testing.assert_array_equal(without, first)
