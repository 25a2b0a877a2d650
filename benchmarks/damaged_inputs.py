"""Files that are damaged, or made to do harm: what `damaged_files.py` has read."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
from damaged_dicom import DATA, Damaged, absurd_dicom, strange_folders, write_slice
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)


def make_inputs(folder: Path, shared: Path | None = None) -> Iterator[Damaged]:
    """All of them, below `folder`; with those made of real files if `shared` is there."""
    sources = make_sources(folder / "sources")
    if shared is not None:
        sources |= real_sources(shared)
    for name, source in sources.items():
        yield from damaged_bytes(name, source, folder)
    yield from absurd_dicom(folder)
    yield from strange_folders(folder)
    yield from absurd_headers(folder, sources)
    yield from bombs(folder, sources)


def make_sources(folder: Path) -> dict[str, Path]:
    """A sound file of every kind."""
    folder.mkdir(parents=True)
    affine = np.diag([-0.7, -0.8, 3, 1])
    names = ("ct.nii", "ct.nii.gz", "ct.npz", "ct.nrrd", "ct.mha")
    sources = {name: folder / name for name in names}
    nib.Nifti1Image(DATA.T, affine).to_filename(sources["ct.nii"])
    nib.Nifti1Image(DATA.T, affine).to_filename(sources["ct.nii.gz"])
    np.savez_compressed(sources["ct.npz"], imgs=DATA, spacing=(0.7, 0.8, 3))
    size = "48 64 5"
    head = f"NRRD0004\ntype: short\ndimension: 3\nsizes: {size}\nencoding: gzip\nendian: little\n"
    sources["ct.nrrd"].write_bytes(f"{head}\n".encode() + gzip.compress(DATA.tobytes()))
    head = f"NDims = 3\nDimSize = {size}\nElementType = MET_SHORT\nCompressedData = True\n"
    packed = zlib.compress(DATA.tobytes())
    sources["ct.mha"].write_bytes(f"{head}ElementDataFile = LOCAL\n".encode() + packed)
    for syntax in (JPEG2000Lossless, JPEGLSLossless, RLELossless, DeflatedExplicitVRLittleEndian):
        sources[f"{syntax.keyword}.dcm"] = folder / f"{syntax.keyword}.dcm"
        write_slice(sources[f"{syntax.keyword}.dcm"], syntax=syntax)
    sources["raw.dcm"] = write_slice(folder / "raw.dcm")
    return sources


def real_sources(shared: Path) -> dict[str, Path]:
    """A real file of every kind."""
    dicom = shared / "dicom"
    return {
        "real-j2k": sorted((dicom / "ts_abdomen20_j2k").iterdir())[0],
        "real-enhanced.dcm": dicom / "eCT_Supplemental.dcm",
        "real-siemens.dcm": sorted((dicom / "gantry_tilt_siemens").iterdir())[0],
        "real-ge.dcm": sorted((dicom / "missing_slice_ge").iterdir())[0],
        "real-segmentation.dcm": dicom / "ct_with_seg" / "liver.dcm",
        "real.nii.gz": shared / "ct" / "totalseg_ct.nii.gz",
        "real.npz": shared / "ct" / "3DBox_CT_tseg.npz",
    }


def damaged_bytes(name: str, source: Path, folder: Path) -> Iterator[Damaged]:
    """Cut, emptied, overwritten, and with bits turned over."""
    content = source.read_bytes()
    rng = np.random.default_rng(len(name))
    changed = {
        "empty": b"",
        "first-10": content[:10],
        "first-200": content[:200],
        "half": content[: len(content) // 2],
        "without-end": content[:-30],
        "zeros-first": bytes(512) + content[512:],
        "zeros-in-the-middle": content[: len(content) // 2] + bytes(len(content) // 2),
        "text": b"This is no image.\n" * 40,
    }
    for case, damage in changed.items():
        hidden = case == "zeros-in-the-middle" or (case == "without-end" and "real" in name)
        yield written(folder, f"{case}-{name}", damage, may_open=hidden)
    for case, reach in (("header", 600), ("header", 2000), ("anywhere", len(content))):
        flipped = bytearray(content)
        for place in rng.integers(0, min(reach, len(content)), 12):
            flipped[place] ^= 1 << int(rng.integers(8))
        yield written(folder, f"flips-{case}-{reach}-{name}", bytes(flipped), may_open=True)


def written(folder: Path, name: str, content: bytes, *, may_open: bool = False) -> Damaged:
    """An input of these bytes, in a folder of its own."""
    path = folder / name.replace(".", "-") / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return Damaged(name, path, may_open)


def absurd_headers(folder: Path, sources: dict[str, Path]) -> Iterator[Damaged]:
    """Headers of other formats that make no sense, or name other files."""
    nrrd, mha = sources["ct.nrrd"].read_bytes(), sources["ct.mha"].read_bytes()
    changes = [
        ("nrrd", nrrd, b"48 64 5", b"48000 64000 50"),
        ("nrrd", nrrd, b"48 64 5", b"-48 64 5"),
        ("nrrd", nrrd, b"48 64 5", b"1e9 x 5"),
        ("nrrd", nrrd, b"dimension: 3", b"dimension: 99"),
        ("nrrd", nrrd, b"encoding: gzip", b"data file: /etc/passwd\nencoding: raw"),
        ("nrrd", nrrd, b"encoding: gzip", b"encoding: bzip2"),
        ("nrrd", nrrd, b"type: short", b"type: block"),
        ("nrrd", nrrd, b"endian", b"spacings: 0 nan 1\nendian"),
        ("mha", mha, b"48 64 5", b"48000 64000 50"),
        ("mha", mha, b"48 64 5", b"48 64"),
        ("mha", mha, b"LOCAL", b"/etc/passwd"),
        ("mha", mha, b"LOCAL", b"LIST"),
        ("mha", mha, b"MET_SHORT", b"MET_OTHER"),
        ("mha", mha, b"Compressed", b"ElementSpacing = 0 0 0\nCompressed"),
        ("mha", mha, b"Compressed", b"Offset = inf 0 0\nCompressed"),
    ]
    for number, (kind, content, old, new) in enumerate(changes):
        assert old in content
        yield written(folder, f"header-{number}.{kind}", content.replace(old, new, 1))
    nii = bytearray(sources["ct.nii"].read_bytes())
    nii[40:56] = np.array([3, 30000, 30000, 30000, 1, 1, 1, 1], "<i2").tobytes()
    yield written(folder, "claims-54-GB.nii", bytes(nii[:1000]))
    yield written(folder, "claims-54-GB.nii.gz", gzip.compress(bytes(nii[:1000])))
    nii[40:56] = np.array([9, 1, 1, 1, 1, 1, 1, 1], "<i2").tobytes()
    yield written(folder, "nine-dimensions.nii", bytes(nii))


def bombs(folder: Path, sources: dict[str, Path]) -> Iterator[Damaged]:
    """Small files that unpack to very much, and what is never unpacked."""
    zeros = bytes(200 << 20)
    nii = bytearray(sources["ct.nii"].read_bytes()[:352])
    nii[40:56] = np.array([3, 32000, 32000, 1, 1, 1, 1, 1], "<i2").tobytes()
    yield written(folder, "bomb.nii.gz", gzip.compress(bytes(nii) + zeros))
    packed = sources["ct.nrrd"].read_bytes().partition(b"\n\n")[0] + b"\n\n"
    yield written(folder, "bomb.nrrd", packed + gzip.compress(zeros), may_open=True)
    head = sources["ct.mha"].read_bytes().partition(b"LOCAL\n")
    yield written(folder, "bomb.mha", head[0] + head[1] + zlib.compress(zeros))
    raw = sources["raw.dcm"].read_bytes()
    start = 144 + int.from_bytes(raw[140:144], "little")
    meta = raw[:start].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
    meta = meta[:140] + (start - 144 + 2).to_bytes(4, "little") + meta[144:]
    place = meta.find(b"1.2.840.10008.1.2.1.99")
    meta = meta[: place - 2] + (22).to_bytes(2, "little") + meta[place:]
    deflate = zlib.compressobj(wbits=-15)
    body = deflate.compress(raw[start:]) + deflate.compress(zeros) + deflate.flush()
    yield written(folder, "bomb.dcm", meta + body)
    path = folder / "bomb-npz" / "bomb.npz"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        head = (
            b"\x93NUMPY\1\0v\0{'descr': '<i2', 'fortran_order': False, 'shape': (800, 512, 512), }"
        )
        file.writestr("imgs.npy", head.ljust(127) + b"\n" + zeros[: 100 << 20])
    yield Damaged("bomb.npz", path)
    for name, array in (("pickled", np.array([{}], object)), ("words", np.array(["a"] * 9))):
        path = folder / name / f"{name}.npz"
        path.parent.mkdir()
        np.savez(path, imgs=array)
        yield Damaged(f"{name}.npz", path)
