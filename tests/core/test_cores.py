import os
import subprocess
import sys

import pytest

from napari_medsam_lite.core.cores import usable_cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no cores can be forbidden here")
def test_only_the_cores_that_are_allowed_count():
    allowed = os.sched_getaffinity(0)
    assert usable_cores() == len(allowed)
    script = (
        "import os; os.sched_setaffinity(0, {%d}); "
        "from napari_medsam_lite.core.cores import usable_cores; print(usable_cores())"
    )
    told = subprocess.check_output([sys.executable, "-c", script % min(allowed)], text=True)
    assert told.strip() == "1"
