import threading

from napari_medsam_lite.io import kept_claim
from napari_medsam_lite.io.claims import Claim, holder
from napari_medsam_lite.io.kept_claim import KeptClaim


def test_it_is_refreshed_until_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_claim, "REFRESH_S", 0.01)
    twice = threading.Semaphore(0)
    monkeypatch.setattr(Claim, "refresh", lambda _: twice.release())
    with KeptClaim(Claim.take(tmp_path / "case")):
        assert twice.acquire(timeout=20)
        assert twice.acquire(timeout=20)
        assert holder(tmp_path / "case") is not None
    assert holder(tmp_path / "case") is None
    assert not [each for each in threading.enumerate() if each.name == "claim"]
