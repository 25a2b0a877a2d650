"""The script ``./tox``: what it finds missing, and what it does about it."""

import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "install.md"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script as a module."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader = SourceFileLoader("tox_script", str(ROOT / "tox"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def complete(script: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script on a machine that has all it looks for."""
    monkeypatch.setattr(script, "PROGRAMS", {sys.executable: "program"})
    monkeypatch.setattr(script, "LIBRARIES", {})
    monkeypatch.setattr(script, "HEADER", Path(__file__))
    return script


def test_missing_things_are_found_by_looking_for_them(
    complete: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert complete.missing_packages() == []
    monkeypatch.setitem(complete.PROGRAMS, "no-such-program", "program")
    monkeypatch.setitem(complete.LIBRARIES, "libnosuch.so.1", "library")
    monkeypatch.setattr(complete, "HEADER", tmp_path / "Python.h")
    header = f"python{complete.VERSION}-dev"
    assert complete.missing_packages() == ["program", "library", header]


def test_where_nothing_is_missing_nothing_is_called(
    complete: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []
    monkeypatch.setattr(subprocess, "call", calls.append)
    complete.provide_packages(complete.missing_packages())
    assert calls == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has apt-get")
def test_without_apt_one_sentence_says_what_to_install(
    script: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    script.provide_packages(["xvfb", "g++"])
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.endswith(": sudo apt-get install xvfb g++")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has apt-get")
def test_without_venv_the_sentence_ends_the_run(
    script: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    venv = f"python{script.VERSION}-venv"
    with pytest.raises(SystemExit, match=f"sudo apt-get install {venv}$"):
        script.provide_packages([venv])


def test_installation_page_lists_what_the_script_looks_for(script: Any) -> None:
    page = PAGE.read_text(encoding="utf-8").split()
    packages = {*script.PROGRAMS.values(), *script.LIBRARIES.values()}
    assert packages - set(page) == set()
