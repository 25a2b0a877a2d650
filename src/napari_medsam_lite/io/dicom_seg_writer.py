"""Labels to DICOM segmentations, through highdicom: masks, or one label map."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.case import Case
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.label_volume import LabelVolume, classes_in
from napari_medsam_lite.core.labelset import Code, LabelClass
from napari_medsam_lite.io.dicom_sources import SourceSlice, read_sources, source_slices

if TYPE_CHECKING:
    import highdicom as hd

PROGRAM = "napari-medsam-lite"
LABEL = "label {number}: {name}"
"""The description of a segment: masks are numbered 1, 2, 3, ... and names cut after 64 letters."""
ANATOMY = Code("SCT", "123037004", "Anatomical Structure")
TISSUE = Code("SCT", "85756007", "Tissue")
_LONGEST_LABEL = 64
_LONGEST_DESCRIPTION = 1024
_UTF_8 = "ISO_IR 192"


def write_masks(path: Path, labels: LabelVolume, case: Case) -> None:
    """Write a mask a segment, which every reader of DICOM-SEG knows; raises as `write_map`."""
    _write(path, labels, case, as_map=False)


def write_map(path: Path, labels: LabelVolume, case: Case) -> None:
    """Write one label map: smaller and quicker where there are many segments, and newer.

    Raises
    ------
    FileFormatError
        If the case's volume was not read from DICOM images slice by slice, or there is no label.
    """
    _write(path, labels, case, as_map=True)


def _write(path: Path, labels: LabelVolume, case: Case, *, as_map: bool) -> None:
    import highdicom as hd
    from pydicom.uid import ExplicitVRLittleEndian, RLELossless

    slices = source_slices(case.volume)
    named = {each.number: each for each in (*classes_in(labels.data, ()), *labels.classes)}
    if not named:
        raise FileFormatError("There are no labels to save: a DICOM segmentation needs one.")
    classes = [named[number] for number in sorted(named)]
    numbers = {each.number: i for i, each in enumerate(classes, start=1)}
    table = np.zeros(max(named) + 1, np.uint16)
    table[list(numbers)] = list(numbers) if as_map else list(numbers.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on what the source images lack, and was mended
        sources = read_sources(slices)
        kind = hd.seg.SegmentationTypeValues
        segmentation = hd.seg.Segmentation(
            sources,
            _frames(table[labels.data], slices, sources),
            kind.LABELMAP if as_map else kind.BINARY,
            [_describe(each, each.number if as_map else numbers[each.number]) for each in classes],
            series_instance_uid=hd.UID(),
            series_number=900,
            sop_instance_uid=hd.UID(),
            instance_number=1,
            manufacturer=PROGRAM,
            manufacturer_model_name=PROGRAM,
            software_versions=_version(),
            device_serial_number="0",
            series_description="Segmentation",
            content_label="SEGMENTATION",
            specific_character_set=_UTF_8,
            pixel_measures=_measures(case),
            transfer_syntax_uid=RLELossless if as_map else ExplicitVRLittleEndian,
            omit_empty_frames=bool(labels.data.any()),
        )
        segmentation.save_as(path)


def _frames(
    labels: NDArray[np.uint16], slices: Sequence[SourceSlice], sources: Sequence[Any]
) -> NDArray[np.uint16]:
    """In the order of the images: of several files, or of the frames of one."""
    if len(sources) == len(slices):
        return labels
    if len(sources) > 1:
        raise FileFormatError(
            "The image lies in several files of several slices each, which a DICOM segmentation "
            "cannot refer to; save as .seg.nrrd."
        )
    frames = np.zeros((int(sources[0].NumberOfFrames), *labels.shape[1:]), labels.dtype)
    frames[[each.frame for each in slices]] = labels
    return frames


def _measures(case: Case) -> hd.PixelMeasuresSequence:
    """The distance of the slices as it is: files tell their thickness, which may be another."""
    import highdicom as hd

    z, y, x = (round(size, 9) for size in case.volume.spacing)
    return hd.PixelMeasuresSequence((y, x), slice_thickness=z, spacing_between_slices=z)


def _describe(each: LabelClass, number: int) -> hd.seg.SegmentDescription:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    algorithm = hd.AlgorithmIdentificationSequence(
        PROGRAM, codes.cid7162.ArtificialIntelligence, _version()
    )
    described = hd.seg.SegmentDescription(
        number,
        each.name.replace("\\", "/")[:_LONGEST_LABEL].strip(),
        _concept(TISSUE if each.code is None else ANATOMY),
        _concept(each.code or TISSUE),
        hd.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
        algorithm,
        display_color=hd.color.CIELabColor.from_rgb(*each.color),
    )
    text = LABEL.format(number=each.number, name=each.name)
    described.SegmentDescription = text[:_LONGEST_DESCRIPTION]
    if each.code is not None and each.code.modifier is not None:
        kind = described.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [_concept(each.code.modifier)]
    return described


def _concept(code: Code) -> hd.sr.CodedConcept:
    import highdicom as hd

    return hd.sr.CodedConcept(code.value, code.scheme, code.meaning[:_LONGEST_LABEL])


def _version() -> str:
    return version("napari-medsam-lite")
