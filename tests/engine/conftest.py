import os
from pathlib import Path

import pytest


@pytest.fixture
def importable(monkeypatch):
    """Let this process, and those it starts, import the modules in this folder."""
    here = str(Path(__file__).parent)
    monkeypatch.syspath_prepend(here)
    monkeypatch.setenv("PYTHONPATH", here, prepend=os.pathsep)
