"""What this processor can do: tests of what it would only emulate are skipped, with the reason."""

import pytest

from napari_medsam_lite.acceleration.emulated import emulated


def needs_units(preset: str) -> pytest.MarkDecorator:
    """Skips a test where `preset` would take many seconds a slice."""
    reason = emulated(preset, "cpu")
    return pytest.mark.skipif(reason is not None, reason=reason or "")
