"""From the user's choices and boxes to one frozen `Request`, or a sentence on what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from napari.components import Dims
from napari.layers import Image

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import MedSAMLiteError, PromptError
from napari_medsam_lite.core.segmentation import Segment, group_by_label
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.gui.session.state import Kind, SessionState
from napari_medsam_lite.gui.viewer.box_layer import (
    DrawnBox,
    drawn_boxes,
    label_boxes,
    selected_rows,
)
from napari_medsam_lite.gui.viewer.geometry import Plane, Snapshot, shown_plane, slice_count
from napari_medsam_lite.gui.viewer.image_layers import OwnLayers
from napari_medsam_lite.gui.viewer.label_layer import highest_label


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
        The label of each box.
    left_out : str
        What is told of rectangles that are no boxes; empty if there are none.
    """

    kind: Kind
    snapshot: Snapshot
    settings: Settings
    boxes: tuple[Box3D, ...] = ()
    labels: tuple[int, ...] = ()
    left_out: str = ""

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
    return Request("slice", snapshot, state.settings(axis, _contrast(chosen_image(state))))


def request_slice(state: SessionState, dims: Dims, own: OwnLayers, snapshot: Snapshot) -> Request:
    """All boxes on the slice shown.

    Raises
    ------
    MedSAMLiteError
        If the viewer shows no slice of the image.
    PromptError
        If there is no box on the slice, or one lies outside it.
    """
    image = chosen_image(state)
    plane = shown_plane(image, dims)
    there = [drawn for drawn in _drawn(image, plane, own) if drawn.index == plane.index]
    if not there:
        raise PromptError(
            f"There is no box on slice {plane.index}; draw one, or go to the slice of a box."
        )
    asked = request_ahead(state, plane.axis, snapshot)
    only = (plane.index, plane.index)
    return _with_boxes(asked, image, own, there, only)


def request_volume(state: SessionState, dims: Dims, own: OwnLayers, snapshot: Snapshot) -> Request:
    """Every box, or the selected ones, each from its slice over the chosen range.

    Raises
    ------
    MedSAMLiteError
        If the viewer shows no slice of the image.
    PromptError
        If there is no box, or one lies outside the image or the range.
    """
    image = chosen_image(state)
    plane = shown_plane(image, dims)
    first, last = state.z_from, state.z_to
    if first > last:
        raise PromptError(f"The range ends at slice {last}, before it starts at slice {first}.")
    drawn = _drawn(image, plane, own)
    if selected := selected_rows(own.boxes):
        drawn = [box for box in drawn if box.row in selected]
    if not drawn:
        raise PromptError("There is no box: press Add boxes and drag a rectangle on a slice.")
    for box in drawn:
        if box.has_area and not first <= box.index <= last:
            raise PromptError(
                f"The box on slice {box.index} lies outside the slices {first} to {last}; "
                "widen the range, or select the boxes to segment."
            )
    asked = replace(request_ahead(state, plane.axis, snapshot), kind="volume")
    return _with_boxes(asked, image, own, drawn, (first, last))


def _drawn(image: Image, plane: Plane, own: OwnLayers) -> list[DrawnBox]:
    """The boxes on slices across the axis shown, each on a slice that the image has."""
    found = [] if own.boxes is None else drawn_boxes(own.boxes, image, plane.axis)
    count = slice_count(image, plane.axis)
    for drawn in found:
        if not 0 <= drawn.index < count:
            raise PromptError(
                f"A box lies on slice {drawn.index}, outside the image's 0..{count - 1}."
            )
    return found


def _with_boxes(
    asked: Request,
    image: Image,
    own: OwnLayers,
    drawn: Sequence[DrawnBox],
    extent: tuple[int, int],
) -> Request:
    """`asked` for the boxes that have an area, over the slices of `extent` (both included)."""
    y, x = image.data.shape[image.ndim - 2 : image.ndim]
    shape = (1, y, x) if image.ndim == 2 else (image.data.shape[0], y, x)
    axis = asked.settings.axis
    flat = sorted({box.index for box in drawn if not box.has_area})
    chosen = [box for box in drawn if box.has_area]
    on_slices = f"on slice {', '.join(map(str, flat))}"
    if not chosen:
        raise PromptError(f"The rectangle {on_slices} has no area; drag from corner to corner.")
    boxes = tuple(
        Box3D.from_plane(box.box, axis, *_range_of(box, extent), key=box.index).clip(shape, axis)
        for box in chosen
    )
    ids = _labels_of_shapes(own)
    left_out = f"A rectangle without area {on_slices} was left out." if flat else ""
    numbers = tuple(ids[box.row] for box in chosen)
    return replace(asked, boxes=boxes, labels=numbers, left_out=left_out)


def _labels_of_shapes(own: OwnLayers) -> list[int]:
    """The label of every shape; those without one get the next that is free."""
    shapes, labels = own
    if shapes is None:
        return []
    return label_boxes(shapes, lambda: 1 + (0 if labels is None else highest_label(labels)))


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
