from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.segmentation import SliceRecord
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.gui.session.request import Request
from napari_medsam_lite.gui.session.run_report import RunReport


def test_between_two_key_boxes_what_an_earlier_run_painted_is_stale(image):
    """Key boxes of a file lie on one slice each; the slices between are the run's all the same."""
    boxes = (Box3D(1, 2, 3, 1, 9, 9, 1), Box3D(6, 2, 3, 6, 9, 9, 6))
    report = RunReport(Request("volume", image, Settings(), boxes, (3, 3)))
    for index in (1, 2, 6):
        report.note(SliceRecord(3, index, 0.9), found=True)
    assert report.stale({3: frozenset(range(8))}) == [(3, 3), (3, 4), (3, 5)]
