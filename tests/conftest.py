"""What all tests may use."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_ct() -> Path:
    """The folder with the real CT and the published scripts' answers, beside the repository."""
    folder = Path(__file__).parents[1].parent / "shared" / "ct"
    if not folder.is_dir():
        pytest.skip(f"the real CT is not here ({folder})")
    return folder
