import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.io import claims
from napari_medsam_lite.io.claims import STALE_S, SUFFIX, Claim, Holder, holder

HOURS = 5 * 3600

HOLD = """
import sys
from napari_medsam_lite.io.claims import Claim
print(type(Claim.take(sys.argv[1])).__name__, flush=True)
sys.stdin.read()
"""
RACE = """
import os, random, sys, time
from pathlib import Path
from napari_medsam_lite.io.claims import Claim
path, seed = Path(sys.argv[1]), int(sys.argv[2])
chance = random.Random(seed)
inside = path.with_name("inside")
won = 0
end = time.monotonic() + 1.5
print("ready", flush=True)
sys.stdin.readline()
while time.monotonic() < end:
    claim = Claim.take(path, stale_s=0)  # so that claims of another machine are stale at once
    if isinstance(claim, Claim):
        os.close(os.open(inside, os.O_CREAT | os.O_EXCL))  # fails where two are inside
        won += 1
        os.unlink(inside)
        if chance.random() < 0.5:
            claim.release()
        else:  # leave it as a machine that was switched off does
            file = claim._file
            unfinished = path.with_name(f"unfinished{seed}")
            unfinished.write_text(file.read_text().replace(claim.holder.machine, "elsewhere"))
            unfinished.replace(file)
print(won)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "case.nii.gz"


@pytest.fixture
def start():
    """Start another process on a claim; ends all at the end."""
    started = []

    def start(script, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def claim_files(path):
    return sorted(path.parent.glob(f".*{SUFFIX}"))


def as_of_another_machine(path, age=0.0, **changes):
    """The claim on `path` as if a process of another machine had made it."""
    claim = Claim.take(path)
    (file,) = claim_files(path)
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "machine": "elsewhere", **changes}))
    now = time.time()
    os.utime(file, (now - age, now - age))
    return claim


def test_what_is_taken_is_told_until_it_is_released(path):
    claim = Claim.take(path)
    assert isinstance(claim, Claim)
    assert claim.holder.pid == os.getpid()
    assert holder(path) == claim.holder
    assert Claim.take(path) == claim.holder
    assert claim.refresh()
    claim.release()
    assert holder(path) is None
    assert not claim.refresh()
    assert claim_files(path) == []
    assert not path.exists()


def test_claims_on_other_names_do_not_meet(tmp_path):
    names = ["a", "a.b", "a.1", ".a", "b"]
    assert all(isinstance(Claim.take(tmp_path / name), Claim) for name in names)


def test_only_ones_own_is_released(path):
    first = Claim.take(path)
    (file,) = claim_files(path)
    file.write_text(json.dumps({**json.loads(file.read_text()), "token": "another"}))
    assert not first.refresh()
    first.release()
    assert holder(path).token == "another"


def test_another_process_holds_it_until_it_is_killed(path, start):
    process = start(HOLD, path)
    assert process.stdout.readline() == "Claim\n"
    told = Claim.take(path)
    assert isinstance(told, Holder)
    assert told.pid == process.pid
    process.kill()
    process.wait()
    mine = Claim.take(path)
    assert isinstance(mine, Claim)
    assert len(claim_files(path)) == 1
    assert mine.refresh()


def test_of_many_at_once_one_at_a_time_is_inside(path, start):
    racers = [start(RACE, path, seed) for seed in range(4)]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("\n")
        racer.stdin.flush()
    won = [int(racer.stdout.read()) for racer in racers]
    assert all(racer.wait() == 0 for racer in racers)
    assert sum(won) > 20


def test_of_many_threads_one_gets_it(path):
    for _ in range(20):
        as_of_another_machine(path, age=STALE_S + 1)
        gate, got = threading.Barrier(4), []

        def take(gate=gate, got=got):
            gate.wait()
            got.append(Claim.take(path))

        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (won,) = [each for each in got if isinstance(each, Claim)]
        won.release()


@pytest.mark.parametrize("hours", [HOURS, -HOURS])
def test_a_clock_that_jumps_steals_nothing_and_keeps_nothing(path, start, monkeypatch, hours):
    process = start(HOLD, path)
    process.stdout.readline()
    now = time.time() + hours
    monkeypatch.setattr(time, "time", lambda: now)
    (file,) = claim_files(path)
    os.utime(file, (now, now))
    assert holder(path).pid == process.pid
    process.kill()
    process.wait()
    assert holder(path) is None


def test_a_number_that_another_process_has_now_is_not_the_holder(path):
    claim = Claim.take(path)
    (file,) = claim_files(path)
    content = json.loads(file.read_text())
    for other in ({"started": "1"}, {"boot": "an earlier one"}, {"pid": 2**22 + 1}):
        file.write_text(json.dumps({**content, **other}))
        assert holder(path) is None
    file.write_text(json.dumps(content))
    assert holder(path) == claim.holder


def test_a_zombie_holds_nothing(path, start):
    process = start(HOLD, path)
    process.stdout.readline()
    process.kill()  # and not waited for
    end = time.monotonic() + 10
    while holder(path) is not None and time.monotonic() < end:
        time.sleep(0.01)
    assert holder(path) is None


def test_another_machine_is_believed_while_its_file_is_touched(path):
    as_of_another_machine(path, age=STALE_S / 2)
    assert holder(path).machine == "elsewhere"
    assert isinstance(Claim.take(path), Holder)


@pytest.mark.parametrize("age", [STALE_S + 5, -HOURS])
def test_another_machine_that_is_gone_is_replaced(path, age):
    former = as_of_another_machine(path, age=age)
    assert holder(path) is None
    mine = Claim.take(path)
    assert isinstance(mine, Claim)
    assert not former.refresh()
    former.release()
    assert holder(path) == mine.holder


def test_refreshing_makes_it_young(path):
    claim = Claim.take(path)
    (file,) = claim_files(path)
    os.utime(file, (1, 1))
    assert claim.refresh()
    assert abs(file.stat().st_mtime - time.time()) < 60


@pytest.mark.parametrize("content", ["", "[]", "{", '{"pid": 1}'])
def test_a_file_that_is_not_filled_yet_is_somebodys(path, content):
    Claim.take(path)
    (file,) = claim_files(path)
    file.write_text(content)
    assert holder(path).who == "somebody"
    os.utime(file, (1, 1))
    assert isinstance(Claim.take(path), Claim)


def test_who_looked_too_early_gives_up(path, monkeypatch):
    """The stale claim is let go and taken anew between a look and the next file."""
    former = as_of_another_machine(path, age=STALE_S + 5)
    write, met = claims._written, []

    def slow(file, mine):
        if not met:
            met.append(None)
            former.release()
            met[0] = Claim.take(path)
        return write(file, mine)

    monkeypatch.setattr(claims, "_written", slow)
    late = Claim.take(path)
    assert late == met[0].holder
    assert met[0].refresh()
    assert len(claim_files(path)) == 1


def test_where_nothing_can_be_written_it_is_said(tmp_path):
    with pytest.raises(FileFormatError, match="does not exist"):
        Claim.take(tmp_path / "missing" / "case")
    assert holder(tmp_path / "missing" / "case") is None


def test_whom_it_names_can_be_read_by_people():
    me = Holder.myself()
    assert me.is_here and me.is_running
    assert me.who and me.host
    assert replace(me, machine="elsewhere").is_here is False


@pytest.mark.parametrize(("wanted", "told"), [("reader-1", "reader-1"), (" ", None), (None, None)])
def test_a_user_may_choose_a_name(monkeypatch, wanted, told):
    monkeypatch.setattr("getpass.getuser", lambda: "a.b")
    if wanted is None:
        monkeypatch.delenv("MEDSAM_LITE_NAME", raising=False)
    else:
        monkeypatch.setenv("MEDSAM_LITE_NAME", wanted)
    claims._user.cache_clear()
    who = claims._user()
    claims._user.cache_clear()
    assert who == (told or "a.b")
