"""``segment --cache``: what it switches on."""

import argparse
from importlib import metadata

import pytest

from napari_medsam_lite.cli import cases, main
from napari_medsam_lite.cli import segment as command
from napari_medsam_lite.engine import disk_cache


@pytest.fixture
def parse():
    parser = argparse.ArgumentParser()
    command.add_commands(parser.add_subparsers())
    return lambda *more: parser.parse_args(["segment", "ct.nii.gz", "-o", "out.nii.gz", *more])


def test_off_unless_asked_for(parse):
    for arguments, on in (((), False), (("--cache",), True)):
        settings = command.gather_settings(parse(*arguments))
        assert settings.cache is on
        predictor = cases._predictor.__wrapped__("sdpa", "cpu", None, settings.cache)
        assert (predictor.cache.disk is not None) is on


def test_without_zarr(tmp_path, monkeypatch, capsys):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(disk_cache.metadata, "version", missing)
    arguments = ["segment", "ct.nii.gz", "-o", str(tmp_path / "out.nii.gz"), "--cache"]
    assert main(arguments) == 1
    assert "napari-medsam-lite[disk-cache]" in capsys.readouterr().err
    assert main(arguments[:-1]) == 1
    assert "disk-cache" not in capsys.readouterr().err
