"""Where the network's files are kept, with a conversion that only pretends."""

import errno
import logging
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from napari_medsam_lite.acceleration import code_version as naming
from napari_medsam_lite.acceleration.backend import silent
from napari_medsam_lite.acceleration.openvino import export as exporting
from napari_medsam_lite.acceleration.openvino import files as module
from napari_medsam_lite.acceleration.openvino.files import checked_cache, network_files
from napari_medsam_lite.core.errors import BackendUnavailableError

PARTS = ("encoder", "prompts", "decoder")


class Conversion:
    """Writes small files; `calls` are the folders, `fails` says for which there is no space."""

    def __init__(self):
        self.calls = []
        self.fails = lambda _: False

    def export(self, checkpoint, side, folder, attend):
        self.calls.append(folder)
        if self.fails(folder):
            (folder / "encoder.xml").write_bytes(b"cut sh")
            raise OSError(errno.ENOSPC, "No space left on device")
        for part in PARTS:
            (folder / f"{part}.xml").write_bytes(part.encode())
            (folder / f"{part}.bin").write_bytes(b"weights of " + part.encode())

    def quantise(self, source, target):
        self.calls.append(target.parent)
        target.write_bytes(b"int8 of " + source.read_bytes())
        target.with_suffix(".bin").write_bytes(b"int8 weights")


@pytest.fixture(autouse=True)
def conversion(monkeypatch, own_cache):
    conversion = Conversion()
    monkeypatch.setattr(exporting, "export", conversion.export)
    monkeypatch.setattr(exporting, "quantise", conversion.quantise)
    return conversion


def load(checkpoint, target="CPU", int8=False, side=256):
    """The contents that a backend would find, and where."""
    with network_files(checkpoint, side, target, int8, silent) as files:
        paths = (files.encoder, files.prompts, files.decoder)
        contents = [p.read_bytes() + p.with_suffix(".bin").read_bytes() for p in paths]
        return contents, files


WHOLE = [part.encode() + b"weights of " + part.encode() for part in PARTS]


def test_the_network_is_converted_once(checkpoint, conversion, own_cache):
    contents, files = load(checkpoint)
    assert contents == WHOLE
    assert files.encoder.is_relative_to(own_cache)
    assert load(checkpoint) == (contents, files)
    assert len(conversion.calls) == 1
    assert len(list((own_cache / "openvino").iterdir())) == 1  # nothing unfinished is left


def test_the_8_bit_encoder_is_made_from_the_other(checkpoint, conversion):
    contents, _ = load(checkpoint, int8=True)
    assert contents == [b"int8 of encoderint8 weights", *WHOLE[1:]]
    assert load(checkpoint, int8=True)[0] == contents
    assert load(checkpoint)[0] == WHOLE
    assert len(conversion.calls) == 2


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("suffix", [".xml", ".bin"])
@pytest.mark.parametrize("damage", ["a bit", "cut", "gone"])
def test_damaged_files_are_made_again(checkpoint, conversion, part, suffix, damage):
    _, files = load(checkpoint)
    file = getattr(files, part).with_suffix(suffix)
    content = file.read_bytes()
    match damage:
        case "a bit":
            file.write_bytes(bytes([content[0] ^ 4]) + content[1:])
        case "cut":
            file.write_bytes(content[:-1])
        case "gone":
            file.unlink()
    assert load(checkpoint)[0] == WHOLE
    assert load(checkpoint)[0] == WHOLE
    assert len(conversion.calls) == 2


def test_a_damaged_8_bit_encoder_is_made_again(checkpoint, conversion):
    contents, files = load(checkpoint, int8=True)
    files.encoder.with_suffix(".bin").write_bytes(b"garbage")
    assert load(checkpoint, int8=True)[0] == contents
    assert len(conversion.calls) == 3


@pytest.mark.parametrize("how", ["a file in its place", "full"])
def test_without_a_cache_folder_a_temporary_one_serves(
    checkpoint, conversion, own_cache, caplog, how
):
    if how == "full":
        conversion.fails = lambda folder: folder.is_relative_to(own_cache)
    else:
        own_cache.write_text("in the way")
    with caplog.at_level(logging.WARNING):
        contents, files = load(checkpoint, int8=True)
    assert contents == [b"int8 of encoderint8 weights", *WHOLE[1:]]
    assert files.compiled is None
    assert not files.encoder.is_relative_to(own_cache)
    assert not files.encoder.exists()
    assert not files.prompts.exists()
    (record,) = caplog.records
    assert "cannot be kept" in record.getMessage()
    assert record.exc_info is None
    if how == "full":
        assert list((own_cache / "openvino").iterdir()) == []


def test_no_space_anywhere_is_told(checkpoint, conversion):
    conversion.fails = lambda _: True
    with pytest.raises(BackendUnavailableError, match=r"cannot be written.* free some space"):
        load(checkpoint)


def test_another_process_that_was_sooner(checkpoint, conversion, own_cache):
    export = conversion.export

    def interrupted(checkpoint, side, folder, attend):
        if len(conversion.calls) == 0:
            conversion.calls.append(None)
            load(checkpoint)
        export(checkpoint, side, folder, attend)

    exporting.export = interrupted
    assert load(checkpoint)[0] == WHOLE
    assert len(list((own_cache / "openvino").iterdir())) == 1


def test_what_killed_conversions_left_is_removed(checkpoint, own_cache):
    load(checkpoint)
    root = own_cache / "openvino"
    for name, age in (("unfinished-1", 4000), ("tmpabcd", 4000), ("unfinished-2", 60)):
        (root / name).mkdir()
        (root / name / "encoder.bin").write_bytes(b"half")
        then = (root / name).stat().st_mtime - age
        os.utime(root / name, (then, then))
    assert load(checkpoint)[0] == WHOLE
    left = {path.name for path in root.iterdir()}
    assert "unfinished-2" in left  # perhaps being written by another process
    assert not left & {"unfinished-1", "tmpabcd"}


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return shutil.copytree(naming.PACKAGE, tmp_path_factory.mktemp("sources") / "package")


@pytest.mark.parametrize(
    "name",
    [
        "model/tiny_vit.py",
        "model/layers.py",
        "model/mask_decoder.py",
        "acceleration/torch/folded/encoder.py",
        "acceleration/torch/attention.py",
        "acceleration/openvino/export.py",
    ],
)
def test_a_mended_network_is_converted_again(checkpoint, conversion, monkeypatch, sources, name):
    version = naming.code_version.__wrapped__
    monkeypatch.setattr(module, "code_version", lambda *p: version(*p, package=sources))
    _, before = load(checkpoint)
    file = sources / name
    text = file.read_text(encoding="utf-8")
    file.write_text(text + "# mended\n", encoding="utf-8")
    try:
        _, after = load(checkpoint)
    finally:
        file.write_text(text, encoding="utf-8")
    assert len(conversion.calls) == 2
    assert before.encoder != after.encoder


def test_other_weights_devices_and_sides_have_files_of_their_own(checkpoint, conversion):
    load(checkpoint)
    load(checkpoint, target="GPU")
    load(replace(checkpoint, sha256="0" * 64))
    load(checkpoint, side=128)
    assert len(set(conversion.calls)) == 4


def test_damage_of_one_side_leaves_the_others(checkpoint, conversion):
    _, small = load(checkpoint, side=128)
    _, large = load(checkpoint)
    small.encoder.with_suffix(".bin").write_bytes(b"garbage")
    assert load(checkpoint) == (WHOLE, large)
    assert len(conversion.calls) == 2
    assert load(checkpoint, side=128) == (WHOLE, small)
    assert len(conversion.calls) == 3


@pytest.fixture
def compiled(tmp_path):
    """A folder as OpenVINO and an earlier start have left it."""
    folder = tmp_path / "compiled"
    with checked_cache(folder) as cache:
        for name in ("1.blob", "2.blob"):
            (cache / name).write_bytes(b"kernels")
            (cache / name).chmod(0o440)  # as OpenVINO's are
    return folder


def blobs(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.blob"))


def test_compiled_forms_are_kept(compiled):
    with checked_cache(compiled) as cache:
        assert cache == compiled
        assert blobs(cache) == ["1.blob", "2.blob"]
        (cache / "3.blob").write_bytes(b"new")
    with checked_cache(compiled) as cache:
        assert blobs(cache) == ["1.blob", "2.blob", "3.blob"]


@pytest.mark.parametrize("damage", [b"kernelt", b"kernel", b""])
def test_damaged_compiled_forms_are_removed_first(compiled, damage):
    (compiled / "1.blob").chmod(0o640)
    (compiled / "1.blob").write_bytes(damage)
    with checked_cache(compiled) as cache:
        assert blobs(cache) == ["2.blob"]
        (cache / "1.blob").write_bytes(b"kernels again")
    with checked_cache(compiled) as cache:
        assert blobs(cache) == ["1.blob", "2.blob"]


def test_compiled_forms_that_a_killed_process_left_are_not_trusted(compiled):
    (compiled / "3.blob").write_bytes(b"half")
    with checked_cache(compiled) as cache:
        assert blobs(cache) == ["1.blob", "2.blob"]


def test_nowhere_to_keep_compiled_forms(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with checked_cache(tmp_path / "file") as cache:
        assert cache is None
    with checked_cache(None) as cache:
        assert cache is None
