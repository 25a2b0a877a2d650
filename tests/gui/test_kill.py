"""The short form of `benchmarks/kill.py`: processes that are killed lose nothing but moments."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kill.py"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the processes are forked")
def test_what_a_kill_leaves_is_right(tmp_path):
    found = subprocess.run(
        [sys.executable, str(SCRIPT), "--kills", "4", "--seed", "3", "--json"],
        capture_output=True,
        text=True,
        timeout=180,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )
    report = json.loads(found.stdout)
    assert report["kills"] == 5
    assert report["restores"] > 0
    assert (report["crashes"], report["wrong"], report["files_damaged"]) == (0, 0, 0)
    assert report["lost_s_max"] <= 4  # two on a machine that has nothing else to do
