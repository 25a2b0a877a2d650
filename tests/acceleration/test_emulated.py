import pytest

from napari_medsam_lite.acceleration import emulated as module
from napari_medsam_lite.acceleration.emulated import emulated, processor_flags
from napari_medsam_lite.acceleration.presets import PRESETS

AVX2 = {"sse4_2", "avx", "avx2", "fma"}


def on(monkeypatch, flags):
    monkeypatch.setattr(module, "processor_flags", lambda: frozenset(flags))


def slow(device="cpu"):
    return {name for name in PRESETS if emulated(name, device)}


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (AVX2, {"bf16", "int8-dynamic", "cuda-max"}),
        (AVX2 | {"avx_vnni"}, {"bf16", "cuda-max"}),
        (AVX2 | {"avx512_vnni", "avx512_bf16"}, set()),
        (AVX2 | {"amx_bf16", "amx_int8"}, set()),
        ({"asimd", "asimddp", "bf16"}, set()),
        (set(), set()),  # not known
    ],
)
def test_what_a_processor_emulates(monkeypatch, flags, names):
    on(monkeypatch, flags)
    assert slow() == names


def test_a_gpu_emulates_nothing(monkeypatch):
    on(monkeypatch, AVX2)
    assert slow("cuda") == slow("mps") == set()
    monkeypatch.setattr(module, "no_cuda", lambda: None)
    assert slow("auto") == set()
    monkeypatch.setattr(module, "no_cuda", lambda: "there is none")
    assert "bf16" in slow("auto")


def test_the_sentence(monkeypatch):
    on(monkeypatch, AVX2)
    assert emulated("bf16", "cpu") == (
        "The preset bf16 is slow here: this processor has no bfloat16 units, so they are emulated."
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2\nbugs\t: x\n", {"fpu", "avx2"}),
        ("Features\t: fp asimd bf16\n", {"fp", "asimd", "bf16"}),
        ("nothing of use", set()),
        (None, set()),
    ],
)
def test_where_the_flags_come_from(monkeypatch, text, wanted):
    def read_text(*_, **__):
        if text is None:
            raise FileNotFoundError
        return text

    monkeypatch.setattr(module.Path, "read_text", read_text)
    assert processor_flags.__wrapped__() == wanted
