"""The napari dock widget: the only place that knows Qt."""
