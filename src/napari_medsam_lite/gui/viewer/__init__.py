"""napari's layers in the engine's words."""
