"""Data to try things on: a drawn CT with its truth, and a real CT to fetch."""
