"""Pfungst shows what an image classifier really looks at, and whether it cheats.

``import pfungst as pf`` is the front door: the names below load what they need when they are first used.

Examples
--------
>>> import pfungst as pf
>>> "audit" in dir(pf)
True
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Explanation": "pfungst.contract",
    "Ledger": "pfungst.contract",
    "NetworkClassifier": "pfungst.network",
    "Preprocess": "pfungst.network",
    "audit": "pfungst.front",
    "compare": "pfungst.front",
    "decode": "pfungst.images",
    "evaluate": "pfungst.front",
    "explain": "pfungst.front",
    "load": "pfungst.models",
    "lrp": "pfungst.network",
    "measure_quality": "pfungst.front",
    "open_dataset": "pfungst.images",
    "train_fisher": "pfungst.fisher",
    "train_network": "pfungst.network",
    "write_report": "pfungst.report",
}
"""Where each name of the front door lives; ``__init__.pyi`` says the same to type checkers."""

__all__ = ["__version__", *_HOMES]  # noqa: PLE0604 - strings, all of them


def __getattr__(name: str) -> Any:
    """Load a name of the front door when it is first used."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(home), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
