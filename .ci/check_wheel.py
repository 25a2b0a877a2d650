"""Look whether the wheel and the source archive in a folder hold what they should."""

import sys
import tarfile
import zipfile
from pathlib import Path

PACKAGE = "napari_medsam_lite"
IN_WHEEL = (
    f"{PACKAGE}/__init__.py",
    f"{PACKAGE}/napari.yaml",
    f"{PACKAGE}/py.typed",
    ".dist-info/licenses/LICENSE",
    ".dist-info/entry_points.txt",
)
IN_ARCHIVE = ("LICENSE", "README.md", "pyproject.toml", f"src/{PACKAGE}/napari.yaml")


def main(folder: Path) -> int:
    """Print the wheel's contents; 1 if something is missing or does not belong there."""
    (wheel,) = folder.glob("*.whl")
    (archive,) = folder.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
        entries = next(file.read(n).decode() for n in names if n.endswith("entry_points.txt"))
    with tarfile.open(archive) as file:
        packed = file.getnames()
    print("\n".join(names))
    faults = [f"not in the wheel: {end}" for end in IN_WHEEL if not _ends(names, end)]
    faults += [f"not in the archive: {end}" for end in IN_ARCHIVE if not _ends(packed, end)]
    faults += [f"foreign in the wheel: {n}" for n in names if not n.startswith(PACKAGE)]
    if f"{PACKAGE}:napari.yaml" not in entries or f"{PACKAGE}.cli:main" not in entries:
        faults.append(f"entry points are wrong:\n{entries}")
    print("\n".join(faults) or f"{wheel.name} and {archive.name} are complete.")
    return 1 if faults else 0


def _ends(names: list[str], end: str) -> bool:
    return any(name.endswith(end) for name in names)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
