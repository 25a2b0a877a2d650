"""Run the command line as ``python -m napari_medsam_lite``."""

from napari_medsam_lite.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
