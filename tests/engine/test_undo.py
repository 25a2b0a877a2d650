from dataclasses import dataclass

import pytest

from napari_medsam_lite.engine.undo import UndoStack, next_serial


@dataclass(eq=False)
class Done:
    target: str
    nbytes: int = 1
    serial: int = 0


@pytest.fixture
def stack():
    return UndoStack()


def test_back_and_forth_for_each_target(stack):
    liver, bone, again = Done("liver"), Done("bone"), Done("liver")
    for entry in (liver, bone, again):
        stack.push(entry)
    assert stack.count("liver") == (2, 0)
    assert stack.undoable("liver") is again
    assert stack.undo("liver") is again
    assert stack.undo("liver") is liver
    assert stack.undo("liver") is None
    assert stack.count("liver") == (0, 2)
    assert stack.redoable("liver") is liver
    assert stack.redo("liver") is liver
    assert stack.undo("bone") is bone


def test_something_new_ends_what_could_be_repeated_there_alone(stack):
    stack.push(Done("liver"))
    stack.push(Done("bone"))
    stack.undo("liver")
    stack.undo("bone")
    stack.push(Done("liver"))
    assert stack.redo("liver") is None
    assert stack.redo("bone") is not None


def test_bytes_are_bounded_and_the_newest_stays():
    stack = UndoStack(max_bytes=3)
    for _ in range(8):
        stack.push(Done("liver"))
        assert stack.nbytes <= 3
    assert stack.count("liver") == (3, 0)
    stack.push(Done("liver", nbytes=9))
    assert stack.count("liver") == (1, 0)


def test_an_entry_that_grew_makes_room(stack):
    stack.max_bytes = 4
    entries = [Done("liver") for _ in range(4)]
    for entry in entries:
        stack.push(entry)
    entries[-1].nbytes = 3
    stack.trim()
    assert stack.nbytes <= 4
    assert stack.undoable("liver") is entries[-1]


def test_what_is_gone_is_forgotten(stack):
    stack.push(Done("liver"))
    stack.push(Done("bone"))
    stack.push(Done("liver"))
    stack.undo("liver")
    stack.forget("liver")
    assert stack.count("liver") == (0, 0)
    assert stack.count("bone") == (1, 0)


def test_serials_grow():
    first = next_serial()
    assert next_serial() > first


def test_what_came_later_is_found_wherever_it_stands(stack):
    first, second, bone, third = (
        Done(target, serial=next_serial()) for target in ("liver", "liver", "bone", "liver")
    )
    for entry in (first, second, bone, third):
        stack.push(entry)
    stack.undo("liver")
    assert stack.later(first) == [second, third]
    assert stack.later(third) == []


def test_their_number_is_bounded_too():
    stack = UndoStack(max_entries=3)
    for _ in range(5):
        stack.push(Done("liver", nbytes=0))
    assert stack.count("liver") == (3, 0)
    stack.undo("liver")
    stack.push(Done("other", nbytes=0))
    assert stack.count("liver") == (1, 1)
