import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog, QPushButton

from napari_medsam_lite.gui.dock import save_row
from napari_medsam_lite.gui.dock.save_row import label_filters
from napari_medsam_lite.gui.dock.segment import MedSAMLiteWidget
from napari_medsam_lite.io.formats import read_label_volume


@pytest.fixture
def dialog(monkeypatch):
    """The file dialog: what it is asked, and the name and the filter that the user chooses."""
    asked, answer = [], ["", ""]

    def choose(owner, title, suggestion, filters, usual):
        asked.append((suggestion, filters.split(";;"), usual))
        return tuple(answer)

    monkeypatch.setattr(QFileDialog, "getSaveFileName", choose)
    return asked, answer


@pytest.fixture
def widget(qtbot, viewer, engine, image):
    widget = MedSAMLiteWidget(viewer, engine)
    qtbot.addWidget(widget)
    widget.session.layers.labels_made(image).data[4, 3:7, 2:5] = 1
    widget.session.desks.chosen().masks.recount([4])
    widget.session.segments.begin("liver")
    yield widget
    widget.session.close()


def press(widget, qtbot):
    QTest.mouseClick(widget.findChild(QPushButton, "save"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not widget.state.busy)


def test_the_dialog_lists_what_each_format_keeps(widget, qtbot, dialog):
    asked, _ = dialog
    press(widget, qtbot)
    ((suggestion, filters, usual),) = asked
    assert suggestion.endswith("CT labels.nii.gz")
    assert usual in filters
    assert usual.startswith("NIfTI: names, colours")
    assert any("3D Slicer: names, colours, codes (*.seg.nrrd)" in text for text in filters)
    assert any("DICOM-SEG" in text and "*.dcm" in text for text in filters)


@pytest.mark.parametrize("typed", ["l.seg.nrrd", "l"])
def test_the_name_or_the_filter_chooses_the_format(widget, qtbot, dialog, tmp_path, typed):
    _, answer = dialog
    answer[:] = str(tmp_path / typed), next(t for t in label_filters() if "Slicer" in t)
    press(widget, qtbot)
    assert "Saved as l.seg.nrrd, read again and found the same." in widget.state.message
    (found,) = {c.number for c in read_label_volume(tmp_path / "l.seg.nrrd").classes}
    assert found == 1


def test_a_name_that_the_dialog_did_not_ask_about_is_asked_about(
    widget, qtbot, dialog, tmp_path, monkeypatch
):
    questions = []
    monkeypatch.setattr(save_row, "ask", lambda _, question: questions.append(question))
    (tmp_path / "l.nii.gz").write_bytes(b"old")
    _, answer = dialog
    answer[:] = str(tmp_path / "l"), next(t for t in label_filters() if "NIfTI" in t)
    press(widget, qtbot)
    assert questions == ["l.nii.gz is there already. Replace?"]
    assert (tmp_path / "l.nii.gz").read_bytes() == b"old"


def test_without_masks_no_dialog_comes(qtbot, viewer, engine, image, dialog):
    widget = MedSAMLiteWidget(viewer, engine)
    qtbot.addWidget(widget)
    press(widget, qtbot)
    assert not dialog[0]
    assert "nothing to save" in widget.state.message
    widget.session.close()
