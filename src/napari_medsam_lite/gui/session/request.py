"""From the user's choices and boxes to one frozen `Request`, or a sentence on what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from napari.components import Dims
from napari.layers import Image

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import MedSAMLiteError, PromptError
from napari_medsam_lite.gui.session.painting import highest_label
from napari_medsam_lite.gui.session.state import AS_SHOWN, SessionState
from napari_medsam_lite.gui.session.work import Request
from napari_medsam_lite.gui.viewer.box_layer import (
    DrawnBox,
    drawn_boxes,
    label_boxes,
    selected_rows,
)
from napari_medsam_lite.gui.viewer.geometry import Plane, Snapshot, shown_plane, slice_count
from napari_medsam_lite.gui.viewer.image_layers import Companions


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


def ask_ahead(state: SessionState, dims: Dims, snapshot: Snapshot) -> Request:
    """All choices but the boxes: what reading ahead needs to know.

    Raises
    ------
    MedSAMLiteError
        If the viewer shows no slice of the image.
    """
    image = chosen_image(state)
    return Request(
        task="slice",
        snapshot=snapshot,
        axis=shown_plane(image, dims).axis,
        boxes=(),
        labels=(),
        window=_contrast(image) if state.window == AS_SHOWN else state.window,
        preset=state.preset,
        device=state.device,
        on_disk=state.on_disk,
    )


def ask_slice(
    state: SessionState, dims: Dims, companions: Companions, snapshot: Snapshot
) -> Request:
    """All boxes on the slice shown.

    Raises
    ------
    MedSAMLiteError
        If the viewer shows no slice of the image.
    PromptError
        If there is no box on the slice, or one lies outside it or has no area.
    """
    image = chosen_image(state)
    plane = shown_plane(image, dims)
    chosen = [box for box in _boxes(image, plane, companions) if box.index == plane.index]
    if not chosen:
        raise PromptError(
            f"There is no box on slice {plane.index}; draw one, or go to the slice of a box."
        )
    asked = ask_ahead(state, dims, snapshot)
    return _with_boxes(asked, image, companions, chosen, (plane.index, plane.index))


def ask_volume(
    state: SessionState, dims: Dims, companions: Companions, snapshot: Snapshot
) -> Request:
    """Every box, or the selected ones, each from its slice over the chosen range.

    Raises
    ------
    MedSAMLiteError
        If the viewer shows no slice of the image.
    PromptError
        If there is no box, one lies outside the image or the range, or has no area.
    """
    image = chosen_image(state)
    plane = shown_plane(image, dims)
    first, last = state.z_from, state.z_to
    if first > last:
        raise PromptError(f"The range ends at slice {last}, before it starts at slice {first}.")
    chosen = _boxes(image, plane, companions)
    if selected := selected_rows(companions.boxes(image)):
        chosen = [box for box in chosen if box.row in selected]
    if not chosen:
        raise PromptError("There is no box: press Add boxes and drag a rectangle on a slice.")
    for box in chosen:
        if not first <= box.index <= last:
            raise PromptError(
                f"The box on slice {box.index} lies outside the slices {first} to {last}; "
                "widen the range, or select the boxes to segment."
            )
    asked = replace(ask_ahead(state, dims, snapshot), task="volume")
    return _with_boxes(asked, image, companions, chosen, (first, last))


def _boxes(image: Image, plane: Plane, companions: Companions) -> list[DrawnBox]:
    """The boxes on slices across the axis shown, each on a slice that the image has."""
    shapes = companions.boxes(image)
    found = [] if shapes is None else drawn_boxes(shapes, image, plane.axis)
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
    companions: Companions,
    chosen: Sequence[DrawnBox],
    extent: tuple[int, int],
) -> Request:
    """`asked` for the `chosen` boxes, over the slices of `extent` (both included)."""
    y, x = image.data.shape[image.ndim - 2 : image.ndim]
    shape = (1, y, x) if image.ndim == 2 else (image.data.shape[0], y, x)
    boxes = tuple(
        Box3D.from_plane(drawn.box, asked.axis, *extent, key=drawn.index).clip(shape, asked.axis)
        for drawn in chosen
    )
    labels = companions.labels(image)
    ids = label_boxes(
        companions.boxes_made(image), lambda: 1 + (0 if labels is None else highest_label(labels))
    )
    return replace(asked, boxes=boxes, labels=tuple(ids[drawn.row] for drawn in chosen))


def _contrast(image: Image) -> str:
    """What the layer shows from black to white, as ``"LEVEL,WIDTH"``."""
    low, high = image.contrast_limits
    return f"{(low + high) / 2},{high - low}"
