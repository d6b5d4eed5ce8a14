"""What kind of machine computes is told from the libraries that compute, not from others that are loaded."""

from pathlib import Path

import numpy as np

from pfungst.runs.machine import _is_own, machine_kind


def test_only_the_libraries_of_numpy_scipy_and_the_system_count():
    packages = Path(np.__file__).parents[1]
    assert _is_own(str(packages / "numpy.libs" / "libscipy_openblas64_.so"))
    assert _is_own(str(packages / "scipy.libs" / "libscipy_openblas.so"))
    assert _is_own("/usr/lib/libopenblas.so.0")
    assert not _is_own(str(packages / "opencv_python_headless.libs" / "libopenblas.so"))
    assert not _is_own(str(packages / "torch" / "lib" / "libtorch_cpu.so"))


def test_the_kind_of_this_machine_is_told():
    assert machine_kind() == machine_kind()
    assert len(machine_kind().split(", ")) >= 2
