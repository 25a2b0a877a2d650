import os
import subprocess
import sys
import time

import numpy as np
import pytest

from napari_medsam_lite.io.autosaved import (
    DAY_S,
    JOURNAL,
    MOST_DAYS,
    default_root,
    discard,
    open_workplace,
    tidy,
)
from napari_medsam_lite.io.journal_records import Patch

SHAPE = (3, 4, 5)
PRINT = "0123abcd"

WINDOW = """
import sys
import numpy as np
from napari_medsam_lite.io.autosaved import open_workplace
from napari_medsam_lite.io.journal_records import Patch
place = open_workplace("0123abcd", (3, 4, 5), sys.argv[1])
place.journal.append([Patch((1,), np.full((4, 5), 7, np.uint8))], {"segments": [1]})
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def root(tmp_path):
    return tmp_path / "autosave"


@pytest.fixture
def window(root):
    """Another process that has the image open and has worked on it."""
    process = subprocess.Popen(
        [sys.executable, "-c", WINDOW, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "open\n"
    yield process
    process.kill()
    process.communicate()


def kill(process):
    process.kill()
    process.wait()


def work(root, fingerprint=PRINT, value=1, shape=SHAPE):
    """Work that is left: a window that did something and was closed."""
    place = open_workplace(fingerprint, shape, root)
    place.journal.append([Patch((0,), np.full(shape[1:], value, np.uint8))], {"value": value})
    place.close()
    return place.folder / JOURNAL


def values(place):
    return [each.case["value"] for each in place.left]


def test_nothing_is_left_of_a_window_that_did_nothing(root):
    place = open_workplace(PRINT, SHAPE, root)
    assert place.left == place.others() == ()
    place.close()
    assert list(root.iterdir()) == []


def test_what_was_left_is_found_by_the_fingerprint_alone_the_latest_first(root):
    for value in (1, 2, 3):
        work(root, value=value)
    work(root, "another")
    place = open_workplace(PRINT, SHAPE, root)
    assert values(place) == [3, 2, 1]
    np.testing.assert_array_equal(place.left[0].labels()[0], np.full((4, 5), 3))
    assert open_workplace("third", SHAPE, root).left == ()


def test_labels_of_another_shape_are_not_offered(root):
    work(root)
    assert open_workplace(PRINT, (3, 4, 6), root).left == ()


def test_a_window_that_was_killed_left_its_work(root, window):
    kill(window)
    place = open_workplace(PRINT, SHAPE, root)
    assert place.others() == ()
    assert place.left[0].case == {"segments": [1]}
    assert (place.left[0].labels()[1] == 7).all()


def test_another_window_is_told_and_its_work_is_its_own(root, window):
    place = open_workplace(PRINT, SHAPE, root)
    assert [each.pid for each in place.others()] == [window.pid]
    assert place.left == ()
    place.journal.append([Patch((0,), np.ones((4, 5), np.uint8))])
    again = open_workplace(PRINT, SHAPE, root)
    assert {each.pid for each in again.others()} == {window.pid, os.getpid()}
    assert len({place.folder, again.folder}) == 2
    kill(window)
    assert [each.pid for each in place.others()] == [os.getpid()]


def test_discarded_work_is_not_offered_again(root):
    work(root, value=1)
    work(root, value=2)
    place = open_workplace(PRINT, SHAPE, root)
    discard(place.left[0])
    assert values(open_workplace(PRINT, SHAPE, root)) == [1]
    discard(place.left[0])


def test_work_that_another_window_holds_is_not_discarded(root, window):
    kill(window)
    left = open_workplace(PRINT, SHAPE, root).left[0]
    mine = open_workplace(PRINT, SHAPE, root)
    mine.journal.append([Patch((0,), np.ones((4, 5), np.uint8))])
    held = type(left)(mine.journal.file, left.shape, left.when, left.case, {})
    discard(held)
    assert mine.journal.file.exists()


def test_the_oldest_go_where_there_is_too_much(root):
    files = [work(root, f"image{n}") for n in range(4)]
    size = files[0].stat().st_size
    for age, file in enumerate(reversed(files)):
        os.utime(file, (time.time() - 100 * age,) * 2)
    tidy(root, most_bytes=2 * size)
    assert [file.exists() for file in files] == [False, False, True, True]
    assert len(list(root.iterdir())) == 2


def test_what_is_very_old_goes(root):
    old, young = work(root, "old"), work(root, "young")
    os.utime(old, (time.time() - (MOST_DAYS + 1) * DAY_S,) * 2)
    tidy(root)
    assert (old.exists(), young.exists()) == (False, True)


def test_what_a_window_holds_stays(root, window):
    (held,) = root.glob(f"*/*/{JOURNAL}")
    os.utime(held, (1, 1))
    tidy(root, most_bytes=0)
    assert held.exists()


def test_what_kills_left_besides_journals_goes(root, window):
    folder = next(root.glob(f"*/*/{JOURNAL}")).parent
    kill(window)
    (folder / JOURNAL).unlink()
    tidy(root)
    assert list(root.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="rights of files are another matter there")
def test_it_is_in_the_users_state_folder_for_the_user_alone(own_state):
    assert default_root() == own_state / "autosave"
    open_workplace(PRINT, SHAPE)
    assert default_root().stat().st_mode & 0o777 == 0o700
