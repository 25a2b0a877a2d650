"""A long day in fast motion: clicks in one window, and what grows with them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from torture_parts.watch import Heartbeat, Nets, figures

MOST_BOXES, MOST_SEGMENTS = 10, 5
LOOKS, LEAST_BETWEEN, MOST_BETWEEN, SAVE_EVERY = 12, 10, 200, 300
WARM = 3
"""The first part in so many is not counted: libraries are loaded, pools filled."""
MOST_MORE = {"threads": 3, "files": 3}
"""What may be more at the end than when it was warm."""
MOST_KIB_A_THOUSAND, ENOUGH_CLICKS = 20_000, 2000
"""Memory may grow by so much a thousand clicks; fewer clicks do not tell."""


def day(clicks: int) -> int:
    """Click so often, and report what grew a thousand clicks; how many problems."""
    from napari._qt.qt_event_loop import get_qapp

    from torture_parts.network import use_fake_network
    from torture_parts.scenes import SCENES
    from torture_parts.stage import Stage

    get_qapp()
    use_fake_network()
    nets, heartbeat = Nets(), Heartbeat()
    nets.spread()
    stage = Stage(heartbeat)
    SCENES["ct"](stage.viewer, 1)
    stage.open_dock()
    stage.pump(0.5)
    worked, seen = Clicker(stage), []
    between = min(max(clicks // LOOKS, LEAST_BETWEEN), MOST_BETWEEN)
    started = time.monotonic()
    for number in range(clicks):
        worked.click(number)
        if number % between == between - 1:
            with heartbeat.paused():
                seen.append({"clicks": number, **figures()})
                print(f"  {seen[-1]}", file=sys.stderr, flush=True)
        if nets.problems:
            break
    stage.settle()
    seconds = time.monotonic() - started
    _report(seen, clicks, seconds, heartbeat)
    for text in _grown(seen[len(seen) // WARM :]):
        nets.add("grown", text)
    for problem in nets.problems:
        print(f"  {problem.kind}: {problem.text}\n{problem.detail}")
    stage.close()
    return len(nets.problems)


class Clicker:
    """A person who outlines, corrects, deletes and saves."""

    def __init__(self, stage: Any) -> None:
        self._stage, self._suffixes = stage, (".nii.gz", ".npz", ".seg.nrrd")

    def click(self, number: int) -> None:
        """One click, and its answer waited for."""
        stage = self._stage
        stage.random.seed(number)
        stage.heartbeat.doing = str(number)
        if number % SAVE_EVERY == SAVE_EVERY - 1:
            path: Path = stage.folder / f"day{stage.random.choice(self._suffixes)}"
            stage.told(stage.session.saving.save, path)
            what = "save"
        else:
            what = stage.random.choice(self._possible())
            getattr(self, what)()
        stage.pump()
        assert stage.settle(), f"no answer to {what}"

    def _possible(self) -> list[str]:
        desk = self._stage.desk()
        count = 0 if desk.boxes is None else desk.boxes.nshapes
        segments = len(desk.segmentation.segments)
        return [
            *(["draw"] * 4 if count < MOST_BOXES else []),
            *(["move"] * 4 + ["delete"] * 2 if count else []),
            *(["begin"] if segments < MOST_SEGMENTS else ["delete_segment"]),
            *("slide", "undo", "redo", "run"),
        ]

    def draw(self) -> None:
        from napari_medsam_lite.core.boxes import Box2D
        from napari_medsam_lite.gui.viewer.drawn_boxes import rectangle
        from napari_medsam_lite.gui.viewer.geometry import shown_plane

        stage, rng = self._stage, self._stage.random
        image = stage.state.image
        y, x = rng.randrange(40), rng.randrange(50)
        box = Box2D(y, x, y + rng.randrange(5, 20), x + rng.randrange(5, 25))
        plane = shown_plane(image, stage.viewer.dims)
        stage.session.layers.boxes_made(image).add_rectangles(rectangle(box, plane))

    def move(self) -> None:
        shapes = self._stage.desk().boxes
        data = [np.array(each) for each in shapes.data]
        data[self._stage.random.randrange(len(data))][:, 1:] += self._stage.random.uniform(-4, 4)
        shapes.data = data

    def delete(self) -> None:
        shapes = self._stage.desk().boxes
        shapes.selected_data = {self._stage.random.randrange(shapes.nshapes)}
        shapes.remove_selected()

    def begin(self) -> None:
        self._stage.told(self._stage.session.segments.begin)

    def delete_segment(self) -> None:
        number = self._stage.state.segmentation.segments[0].number
        self._stage.told(self._stage.session.segments.delete, number)

    def slide(self) -> None:
        self._stage.viewer.dims.set_current_step(0, self._stage.random.randrange(12))

    def undo(self) -> None:
        self._stage.session.undo_actions.undo()

    def redo(self) -> None:
        self._stage.session.undo_actions.redo()

    def run(self) -> None:
        self._stage.press("segment_volume")


def _report(seen: list[dict[str, int]], clicks: int, seconds: float, heartbeat: Heartbeat) -> None:
    first, last = seen[0], seen[-1]
    print(
        f"day: {clicks} clicks in {seconds:.0f} s, longest gap {heartbeat.ours.seconds:.2f} s of "
        f"ours, {heartbeat.longest.seconds:.2f} s of any"
    )
    print(heartbeat.ours.stack)
    for name in ("rss_kib", "threads", "files"):
        slope = _slope(seen[len(seen) // WARM :], name)
        print(
            f"  {name}: {first[name]} at first, {last[name]} at last, {slope:+.1f} a 1,000 clicks"
        )


def _grown(seen: list[dict[str, int]]) -> Iterator[str]:
    """What has grown more than it may."""
    for name, most in MOST_MORE.items():
        if seen[-1][name] > seen[0][name] + most:
            yield f"{name}: from {seen[0][name]} to {seen[-1][name]}"
    if seen[-1]["clicks"] > ENOUGH_CLICKS and _slope(seen, "rss_kib") > MOST_KIB_A_THOUSAND:
        yield f"memory: {_slope(seen, 'rss_kib'):.0f} KiB a thousand clicks"


def _slope(seen: list[dict[str, int]], name: str) -> float:
    """What is added a thousand clicks, by least squares."""
    if len(seen) < 2:
        return 0.0
    clicks = [each["clicks"] for each in seen]
    return float(np.polyfit(clicks, [each[name] for each in seen], 1)[0]) * 1000
