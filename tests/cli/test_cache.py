"""``segment --cache``: what it switches on."""

import argparse

import pytest

from napari_medsam_lite.cli import cases
from napari_medsam_lite.cli import segment as command


@pytest.fixture
def parse():
    parser = argparse.ArgumentParser()
    command.add_commands(parser.add_subparsers())
    return lambda *more: parser.parse_args(["segment", "ct.nii.gz", "-o", "out.nii.gz", *more])


def test_off_unless_asked_for(parse):
    for arguments, on in (((), False), (("--cache",), True)):
        settings = command.gather_job(parse(*arguments)).settings
        assert settings.on_disk is on
        predictor = cases._predictor.__wrapped__("sdpa", "cpu", None, settings.on_disk)
        assert (predictor.cache.disk is not None) is on
