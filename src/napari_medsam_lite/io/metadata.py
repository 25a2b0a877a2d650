"""Where a napari layer carries what this package knows of its image; imports nothing."""

KEY = "medsam_lite"
"""In the layer's metadata; below it are the exact geometry of the file, and whose layer it is."""
CLASSES = "classes"
"""Below it, of a layer of labels from a file: what the numbers stand for."""
CASE = "case"
"""Below it, of labels that a case file brought: the `CaseRecord`, until a desk has taken it."""
