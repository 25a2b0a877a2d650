"""One process of the monkey: plays a plan in a real window, and tells what happened.

Each action is told before it is done, so that a crash or a hang leaves the whole list behind.
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

from torture_parts.acts_boxes import BoxActs
from torture_parts.acts_layers import LayerActs
from torture_parts.network import use_fake_network
from torture_parts.scenes import SCENES
from torture_parts.stage import Stage
from torture_parts.truth import Truth
from torture_parts.watch import Heartbeat, Nets, figures

HANG_S = 90.0
WARM_S = 1.0
WARM_ACTIONS = 80
"""After which all libraries are loaded, so that what grows is counted from there."""
WEIGHTS = {
    "draw": 8, "add_box": 7, "drag_box": 4, "change_box": 3, "delete_box": 3, "segment_slice": 5,
    "segment_volume": 5, "segment_all": 3, "cancel": 4, "continue": 3, "undo": 7, "redo": 5,
    "paint": 5, "choose_image": 3, "slider": 4, "settle": 4, "key": 4, "begin": 3, "choose": 3,
    "reopen_dock": 0.8, "close_dock": 0.5, "second_dock": 0.15, "three_d": 0.5, "add_image": 1.2,
    "remove_layer": 0.7, "duplicate": 0.6, "own_labels": 0.4, "preferences": 0.5,
}  # fmt: skip
"""How often, where it is not 1."""


class Acts(BoxActs, LayerActs):
    """All actions."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage


NAMES = sorted(name[3:] for name in dir(Acts) if name.startswith("do_"))


def plan_of(seed: int, count: int) -> dict[str, Any]:
    """Scenes to begin with, and actions with a seed each: leaving some out changes no other."""
    rng = random.Random(seed)
    weights = [WEIGHTS.get(name, 1) for name in NAMES]
    chosen = rng.choices(NAMES, weights, k=count)
    scenes = [rng.choice([*SCENES, "ct", "ct", "flipped"])]
    if rng.random() < 0.5:
        scenes.append(rng.choice([scenes[0], *SCENES]))
    return {
        "seed": seed,
        "scenes": scenes,
        "actions": [[name, rng.randrange(10**6)] for name in chosen],
    }


class Player:
    """Plays until the end, the first problem, or a fault of napari's own that spoils the rest."""

    def __init__(self, plan: dict[str, Any], log: Path) -> None:
        self._plan, self._log = plan, log
        self.nets = Nets()
        self.heartbeat = Heartbeat()
        self.nets.spread()
        with self.heartbeat.paused():
            self.stage = Stage(self.heartbeat)
        self.truth, self._acts = Truth(self.stage), Acts(self.stage)
        self.done = 0
        self._cut_short = False

    def play(self) -> dict[str, Any]:
        """What happened."""
        with self.heartbeat.paused():
            for place, kind in enumerate(self._plan["scenes"]):
                SCENES[kind](self.stage.viewer, self._plan["seed"] + place)
            self.stage.open_dock()
            # As a person does: the libraries that the dock loads ahead are there then.
            self.stage.pump(WARM_S)
            self.stage.until(lambda: not self.stage.session.runner.idling)
        first = figures()
        for number, (name, seed) in enumerate(self._plan["actions"]):
            if number == WARM_ACTIONS:
                with self.heartbeat.paused():
                    first = figures()
            self._act(name, seed)
            if self.nets.problems or self._cut_short:
                break
            self.done += 1
        if not self.nets.problems:
            self._finish()
        return {
            "done": self.done,
            "problems": [each.as_dict() for each in self.nets.problems],
            "foreign": self.nets.foreign,
            "told": sorted(set(self.nets.told))[:20],
            "counts": self.stage.counts,
            "gap": self.heartbeat.longest,
            "our_gap": self.heartbeat.ours,
            "first": first,
            "counted": max(self.done - WARM_ACTIONS, 0) or self.done,
            "last": figures(),
        }

    def _act(self, name: str, seed: int) -> None:
        stage = self.stage
        with stage.heartbeat.paused():
            self._tell(name, seed)
            stage.random.seed(seed)
            self.truth.note()
        stage.heartbeat.doing, foreign = name, len(self.nets.foreign)
        try:
            getattr(self._acts, f"do_{name}")()
            stage.pump(stage.random.choice([0, 0, 0.02, 0.05]))
            with stage.heartbeat.paused():
                self.truth.check(name)
        except AssertionError as error:
            # An exception of napari's own ends what it is in, a stroke in the middle for example,
            # before anybody is told of it: what follows is then no fault of ours.
            self._cut_short = len(self.nets.foreign) > foreign
            if not self._cut_short:
                self.nets.add("untrue", f"after {name}: {error}")
        except Exception as error:
            self.nets.caught(f"raised by {name}", error)

    def _finish(self) -> None:
        """Close the window in the middle of a run, as people do."""
        self.heartbeat.doing = "close the window"
        stage = self.stage
        stage.viewer.dims.ndisplay = 2
        stage.press("segment_all")
        stage.pump(0.02)
        stage.close()
        if not stage.until(_no_thread):
            self.nets.add("threads", "the worker outlived the window")

    def _tell(self, name: str, seed: int) -> None:
        faulthandler.cancel_dump_traceback_later()
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        with self._log.open("a") as log:
            log.write(json.dumps([name, seed]) + "\n")


def _no_thread() -> bool:
    import threading

    from napari_medsam_lite.gui.thread.worker import THREAD_NAME

    return not any(t.name == THREAD_NAME for t in threading.enumerate())


def play(plan_file: Path, log: Path, result: Path, *, real: bool) -> None:
    """The whole process; leaves what happened in `result`."""
    faulthandler.enable()
    from napari._qt.qt_event_loop import get_qapp

    get_qapp()
    if not real:
        use_fake_network()
    plan = json.loads(plan_file.read_text())
    started = time.monotonic()
    found = Player(plan, log).play()
    faulthandler.cancel_dump_traceback_later()
    result.write_text(json.dumps({**found, "seconds": round(time.monotonic() - started, 1)}))
    sys.stdout.flush()
    # What is torn down at exit is napari's; a crash there would be taken for one of ours.
    os._exit(0)
