"""A report on disk: values, tables and a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from napari_medsam_lite.core.files import make_folder, replacing


def save_files(
    folder: str | Path, values: dict[str, Any], tables: str, picture: Image.Image, name: str
) -> None:
    """Write bench.json, bench.md and the picture, called `name`, into `folder`.

    Raises
    ------
    FileFormatError
        If they cannot be written.
    """
    target = make_folder(folder)
    with replacing(target / "bench.json") as path:
        path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    with replacing(target / "bench.md") as path:
        path.write_text(tables, encoding="utf-8")
    with replacing(target / name) as path:
        picture.save(path)
