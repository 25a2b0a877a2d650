import threading

import numpy as np

from napari_medsam_lite.core.window import AS_STORED
from napari_medsam_lite.engine.cache import EmbeddingCache
from napari_medsam_lite.engine.embedding_key import EmbeddingKey


def key(index):
    return EmbeddingKey("volume", 0, index, AS_STORED, "backend")


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


def test_the_default_bound():
    assert 0 < EmbeddingCache().max_bytes <= 2 * 2**30


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
