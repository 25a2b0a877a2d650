"""Keys that work from everywhere in napari's window."""
