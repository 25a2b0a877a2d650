import subprocess
import sys

from napari_medsam_lite.gui.session import preload_task
from napari_medsam_lite.gui.session.preload_task import PreloadTask


def test_what_add_boxes_needs_is_imported_before():
    code = (
        "import sys; from napari_medsam_lite.gui.session.preload_task import MODULES, PreloadTask\n"
        "assert 'pandas' not in sys.modules\n"
        "names = list(PreloadTask().work())\n"
        "assert 'pandas' in names and set(names) <= set(sys.modules), names\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_import_a_step_and_what_is_missing_is_left_out(monkeypatch):
    monkeypatch.setattr(preload_task, "MODULES", ("json", "no_such_module_here", "csv"))
    assert list(PreloadTask().work()) == ["json", "csv"]
