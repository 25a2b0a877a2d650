"""Docks are freed on the main thread."""

import gc

import pytest


@pytest.fixture(autouse=True)
def freed_here():
    """Not on a thread of ours, where Python may collect too: see `MedSAMLiteWidget.changeEvent`."""
    yield
    gc.collect()
