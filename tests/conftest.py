"""What all tests may use."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# How long an example takes says how busy the machine is, and nothing else.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")
WAIT_MS = 60_000
LONGEST = ("test_torture.py", "acceleration", "window", "parity")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first: of two processes none is left with one at the end."""

    def rank(item: pytest.Item) -> int:
        parts = item.nodeid.partition("::")[0].split("/")
        return next((n for n, name in enumerate(LONGEST) if name in parts), len(LONGEST))

    items.sort(key=rank)


@pytest.fixture
def qtbot(qtbot: Any) -> Any:
    """pytest-qt's, with patience: what is waited for comes at once, but not on a busy machine."""
    qtbot.waitUntil = partial(qtbot.waitUntil, timeout=WAIT_MS)
    return qtbot


@pytest.fixture(scope="session")
def shared_ct() -> Path:
    """The folder with the real CT and the published scripts' answers, beside the repository."""
    folder = Path(__file__).parents[1].parent / "shared" / "ct"
    if not folder.is_dir():
        pytest.skip(f"the real CT is not here ({folder})")
    return folder


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own, not made yet; processes that it starts use it too."""
    folder = tmp_path_factory.mktemp("home") / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    monkeypatch.setattr("platformdirs.user_state_dir", lambda *_, **__: str(folder))
    return folder


@pytest.fixture(autouse=True)
def own_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A settings folder of the test's own, not made yet; processes that it starts use it too."""
    folder = tmp_path_factory.mktemp("own") / "settings"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    monkeypatch.setattr("platformdirs.user_config_dir", lambda *_, **__: str(folder))
    return folder


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own, not made yet."""
    folder = tmp_path / "cache"
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(folder))
    return folder


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """``with full_disk(at=SIZE):`` no file grows beyond SIZE bytes, as on a full disk."""
    resource = pytest.importorskip("resource", reason="Windows has no limit on a file's size")

    @contextmanager
    def limited(at: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (at, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited
