from dataclasses import FrozenInstanceError

import pytest

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.settings import Settings, parse_overlap, parse_propagation


def test_it_is_one_frozen_record_with_the_defaults_of_everyone():
    settings = Settings()
    assert (settings.propagation, settings.overlap, settings.window) == ("guided", "surer", "auto")
    with pytest.raises(FrozenInstanceError):
        settings.axis = 1
    assert settings == Settings()
    assert len({settings, Settings(), Settings(axis=1)}) == 2


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("keep", "keep"),
        ("overwrite", "overwrite"),
        ("surer", "surer"),
        ("logit", "logit"),
        ("earlier", "keep"),
        ("later", "overwrite"),
    ],
)
def test_overlap_rules_and_their_former_names(text, rule):
    assert parse_overlap(text) == rule


def test_what_is_no_rule_or_way():
    with pytest.raises(MedSAMLiteError, match="surer, logit, keep, overwrite"):
        parse_overlap("newest")
    with pytest.raises(MedSAMLiteError, match="guided, published"):
        parse_propagation("sideways")
