from types import SimpleNamespace

import numpy as np

from napari_medsam_lite.benchmark.prompting import Drawn, segment
from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.engine.propagation.slice_mask import SliceMask
from napari_medsam_lite.engine.timings import Timings


def test_masks_of_all_boxes_of_an_object_are_the_objects():
    def propagate(prepared, boxes, propagation, timings):
        assert propagation == "published"
        for number, box in reversed(list(enumerate(boxes))):
            yield SliceMask(number, box.z0, 0.5, (0, 0), np.ones((2, 2), np.float32), (4, 4))

    liver = Drawn("liver", (Box3D(1, 0, 0, 1, 3, 3), Box3D(5, 0, 0, 5, 3, 3)))
    node = Drawn("node", (Box3D(2, 0, 0, 2, 3, 3),))
    segmenter = SimpleNamespace(propagate=propagate)
    items = segment(segmenter, None, [liver, node], Settings(propagation="published"), Timings())
    assert [(item.object, item.index) for item in items] == [(1, 2), (0, 5), (0, 1)]
