"""Delta debugging: the shortest list that still fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def shortest(items: Sequence[T], fails: Callable[[Sequence[T]], bool], tries: int = 60) -> list[T]:
    """What is left of `items`, which fail, once nothing can be left out; or after so many tries.

    Failing alone at the end of the list is the rule, so all before the last item is tried first.
    """
    left, parts = list(items), 2
    while len(left) > 1 and tries > 0:
        size = max(len(left) // parts, 1)
        for start in range(0, len(left), size):
            rest = left[:start] + left[start + size :]
            if not rest or tries <= 0:
                continue
            tries -= 1
            if fails(rest):
                left, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                return left
            parts = min(parts * 2, len(left))
    return left
