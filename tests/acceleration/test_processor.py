import ctypes
import sys
from types import SimpleNamespace

import pytest

from napari_medsam_lite.acceleration import processor
from napari_medsam_lite.acceleration.processor import has_units

AVX2 = "fpu sse4_2 avx avx2 fma"


@pytest.fixture(autouse=True)
def asked_anew():
    has_units.cache_clear()
    yield
    has_units.cache_clear()


def known():
    return has_units("bfloat16"), has_units("8-bit")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"processor\t: 0\nflags\t\t: {AVX2}\nbugs\t: x\n", (False, False)),
        (f"flags\t\t: {AVX2} avx_vnni\n", (False, True)),
        (f"flags\t\t: {AVX2} avx512f avx512_vnni\n", (False, True)),
        (f"flags\t\t: {AVX2} avx512_bf16 avx512_vnni\n", (True, True)),
        (f"flags\t\t: {AVX2} amx_bf16 amx_int8\n", (True, True)),
        ("Features\t: fp asimd asimddp\n", (False, True)),
        ("Features\t: fp asimd asimddp bf16 i8mm\n", (True, True)),
        ("flags\t\t:\n", (None, None)),
        ("nothing of use", (None, None)),
        (None, (None, None)),
    ],
)
def test_linux(monkeypatch, text, wanted):
    def read_text(*_, **__):
        if text is None:
            raise FileNotFoundError
        return text

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(processor.Path, "read_text", read_text)
    assert known() == wanted


@pytest.mark.parametrize(
    ("features", "wanted"),
    [
        ({"FEAT_BF16": 0, "FEAT_I8MM": 0, "FEAT_DotProd": 1}, (False, True)),  # as on an M1
        ({"FEAT_BF16": 1, "FEAT_I8MM": 1, "FEAT_DotProd": 1}, (True, True)),
        ({"FEAT_BF16": 0, "FEAT_I8MM": 0, "FEAT_DotProd": 0}, (False, False)),
        ({}, (None, None)),  # as on Intel's
    ],
)
def test_macos(monkeypatch, features, wanted):
    def sysctlbyname(name, value, size, new, new_size):
        assert new is None
        assert size._obj.value == ctypes.sizeof(value._obj)
        flag = features.get(name.decode().removeprefix("hw.optional.arm."))
        if flag is None:
            return -1
        value._obj.value = flag
        return 0

    monkeypatch.setattr(sys, "platform", "darwin")
    library = SimpleNamespace(sysctlbyname=sysctlbyname)
    monkeypatch.setattr(processor.ctypes, "CDLL", lambda name: library)
    assert known() == wanted


@pytest.mark.parametrize(
    ("machine", "avx512", "wanted"),
    [("AMD64", 0, (False, None)), ("AMD64", 1, (None, None)), ("ARM64", 0, (None, None))],
)
def test_windows(monkeypatch, machine, avx512, wanted):
    def feature(number):
        return avx512 if number == 41 else 0

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(processor.platform, "machine", lambda: machine)
    library = SimpleNamespace(IsProcessorFeaturePresent=feature)
    monkeypatch.setattr(processor.ctypes, "CDLL", lambda name: library)
    assert known() == wanted


def test_this_machine_answers_without_torch():
    """In a process of its own, for others have loaded torch here."""
    import subprocess

    code = (
        "import sys; from napari_medsam_lite.acceleration.processor import has_units;"
        "print(has_units('bfloat16'), has_units('8-bit')); assert 'torch' not in sys.modules"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(told.stdout.split()) <= {"True", "False", "None"}
