"""From the user's choices and boxes to one frozen `Request`, or a sentence on what is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from sys import maxsize

from napari.components import Dims
from napari.layers import Image

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import MedSAMLiteError, PromptError
from napari_medsam_lite.core.segmentation import Segment, group_by_label
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.gui.session.desk import Desk
from napari_medsam_lite.gui.session.state import Direction, SessionState
from napari_medsam_lite.gui.viewer.box_layer import selected_rows
from napari_medsam_lite.gui.viewer.drawn_boxes import DrawnBox, drawn_boxes
from napari_medsam_lite.gui.viewer.geometry import (
    Plane,
    Snapshot,
    shown_plane,
    slice_count,
    volume_shape,
)
from napari_medsam_lite.io.history_entry import Kind


@dataclass(frozen=True)
class Request:
    """All that decides a run, taken down when the button was pressed.

    Attributes
    ----------
    kind : str
        ``"slice"`` or ``"volume"``.
    snapshot : Snapshot
        The image.
    settings : Settings
        A window ``"as shown"`` is ``"LEVEL,WIDTH"`` by now.
    boxes : tuple of Box3D
        Each with its key slice. For a slice, all lie on that one.
    labels : tuple of int
        The label of each box: the number of its segment.
    left_out : str
        What is told of rectangles that are no boxes; empty if there are none.
    keep_painted : bool
        Whether voxels that a person painted stay as they are.
    """

    kind: Kind
    snapshot: Snapshot
    settings: Settings
    boxes: tuple[Box3D, ...] = ()
    labels: tuple[int, ...] = ()
    left_out: str = ""
    keep_painted: bool = True

    @property
    def segments(self) -> list[Segment]:
        """What is outlined: boxes of one label belong together."""
        return group_by_label(self.boxes, self.labels)[1]

    @property
    def object_labels(self) -> list[int]:
        """The label of each segment."""
        return group_by_label(self.boxes, self.labels)[0]


def chosen_image(state: SessionState) -> Image:
    """The image that is segmented.

    Raises
    ------
    MedSAMLiteError
        If none is chosen.
    """
    if state.image is None:
        raise MedSAMLiteError("There is no image: open one, and choose it at the top.")
    return state.image


def request_ahead(state: SessionState, axis: int, snapshot: Snapshot) -> Request:
    """All choices but the boxes: what reading ahead of slices across `axis` needs to know."""
    settings = settings_now(state, axis)
    return Request("slice", snapshot, settings, keep_painted=state.keep_painted)


def settings_now(state: SessionState, axis: int) -> Settings:
    """The choices as they are, for slices across `axis` of the chosen image; raises as that."""
    return state.settings(axis, _contrast(chosen_image(state)))


def request_slice(state: SessionState, dims: Dims, desk: Desk, snapshot: Snapshot) -> Request:
    """All boxes on the slice shown, of segments that are not locked.

    Raises
    ------
    MedSAMLiteError
        If the viewer shows no slice of the image.
    PromptError
        If there is no box on the slice, or one lies outside it.
    """
    plane = shown_plane(desk.image, dims)
    there = [drawn for drawn in _drawn(plane, desk) if drawn.index == plane.index]
    if not there:
        raise PromptError(
            f"There is no box on slice {plane.index}; draw one, or go to the slice of a box."
        )
    asked = request_ahead(state, plane.axis, snapshot)
    only = (plane.index, plane.index)
    return _with_boxes(asked, desk, _unlocked(there, desk), lambda _: only)


def request_volume(
    state: SessionState, dims: Dims, desk: Desk, snapshot: Snapshot, numbers: frozenset[int]
) -> Request:
    """The boxes of these segments, or the selected boxes, each segment over its own range.

    Raises
    ------
    MedSAMLiteError
        If the viewer shows no slice of the image.
    PromptError
        If there is no box, or one lies outside the image or the range.
    """
    plane = shown_plane(desk.image, dims)
    drawn = _drawn(plane, desk)
    if selected := selected_rows(desk.boxes):
        drawn = [box for box in drawn if box.row in selected]
    elif drawn:
        drawn = [box for box in drawn if box.number in numbers]
        if not drawn:
            titles = _titles(desk, numbers)
            raise PromptError(f"{titles} has no box; draw one, or choose another segment.")
    if not drawn:
        raise PromptError("There is no box: press Add boxes and drag a rectangle on a slice.")
    drawn = _unlocked(drawn, desk)
    last = slice_count(desk.image, plane.axis) - 1
    extents = {
        number: _extent([box for box in drawn if box.number == number], desk, plane.axis, last)
        for number in {box.number for box in drawn}
    }
    ways = {number: _one_way(state.direction, drawn, number) for number in extents}

    def extent_of(box: DrawnBox) -> tuple[int, int]:
        (first, last), (lowest, highest) = extents[box.number], ways[box.number]
        return max(first, lowest), min(last, highest)

    asked = replace(request_ahead(state, plane.axis, snapshot), kind="volume")
    return _with_boxes(asked, desk, drawn, extent_of)


def _titles(desk: Desk, numbers: frozenset[int]) -> str:
    found = [s.title for s in desk.segmentation.segments if s.number in numbers]
    return " and ".join(found) or "The current segment"


def _unlocked(drawn: list[DrawnBox], desk: Desk) -> list[DrawnBox]:
    """The boxes of segments that may be changed."""
    free = [box for box in drawn if box.number not in desk.segmentation.locked]
    if free:
        return free
    raise PromptError("What these boxes belong to is locked; unlock it in the table of segments.")


def _extent(boxes: Sequence[DrawnBox], desk: Desk, axis: int, last_slice: int) -> tuple[int, int]:
    """The range of a segment, which must hold its boxes."""
    segment = desk.segmentation.get(boxes[0].number)
    ranges = segment.ranges if segment is not None else {}
    first, last = ranges.get(axis, (0, last_slice))
    if first > last:
        raise PromptError(f"The range ends at slice {last}, before it starts at slice {first}.")
    for box in boxes:
        if box.has_area and not first <= box.index <= last:
            raise PromptError(
                f"The box on slice {box.index} lies outside the slices {first} to {last}; "
                "widen the range, or select the boxes to segment."
            )
    return first, last


def _one_way(direction: Direction, drawn: Sequence[DrawnBox], number: int) -> tuple[int, int]:
    """The slices that lie in the chosen direction of a segment's boxes."""
    indices = [box.index for box in drawn if box.number == number]
    lowest = min(indices) if direction == "up" else 0
    highest = max(indices) if direction == "down" else maxsize
    return lowest, highest


def _drawn(plane: Plane, desk: Desk) -> list[DrawnBox]:
    """The boxes on slices across the axis shown, each on a slice that the image has."""
    found = (
        []
        if desk.boxes is None
        else drawn_boxes(desk.boxes, desk.image, plane.axis, leading=desk.leading)
    )
    count = slice_count(desk.image, plane.axis)
    for drawn in found:
        if not 0 <= drawn.index < count:
            raise PromptError(
                f"A box lies on slice {drawn.index}, outside the image's 0..{count - 1}."
            )
    return found


def _with_boxes(
    asked: Request,
    desk: Desk,
    drawn: Sequence[DrawnBox],
    extent_of: Callable[[DrawnBox], tuple[int, int]],
) -> Request:
    """`asked` for the boxes that have an area, each over its slices (both included)."""
    flat = sorted({box.index for box in drawn if not box.has_area})
    chosen = [box for box in drawn if box.has_area]
    on_slices = f"on slice {', '.join(map(str, flat))}"
    if not chosen:
        raise PromptError(f"The rectangle {on_slices} has no area; drag from corner to corner.")
    axis = asked.settings.axis
    boxes = tuple(
        in_volume(box, desk.image, axis, _range_of(box, extent_of(box))) for box in chosen
    )
    left_out = f"A rectangle without area {on_slices} was left out." if flat else ""
    numbers = tuple(box.number for box in chosen)
    return replace(asked, boxes=boxes, labels=numbers, left_out=left_out)


def in_volume(box: DrawnBox, image: Image, axis: int, extent: tuple[int, int]) -> Box3D:
    """A drawn box, over the slices of `extent`; errors as `Box3D.clip`."""
    whole = Box3D.from_plane(box.box, axis, *extent, key=box.index)
    return whole.clip(volume_shape(image), axis)


def _range_of(box: DrawnBox, extent: tuple[int, int]) -> tuple[int, int]:
    """The slices asked for, within those that the box's file names."""
    if box.extent is None:
        return extent
    first, last = max(extent[0], box.extent[0]), min(extent[1], box.extent[1])
    return min(first, box.index), max(last, box.index)


def _contrast(image: Image) -> str:
    """What the layer shows from black to white, as ``"LEVEL,WIDTH"``."""
    low, high = image.contrast_limits
    return f"{(low + high) / 2},{high - low}"
