"""The one job in flight and its thread."""
