"""Pfungst shows what an image classifier really looks at, and whether it cheats."""

from __future__ import annotations

__version__ = "0.1.0"
