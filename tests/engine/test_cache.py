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
