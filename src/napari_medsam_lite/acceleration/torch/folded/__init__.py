"""The network with all folded that does not depend on the image: the same numbers, less work."""
