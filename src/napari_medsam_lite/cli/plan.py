"""Which cases there are, where their answers go, and whether they can go there."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from napari_medsam_lite.cli.cases import CaseFiles
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.files import check_writable, identity_of, is_there, remove_leftovers
from napari_medsam_lite.io.folders import answer_name, list_cases, stem
from napari_medsam_lite.io.formats import is_dicom, is_image
from napari_medsam_lite.io.guard import is_folder
from napari_medsam_lite.io.overlay import PICTURE, check_picture_name
from napari_medsam_lite.io.registry import LABEL_SUFFIXES


def plan_cases(
    inputs: Sequence[str],
    output: str,
    overlay: str | None,
    montage: str | None = None,
    *,
    overwrite: bool = False,
    one_series: bool = False,
) -> list[CaseFiles]:
    """The files named and those of the folders named, each with where its answer goes.

    With `one_series` a folder of DICOM files is one case, whatever folders they lie in.

    Raises
    ------
    FileFormatError
        If inputs and outputs do not fit together.
    """
    sources: list[Path] = []
    for path in map(Path, inputs):
        several = is_folder(path) and not (one_series and is_dicom(path))
        sources += list_cases(path) if several else [path]
    many = len(sources) > 1
    single = is_file_name(output)
    if single and many:
        raise FileFormatError(f"{output} is one file, but there are {len(sources)} inputs.")
    for picture in filter(None, (overlay, montage)):
        if not many:
            check_picture_name(picture)
        elif picture.lower().endswith(PICTURE):
            raise FileFormatError(f"{picture} is one picture, but there are {len(sources)} inputs.")
    targets = [Path(output) if single else Path(output, answer_name(source)) for source in sources]
    cases = [
        CaseFiles(
            source,
            target,
            _picture(overlay, source, many),
            overwrite,
            _picture(montage, source, many),
        )
        for source, target in zip(sources, targets, strict=True)
    ]
    outputs = [path for case in cases for path in _outputs(case)]
    count = Counter(map(identity_of, outputs))
    twice = sorted({str(path) for path in outputs if count[identity_of(path)] > 1})
    if twice:
        raise FileFormatError(f"Two inputs would be written to {', '.join(twice)}.")
    return cases


def is_file_name(output: str) -> bool:
    """Whether `output` names a file, not a folder.

    Raises
    ------
    FileFormatError
        If it looks like a file of a kind that cannot be written.
    """
    if output.endswith((os.sep, os.altsep or os.sep)) or is_folder(Path(output)):
        return False
    if output.lower().endswith(LABEL_SUFFIXES):
        return True
    if Path(output).suffix:
        raise FileFormatError(
            f"{output}: labels are written as {', '.join(LABEL_SUFFIXES)}; let the name end "
            f"with one of these, or with {os.sep} if it is a folder."
        )
    return False


def check_outputs(cases: Sequence[CaseFiles]) -> None:
    """Refuse, before any work, what could not be written or would destroy something.

    Raises
    ------
    FileFormatError
        If a file would replace an input or, unasked, another file, or cannot be written.
    """
    inputs = {identity_of(case.source) for case in cases}
    for case in cases:
        for path in _outputs(case):
            if identity_of(path) in inputs or _is_slice(path, cases):
                raise FileFormatError(f"{path} is an input; give what is written another name.")
            if not case.overwrite and is_there(path):
                raise FileFormatError(
                    f"{path} is there already; give another name, or --overwrite."
                )
            check_writable(path)
    for folder in {path.parent for case in cases for path in _outputs(case)}:
        remove_leftovers(folder)


def leave_out_finished(cases: Sequence[CaseFiles]) -> list[CaseFiles]:
    """The cases without labels yet; labels appear whole, so the others are finished.

    A single case is not left out: that its labels are there is told in place of doing nothing.
    """
    if len(cases) == 1:
        return list(cases)
    left = [case for case in cases if case.overwrite or not is_there(case.target)]
    if len(left) < len(cases):
        finished = len(cases) - len(left)
        print(f"{finished} of {len(cases)} cases are done already.", file=sys.stderr)
    return left


def once_more(case: CaseFiles) -> CaseFiles:
    """The case as it is tried after a worker died on it.

    That worker may have written the labels already: they are replaced by equal ones.
    """
    return replace(case, overwrite=True)


def for_cluster(case: CaseFiles) -> CaseFiles:
    """The case as a worker elsewhere needs it, which has another working folder.

    Dask itself tries it again when a worker dies.
    """
    return replace(
        once_more(case),
        source=case.source.absolute(),
        target=case.target.absolute(),
        overlay=case.overlay and case.overlay.absolute(),
        montage=case.montage and case.montage.absolute(),
    )


def _outputs(case: CaseFiles) -> list[Path]:
    return [case.target, case.run_file, *filter(None, (case.overlay, case.montage))]


def _picture(name: str | None, source: Path, many: bool) -> Path | None:
    if name is None:
        return None
    return Path(name) / f"{stem(source)}{PICTURE}" if many else Path(name)


def _is_slice(path: Path, cases: Sequence[CaseFiles]) -> bool:
    """Whether `path` is one of the files of an input that is a folder."""
    # Not Path.resolve: it stops at links that lead round in a circle.
    target = Path(os.path.realpath(path))
    folders = {Path(os.path.realpath(c.source)) for c in cases if is_folder(c.source)}
    return not folders.isdisjoint(target.parents) and is_image(path)
