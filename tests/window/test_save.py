"""What was outlined is saved by the button and the file dialog, and opened again."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog, QLineEdit

from napari_medsam_lite.core.boxes import Box2D


@pytest.fixture(autouse=True)
def own_dialogs():
    """Qt's own file dialog, which a test can type into."""
    kind = Qt.ApplicationAttribute.AA_DontUseNativeDialogs
    before = QApplication.testAttribute(kind)
    QApplication.setAttribute(kind, True)
    yield
    QApplication.setAttribute(kind, before)


def answer(path) -> None:
    """Type `path` into the file dialog once it is there, and press Return."""
    dialog = QApplication.activeModalWidget()
    if not isinstance(dialog, QFileDialog):
        QTimer.singleShot(100, lambda: answer(path))
        return
    field = dialog.findChild(QLineEdit, "fileNameEdit")
    field.setText(str(path))
    QTest.keyClick(field, Qt.Key.Key_Return)


def test_a_segment_is_saved_and_opened_where_it_was(open_window, tmp_path):
    make, viewer = open_window
    viewer.open_sample("napari-medsam-lite", "ct_phantom")
    window = make()
    window.show_slice(0, 30)
    window.press("add_boxes")
    window.draw(Box2D(60, 60, 120, 120), 0, 30)
    window.widget.session.segments.rename(1, "liver")
    window.qtbot.waitUntil(lambda: window.slices_with(1) == [30], timeout=120_000)
    before = window.labels()
    place = before.data_to_world((1, 2, 3))
    voxels = np.array(before.data)

    path = tmp_path / "liver.seg.nrrd"
    QTimer.singleShot(100, lambda: answer(path))
    window.press("save")
    window.finish()
    assert "Saved as liver.seg.nrrd, read again and found the same." in window.state.message

    (again,) = viewer.open(str(path), plugin="napari-medsam-lite")
    np.testing.assert_array_equal(again.data, voxels)
    np.testing.assert_allclose(again.data_to_world((1, 2, 3)), place, atol=1e-3)
    assert list(again.features["name"]) == ["", "liver"]
    np.testing.assert_allclose(again.colormap.map(1), before.colormap.map(1), atol=1 / 255)
