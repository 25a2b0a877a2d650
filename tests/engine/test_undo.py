import numpy as np
import pytest

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.engine.painting import LabelPainter, Step
from napari_medsam_lite.engine.propagation.slice_mask import SliceMask
from napari_medsam_lite.engine.undo import UndoStack


@pytest.fixture
def arrays():
    return {"liver": np.zeros((3, 8, 8), np.uint8), "bone": np.zeros((3, 8, 8), np.uint8)}


def paint(stack, arrays, target, label=1, index=0):
    step = Step(0, arrays[target].shape)
    logits = np.ones((4, 4), np.float32)
    painter = LabelPainter(arrays[target], 0, [label], "overwrite", step)
    painter.paint(SliceMask(0, index, 0.9, (2, 2), logits, (8, 8)))
    stack.push(target, step)
    return step.nbytes


def test_back_and_forth_over_several_arrays(arrays):
    stack = UndoStack()
    paint(stack, arrays, "liver")
    paint(stack, arrays, "bone", label=2)
    assert (stack.undoable, stack.redoable) == (2, 0)
    assert stack.undo(arrays.get) == "bone"
    assert not arrays["bone"].any()
    assert stack.undo(arrays.get) == "liver"
    assert stack.undo(arrays.get) is None
    assert stack.redo(arrays.get) == "liver"
    assert (arrays["liver"] == 1).sum() == 16
    paint(stack, arrays, "liver", label=3)
    assert stack.redo(arrays.get) is None, "something new was done since"


def test_what_was_taken_back_counts_as_painted_no_more(arrays):
    stack = UndoStack()
    paint(stack, arrays, "liver", index=0)
    paint(stack, arrays, "liver", index=2)
    assert stack.painted("liver", 1, 0) == {0, 2}
    assert stack.painted("liver", 1, 1) == stack.painted("bone", 1, 0) == frozenset()
    stack.undo(arrays.get)
    assert stack.painted("liver", 1, 0) == {0}
    stack.redo(arrays.get)
    assert stack.painted("liver", 1, 0) == {0, 2}


def test_bytes_are_bounded_and_what_was_painted_stays_known(arrays):
    size = paint(UndoStack(), arrays, "liver", label=9)
    stack = UndoStack(max_bytes=3 * size)
    for number in range(8):
        paint(stack, arrays, "liver", label=1 + number, index=number % 3)
        assert stack.nbytes <= stack.max_bytes
    assert stack.undoable == 3
    assert stack.painted("liver", 1, 0) == {0}
    tiny = UndoStack(max_bytes=1)
    paint(tiny, arrays, "liver", label=1)
    assert tiny.undoable == 1, "the newest step can always be taken back"


def test_nothing_changed_is_no_step(arrays):
    stack = UndoStack()
    stack.push("liver", Step(0, (3, 8, 8)))
    assert stack.undoable == 0


def test_a_replaced_array_is_left_alone(arrays):
    stack = UndoStack()
    paint(stack, arrays, "liver")
    arrays["liver"] = np.ones((2, 2), np.uint8)
    with pytest.raises(MedSAMLiteError, match="another shape"):
        stack.undo(arrays.get)
    assert (stack.undoable, stack.redoable) == (0, 0)


def test_a_target_that_is_gone(arrays):
    stack = UndoStack()
    paint(stack, arrays, "liver")
    paint(stack, arrays, "bone")
    stack.forget("bone")
    assert stack.undo(arrays.get) == "liver"
    assert stack.undo(arrays.get) is None


def test_steps_are_of_one_array(arrays):
    """Another of equal shape may be another patient's, or cannot be written."""
    stack = UndoStack()
    paint(stack, arrays, "liver")
    stack.know("liver", arrays["liver"])
    widened = arrays["liver"].astype(np.uint16)
    stack.know("liver", widened)
    assert stack.is_of("liver", widened)
    assert not stack.is_of("liver", arrays["liver"])
    frozen = widened.copy()
    frozen.flags.writeable = False
    arrays["liver"] = frozen
    with pytest.raises(MedSAMLiteError, match="replaced by others"):
        stack.undo(arrays.get)
    assert (stack.undoable, stack.redoable) == (0, 0)
    assert stack.undo(arrays.get) is None
