import multiprocessing
import os
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from napari_medsam_lite import Box3D, Volume, VolumePredictor
from napari_medsam_lite.core.agreement import dice
from napari_medsam_lite.core.frame import ModelFrame
from napari_medsam_lite.core.window import AS_STORED, Limits
from napari_medsam_lite.engine import disk_cache
from napari_medsam_lite.engine.cache import EmbeddingCache
from napari_medsam_lite.engine.disk_cache import OVERHEAD, DiskCache
from napari_medsam_lite.engine.disk_place import default_folder

FRAME = ModelFrame(512, 400)


@dataclass(frozen=True)
class Key:
    """The cache takes any dataclass of plain values."""

    slice: str = "a hash of voxels"
    limits: Limits = AS_STORED
    frame: ModelFrame = FRAME
    backend: str = "sdpa on a CPU with a checkpoint"


KEY = Key()


def other(number):
    return Key(slice=f"another hash {number}")


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
        {"slice": "other"},
        {"limits": Limits(0.0, 1.0)},
        {"frame": ModelFrame(512, 512)},
        {"backend": "eager"},
    ],
)
def test_all_of_the_key_counts(disk, change):
    disk.put(KEY, array())
    assert disk.get(replace(KEY, **change)) is None


def test_other_code_makes_other_embeddings(disk, monkeypatch):
    disk.put(KEY, array())
    monkeypatch.setattr(disk_cache, "code_version", lambda *_: "another")
    assert disk.get(KEY) is None


def test_an_entry_is_a_plain_npz(disk):
    disk.put(KEY, array())
    with np.load(disk.file(KEY), allow_pickle=False) as opened:
        assert opened.files == ["embedding"]
        np.testing.assert_array_equal(opened["embedding"], array())


def test_pickled_objects_are_not_read(disk, capsys):
    disk.put(KEY, array())
    np.savez(disk.file(KEY), embedding=np.array([print], object))
    assert disk.get(KEY) is None


def test_damage_is_seen_wherever_it_is(disk):
    disk.put(KEY, array())
    file = disk.file(KEY)
    whole = file.read_bytes()
    assert len(whole) < array().nbytes + OVERHEAD
    dense = {*range(300), *range(len(whole) - 300, len(whole))}  # the headers of zip and array
    for place in sorted(dense | {*range(0, len(whole), 13)}):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x54]) + whole[place + 1 :])
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
        disk.put(other(index), array(index))
        os.utime(disk.file(other(index)), (index, index))
    (tmp_path / "mine.txt").write_text("not the cache's")
    assert disk.get(other(0)) is not None
    for index in range(3, 9):
        disk.put(other(index), array(index))
        held = sum(file.stat().st_size for file in tmp_path.glob("*.npz"))
        assert held <= disk.max_bytes
        if index == 4:
            assert disk.get(other(0)) is not None
            assert disk.get(other(1)) is None
    assert disk.get(other(8)) is not None
    assert (tmp_path / "mine.txt").exists()


@pytest.mark.parametrize("name", [".0123abcd.{}", "{}.0123", "0123-00007.zarr.zip"])
def test_what_was_left_unfinished_goes_too_and_former_files(disk, name):
    disk.put(KEY, array())
    left = disk.folder / name.format(disk.file(KEY).name)
    left.write_bytes(b"half")
    os.utime(left, (1, 1))
    DiskCache(disk.folder, max_bytes=array().nbytes + OVERHEAD).put(other(8), array())
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
    assert not [file for file in disk.folder.iterdir() if file.name.startswith(".")]


def test_an_unusable_folder(tmp_path):
    (tmp_path / "file").write_text("in the way")
    disk = DiskCache(tmp_path / "file" / "embeddings")
    disk.put(KEY, array())
    assert disk.get(KEY) is None


def test_a_full_disk(disk, full_disk):
    with full_disk(at=4096):
        disk.put(KEY, array(count=100_000))
    assert disk.get(KEY) is None
    assert list(disk.folder.iterdir()) == []


def test_the_default_folder_is_the_users(own_cache):
    assert default_folder() == own_cache / "embeddings"
    assert DiskCache().folder == default_folder()
    assert not own_cache.exists()


class Codec:
    """What the cache asks of a backend."""

    def free_memory(self):
        return 2**30

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
    z, y, x = np.ogrid[:2, :180, :200]
    inside = ((y - 30) / 15) ** 2 + ((x - 40) / 20) ** 2 + z < 1
    hu = np.where(inside, 60, -90) + np.random.default_rng(0).normal(0, 8, inside.shape)
    return Volume(hu.astype(np.int16), (3, 1, 1)), Box3D(0, 14, 19, 1, 46, 61)


def segment(case, predictor, folder):
    """As if the case was opened again: nothing in memory, the disk cache another object."""
    predictor.cache = EmbeddingCache(disk=DiskCache(folder))
    predictor.set_volume(case[0])
    labels = predictor.segment_volume([case[1]])
    return labels, predictor.timings.slices_encoded


def test_a_case_opened_again_encodes_nothing(case, tmp_path):
    folder, predictor = tmp_path / "embeddings", VolumePredictor("sdpa", "cpu")
    first, encoded = segment(case, predictor, folder)
    assert encoded == 2
    assert first.any()
    again, encoded = segment(case, predictor, folder)
    assert encoded == 0
    np.testing.assert_array_equal(again, first)

    one, _ = sorted(folder.iterdir())
    one.write_bytes(one.read_bytes()[:-1000])
    repaired, encoded = segment(case, predictor, folder)
    assert encoded == 1
    np.testing.assert_array_equal(repaired, first)
    assert segment(case, predictor, folder)[1] == 0


def test_a_process_with_fewer_threads_finds_it_too(case, tmp_path):
    """A worker process has its share of the cores, which its device's name tells."""
    threads = torch.get_num_threads()
    first, _ = segment(case, VolumePredictor("sdpa", "cpu"), tmp_path)
    torch.set_num_threads(threads + 1)
    try:
        again, encoded = segment(case, VolumePredictor("sdpa", "cpu"), tmp_path)
    finally:
        torch.set_num_threads(threads)
    assert encoded == 0
    assert dice(again > 0, first > 0) > 0.999
