from app_model.types import KeyBinding
from napari.layers import Image, Labels, Points, Shapes
from napari.settings import get_settings

from napari_medsam_lite.gui.keys.defaults import DEFAULTS
from napari_medsam_lite.gui.keys.taken import (
    DESKTOP_KEYS,
    MACOS_KEYS,
    WINDOW_KEYS,
    napari_keys,
    normal,
    owner_of,
)


def test_no_default_is_claimed_by_anyone(make_napari_viewer):
    make_napari_viewer()  # its menus fill the registry of commands
    for name, default in DEFAULTS.items():
        assert owner_of(default.key) is None, name


def test_no_default_is_there_twice_and_each_is_one_key():
    keys = [default.key for default in DEFAULTS.values()]
    assert len(set(keys)) == len(keys)
    assert [normal(key) for key in keys] == keys


def test_the_lists_are_written_as_qt_writes_keys():
    for key in WINDOW_KEYS | MACOS_KEYS | DESKTOP_KEYS:
        assert normal(key) == key


def test_napari_keys_are_those_of_layers_viewer_and_menus(make_napari_viewer):
    make_napari_viewer()
    found = napari_keys()
    of_menus = {"Ctrl+O", "Ctrl+N", "Ctrl+Shift+P", "Ctrl+W"}
    assert {"R", "B", "1", "7", "Space", "Ctrl+Y", "Shift+Down", "Ctrl+Z"} | of_menus <= found
    assert "" not in found
    for kind in (Image, Labels, Shapes, Points):
        letters = {str(key) for key in kind.class_keymap if len(str(key)) == 1}
        assert letters <= found


def test_a_key_that_the_user_gave_to_napari_is_napari_s(monkeypatch):
    shortcuts = get_settings().shortcuts.shortcuts
    assert "Ctrl+Alt+N" not in napari_keys()
    own = [*shortcuts["napari:reset_view"], KeyBinding.from_str("Ctrl+Alt+N")]
    monkeypatch.setitem(shortcuts, "napari:reset_view", own)
    assert "Ctrl+Alt+N" in napari_keys()


def test_what_is_no_single_key_is_none():
    for text in ("", "Shift", "Ctrl+", "foo", "Ctrl+K, Ctrl+C", "Ctrl+K,K"):
        assert normal(text) == ""
    assert normal("shift+ctrl+n") == "Ctrl+Shift+N"
    assert normal("n") == "N"


def test_who_claims_a_key():
    assert owner_of("Tab") == "moves about in the window"
    assert owner_of("Meta+1") == owner_of("Ctrl+Q") == "belongs to the desktop"
    assert owner_of("R") == "belongs to napari"
    assert owner_of("Ctrl+Alt+Shift+7") is None
