"""Names the code that a stored result was made by."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


@cache
def code_version(*patterns: str, package: Path = PACKAGE) -> str:
    """A short name for the files that match `patterns`.

    When any of them changes, so does the name: what other code has stored is not used any more.

    Parameters
    ----------
    *patterns : str
        Globs below `package`, such as ``"model/*.py"``.
    package : Path
        The folder of the sources.
    """
    digest = hashlib.blake2b(digest_size=8)
    for pattern in patterns:
        for file in sorted(package.glob(pattern)):
            digest.update(file.relative_to(package).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()
