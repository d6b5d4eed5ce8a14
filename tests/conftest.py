"""Settings for all tests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

import pytest

# One thread of linear algebra a test process: tests run side by side, and threads that wait by spinning
# would slow each other down many times over. Set before NumPy is imported anywhere.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# A shell that starts a job in the background may have it ignore Ctrl-C, and programs that it starts inherit
# that; tests that interrupt programs need them to listen.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def small_disk(tmp_path):
    """An empty disk of 200 kB; only root may make one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    done = subprocess.run([mount, "-t", "tmpfs", "-o", "size=200k", "tmpfs", place], check=False, stderr=-3)
    if done.returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield place
    subprocess.run(["umount", place], check=True)
