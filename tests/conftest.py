"""Settings for all tests."""

from __future__ import annotations

import os

# One thread of linear algebra a test process: tests run side by side, and threads that wait by spinning
# would slow each other down many times over. Set before NumPy is imported anywhere.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
