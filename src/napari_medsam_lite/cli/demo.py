"""``medsam-lite demo``: the main job on the built-in sample."""

from __future__ import annotations

import argparse
from importlib import metadata
from typing import Any

import numpy as np

from napari_medsam_lite.cli.options import (
    Commands,
    add_command,
    add_model_options,
    print_json,
    progress_bar,
)
from napari_medsam_lite.core.agreement import dice
from napari_medsam_lite.core.files import make_folder
from napari_medsam_lite.io.formats import write_labels
from napari_medsam_lite.io.overlay import save_overlay
from napari_medsam_lite.io.runfile import RunRecord, save_run
from napari_medsam_lite.sample.ct import Sample, ct_phantom

PLUGIN = "napari-medsam-lite"
WINDOW = "abdomen"
VERSIONED = (PLUGIN, "torch", "numpy", "napari")


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
    result = segment_sample(ct_phantom(), args)
    if args.json:
        print_json(result)
        return 0
    for name, value in result["dice"].items():
        print(f"{name:24s} Dice {value:.3f}")
    print(f"{'mean':24s} Dice {result['mean_dice']:.3f}")
    seconds = sum(result["seconds"].values())
    print(f"{seconds:.1f} s with {result['preset']} on {result['device']}; files in {args.output}")
    return 0


def segment_sample(sample: Sample, args: argparse.Namespace) -> dict[str, Any]:
    """Segment every organ of the phantom; writes labels.nii.gz, overlay.png and run.json."""
    from napari_medsam_lite.engine.predictor import VolumePredictor

    predictor = VolumePredictor(args.preset, args.device, args.checkpoint)
    predictor.set_volume(sample.volume, WINDOW)
    boxes = list(sample.boxes)
    with progress_bar("segmenting") as progress:
        labels = predictor.segment_volume(
            boxes, overlap="logit", propagation="guided", progress=progress
        )
    record = RunRecord(
        input=sample.volume.name,
        boxes=tuple(boxes),
        window=WINDOW,
        axis=0,
        preset=predictor.preset,
        device=predictor.device,
        propagation="guided",
        checkpoint_sha256=predictor.checkpoint.sha256,
        names=tuple(sample.names),
        versions={name: metadata.version(name) for name in VERSIONED},
        seconds={stage: round(s, 3) for stage, s in predictor.timings.seconds.items()},
        dice={
            name: round(dice(labels == i, sample.truth == i), 4)
            for i, name in enumerate(sample.names, start=1)
        },
    )
    folder = make_folder(args.output)
    write_labels(folder / "labels.nii.gz", labels, sample.volume)
    save_overlay(folder / "overlay.png", sample.volume, labels, boxes, limits=predictor.limits)
    save_run(folder / "run.json", record, sample.volume.affine)
    return {
        "dice": record.dice,
        "mean_dice": round(float(np.mean(list(record.dice.values()))), 4),
        "seconds": record.seconds,
        "preset": record.preset,
        "device": record.device,
        "output": str(folder),
    }


def open_napari() -> int:
    """Open napari with the sample, the dock widget and a box around the liver."""
    import napari

    viewer = napari.Viewer()
    viewer.open_sample(PLUGIN, "ct_phantom")
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
    widget.add_sample_box(ct_phantom().boxes[0])
    napari.run()
    return 0
