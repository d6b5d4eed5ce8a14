"""What kind of machine computes: linear algebra chooses its instructions by it, and last digits follow."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np


@cache
def machine_kind() -> str:
    """Architecture, vector instructions, kernels of linear algebra: ``x86_64 X86_V3, openblas Haswell``.

    ``OPENBLAS_CORETYPE`` chooses the kernels, so that one machine can compute as another does.
    """
    found: Any = np.show_config(mode="dicts")
    vectors = found.get("SIMD Extensions", {}).get("found", []) if isinstance(found, dict) else []
    return ", ".join([" ".join([platform.machine(), *vectors]), *_kernels()])


def _kernels() -> list[str]:
    import scipy.linalg  # noqa: F401 - its library must be loaded to be seen
    from threadpoolctl import threadpool_info

    own = [item for item in threadpool_info() if item["user_api"] == "blas" and _is_own(item["filepath"])]
    return sorted({f"{item['internal_api']} {item.get('architecture', '')}".strip() for item in own})


def _is_own(path: str) -> bool:
    """Whether it is NumPy's, SciPy's or the system's; what another package brought is loaded or not."""
    packages, file = Path(np.__file__).parents[1], Path(path)
    inside = file.is_relative_to(packages)
    return not inside or file.relative_to(packages).parts[0].startswith(("numpy", "scipy"))
