import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.io import journal as journals
from napari_medsam_lite.io.journal import Journal, JournalLostError, read
from napari_medsam_lite.io.journal_records import LENGTHS, MAGIC, Patch

SHAPE = (5, 6, 7)

any_flush = st.tuples(
    st.dictionaries(st.integers(0, 4), st.integers(0, 2**32), max_size=3),
    st.sampled_from(["|u1", "<u2", "<i8"]),
    st.none() | st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)
quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def patch(index, seed, dtype="|u1"):
    chance = np.random.default_rng(seed)
    painted = chance.random(SHAPE[1:]) < 0.2 if seed % 2 else None
    return Patch((index,), chance.integers(0, 100, SHAPE[1:]).astype(dtype), painted)


def write(file, flushes):
    """Write all; returns where each ends, and what is there then."""
    journal, ends = Journal(file, SHAPE), []
    labels, painted, case = np.zeros(SHAPE, np.int64), np.zeros(SHAPE, bool), {}
    states = [(labels.copy(), painted.copy(), case)]
    for seeds, dtype, new in flushes:
        patches = [patch(index, seed, dtype) for index, seed in seeds.items()]
        journal.append(patches, new)
        for each in patches:
            labels[each.place] = each.labels
            painted[each.place] = False if each.painted is None else each.painted
        case = case if new is None else new
        states.append((labels.copy(), painted.copy(), case))
        ends.append(journal.size)
    return ends, states


def check_is(found, state):
    labels, painted, case = state
    np.testing.assert_array_equal(found.labels(), labels)
    there = found.painted()
    np.testing.assert_array_equal(np.zeros(SHAPE, bool) if there is None else there, painted)
    assert found.case == case


def test_what_was_flushed_is_read(tmp_path):
    ends, states = write(
        tmp_path / "journal", [({1: 1, 2: 2}, "|u1", {"segments": 1}), ({2: 5}, "<u2", None)]
    )
    found = read(tmp_path / "journal")
    check_is(found, states[-1])
    assert found.shape == SHAPE
    assert found.labels().dtype == np.uint16
    assert abs(found.when.timestamp() - (tmp_path / "journal").stat().st_mtime) < 10
    assert ends[-1] == (tmp_path / "journal").stat().st_size


@pytest.mark.parametrize(("shape", "place"), [((6, 7), ()), ((2, 3, 4, 5), (1, 2))])
def test_one_slice_and_several_volumes(tmp_path, shape, place):
    labels = np.zeros(shape, np.uint8)
    labels[place] = 3
    Journal(tmp_path / "journal", shape).append([Patch(place, labels[place].copy())])
    np.testing.assert_array_equal(read(tmp_path / "journal").labels(), labels)


@given(st.lists(any_flush, min_size=1, max_size=5), st.data())
@quick
def test_cut_at_any_byte_it_is_a_prefix_of_the_flushes(tmp_path, flushes, data):
    file = tmp_path / "journal"
    ends, states = write(file, flushes)
    cut = data.draw(st.integers(0, ends[-1]))
    file.write_bytes(file.read_bytes()[:cut])
    whole = sum(end <= cut for end in ends)
    found = read(file)
    if whole:
        check_is(found, states[whole])
    else:
        assert found is None


@given(st.lists(any_flush, min_size=1, max_size=5), st.data())
@quick
def test_a_bit_that_flipped_never_gives_other_voxels(tmp_path, flushes, data):
    file = tmp_path / "journal"
    ends, states = write(file, flushes)
    content = bytearray(file.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    file.write_bytes(content)
    whole = sum(end <= bit // 8 for end in ends)
    found = read(file)
    if whole and bit // 8 >= len(MAGIC):
        check_is(found, states[whole])
    else:
        assert found is None


@given(st.lists(any_flush, min_size=1, max_size=12))
@quick
def test_written_anew_it_is_the_same(tmp_path, flushes):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(journals, "USUAL_BYTES", 1)
        patched.setattr(journals, "MOST_GROWTH", 1)
        _, states = write(tmp_path / "journal", flushes)
    check_is(read(tmp_path / "journal"), states[-1])


def test_it_stays_small(tmp_path, monkeypatch):
    monkeypatch.setattr(journals, "USUAL_BYTES", 2000)
    journal = Journal(tmp_path / "journal", SHAPE)
    sizes = []
    for seed in range(300):
        journal.append([patch(seed % 5, seed)], {"stroke": seed})
        sizes.append(journal.size)
    assert max(sizes) < 12_000
    assert [p.name for p in tmp_path.iterdir()] == ["journal"]
    check_latest = read(tmp_path / "journal")
    assert check_latest.case == {"stroke": 299}
    np.testing.assert_array_equal(check_latest.labels()[4], patch(4, 299).labels)


def test_on_a_full_disk_what_was_flushed_stays_and_the_rest_follows(tmp_path, full_disk):
    file = tmp_path / "journal"
    journal = Journal(file, SHAPE)
    journal.append([patch(0, 2)])
    size = journal.size
    with full_disk(at=size + 20), pytest.raises(FileFormatError, match="cannot be written"):
        journal.append([patch(1, 4)])
    np.testing.assert_array_equal(read(file).labels()[0], patch(0, 2).labels)
    assert not read(file).labels()[1].any()
    journal.append([patch(1, 4)])
    np.testing.assert_array_equal(read(file).labels()[1], patch(1, 4).labels)
    assert file.stat().st_size == journal.size


def test_a_full_disk_from_the_beginning(tmp_path, full_disk):
    file = tmp_path / "journal"
    journal = Journal(file, SHAPE)
    with full_disk(at=30), pytest.raises(FileFormatError, match="cannot be written"):
        journal.append([patch(0, 2)])
    assert read(file) is None
    journal.append([patch(0, 2)])
    np.testing.assert_array_equal(read(file).labels()[0], patch(0, 2).labels)


def damage(file):
    content = bytearray(file.read_bytes())
    content[len(MAGIC) + 40] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "most"),
    [
        (lambda file: file.unlink(), 8 * 2**20),
        (lambda file: file.write_bytes(file.read_bytes()[:50]), 8 * 2**20),
        (lambda file: file.unlink(), 1),
        (damage, 1),
    ],
)
def test_what_others_removed_is_told_so_that_all_is_written_again(tmp_path, spoil, most):
    file = tmp_path / "work" / "journal"
    journal = Journal(file, SHAPE)
    journal.append([patch(0, 2)])
    journal._most = most
    spoil(file)
    with pytest.raises(JournalLostError):
        journal.append([patch(1, 4)])
    journal.append([patch(0, 2), patch(1, 4)])
    np.testing.assert_array_equal(read(file).labels()[1], patch(1, 4).labels)


def test_discarded_it_is_gone_and_begins_anew(tmp_path):
    journal = Journal(tmp_path / "journal", SHAPE)
    journal.append([patch(0, 2)])
    journal.discard()
    assert read(tmp_path / "journal") is None
    assert list(tmp_path.iterdir()) == []
    journal.discard()
    journal.append([patch(1, 4)])
    assert not read(tmp_path / "journal").labels()[0].any()


@pytest.mark.parametrize("content", [b"", b"something else", MAGIC, MAGIC[:5], MAGIC + bytes(90)])
def test_no_journal_is_read_as_none(tmp_path, content):
    (tmp_path / "journal").write_bytes(content)
    assert read(tmp_path / "journal") is None
    assert read(tmp_path / "missing") is None


def test_lengths_without_end_take_no_memory(tmp_path):
    (tmp_path / "journal").write_bytes(MAGIC + LENGTHS.pack(2**32 - 1, 2**60) + b"x")
    assert read(tmp_path / "journal") is None


def test_slices_of_another_size_are_told(tmp_path):
    journal = Journal(tmp_path / "journal", SHAPE)
    journal.append([Patch((0,), np.ones((2, 2), np.uint8))])
    with pytest.raises(FileFormatError, match="journal"):
        read(tmp_path / "journal").labels()


def test_it_is_made_of_what_any_language_reads(tmp_path):
    file = tmp_path / "journal"
    Journal(file, SHAPE).append([patch(3, 2)], {"a": 1})
    content = file.read_bytes()[len(MAGIC) :]
    head_size, _ = LENGTHS.unpack(content[: LENGTHS.size])
    head = json.loads(content[LENGTHS.size : LENGTHS.size + head_size])
    assert head["shape"] == list(SHAPE)
    assert head["slices"][0][:2] == [[3], "|u1"]
