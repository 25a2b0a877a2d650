"""From boxes to masks: each is shown to the network in its looks, and the answers are joined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.core.errors import PromptError
from napari_medsam_lite.core.frame import ModelFrame
from napari_medsam_lite.core.settings import Detail
from napari_medsam_lite.engine.detail import choose_looks
from napari_medsam_lite.engine.joined import boxes_for, join
from napari_medsam_lite.engine.look import Look, corners_of
from napari_medsam_lite.engine.prepared import PreparedVolume
from napari_medsam_lite.engine.propagation.route import Prompt
from napari_medsam_lite.engine.propagation.slice_mask import SliceMask

PROMPT_BATCH = 8
"""Prompts answered together: enough to share encodings, few enough to show masks as they come."""


@dataclass(frozen=True)
class Question:
    """What the network is asked of one look: boxes (N, 4) XYXY in pixels of its frame."""

    look: Look
    boxes: NDArray[np.float32]


@dataclass(frozen=True)
class Reply:
    """The answer to a question: (N, side, side) logits and (N,) predicted IoU."""

    logits: NDArray[np.float32]
    scores: NDArray[np.float32]


Network = Callable[[Sequence[Question]], list[Reply]]
"""One reply a question."""


def prompts_on(prepared: PreparedVolume, index: int, boxes: Sequence[Box2D]) -> list[Prompt]:
    """A prompt for each box on slice `index`, clipped to it.

    Raises
    ------
    PromptError
        If the slice does not exist, or a box lies outside it or has no area.
    """
    if not 0 <= index < prepared.slice_count:
        last = prepared.slice_count - 1
        raise PromptError(f"There is no slice {index}; the volume has 0..{last}.")
    height, width = prepared.frame.height, prepared.frame.width
    axes = "zyx".replace("zyx"[prepared.axis], "")
    corners = [corners_of(box.clip(height, width, axes)) for box in boxes]
    return [Prompt(index, each, each) for each in corners]


def answer(
    asked: Sequence[tuple[int, Prompt]],
    whole: ModelFrame,
    detail: Detail,
    crowd: Counter[int],
    network: Network,
) -> Iterator[SliceMask]:
    """The masks of prompts (object, prompt), in their order.

    Parameters
    ----------
    asked : sequence
        The prompts, each with the number that its mask is to bear.
    whole : ModelFrame
        The frame of a whole slice.
    detail : str
        See `core.settings.Detail`.
    crowd : Counter
        How many masks each slice is asked for.
    network : callable
        Encodes and decodes.
    """
    shape = (whole.height, whole.width)
    for start in range(0, len(asked), PROMPT_BATCH):
        batch = asked[start : start + PROMPT_BATCH]
        looks = [choose_looks(detail, p, whole, crowd[p.index]) for _, p in batch]
        replies = iter(
            network(
                [
                    Question(look, boxes_for(look, prompt.box))
                    for (_, prompt), mine in zip(batch, looks, strict=True)
                    for look in mine
                ]
            )
        )
        for (number, prompt), mine in zip(batch, looks, strict=True):
            own = [next(replies) for _ in mine]
            patch = join(mine, [reply.logits for reply in own])
            score = float(np.mean([reply.scores[0] for reply in own]))
            yield SliceMask(number, prompt.index, score, patch.corner, patch.logits, shape)


def answer_once(
    prompts: Sequence[Prompt], looks: Sequence[Look], whole: ModelFrame, network: Network
) -> Iterator[SliceMask]:
    """The masks of prompts, each asked once of the look given for it."""
    asked = zip(looks, prompts, strict=True)
    replies = network([Question(look, look.box_to_frame(p.box)[None]) for look, p in asked])
    for number, (prompt, look, reply) in enumerate(zip(prompts, looks, replies, strict=True)):
        patch, score = look.mask_to_slice(reply.logits[0]), float(reply.scores[0])
        shape = whole.height, whole.width
        yield SliceMask(number, prompt.index, score, patch.corner, patch.logits, shape)


Answered = dict[tuple[int, int, bytes], SliceMask]
"""What was answered already: number, slice and box of a prompt to its mask."""


def remembering(
    asked: Sequence[tuple[int, Prompt]],
    answered: Answered | None,
    ask: Callable[[Sequence[tuple[int, Prompt]]], Iterator[SliceMask]],
) -> Iterator[SliceMask]:
    """The masks of prompts in their order; `ask` is asked only what is not in `answered` yet."""
    if answered is None:
        yield from ask(asked)
        return
    keys = [(number, p.index, p.box.tobytes()) for number, p in asked]
    new = {key: entry for entry, key in zip(asked, keys, strict=True) if key not in answered}
    fresh = ask(list(new.values()))
    for key in keys:
        if key not in answered:
            answered[key] = next(fresh)
        yield answered[key]
