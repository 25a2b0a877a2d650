"""What was expected to go wrong becomes a sentence that a person reads."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Protocol, TypeVar

from napari.utils.notifications import show_warning

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.gui.session.state import SessionState


class Telling:
    """Shows sentences.

    Parameters
    ----------
    state : SessionState
        Has the status line.
    """

    def __init__(self, state: SessionState) -> None:
        self._state = state

    def told(self, act: Callable[[], object]) -> None:
        """Do `act`, and show an expected error as a sentence instead of raising it."""
        try:
            act()
        except MedSAMLiteError as error:
            self.warn(str(error))

    def warn(self, sentence: str) -> None:
        """Tell of something that went wrong, in the status line and as napari does."""
        self._state.tell(sentence, problem=True)
        show_warning(sentence)


class Tells(Protocol):
    """What has methods that are `shown`."""

    telling: Telling


Own = TypeVar("Own", bound=Tells)


def shown(method: Callable[[Own], None]) -> Callable[[Own], None]:
    """Let a method show an expected error as a sentence instead of raising it."""

    @wraps(method)
    def wrapper(self: Own) -> None:
        self.telling.told(lambda: method(self))

    return wrapper
