"""A claim that is refreshed until it is let go of, whatever its owner is busy with."""

from __future__ import annotations

import threading

from napari_medsam_lite.io.claims import Claim

REFRESH_S = 60.0
"""Several times in `claims.STALE_S`, so that other machines see that this process is there."""
PATIENCE_S = 2.0


class KeptClaim:
    """Keeps `claim` fresh on a thread of its own: a network folder may answer late.

    Parameters
    ----------
    claim : Claim
        As `Claim.take` gave it.
    """

    def __init__(self, claim: Claim) -> None:
        self._claim, self._ended = claim, threading.Event()
        self._thread = threading.Thread(target=self._keep, name="claim", daemon=True)
        self._thread.start()

    def __enter__(self) -> KeptClaim:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Let go of the claim; a folder that does not answer is not waited for."""
        self._ended.set()
        self._thread.join(PATIENCE_S)

    def _keep(self) -> None:
        while not self._ended.wait(REFRESH_S):
            self._claim.refresh()
        self._claim.release()
