"""Where embeddings are kept, as the user chose it once for all programs."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.engine.disk_cache import DiskCache
from napari_medsam_lite.engine.disk_place import (
    GIB,
    OWN_FOLDER,
    DiskPlace,
    choose_disk_place,
    default_folder,
    disk_place,
)


def test_what_is_chosen_serves_every_cache_from_then_on(tmp_path):
    choose_disk_place(DiskPlace(str(tmp_path), 3))
    assert disk_place() == DiskPlace(str(tmp_path), 3)
    cache = DiskCache()
    assert (cache.folder, cache.max_bytes) == (tmp_path / OWN_FOLDER, 3 * GIB)


def test_a_folder_that_is_not_there_gives_way_to_the_usual_one(tmp_path):
    assert DiskPlace(str(tmp_path / "gone")).folder == default_folder()
    assert DiskPlace().folder == default_folder()


def test_folders_are_meant_from_home(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for parent in ("data", "~/data"):
        assert DiskPlace(parent).folder == tmp_path / "data" / OWN_FOLDER


@given(st.text(max_size=40))
@example("~nobody/x")
@example("a\0b")
def test_any_text_gives_a_folder(text):
    assert DiskPlace(text).folder.name in (OWN_FOLDER, default_folder().name)


@pytest.mark.parametrize("text", ["", "[]", '{"parent": ""}', '{"parent": "", "gib": "much"}'])
def test_a_damaged_file_is_as_none(own_settings, text):
    own_settings.mkdir()
    (own_settings / "embeddings.json").write_text(text)
    assert disk_place() == DiskPlace()


def test_a_choice_that_cannot_be_kept_is_told(own_settings):
    own_settings.write_text("a file")
    with pytest.raises(FileFormatError, match="cannot be made"):
        choose_disk_place(DiskPlace(gib=2))
    choose_disk_place(DiskPlace())  # as it is already: nothing is written
