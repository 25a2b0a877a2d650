"""napari's preferences as the defaults of docks, and what an older napari does."""

import logging

import napari.settings
import pytest

from napari_medsam_lite.acceleration.presets import PRESETS
from napari_medsam_lite.core.settings import AUTO
from napari_medsam_lite.engine.disk_place import DiskPlace, disk_place
from napari_medsam_lite.gui.session.preferences import DEFAULTS, Preferences
from napari_medsam_lite.gui.session.state import DEVICES, SessionState


@pytest.fixture
def known(page):
    """The page, where this napari has one."""
    if page is None:
        pytest.skip("this napari has no pages of plugins")
    return page


@pytest.fixture
def opened():
    """Open preferences for a state, as a session does."""
    open_ones = []

    def open_for(state):
        preferences = Preferences(state)
        preferences.open()
        open_ones.append(preferences)
        return preferences

    yield open_for
    for each in open_ones:
        each.close()


def chosen(state):
    return {name: getattr(state, name) for name in DEFAULTS}


def test_the_page_offers_what_there_is_and_begins_with_what_a_dock_begins_with(known):
    fields = type(known.dock).model_fields
    assert fields["preset"].json_schema_extra["enum"] == [AUTO, *PRESETS]
    assert fields["device"].json_schema_extra["enum"] == [*DEVICES]
    assert {name: getattr(known.dock, name) for name in DEFAULTS} == chosen(SessionState())
    assert DiskPlace(known.disk.folder, known.disk.size) == DiskPlace()


def test_a_dock_begins_with_the_page(known, opened):
    known.dock.preset, known.dock.on_disk, known.dock.autosave = "eager", True, False
    opened(state := SessionState())
    assert chosen(state) == {
        "preset": "eager",
        "device": AUTO,
        "on_disk": True,
        "autosave": False,
    }


def test_an_open_dock_follows_but_not_where_it_was_chosen_otherwise(known, opened):
    opened(state := SessionState())
    state.preset = "sdpa"
    known.dock.preset, known.dock.device = "eager", "cpu"
    assert (state.preset, state.device) == ("sdpa", "cpu")


def test_a_dock_that_is_opened_again_follows_what_changed_meanwhile(known, opened):
    preferences = opened(state := SessionState())
    state.device = "cpu"
    preferences.close()
    known.dock.preset, known.dock.device = "eager", "cuda"
    assert state.preset == AUTO
    preferences.open()
    assert (state.preset, state.device) == ("eager", "cpu")


def test_restored_defaults_are_followed_too(known, opened):
    known.dock.preset = "eager"
    opened(state := SessionState())
    known.reset()
    assert state.preset == AUTO


def test_the_place_on_disk_is_kept_for_the_command_line(known, opened, tmp_path):
    opened(SessionState())
    known.disk.size, known.disk.folder = 4, str(tmp_path)
    assert disk_place() == DiskPlace(str(tmp_path), 4)


def test_a_settings_folder_that_cannot_be_written_is_no_harm(known, opened, own_settings, caplog):
    own_settings.write_text("a file")
    opened(state := SessionState())
    with caplog.at_level(logging.WARNING):
        known.disk.size = 4
    known.dock.device = "cpu"
    assert state.device == "cpu"
    assert "cannot be made" in caplog.text


def test_an_older_napari_without_pages_leaves_the_defaults(monkeypatch, opened):
    monkeypatch.delattr(napari.settings, "get_plugin_settings", raising=False)
    opened(state := SessionState()).close()
    assert chosen(state) == chosen(SessionState())


def test_a_plugin_that_napari_does_not_know_leaves_the_defaults(monkeypatch, opened):
    monkeypatch.setattr(napari.settings, "get_plugin_settings", {}.__getitem__, raising=False)
    opened(state := SessionState()).close()
    assert chosen(state) == chosen(SessionState())


def test_a_session_follows_until_it_is_closed(known, session):
    known.dock.device = "cpu"
    assert session.state.device == "cpu"
    session.close()
    known.dock.device = "cuda"
    assert session.state.device == "cpu"
