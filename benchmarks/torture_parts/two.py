"""Several processes on what they share: nothing torn, nothing lost, nothing done twice.

The embedding cache, the history of runs and the claims of a worklist; each process does something
to one of them, again and again, as fast as it can.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Protocol

import numpy as np

from napari_medsam_lite.core.frame import ModelFrame
from napari_medsam_lite.core.window import AS_STORED
from napari_medsam_lite.engine.disk_cache import OVERHEAD, SHARE_TO_CLEAR, DiskCache
from napari_medsam_lite.engine.embedding_key import EmbeddingKey
from torture_parts.monkey import SCRIPT

PROCESSES, KEYS, VALUES, ROOM = 4, 40, 20_000, 25
"""`ROOM` is how many of `KEYS` embeddings the bound has room for."""


class Shared(Protocol):
    """Something in a folder that several processes use."""

    def act(self, rng: random.Random) -> int:
        """Use it once; how much was wrong."""
        ...

    def left(self, acts: int) -> int:
        """How much is wrong after `acts` of all processes together."""
        ...


class Embeddings:
    """Reads are right or find nothing, and the bound holds."""

    def __init__(self, folder: Path) -> None:
        self._cache = DiskCache(folder / "embeddings", ROOM * (_array(0).nbytes + OVERHEAD))

    def act(self, rng: random.Random) -> int:
        """Put one or get one."""
        number = rng.randrange(KEYS)
        if rng.random() < 0.5:
            self._cache.put(_key(number), _array(number))
            return 0
        return self._is_wrong(number)

    def left(self, acts: int) -> int:
        """All that is there is right."""
        held = sum(path.stat().st_size for path in self._cache.folder.iterdir())
        most = self._cache.max_bytes * (1 + PROCESSES * SHARE_TO_CLEAR)
        return (held > most) + sum(self._is_wrong(number) for number in range(KEYS))

    def _is_wrong(self, number: int) -> bool:
        found = self._cache.get(_key(number))
        return found is not None and not np.array_equal(found, _array(number))


class Runs:
    """Every run that was added is there, once."""

    def __init__(self, folder: Path) -> None:
        from napari_medsam_lite.io.history import History

        self._history = History(folder / "history")

    def act(self, rng: random.Random) -> int:
        """Add one."""
        from napari_medsam_lite.io.history_entry import HistoryEntry

        self._history.add(HistoryEntry("CT", "0", "slice", "sdpa", "cpu"), b"a picture")
        return 0

    def left(self, acts: int) -> int:
        """None is lost."""
        return abs(len(self._history.entries()) - acts)


class Claims:
    """Of all who want a case one has it: what all count together is right."""

    def __init__(self, folder: Path) -> None:
        self._case, self._count = folder / "case.nii.gz", folder / "count"

    def act(self, rng: random.Random) -> int:
        """Count one more, where no other may."""
        from napari_medsam_lite.io.claims import Claim

        while not isinstance(claim := Claim.take(self._case), Claim):
            pass
        count = int(self._count.read_text()) if self._count.exists() else 0
        self._count.write_text(str(count + 1))
        claim.release()
        return 0

    def left(self, acts: int) -> int:
        """None was counted over."""
        return abs(int(self._count.read_text()) - acts)


SHARED: dict[str, type[Shared]] = {"embeddings": Embeddings, "history": Runs, "claims": Claims}
SHARE_OF_ROUNDS = {"embeddings": 1.0, "history": 0.2, "claims": 0.1}
"""Some take longer."""


def two(rounds: int) -> int:
    """Let `PROCESSES` go at once at each, and look at what they left; how many faults."""
    faults = 0
    for name, shared in SHARED.items():
        count = max(int(rounds * SHARE_OF_ROUNDS[name]), 10)
        with tempfile.TemporaryDirectory(prefix="torture-") as folder:
            command = [sys.executable, str(SCRIPT), "two", "--inside", folder, "--shared", name]
            command += ["--rounds", str(count)]
            running = [
                subprocess.Popen([*command, "--seed", str(seed)]) for seed in range(PROCESSES)
            ]
            found = sum(process.wait() for process in running)
            found += shared(Path(folder)).left(PROCESSES * count)
        print(f"two: {PROCESSES} processes, {name}, {PROCESSES * count} acts, {found} faults")
        faults += found
    return faults


def inside(folder: Path, name: str, rounds: int, seed: int) -> int:
    """One process; how much was wrong."""
    rng, shared = random.Random(seed), SHARED[name](folder)
    return sum(shared.act(rng) for _ in range(rounds))


def _key(number: int) -> EmbeddingKey:
    return EmbeddingKey(str(number), AS_STORED, ModelFrame(8, 8), "a preset")


def _array(number: int) -> np.ndarray:
    return np.full(VALUES, number, np.float16)
