import shutil

import pytest

from napari_medsam_lite.acceleration.code_version import PACKAGE, code_version


@pytest.fixture
def package(tmp_path):
    """A copy of the sources that can be changed."""
    return shutil.copytree(PACKAGE / "model", tmp_path / "model").parent


def test_a_copy_of_the_code_has_its_name(package):
    assert code_version("model/*.py", package=package) == code_version("model/*.py")


@pytest.mark.parametrize("change", ["mended", "renamed", "removed", "new"])
def test_any_change_of_the_code_is_another_name(package, change):
    before = code_version("model/*.py", package=package)
    file = package / "model" / "layers.py"
    match change:
        case "mended":
            file.write_text(file.read_text() + "# mended\n")
        case "renamed":
            file.rename(file.with_name("layer.py"))
        case "removed":
            file.unlink()
        case "new":
            file.with_name("new.py").write_text("")
    code_version.cache_clear()
    assert code_version("model/*.py", package=package) != before
