import subprocess
import sys
import threading
import time

import pytest

from napari_medsam_lite.gui.thread.filer import Filer, shared_filer


@pytest.fixture
def filer():
    filer = Filer()
    filer.join()
    yield filer
    filer.leave()


def test_work_is_done_in_order_on_one_other_thread(filer):
    done = [filer.do(threading.get_ident) for _ in range(20)]
    idents = {each.result(20) for each in done}
    assert len(idents) == 1
    assert threading.get_ident() not in idents
    order = []
    last = [filer.do(lambda n=n: order.append(n)) for n in range(50)][-1]
    last.result(20)
    assert order == list(range(50))


def test_an_error_is_the_works_own(filer):
    failed = filer.do(lambda: 1 / 0)
    assert filer.do(lambda: "fine").result(20) == "fine"
    assert isinstance(failed.exception(), ZeroDivisionError)


def test_what_was_handed_over_is_done_after_the_last_dock_has_left_and_before_the_next():
    filer, order, gate = Filer(), [], threading.Event()
    filer.join()
    filer.do(gate.wait)
    filer.do(lambda: order.append("first dock"))
    filer.leave()
    filer.join()
    second = filer.do(lambda: order.append("second dock"))
    time.sleep(0.05)
    assert order == []
    gate.set()
    second.result(20)
    assert order == ["first dock", "second dock"]
    filer.leave()


def test_the_thread_stays_while_a_dock_does(filer):
    filer.join()
    filer.do(lambda: None).result(20)
    filer.leave()
    assert filer.do(lambda: "still").result(20) == "still"


def test_all_is_done_before_the_interpreter_ends():
    code = (
        "import time\n"
        "from napari_medsam_lite.gui.thread.filer import shared_filer\n"
        "shared_filer().do(lambda: (time.sleep(0.3), print('done')))\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert found.stdout == "done\n"


def test_all_docks_share_one():
    assert shared_filer() is shared_filer()


def test_a_script_that_failed_with_its_window_open_still_hands_its_work_over():
    """Python takes the window down when no thread can be started any more."""
    code = (
        "from napari_medsam_lite.gui.thread.filer import Filer\n"
        "class Window:\n"
        "    def __init__(self):\n"
        "        self.filer = Filer()\n"
        "        self.filer.join()\n"
        "        self.filer.do(lambda: print('first'))\n"
        "    def __del__(self):\n"
        "        assert self.filer.do(lambda: print('last') or 7).result() == 7\n"
        "window = Window()\n"
        "raise SystemExit(1)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split(), done.stderr) == (1, ["first", "last"], "")
