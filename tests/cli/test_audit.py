"""``pfungst audit`` and ``pfungst compare`` from folders to pages."""

from __future__ import annotations

import pytest

pytest.importorskip("skimage", reason="scenes need the demo extra")
