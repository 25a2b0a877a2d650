import threading

import numpy as np
import pytest
from napari.layers import Layer

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.volume import Source
from napari_medsam_lite.gui.thread.worker import THREAD_NAME
from napari_medsam_lite.io import hooks


class One:
    """Stands for a series: the reader makes a layer of its name."""

    def __init__(self, name):
        self.name = name


@pytest.fixture
def found():
    return One("CT 3"), One("MR 7")


@pytest.fixture
def folder(monkeypatch, found, tmp_path):
    """What the reader gives of each; `wrong` is what it raises instead."""
    told = []
    wrong = []

    def layers(one, offered, path, progress):
        assert threading.current_thread().name == THREAD_NAME
        assert (offered, path) == (found, tmp_path)
        for done in range(1, 4):
            progress(done, 3)
        if wrong:
            raise wrong[0]
        told.append(one)
        held = {"series": offered, "chosen": one, "source": Source(path), "notes": ("A note.",)}
        return [
            (np.zeros((3, 4, 5)), {"name": one.name, "metadata": {"medsam_lite": held}}, "image")
        ]

    monkeypatch.setattr(hooks, "series_layers", layers)
    return told, wrong


@pytest.fixture
def opened(session, viewer, found, tmp_path):
    held = {"series": found, "chosen": found[0], "source": Source(tmp_path)}
    look = {"name": "CT 3", "metadata": {"medsam_lite": held}}
    return viewer.add_layer(Layer.create(np.zeros((5, 6, 7)), look, "image"))


def test_of_an_image_alone_there_is_no_choice(session, image):
    assert (session.series.offered, session.series.chosen) == ((), None)


def test_another_series_is_read_once_and_shown_alone(
    session, opened, found, folder, finish, viewer
):
    told, _ = folder
    assert session.series.offered == found
    session.series.choose(found[0])
    assert not session.state.busy, "it is open"
    session.series.choose(found[1])
    assert session.state.busy
    finish()
    other = session.state.image
    assert (other.name, other.visible, opened.visible) == ("MR 7", True, False)
    assert session.series.chosen is found[1]
    assert session.state.message == "MR 7 is open. A note."
    session.series.choose(found[0])
    assert session.state.image == opened
    assert (other.visible, opened.visible) == (False, True)
    session.series.choose(found[1])
    assert told == [found[1]], "it is not read again"
    assert len(viewer.layers) == 2


def test_a_series_that_cannot_be_read_is_told(session, opened, found, folder, finish, viewer):
    folder[1].append(FileFormatError("MR 7 is cut short."))
    session.series.choose(found[1])
    finish()
    assert (session.state.message, session.state.is_problem) == ("MR 7 is cut short.", True)
    assert session.state.image == opened
    assert len(viewer.layers) == 1
