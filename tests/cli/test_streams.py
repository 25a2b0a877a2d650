"""What a command says when it is stopped, or nobody listens: in whole processes."""

import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from napari_medsam_lite.cli.streams import one_line

COMMAND = [sys.executable, "-m", "napari_medsam_lite"]
ONLY_POSIX = pytest.mark.skipif(sys.platform == "win32", reason="no such signals and files")


@ONLY_POSIX
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("arguments", [["weights"], ["presets"], ["presets", "--json"]])
def test_a_full_disk_is_told(arguments):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert "No space left on device" in line


@ONLY_POSIX
@pytest.mark.parametrize("command", ["weights", "presets", "--help"])
def test_nobody_reads_any_more(command, monkeypatch):
    # argparse itself swallows what goes wrong while it writes, which happens without a buffer.
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    process = subprocess.Popen([*COMMAND, command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1


SCRIPT_THAT_TELLS_WHEN_MAIN_LISTENS = """
import signal, sys
import napari_medsam_lite.cli as cli

# Whoever runs the tests in the background has the signal ignored, also by what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

class Tell:
    @staticmethod
    def find_spec(name, path, target=None):
        if name == "napari_medsam_lite.cli.commands":
            print(".", flush=True)

sys.meta_path.insert(0, Tell)
sys.exit(cli.main())
"""


@ONLY_POSIX
@pytest.mark.parametrize("delay", [0.0, 0.1, 0.3, 0.6])
def test_ctrl_c_in_the_first_second(delay):
    # What comes before main() is Python's own doing; what comes after it is ours.
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT_THAT_TELLS_WHEN_MAIN_LISTENS, "doctor"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert errors.decode() == "Stopped.\n"
    assert process.returncode == 130


def test_libraries_say_nothing_beside_our_sentence(tmp_path):
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (4L, 4L, 5L)}\n"  # Python 2
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
    with zipfile.ZipFile(tmp_path / "case.npz", "w") as archive:
        archive.writestr("imgs.npy", content + bytes(80))
    arguments = ["segment", str(tmp_path / "case.npz"), "-o", str(tmp_path / "out.npz")]
    done = subprocess.run(
        [*COMMAND, *arguments, "--preset", "sdpa"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "carries no boxes" in done.stderr.splitlines()[-1]
    assert "Warning" not in done.stderr


def test_line_breaks_in_names():
    assert one_line("two\nlines\r\nand\u2028more") == "two lines and more"
