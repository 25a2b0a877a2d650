"""The store: nothing is lost by two processes, a kill, a damaged file or a full disk."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.segmentation import SliceRecord
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.io.history import History
from napari_medsam_lite.io.history_entry import HistoryEntry
from napari_medsam_lite.io.runfile import RunRecord

RECORD = RunRecord("ct", (Box3D(1, 2, 3, 4, 5, 6, 2),), Settings(), "0" * 64, ids=(1,))


@pytest.fixture
def history():
    return History()


def entry(image="ct", **fields):
    return HistoryEntry(image, "f" * 32, "volume", "sdpa", "cpu", **fields)


def images(history):
    return [each.image for each in history.entries()]


def test_nothing_is_written_by_looking(history, own_state):
    assert history.entries() == []
    assert history.picture("x") == b""
    history.purge(own=True)
    assert not own_state.exists()


def test_a_run_is_kept_whole_and_listed_without_its_record(history):
    rows = tuple(SliceRecord(1, index, 0.9) for index in range(500))
    run = entry(segments=("liver",), record=replace(RECORD, slices=rows), affine=((1.0,) * 4,) * 4)
    history.add(run, b"png")
    again = History()
    assert again.entries() == [replace(run, record=None)]
    assert again.get(run.id[:6]) == run
    assert again.picture(run.id) == b"png"
    assert oct(history.file.parent.stat().st_mode & 0o777) == "0o700"


def test_the_latest_is_first_whatever_the_clock_said(history):
    future = datetime.now(UTC) + timedelta(days=9000)
    history.add(entry("of the future", started=future))
    history.add(entry("now"))
    assert images(history) == ["now", "of the future"]


def test_an_id_must_tell(history):
    history.add(entry("a", id="abc1"))
    history.add(entry("b", id="abc2"))
    assert history.get("abc2").image == "b"
    for start, told in (("abc", "Several runs begin with 'abc'"), ("x%", "no run"), ("", "no run")):
        with pytest.raises(MedSAMLiteError, match=told):
            history.get(start)


def test_deleted_runs_come_back_until_they_are_purged(history):
    runs = [entry(name) for name in "abc"]
    for run in runs:
        history.add(run, b"png")
    other = History()
    history.delete([runs[0].id, runs[2].id])
    assert images(other) == ["b"]
    other.purge(own=True)
    history.restore([runs[0].id])
    assert images(other) == ["b", "a"], "one window does not purge what another has deleted"
    history.purge(own=True)
    history.restore([runs[2].id])
    assert images(history) == ["b", "a"]
    assert history.picture(runs[2].id) == b""
    assert history.picture(runs[0].id) == b"png"


def test_what_a_process_deleted_and_left_is_purged_at_the_next_start(history):
    run = entry()
    history.add(run)
    script = (
        "import sys; from napari_medsam_lite.io.history import History; "
        "History(sys.argv[1]).delete(sys.argv[2:])"
    )
    subprocess.run([sys.executable, "-c", script, history.file.parent, run.id], check=True)
    assert images(history) == []
    history.purge(own=False)
    history.restore([run.id])
    assert images(history) == []


def test_known_runs_are_not_added_twice(history):
    known, new = entry("known", record=RECORD), entry("new")
    history.add(known, b"png")
    history.add_missing([replace(known, image="changed"), new])
    assert images(history) == ["new", "known"]
    assert history.picture(known.id) == b"png"


def test_the_oldest_make_room(own_state):
    history = History(max_runs=3, max_picture_bytes=25)
    runs = [entry(name) for name in "abcde"]
    for run in runs:
        history.add(run, b"0123456789")
    assert images(history) == ["e", "d", "c"]
    assert [len(history.picture(run.id)) for run in runs] == [0, 0, 0, 10, 10]


def test_what_is_deleted_is_not_left_in_the_file(history):
    run = entry("UNMISTAKABLE")
    history.add(run, b"PICTURE" * 5000)
    history.delete([run.id])
    history.purge(own=True)
    content = history.file.read_bytes()
    assert b"UNMISTAKABLE" not in content
    assert b"PICTURE" not in content
    assert len(content) < 35_000


ADD_AND_DELETE = """
import sys
from napari_medsam_lite.io.history import History
from napari_medsam_lite.io.history_entry import HistoryEntry
history, name = History(sys.argv[1]), sys.argv[2]
for number in range(int(sys.argv[3])):
    run = HistoryEntry(name, "f", "slice", "sdpa", "cpu", slices=number)
    history.add(run, b"png" * 5000)
    if number % 2:
        history.delete([run.id])
        history.purge(own=True)
    print(number, flush=True)
"""


def test_two_processes_add_and_delete_at_once(history):
    arguments = [sys.executable, "-c", ADD_AND_DELETE, history.file.parent]
    both = [subprocess.Popen([*arguments, name, "30"], stdout=-1) for name in "ab"]
    for process in both:
        process.communicate(timeout=100)
        assert process.returncode == 0
    for name in "ab":
        kept = [each.slices for each in history.entries() if each.image == name]
        assert kept == list(range(28, -1, -2))


def test_a_process_killed_while_it_adds_leaves_all_before(history):
    arguments = [sys.executable, "-c", ADD_AND_DELETE, history.file.parent, "a", "100000"]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(7):
        told = int(process.stdout.readline())
    time.sleep(0.003)
    os.kill(process.pid, signal.SIGKILL)
    rest = process.communicate()[0].split()
    last = int(rest[-1]) if rest else told
    kept = {each.slices for each in history.entries()}
    assert kept >= set(range(0, last + 1, 2))
    history.add(entry("after"))
    assert images(history)[0] == "after"
    with sqlite3.connect(history.file) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    file.close()


@pytest.mark.parametrize("damage", ["text", "cut", "zeros"])
def test_a_damaged_file_is_set_aside_and_told(own_state, damage):
    told = []
    history = History(tell=told.append)
    for number in range(40):
        history.add(entry(f"{number}" * 50), b"x" * 5000)
    content = history.file.read_bytes()
    spoilt = {
        "text": b"this is no database " * 1000,
        "cut": content[: len(content) // 3],
        "zeros": content[:100] + bytes(len(content) - 100),
    }[damage]
    history.file.write_bytes(spoilt)
    history.add(entry("after"))
    assert images(history) == ["after"]
    (sentence,) = told
    aside = history.file.with_name("damaged.sqlite3")
    assert sentence == f"The history was damaged and is begun anew; the old file is {aside}."
    assert aside.read_bytes() == spoilt


def test_a_line_that_is_not_ours_is_passed_over(history):
    history.add(entry("a"))
    file = sqlite3.connect(history.file)
    file.execute("INSERT INTO runs (id, entry) VALUES ('x', '{}'), ('y', 'no json')")
    file.commit()
    file.close()
    assert images(history) == ["a"]
    for each in "xy":
        with pytest.raises(MedSAMLiteError, match="damaged"):
            history.get(each)


def test_a_newer_file_is_left_alone(history):
    history.add(entry())
    file = sqlite3.connect(history.file)
    file.execute("PRAGMA user_version = 99")
    file.close()
    before = history.file.read_bytes()
    with pytest.raises(MedSAMLiteError, match="newer version; update"):
        history.add(entry())
    assert history.file.read_bytes() == before


def test_a_full_disk_is_told_and_what_was_there_stays(history, full_disk):
    history.add(entry("a"))
    with full_disk(at=history.file.stat().st_size), pytest.raises(MedSAMLiteError) as told:
        history.add(entry("b"), b"x" * 200_000)
    assert "the disk is full" in str(told.value)
    assert images(history) == ["a"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MedSAMLiteError, match="cannot be used"):
        History(tmp_path / "file" / "history").add(entry())


def test_no_handle_stays_open(history):
    for number in range(5):
        history.add(entry(str(number)))
    descriptors = Path("/proc/self/fd")
    if descriptors.is_dir():
        targets = [each.readlink() for each in descriptors.iterdir() if each.is_symlink()]
        assert not [each for each in targets if history.file.parent in each.parents]
