"""The looks that were encoded last: one that shows a box answers it at once, if not as well."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable

from napari_medsam_lite.engine.look import Corners, Look

MOST = 64
WIDEST = 12.0
"""How many times wider than the box a look may be: in a wider one the box is a few pixels."""


class RecentLooks:
    """Remembers looks, not of which volume: their embeddings are found by what they show."""

    def __init__(self) -> None:
        self._looks: OrderedDict[Look, None] = OrderedDict()

    def remember(self, looks: Iterable[Look]) -> None:
        """These were encoded, or asked for again."""
        for look in looks:
            self._looks[look] = None
            self._looks.move_to_end(look)
        while len(self._looks) > MOST:
            self._looks.popitem(last=False)

    def showing(self, wanted: Look, box: Corners) -> list[Look]:
        """Looks at `wanted`'s slice that show all of `box` (voxels), those most like it first."""
        size, longest = _width(wanted), max(box[2] - box[0] + 1, box[3] - box[1] + 1)

        def unlikeness(look: Look) -> tuple[bool, float]:
            return look != wanted, abs(math.log(_width(look) / size))

        found = [
            look
            for look in self._looks
            if look.index == wanted.index and _shows(look, box) and _width(look) <= WIDEST * longest
        ]
        return sorted(found, key=unlikeness)


def _width(look: Look) -> int:
    """The longer side of a look, in voxels."""
    return max(look.frame.height, look.frame.width)


def _shows(look: Look, box: Corners) -> bool:
    rows, columns = look.window
    y0, x0, y1, x1 = box
    return bool(rows.start <= y0 and y1 < rows.stop and columns.start <= x0 and x1 < columns.stop)
