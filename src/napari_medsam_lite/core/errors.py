"""What can go wrong, each told in one sentence that a user can act on."""


class MedSAMLiteError(Exception):
    """Base of every error this package raises on purpose; its text is one plain sentence."""


class CheckpointError(MedSAMLiteError):
    """The checkpoint is missing, damaged, or not of the LiteMedSAM network."""


class UnsupportedImageError(MedSAMLiteError):
    """The image cannot be segmented: wrong shape, type or values."""


class PromptError(MedSAMLiteError):
    """A box lies outside the image or has no area."""


class FileFormatError(MedSAMLiteError):
    """A file cannot be read or written as what its name says."""


class DeviceMemoryError(MedSAMLiteError):
    """The device has too little memory for the work asked of it."""


class Interrupted(MedSAMLiteError):  # noqa: N818 - not an error of the user's or ours
    """Work was given up because it was asked to; nothing is wrong."""


class BackendUnavailableError(MedSAMLiteError):
    """The preset or device cannot be used here; the text says why."""


class FileNote(UserWarning):
    """What a reader tells of a file that it opened; napari shows warnings as notices."""
