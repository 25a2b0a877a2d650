import pytest

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.segmentation import Segment
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.gui.session.request import Request


@pytest.mark.parametrize("kind", ["slice", "volume"])
def test_boxes_of_one_label_are_one_object_as_when_the_run_file_is_done_again(image, kind):
    first, other, last = (Box3D(4, start, 3, 4, start + 5, 8, 4) for start in (1, 5, 9))
    request = Request(kind, image, Settings(), (first, other, last), (1, 2, 1))
    assert request.object_labels == [1, 2]
    assert request.segments == [Segment((first, last)), Segment((other,))]
