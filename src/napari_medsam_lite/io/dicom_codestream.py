"""What a compressed frame says of its own size, before a decoder takes memory for it."""

from __future__ import annotations

_J2K_START = b"\xff\x4f\xff\x51"
_JPEG_START, _END = b"\xff\xd8", b"\xff\xd9"
_SIZES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # of JPEG, and of JPEG-LS
_ALONE = {0x01, *range(0xD0, 0xD8)}  # markers without content


def codestream_shape(frame: bytes) -> tuple[int, int, int] | None:
    """(rows, columns, components) of a JPEG, JPEG-LS or JPEG 2000 frame; None for others (RLE).

    Raises
    ------
    EOFError
        If it starts as one of these and does not come to its end.
    ValueError
        If it starts as one of these and then is none.
    """
    start = frame.find(_J2K_START, 0, 256)  # behind the boxes that some programs put before it
    if start < 0 and not frame.startswith(_JPEG_START):
        return None
    # Decoders make up what is missing at the end; a byte of filling may follow it.
    if not frame.rstrip(b"\0").endswith(_END):
        raise EOFError
    if start >= 0:
        return _jpeg_2000(frame[start + len(_J2K_START) :])
    return _jpeg(frame)


def _jpeg_2000(size: bytes) -> tuple[int, int, int]:
    if len(size) < 38:
        raise ValueError("a frame is cut short")
    right, bottom, left, top = (int.from_bytes(size[4 + i : 8 + i]) for i in range(0, 16, 4))
    return bottom - top, right - left, int.from_bytes(size[36:38])


def _jpeg(frame: bytes) -> tuple[int, int, int]:
    place = len(_JPEG_START)
    while place + 9 < len(frame) and frame[place] == 0xFF:
        marker = frame[place + 1]
        if marker in _SIZES:
            rows = int.from_bytes(frame[place + 5 : place + 7])
            columns = int.from_bytes(frame[place + 7 : place + 9])
            return rows, columns, frame[place + 9]
        if marker == 0xFF:  # filling
            place += 1
        else:
            length = 0 if marker in _ALONE else int.from_bytes(frame[place + 2 : place + 4])
            place += 2 + length
    raise ValueError("a compressed frame is damaged: it does not say its size")
