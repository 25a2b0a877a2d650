import threading
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from napari_medsam_lite.engine.cache import MOST_BYTES, EmbeddingCache


@dataclass(frozen=True)
class Key:
    slice: int


class Device:
    """A backend whose device has `free` bytes for embeddings."""

    def __init__(self, free):
        self.free = free

    def free_memory(self):
        return self.free


def key(index):
    return Key(index)


def embedding(value=0):
    return np.full(100, value, np.uint8)


def test_the_least_recently_used_makes_room():
    cache = EmbeddingCache(max_bytes=250)
    cache.put(key(0), embedding(0))
    cache.put(key(1), embedding(1))
    assert cache.get(key(0))[0] == 0
    cache.put(key(2), embedding(2))
    assert key(1) not in cache
    assert key(0) in cache
    assert cache.nbytes == 200
    assert cache.get(key(1)) is None


def test_putting_again_replaces():
    cache = EmbeddingCache(max_bytes=250)
    cache.put(key(0), embedding(1))
    cache.put(key(0), embedding(2))
    assert len(cache) == 1
    assert cache.nbytes == 100
    assert cache.get(key(0))[0] == 2


def test_one_embedding_larger_than_the_bound_is_kept():
    cache = EmbeddingCache(max_bytes=10)
    cache.put(key(0), embedding())
    assert key(0) in cache


def test_the_default_bound_is_a_quarter_of_the_devices_memory():
    """1,600 bytes, whoever holds them, are room for four embeddings."""
    cache, device = EmbeddingCache(), Device(1600)
    for index in range(10):
        cache.put(key(index), embedding(), device)
        device.free = 1600 - cache.nbytes
        assert cache.max_bytes == 400
    assert len(cache) == 4
    assert cache.is_full


def test_the_default_bound_follows_what_others_take():
    cache, device = EmbeddingCache(), Device(10_000)
    for index in range(20):
        cache.put(key(index), embedding(), device)
    assert len(cache) == 20
    device.free = 400  # another program came
    cache.put(key(20), embedding(), device)
    assert len(cache) == 6
    assert key(20) in cache
    assert key(0) not in cache


def test_the_default_bound_is_two_gigabytes_at_most():
    cache = EmbeddingCache()
    cache.put(key(0), embedding(), Device(2**50))
    assert cache.max_bytes == MOST_BYTES == 2 * 2**30


def test_a_bound_that_was_named_stays():
    cache = EmbeddingCache(max_bytes=250)
    cache.put(key(0), embedding(), Device(8))
    assert cache.max_bytes == 250


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
def test_the_bound_is_that_of_the_gpu():
    from napari_medsam_lite.acceleration.torch.device import free_memory

    device = torch.device("cuda")
    before = free_memory(device)
    taken = torch.empty(2**28, dtype=torch.uint8, device=device)
    assert before - free_memory(device) == pytest.approx(2**28, rel=0.2)
    del taken
    assert free_memory(device) == pytest.approx(before, rel=0.05)  # though torch keeps it


class Disk:
    """A second level that keeps nothing; `then` is called when something comes."""

    def __init__(self, then=lambda: None):
        self.then = then

    def put(self, key, array):
        self.then()


class HalfPrecision(Device):
    """A backend whose embeddings can be kept on disk."""

    def __init__(self):
        super().__init__(2**30)

    def embedding_to_array(self, embedding):
        return embedding.astype(np.float16)

    def embedding_from_array(self, array):
        return array.astype(np.float32)


THIRD = np.full(4, 1 / 3, np.float32)


def test_switching_the_disk_on_or_off_starts_memory_anew():
    cache, backend, disk = EmbeddingCache(), HalfPrecision(), Disk()
    cache.put(key(0), THIRD, backend)
    cache.disk = None
    assert key(0) in cache
    cache.disk = disk
    assert key(0) not in cache
    assert (len(cache), cache.nbytes) == (0, 0)
    assert cache.put(key(0), THIRD, backend)[0] != THIRD[0]
    cache.disk = disk
    assert key(0) in cache
    cache.disk = None
    assert key(0) not in cache


def test_what_comes_while_the_disk_is_switched_is_not_kept():
    cache = EmbeddingCache()
    cache.disk = Disk(lambda: setattr(cache, "disk", None))
    cache.put(key(0), THIRD, HalfPrecision())
    assert key(0) not in cache


def test_looking_whether_it_is_full_while_another_thread_puts():
    cache = EmbeddingCache(max_bytes=1000)
    put = threading.Event()

    class Slow:
        @property
        def nbytes(self):
            if threading.current_thread() is threading.main_thread():
                begin.set()
                put.wait(0.2)
            return 100

    def put_another():
        begin.wait()
        cache.put(key(9), Slow())
        put.set()

    begin = threading.Event()
    begin.set()
    for index in range(2):
        cache.put(key(index), Slow())
    begin.clear()
    thread = threading.Thread(target=put_another)
    thread.start()
    assert not cache.is_full
    thread.join()
    assert len(cache) == 3


def test_threads():
    cache = EmbeddingCache(max_bytes=1000)

    def work(start):
        for i in range(start, start + 300):
            cache.put(key(i % 37), embedding())
            cache.get(key((i * 7) % 37))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.nbytes == 100 * len(cache) <= 1000
