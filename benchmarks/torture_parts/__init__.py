"""The parts of `torture.py`."""
