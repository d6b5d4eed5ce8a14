"""Photos, heatmaps and drawings as parts of a page: small, and checked before they are taken in."""

from __future__ import annotations

import base64
import io
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pfungst.audits.schema import picture_file
from pfungst.audits.survey.maps import reduced
from pfungst.contract.heatmap import colours, scaled
from pfungst.errors import DataError
from pfungst.report.templating import data_uri


@dataclass(frozen=True, kw_only=True)
class Detail:
    """How much of photos and heatmaps a page keeps.

    Attributes
    ----------
    side, quality : int
        Longest side of a photo in pixels, and its JPEG quality.
    map_side : int
        Longest side of a heatmap in cells.
    levels : int
        Colours of a heatmap on either side of white.
    """

    side: int = 240
    quality: int = 80
    map_side: int = 128
    levels: int = 15


FULL = Detail()
COMPACT = Detail(side=200, quality=65, map_side=96, levels=7)
"""For pages with many photos."""
_LARGE_PNG = 30_000
"""Characters from which a picture is more photo than drawing, and is kept as JPEG."""


def photo_base64(jpeg: bytes, detail: Detail = FULL) -> str:
    """A survey's thumbnail, made smaller if it is larger than wanted."""
    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as picture:
        if max(picture.size) > detail.side or detail.quality < FULL.quality:
            picture.thumbnail((detail.side, detail.side), Image.Resampling.LANCZOS)
            buffer = io.BytesIO()
            picture.convert("RGB").save(buffer, format="JPEG", quality=detail.quality, optimize=True)
            jpeg = buffer.getvalue()
    return base64.b64encode(jpeg).decode("ascii")


def heatmap_base64(relevance: NDArray[np.floating[Any]], detail: Detail = FULL) -> str:
    """A heatmap as PNG of few colours; cells that become one are summed before they are coloured."""
    values = scaled(reduced(relevance, detail.map_side))
    indices = np.rint(values * detail.levels).astype(np.int16) + detail.levels
    picture = Image.fromarray(indices.astype(np.uint8))
    picture.putpalette(colours(np.linspace(-1.0, 1.0, 2 * detail.levels + 1)).tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True, bits=8 if detail.levels > 7 else 4)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def picture_uri(folder: Path, name: str, *, side: int = 480) -> str | None:
    """A picture that an audit names, at most ``side`` pixels long; None if it is missing or damaged."""
    if not name:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(picture_file(folder, name), formats=["PNG", "JPEG"]) as picture:
                kind = picture.format
                picture.thumbnail((side, side), Image.Resampling.LANCZOS)
                drawn = data_uri(picture.convert("RGB"), "PNG") if kind == "PNG" else ""
                return drawn if 0 < len(drawn) < _LARGE_PNG else data_uri(picture.convert("RGB"), "JPEG")
    except (DataError, OSError, ValueError, SyntaxError, Image.DecompressionBombWarning,
            Image.DecompressionBombError):  # fmt: skip
        return None


@cache
def legend_uri() -> str:
    """The bar of a heatmap's colours, from contradicting to supporting."""
    return data_uri(Image.fromarray(colours(np.linspace(-1.0, 1.0, 181)[None, :])), "PNG")
