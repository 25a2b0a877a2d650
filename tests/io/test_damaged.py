"""The harness of `benchmarks/damaged_files.py` in short: one kind of file after the other."""

import importlib
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="Windows has no limits for one process")
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork where threads are
def test_damaged_files_are_refused_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    inputs = importlib.import_module("damaged_inputs")
    files = importlib.import_module("damaged_files")
    try:
        made = list(inputs.make_inputs(tmp_path))
        assert len(made) >= 80
        outcomes = [files.check(one) for one in made[::6]]
    finally:
        for name in ("damaged_inputs", "damaged_files", "damaged_dicom"):
            sys.modules.pop(name, None)
    assert {one.name: one.fault for one in outcomes if one.fault} == {}
