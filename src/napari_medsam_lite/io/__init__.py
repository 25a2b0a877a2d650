"""Files in and out: arrays and records, no napari import."""
