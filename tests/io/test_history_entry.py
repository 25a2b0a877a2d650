import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.segmentation import SliceRecord
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.core.volume import Source, Volume
from napari_medsam_lite.io.history_entry import HistoryEntry, from_json, in_order, select, to_json
from napari_medsam_lite.io.runfile import ENDINGS, RunRecord

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.integers(0, 10**6)
BOXES = st.builds(Box3D, *[st.integers(-5, 600)] * 6, key=st.none() | COUNTS)
ROWS = st.builds(SliceRecord, COUNTS, COUNTS, FLOATS, st.sampled_from(["predicted", "between"]))


@st.composite
def records(draw):
    boxes = draw(st.lists(BOXES, max_size=3).map(tuple))
    ids = tuple(range(1, len(boxes) + 1))
    rows = draw(st.lists(ROWS, max_size=3).map(tuple))
    return RunRecord(draw(st.text()), boxes, Settings(axis=2), "a", ids=ids, slices=rows)


ENTRIES = st.builds(
    HistoryEntry,
    image=st.text(),
    fingerprint=st.text(),
    kind=st.sampled_from(["slice", "volume"]),
    preset=st.text(),
    device=st.text(),
    segments=st.lists(st.text()).map(tuple),
    boxes=COUNTS,
    slices=COUNTS,
    seconds=FLOATS,
    score=st.none() | FLOATS,
    worst=st.none() | FLOATS,
    ending=st.sampled_from(ENDINGS),
    axis=st.integers(0, 2),
    index=COUNTS,
    number=COUNTS,
    record=st.none() | records(),
    affine=st.none() | st.tuples(*[st.tuples(*[FLOATS] * 4)] * 4),
    started=st.datetimes(timezones=st.just(UTC)),
    id=st.text(),
)


@given(ENTRIES)
def test_an_entry_comes_back_as_it_was(entry):
    assert from_json(json.loads(json.dumps(to_json(entry)))) == entry


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", None),
        ("image", 3),
        ("kind", "both"),
        ("boxes", -1),
        ("boxes", True),
        ("seconds", float("nan")),
        ("score", "high"),
        ("ending", "soon"),
        ("segments", None),
        ("affine", [[1.0]]),
        ("started", "2026-11-26T10:00:00"),
        ("started", "yesterday"),
        ("record", {"format": 99}),
    ],
)
def test_what_is_not_an_entry_is_told(name, value):
    plain = to_json(HistoryEntry("ct", "f", "slice", "sdpa", "cpu"))
    with pytest.raises(FileFormatError, match="line of the history"):
        from_json({**plain, name: value})
    with pytest.raises(FileFormatError, match="line of the history"):
        from_json({key: kept for key, kept in plain.items() if key != name})
    with pytest.raises(FileFormatError, match="line of the history"):
        from_json([name])


def test_what_a_run_was_is_taken_from_its_record():
    rows = (
        SliceRecord(4, 2, 0.9),
        SliceRecord(4, 3, 0.6),
        SliceRecord(4, 4, 0.1, reason="nothing was found"),
    )
    box = Box3D(0, 5, 5, 9, 8, 8, key=3)
    record = RunRecord("ct.nii.gz", (box,), Settings(), "0", ids=(4,), ending="cancelled")
    volume = Volume(np.zeros((9, 9, 9), np.uint8), (3, 2, 1), name="ct")
    entry = HistoryEntry("ct", "f", "volume", "sdpa", "cpu")
    entry = entry.of_run(RunRecord(**{**vars(record), "slices": rows}), volume)
    assert (entry.score, entry.worst) == (pytest.approx(0.75), 0.6)
    assert (entry.axis, entry.index, entry.number, entry.ending) == (0, 3, 4, "cancelled")
    assert entry.affine == ((3, 0, 0, 0), (0, 2, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))
    assert entry.record.input == "ct.nii.gz"


def test_a_dicom_folder_called_as_the_patient_is_not_kept():
    source = Source(Path("Doe^John"), files=(Path("Doe^John/1.dcm"),))
    volume = Volume(np.zeros((2, 2, 2)), name="CT 3", source=source)
    record = RunRecord("Doe^John", (), Settings(), "0")
    entry = HistoryEntry("CT 3", "f", "volume", "sdpa", "cpu").of_run(record, volume)
    assert "Doe" not in json.dumps(to_json(entry))


def runs():
    common = {"kind": "volume", "device": "cpu"}
    return [
        HistoryEntry("CT 2", "b", preset="sdpa", score=None, seconds=3.0, **common),
        HistoryEntry("ct 10", "a", preset="openvino", segments=("Liver",), score=0.5, **common),
        HistoryEntry("MR", "a", preset="sdpa", segments=("spleen",), score=0.9, ending="cancelled",
                     started=datetime(2020, 1, 1, tzinfo=UTC), **common),
    ]  # fmt: skip


def names(entries):
    return [each.image for each in entries]


def test_runs_are_found_by_what_is_given():
    assert names(select(runs())) == ["CT 2", "ct 10", "MR"]
    assert names(select(runs(), image="CT")) == ["CT 2", "ct 10"]
    assert names(select(runs(), text="liver ct")) == ["ct 10"]
    assert names(select(runs(), text="liver mr")) == []
    assert names(select(runs(), fingerprint="a", preset="sdpa")) == ["MR"]
    assert names(select(runs(), ending="finished")) == ["CT 2", "ct 10"]


def test_runs_are_sorted_by_any_column():
    assert names(in_order(runs(), "score", descending=True)) == ["MR", "ct 10", "CT 2"]
    assert names(in_order(runs(), "time")) == ["MR", "CT 2", "ct 10"]
    assert names(in_order(runs(), "segments")) == ["CT 2", "ct 10", "MR"]
