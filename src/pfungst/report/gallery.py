"""A one-page gallery: tables of results, and photos beside their heatmaps; self-contained HTML."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.explanation import Explanation
from pfungst.contract.heatmap import legend, overlay
from pfungst.images import Box

if TYPE_CHECKING:
    from jinja2 import Environment
    from PIL.Image import Image


@dataclass(frozen=True, kw_only=True)
class GalleryTable:
    """A table of finished text cells; the first column names the rows."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class GalleryHeatmap:
    """One classifier's explanation of a photo."""

    title: str
    explanation: Explanation


@dataclass(frozen=True, kw_only=True)
class GalleryPhoto:
    """A photo with its boxes of one class and a heatmap from each classifier."""

    section: str
    image: NDArray[np.uint8]
    heatmaps: tuple[GalleryHeatmap, ...]
    boxes: tuple[Box, ...] = ()


def write_gallery(
    path: str | Path,
    *,
    title: str,
    introduction: str,
    tables: Sequence[GalleryTable],
    photos: Sequence[GalleryPhoto],
) -> Path:
    """Write the page; all text is escaped, all pictures are part of the file.

    Parameters
    ----------
    path : path
        HTML file to write.
    title, introduction : str
        What a reader sees first.
    tables : sequence of GalleryTable
    photos : sequence of GalleryPhoto
        Photos of one ``section`` stand together.
    """
    sections = [
        {"name": name, "photos": [_photo_content(photo) for photo in group]}
        for name, group in groupby(photos, key=lambda photo: photo.section)
    ]
    html = environment().get_template("gallery.html.j2").render(
        title=title,
        introduction=introduction,
        tables=tables,
        sections=sections,
        legend=data_uri(legend(420, 1.0), "PNG"),
    )  # fmt: skip
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(html, encoding="utf-8")
    return target


@cache
def environment(package: str = "pfungst.report") -> Environment:
    """Templates of a room, with every value escaped and undefined names refused."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def data_uri(picture: Image, kind: str) -> str:
    """A picture as part of a page: ``kind`` is JPEG for photos, PNG for drawings."""
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **({"quality": 85} if kind == "JPEG" else {"optimize": True}))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _photo_content(photo: GalleryPhoto) -> dict[str, Any]:
    from PIL import Image

    height, width = photo.image.shape[:2]
    return {
        "id": photo.heatmaps[0].explanation.image_id,
        "picture": data_uri(Image.fromarray(photo.image), "JPEG"),
        "width": width,
        "height": height,
        "boxes": photo.boxes,
        "heatmaps": [_heatmap_content(heatmap, photo.image) for heatmap in photo.heatmaps],
    }


def _heatmap_content(heatmap: GalleryHeatmap, image: NDArray[np.uint8]) -> dict[str, Any]:
    from PIL import Image

    explanation = heatmap.explanation
    ledger = explanation.ledger
    return {
        "title": heatmap.title,
        "class_name": explanation.class_name,
        "score": explanation.score,
        "rule": explanation.rule,
        "peak": float(np.abs(explanation.relevance).max(initial=0.0)),
        "heatmap": data_uri(Image.fromarray(explanation.heatmap()), "JPEG"),
        "overlay": data_uri(Image.fromarray(overlay(image, explanation.relevance)), "JPEG"),
        "account": [("pixels", ledger.pixels), *ledger.taken.items(), ("residual", ledger.residual)],
    }
