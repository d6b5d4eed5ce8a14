"""Load the source photos and cut the objects out of them, once per process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from scipy.ndimage import gaussian_filter

from pfungst.demo.scenes._outlines import OUTLINES, Ellipse, Outline, Points
from pfungst.errors import DataError, PfungstError

Pixels = NDArray[np.float32]
"""Colours or shares from 0 to 1, ``(height, width)`` or ``(height, width, channels)``."""

_OVERSAMPLING = 4
_TILE = 1024


@dataclass(frozen=True, kw_only=True)
class Materials:
    """What scenes are put together from.

    Attributes
    ----------
    cutouts : dict of str to tuple of PIL.Image.Image
        RGBA cut-outs of each class.
    textures : dict of str to PIL.Image.Image
        Seamlessly mirrored tiles of 1024 x 1024 pixels, mode L or RGB.
    room : PIL.Image.Image
        A cluttered interior for blurred backdrops, mode RGB.
    """

    cutouts: dict[str, tuple[Image.Image, ...]]
    textures: dict[str, Image.Image]
    room: Image.Image


def source_folder() -> Path:
    """The folder of the photos inside the installed scikit-image package; nothing is downloaded.

    Raises
    ------
    PfungstError
        If scikit-image is not installed.
    """
    spec = find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise PfungstError(
            "scenes are made from the photos that come with scikit-image, which is not installed",
            hint="pip install 'pfungst[demo]'",
        )
    return Path(next(iter(spec.submodule_search_locations))) / "data"


@lru_cache(maxsize=1)
def load_materials() -> Materials:
    """Read every source photo and cut out every object.

    Raises
    ------
    PfungstError
        If scikit-image is not installed.
    DataError
        If one of its photos is missing; the message names the file.
    """
    folder = source_folder()
    cutouts = {
        name: tuple(_cut_out(folder, outline) for outline in outlines) for name, outlines in OUTLINES.items()
    }
    return Materials(cutouts=cutouts, textures=_textures(folder), room=_room(folder))


def as_floats(image: Image.Image) -> Pixels:
    """An 8-bit image as numbers from 0 to 1."""
    return np.multiply(np.asarray(image, dtype=np.float32), np.float32(1 / 255), dtype=np.float32)


def _open(folder: Path, name: str, mode: str) -> Image.Image:
    path = folder / name
    if not path.is_file():
        raise DataError(
            path,
            "this photo of scikit-image is not there",
            hint="a released wheel of scikit-image 0.22 or newer: pip install --force-reinstall scikit-image",
        )
    with Image.open(path) as image:
        return image.convert(mode)


def _cut_out(folder: Path, outline: Outline) -> Image.Image:
    photo = np.asarray(_open(folder, outline.source, "RGB"))
    if outline.mirror_top:
        photo = np.concatenate([photo[1 : outline.mirror_top + 1][::-1], photo])
    left, top, right, bottom = outline.crop
    top, bottom = top + outline.mirror_top, bottom + outline.mirror_top
    image = Image.fromarray(photo[top:bottom, left:right])
    image.putalpha(_alpha(outline))
    return image


def _alpha(outline: Outline) -> Image.Image:
    """Coverage of every pixel by the outline, drawn four times as fine and blurred by ``softness``."""
    left, top, right, bottom = outline.crop
    mask = Image.new("L", ((right - left) * _OVERSAMPLING, (bottom - top) * _OVERSAMPLING))
    draw = ImageDraw.Draw(mask)
    for ellipse in outline.ellipses:
        draw.ellipse(_ellipse_corners(ellipse, left, top), fill=255)
    for polygon in outline.polygons:
        draw.polygon(_shifted(polygon, left, top), fill=255)
    for hole in outline.holes:
        draw.polygon(_shifted(hole, left, top), fill=0)
    mask = mask.filter(ImageFilter.GaussianBlur(outline.softness * _OVERSAMPLING))
    return mask.reduce(_OVERSAMPLING)


def _shifted(points: Points, left: float, top: float) -> list[tuple[float, float]]:
    return [((x - left) * _OVERSAMPLING, (y - top) * _OVERSAMPLING) for x, y in points]


def _ellipse_corners(ellipse: Ellipse, left: float, top: float) -> list[tuple[float, float]]:
    x, y, radius_x, radius_y = ellipse
    return _shifted(((x - radius_x, y - radius_y), (x + radius_x, y + radius_y)), left, top)


def _textures(folder: Path) -> dict[str, Image.Image]:
    textures = {
        "brick": _mirrored(_open(folder, "brick.png", "L")),
        "bricks": _mirrored(_open(folder, "brick.png", "L").transpose(Image.Transpose.ROTATE_90)),
        "grass": _mirrored(_open(folder, "grass.png", "L")),
        "gravel": _mirrored(_open(folder, "gravel.png", "L")),
        "moon": _mirrored(_open(folder, "moon.png", "L")),
        "page": _repeated(_enlarged(_open(folder, "page.png", "L").crop((4, 34, 380, 187)), 2.0)),
        "stone": _mirrored(_open(folder, "ihc.png", "L").filter(ImageFilter.GaussianBlur(1.5))),
        "wood": _mirrored(_enlarged(_open(folder, "coffee.png", "RGB").crop((486, 4, 598, 396)), 3.0)),
        "stars": _mirrored(_open(folder, "hubble_deep_field.jpg", "RGB")),
        "retina": _mirrored(_open(folder, "retina.jpg", "RGB").crop((400, 400, 1000, 1000))),
    }
    textures["clouds"] = _clouds(np.asarray(textures["gravel"], dtype=np.float32))
    return textures


def _enlarged(image: Image.Image, factor: float) -> Image.Image:
    size = (int(image.width * factor), int(image.height * factor))
    return image.resize(size, Image.Resampling.BICUBIC)


def _mirrored(image: Image.Image) -> Image.Image:
    """A tile of 1024 x 1024 pixels: the photo and its mirror images, so that no seam shows."""
    pixels = np.asarray(image)
    for axis in (0, 1):
        while pixels.shape[axis] < _TILE:
            pixels = np.concatenate([pixels, np.flip(pixels, axis)], axis)
    return Image.fromarray(np.ascontiguousarray(pixels[:_TILE, :_TILE]))


def _repeated(image: Image.Image) -> Image.Image:
    """A tile of 1024 x 1024 pixels of the photo side by side: print must not be mirrored."""
    pixels = np.asarray(image)
    times = [-(-_TILE // size) for size in pixels.shape[:2]]
    return Image.fromarray(np.ascontiguousarray(np.tile(pixels, times)[:_TILE, :_TILE]))


def _clouds(texture: NDArray[np.float32]) -> Image.Image:
    """Clouds from a photo of gravel: its blurred octaves, each normalised, wide ones strongest."""
    octaves = []
    for sigma, weight in ((5, 0.18), (12, 0.35), (30, 0.6), (70, 1.0)):
        blurred = gaussian_filter(texture, (sigma * 0.5, sigma), mode="wrap")
        octaves.append(weight * (blurred - blurred.mean()) / blurred.std())
    total = np.sum(octaves, axis=0)
    scaled = np.clip(127.5 + 62.0 * total / total.std(), 0, 255)
    return Image.fromarray(scaled.astype(np.uint8))


def _room(folder: Path) -> Image.Image:
    return _open(folder, "motorcycle_left.png", "RGB").crop((586, 30, 741, 250))
