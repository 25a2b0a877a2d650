"""The network's OpenVINO files: converted once, kept on disk, checked at each use.

They are only ever a copy. Damaged ones are made again; where none can be kept, a temporary folder
serves as long as the network is being loaded.
"""

from __future__ import annotations

import logging
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from napari_medsam_lite.acceleration.backend import Progress
from napari_medsam_lite.acceleration.code_version import code_version
from napari_medsam_lite.acceleration.openvino.sealed import MANIFEST, intact, is_intact, seal
from napari_medsam_lite.core.errors import BackendUnavailableError, FileFormatError
from napari_medsam_lite.core.files import cache_folder
from napari_medsam_lite.model.weights import Checkpoint

log = logging.getLogger(__name__)

CODE = (
    "model/*.py",
    "acceleration/torch/folded/*.py",
    "acceleration/torch/attention.py",
    "acceleration/openvino/export.py",
)
"""What decides on the network's files: mend any of it, and they are made anew."""

INT8_CODE = (*CODE, "acceleration/ct_like.py")

UNFINISHED = "unfinished-"
FORMER_UNFINISHED = "tmp"
ABANDONED_S = 3600
"""A conversion takes minutes: what is older was left by a process that was killed."""


@dataclass(frozen=True)
class NetworkFiles:
    """The .xml of each part (its .bin lies beside), and where OpenVINO may keep what it compiled.

    `compiled` is None in a temporary folder.
    """

    encoder: Path
    prompts: Path
    decoder: Path
    compiled: Path | None


@contextmanager
def network_files(
    checkpoint: Checkpoint, side: int, target: str, int8: bool, progress: Progress
) -> Iterator[NetworkFiles]:
    """The files of the network of `checkpoint` for the OpenVINO device `target`, to load now.

    Parameters
    ----------
    checkpoint : Checkpoint
        The weights.
    side : int
        Of the frame, in pixels.
    target : str
        ``"CPU"``, ``"GPU"``, ``"NPU"``.
    int8 : bool
        Whether the encoder is the one in 8 bits.
    progress : callable
        Told what takes long.

    Raises
    ------
    BackendUnavailableError
        If neither the cache folder nor a temporary one can hold them.
    """
    root = cache_folder("openvino")
    kept = _kept_files(root, checkpoint, side, target, int8, progress)
    if kept is not None:
        yield kept
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            files = _files_in(Path(folder), checkpoint, side, target, int8, progress)
        except (OSError, FileFormatError) as error:
            raise BackendUnavailableError(
                f"OpenVINO's files of the network cannot be written, neither to {root} nor to "
                f"{folder}; free some space, or choose the preset sdpa."
            ) from error
        yield NetworkFiles(files.encoder, files.prompts, files.decoder, compiled=None)


def _kept_files(
    root: Path, checkpoint: Checkpoint, side: int, target: str, int8: bool, progress: Progress
) -> NetworkFiles | None:
    """The files below `root`, which stay; None, with a warning, where none can be kept."""
    try:
        _remove_abandoned(root)
        return _files_in(root, checkpoint, side, target, int8, progress)
    except (OSError, FileFormatError) as error:
        log.warning(
            "The network's files cannot be kept in %s (%s): they are made anew at each start.",
            root,
            error,
        )
        return None


def _files_in(
    root: Path, checkpoint: Checkpoint, side: int, target: str, int8: bool, progress: Progress
) -> NetworkFiles:
    """The files below `root`, made where they are not there.

    The folders' names say what the files depend on: checkpoint, OpenVINO, the code that wrote them,
    the side of the frame and the kind of attention. On a processor the usual softmax would take a
    fifth of the encoder's time; the way around it needs a float's range, so other devices, which
    compute in float16, keep it.
    """
    plain = target != "CPU"
    kind = f"{checkpoint.sha256[:16]}-{metadata.version('openvino')}"

    def convert(folder: Path) -> None:
        from napari_medsam_lite.acceleration.openvino.export import export
        from napari_medsam_lite.acceleration.torch.attention import unshifted_attention
        from napari_medsam_lite.model.layers import manual_attention

        progress("converting the network for OpenVINO, once")
        export(checkpoint, side, folder, manual_attention if plain else unshifted_attention)

    suffix = f"-{side}-softmax" if plain else f"-{side}"
    folder = _made_once(root / f"{kind}-{code_version(*CODE)}{suffix}", convert)
    encoder = folder / "encoder.xml"

    def quantise_encoder(folder: Path) -> None:
        from napari_medsam_lite.acceleration.openvino.export import quantise

        progress("quantising the encoder, once")
        quantise(encoder, folder / encoder.name)

    if int8:
        name = f"{kind}-{code_version(*INT8_CODE)}{suffix}-int8-{metadata.version('nncf')}"
        encoder = _made_once(root / name, quantise_encoder) / encoder.name
    return NetworkFiles(
        encoder, folder / "prompts.xml", folder / "decoder.xml", folder / "compiled"
    )


def _made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """`folder` with what `make` wrote into it; made now if it is not there, or is damaged."""
    if is_intact(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=UNFINISHED, dir=folder.parent, ignore_cleanup_errors=True
    ) as unfinished:
        made = Path(unfinished, folder.name)
        made.mkdir()
        make(made)
        seal(made)
        if not is_intact(folder):  # another process may have been sooner
            with suppress(FileNotFoundError):
                folder.rename(Path(unfinished, "damaged"))
            made.rename(folder)
    return folder


def _remove_abandoned(root: Path) -> None:
    """Remove what killed conversions have left."""
    for prefix in (UNFINISHED, FORMER_UNFINISHED):
        for path in root.glob(f"{prefix}*"):
            with suppress(FileNotFoundError):  # another process removed it
                if time.time() - path.stat().st_mtime > ABANDONED_S:
                    shutil.rmtree(path, ignore_errors=True)


@contextmanager
def checked_cache(folder: Path | None) -> Iterator[Path | None]:
    """`folder` for what OpenVINO compiles, damaged files removed; None where it cannot be used.

    OpenVINO itself does not see damage. At the end, what it has added is sealed.
    """
    if folder is None:
        yield None
        return
    try:
        folder.mkdir(exist_ok=True)
        known = intact(folder)
        for file in folder.iterdir():
            if file.name not in known and file.name != MANIFEST:
                file.chmod(stat.S_IWRITE | stat.S_IREAD)  # OpenVINO's are read-only
                file.unlink()
    except OSError as error:
        log.info("%s is not used: %s", folder, error)
        yield None
        return
    yield folder
    try:
        seal(folder, known)
    except (OSError, FileFormatError) as error:
        log.info("%s is not kept: %s", folder, error)
