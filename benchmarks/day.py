"""A scripted day: a worklist, a kill, what comes back, the history, and the replay.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/day.py ../shared -o PICTURES

Three cases of ../shared are a worklist in a folder of its own. With mouse and keys, in a real
napari window and with the real network, a person opens it and begins the first case: liver and
spleen, drawn and followed through some slices, and a stroke by hand. Then napari is killed
(SIGKILL). Another napari opens the worklist again, restores what was not saved, goes on with a
third segment, marks the case as done, and looks at the history. At last ``medsam-lite segment
--case`` does it all again. Printed: what came back, what was lost, what differs; pictures of the
steps go into PICTURES.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("NAPARI_CONFIG", str(Path(tempfile.mkdtemp(), "settings.yaml")))

import numpy as np
from hand import scroll_to

CASES = {
    "1-abdomen": "ct512/ts_abdomen20/ct.nii.gz",
    "2-organs": "ct/totalseg_ct.nii.gz",
    "3-sarcoma": "ct512/sarcoma_015/ct.nii.gz",
}
ORGANS = ("liver", "spleen")
LATER = "aorta"
REACH = 8
"""Slices to each side of the largest one."""
PATIENCE_S = 2.0
"""Autosave has what was done after so long."""


def begin(options: argparse.Namespace) -> None:
    """What the first napari sees, until it is killed."""
    person = opened(options)
    person.picture("begun")
    for number, organ in enumerate(ORGANS):
        outline(person, organ, new=number > 0)
    paint(person)
    person.picture("before-the-kill")
    tell(person)
    print("READY", flush=True)
    while True:
        person.hand.wait(1)


def finish(options: argparse.Namespace) -> None:
    """What the second napari sees."""
    person = opened(options)
    offer = person.part("restore_told")
    person.hand.until(lambda: offer.isVisible(), 20)
    print(f"offered: {offer.text()}", flush=True)
    person.picture("offered")
    person.hand.click(person.part("restore"))
    person.hand.until(lambda: person.state.segmentation.segments, 20)
    person.hand.wait(1)
    tell(person)
    person.picture("restored")
    outline(person, LATER, new=True)
    person.picture("gone-on")
    history(person)
    unfold(person, "worklist_part")
    person.picture("before-done")
    worklist = person.widget.session.worklist.state
    person.hand.click(person.part("mark_done"))
    person.hand.until(lambda: worklist.rows[0].status.standing == "done", 120)
    person.hand.until(lambda: worklist.current == 1 and not person.state.busy, 120)
    print(f"done: {person.state.message}")
    print(f"layers now: {[layer.name for layer in person.viewer.layers]}", flush=True)
    person.picture("next-case")
    person.viewer.close()
    person.hand.wait(0.5)


def opened(options: argparse.Namespace):
    """A person before a napari with the worklist open; the first case is read."""
    from person import Person
    from qtpy.QtCore import QTimer

    person = Person(options.shared / Path(CASES["1-abdomen"]).parent, options.output)
    person.taken = options.taken
    person.hand.wait(1)
    person.hand.take_focus()
    unfold(person, "worklist_part")

    def choose() -> None:
        person.hand.type(str(options.folder))
        person.hand.key("Return")

    QTimer.singleShot(1500, choose)
    person.hand.click(person.part("open_worklist"))
    worklist = person.widget.session.worklist.state
    person.hand.until(lambda: worklist.current == 0 and not person.state.busy, 60)
    person.hand.take_focus()
    person.hand.wait(1)
    print(f"opened: {person.state.message}", flush=True)
    return person


def unfold(person, name: str) -> None:
    """Open a part of the dock that is folded."""
    from superqt import QCollapsible

    part = person.part(name)
    while not isinstance(part, QCollapsible):
        part = part.parentWidget()
    if not part.isExpanded():
        part.expand(animate=False)
        person.hand.wait(0.3)


def outline(person, organ: str, new: bool) -> None:
    """Name, box, and some slices through the volume."""
    hand, middle = person.hand, person.largest(organ)
    person.go(middle)
    if new:
        hand.key("n")
    hand.key("shift+b")
    scroll_to(person.part("segments"))
    person.name(organ)
    person.picture(f"{organ}-named")
    person.on_canvas()
    person.draw(organ, middle)
    there = person.slices(organ)
    for key, end in (("shift+i", middle - REACH), ("shift+o", middle + REACH)):
        person.go(int(np.clip(end, there[0], there[-1])))
        hand.key(key)
    hand.key("shift+g")
    hand.until(lambda: person.state.busy)
    person.finish()
    print(f"{organ}: {person.state.message}", flush=True)


def paint(person) -> None:
    """A stroke by hand, with napari's brush, on the slice of the last organ."""
    labels = labels_of(person)
    person.viewer.layers.selection.active = labels
    labels.mode, labels.brush_size = "paint", 12
    index = person.largest(ORGANS[-1])
    person.go(index)
    person.hand.drag(labels, (index, 60, 60), (index, 60, 120))
    person.hand.wait(0.3)


def labels_of(person):
    """The layer of the masks."""
    return person.widget.session.desks.chosen().labels


def tell(person) -> None:
    """A line that says what is there, for the parent to compare."""
    found, labels = person.state.segmentation, np.ascontiguousarray(labels_of(person).data)
    desk = person.widget.session.desks.chosen()
    there = {
        "segments": [[s.number, s.name, list(s.color), len(s.records)] for s in found.segments],
        "boxes": 0 if desk.boxes is None else desk.boxes.nshapes,
        "ranges": [{str(a): list(r) for a, r in s.ranges.items()} for s in found.segments],
        "voxels": int(np.count_nonzero(labels)),
        "painted": int(np.count_nonzero(desk.masks.held(()))),
        "hash": hashlib.sha256(labels.tobytes()).hexdigest()[:16],
    }
    print(f"STATE {json.dumps(there)}", flush=True)


def history(person) -> None:
    """Look at the runs of both windows."""
    unfold(person, "history_part")
    runs = person.part("history").model()
    person.hand.until(lambda: runs.rowCount() >= len(ORGANS) + 1, 20)
    person.hand.wait(1)
    print(f"history: {runs.rowCount()} runs", flush=True)
    scroll_to(person.part("delete_run"))
    person.picture("history")


def day(options: argparse.Namespace) -> int:
    """Both napari, the kill between them, and the command line."""
    home = Path(tempfile.mkdtemp())
    folder = home / "cases"
    folder.mkdir()
    for name, source in CASES.items():
        shutil.copy(options.shared / source, folder / f"{name}.nii.gz")
    os.environ["XDG_STATE_HOME"], os.environ["XDG_CONFIG_HOME"] = str(home / "s"), str(home / "c")
    before = first_napari(options, folder)
    after = second_napari(options, folder)
    print(f"came back as it was: {before == after}")
    return int(not (before == after and replayed(folder)))


def first_napari(options: argparse.Namespace, folder: Path) -> str:
    """Its state when it was killed."""
    child = start(options, folder, "begin", 0)
    told = ""
    for line in child.stdout:
        print(f"  first: {line.rstrip()}", flush=True)
        if line.startswith("STATE"):
            told = line
        if line.startswith("READY"):
            break
    else:
        raise RuntimeError("the first napari ended by itself")
    time.sleep(PATIENCE_S)
    child.send_signal(signal.SIGKILL)
    print(f"killed {PATIENCE_S} s after the last stroke: {child.wait()}")
    return told


def second_napari(options: argparse.Namespace, folder: Path) -> str:
    """Its state once it has restored."""
    child = start(options, folder, "finish", 20)
    told = ""
    for line in child.stdout:
        print(f"  second: {line.rstrip()}", flush=True)
        told = line if line.startswith("STATE") else told
    if child.wait():
        raise RuntimeError(f"the second napari ended with {child.returncode}")
    return told


def start(options: argparse.Namespace, folder: Path, part: str, taken: int) -> subprocess.Popen:
    words = [str(options.shared), "-o", str(options.output), "--folder", str(folder)]
    command = [sys.executable, __file__, *words, "--part", part, "--taken", str(taken)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def replayed(folder: Path) -> bool:
    """Whether the command line gives the same labels; its words are printed."""
    case = folder / "medsam-lite" / "1-abdomen.medsam.json"
    for words in (
        ["worklist", str(folder)],
        ["history"],
        ["segment", "--case", str(case), "--compare"],
    ):
        print(f"$ medsam-lite {' '.join(words)}", flush=True)
        subprocess.run([sys.executable, "-m", "napari_medsam_lite", *words], check=True)
    words = ["segment", "--case", str(case), "--compare", "--json"]
    command = [sys.executable, "-m", "napari_medsam_lite", *words]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(told)["compare"]["differ"] == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shared", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("day"))
    parser.add_argument("--part", choices=("day", "begin", "finish"), default="day")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--taken", type=int, default=0)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    if options.part == "day":
        return day(options)
    from napari.utils.notifications import notification_manager

    with notification_manager:
        {"begin": begin, "finish": finish}[options.part](options)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
