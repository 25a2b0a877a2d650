"""``medsam-lite demo``: the main job on the built-in sample."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_medsam_lite.cli.options import (
    Commands,
    add_command,
    add_model_options,
    print_json,
    progress_bar,
    tell_emulated,
)
from napari_medsam_lite.cli.screen import can_open_window
from napari_medsam_lite.core.agreement import dice
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.files import check_writable, make_folder
from napari_medsam_lite.core.labelset import class_named
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.io.formats import write_labels
from napari_medsam_lite.io.overlay import save_overlay
from napari_medsam_lite.io.runfile import RunRecord, run_record, save_run
from napari_medsam_lite.sample.ct import Sample, ct_phantom

PLUGIN = "napari-medsam-lite"
WINDOW = "abdomen"
LABELS, OVERLAY, RUN = "labels.nii.gz", "overlay.png", "run.json"


def add_commands(commands: Commands) -> None:
    """Add ``demo``."""
    parser = add_command(
        commands,
        "demo",
        "segment the built-in sample CT, in napari or without a window",
        "medsam-lite demo --headless -o out",
        run,
    )
    parser.add_argument("--headless", action="store_true", help="open no window, write files")
    parser.add_argument("-o", "--output", default="demo", help="folder for --headless")
    add_model_options(parser)


def run(args: argparse.Namespace) -> int:
    """Do the job with or without a window."""
    if not args.headless:
        return open_napari()
    for name in (LABELS, OVERLAY, RUN):
        check_writable(Path(args.output, name))
    settings = Settings(WINDOW, preset=args.preset, device=args.device, checkpoint=args.checkpoint)
    tell_emulated(args.preset, args.device)
    result = segment_sample(ct_phantom(), settings, args.output)
    if args.json:
        print_json(result)
        return 0
    for name, value in result["dice"].items():
        print(f"{name:24s} Dice {value:.3f}")
    print(f"{'mean':24s} Dice {result['mean_dice']:.3f}")
    seconds = sum(result["seconds"].values())
    print(f"{seconds:.1f} s with {result['preset']} on {result['device']}; files in {args.output}")
    return 0


def segment_sample(sample: Sample, settings: Settings, output: str) -> dict[str, Any]:
    """Segment every organ of the phantom; writes labels, picture and run file."""
    from napari_medsam_lite.engine.predictor import VolumePredictor

    predictor = VolumePredictor(settings.preset, settings.device, settings.checkpoint)
    predictor.set_volume(sample.volume, settings.window, settings.axis)
    with progress_bar("segmenting") as progress:
        labels = predictor.segment_volume(
            sample.boxes,
            overlap=settings.overlap,
            propagation=settings.propagation,
            detail=settings.detail,
            step=settings.step,
            progress=progress,
        )
    backend = predictor.load()
    record = run_record(
        sample.volume,
        sample.boxes,
        replace(settings, preset=predictor.preset, device=backend.target),
        predictor.checkpoint.sha256,
        names=sample.names,
        seconds=predictor.timings.seconds,
        dice={
            name: dice(labels == i, sample.truth == i)
            for i, name in enumerate(sample.names, start=1)
        },
    )
    folder = make_folder(output)
    classes = [class_named(i, name) for i, name in enumerate(sample.names, start=1)]
    write_labels(folder / LABELS, labels, sample.volume, classes=classes)
    save_overlay(
        folder / OVERLAY,
        sample.volume,
        labels,
        sample.boxes,
        limits=predictor.limits,
        classes=classes,
    )
    save_run(folder / RUN, record, sample.volume.affine)
    return summary(record, predictor.device, folder)


def summary(record: RunRecord, device: str, folder: Path) -> dict[str, Any]:
    """What is told of the run."""
    return {
        "dice": record.dice,
        "mean_dice": round(float(np.mean(list(record.dice.values()))), 4),
        "seconds": record.seconds,
        "preset": record.settings.preset,
        "device": device,
        "output": str(folder),
    }


def open_napari() -> int:
    """Open napari with the sample, the dock widget and a box around the liver.

    Raises
    ------
    MedSAMLiteError
        If no window can be opened here.
    """
    if not can_open_window():
        raise MedSAMLiteError(
            "No window can be opened here: there is no display, or no Qt that fits it; "
            "medsam-lite demo --headless -o DIR does the same without a window."
        )
    import napari

    viewer = napari.Viewer()
    viewer.open_sample(PLUGIN, "ct_phantom")
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
    widget.suggest_box()
    napari.run()
    return 0
