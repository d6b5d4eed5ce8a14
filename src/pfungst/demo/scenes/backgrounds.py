"""Backgrounds: a ground in perspective below the horizon, a sky, wall or room above it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageFilter

from pfungst.demo.scenes.materials import Materials, Pixels, as_floats

Colour = tuple[float, float, float]
Upper = Callable[[Materials, Generator, int, int], Pixels]


def render_background(
    name: str, materials: Materials, generator: Generator, *, height: int, width: int, horizon: float
) -> Pixels:
    """One background.

    Parameters
    ----------
    name : str
        One of ``BACKGROUNDS``.
    materials : Materials
        Textures.
    generator : numpy.random.Generator
        Crop, tint and light.
    height, width : int
        Size in pixels.
    horizon : float
        Row at which the ground ends.

    Returns
    -------
    ndarray (height, width, 3) of float32
        Colours 0 to 1.
    """
    texture, dark, light, upper = _KINDS[name]
    line = round(horizon)
    ground = _ground(materials.textures[texture], generator, width, height - line)
    ground = _tinted(ground, _varied(generator, dark), _varied(generator, light))
    depth = np.linspace(0.82, 1.05, height - line, dtype=np.float32)[:, None, None]
    back = upper(materials, generator, width, line)
    picture = np.concatenate([back, ground * depth])
    return _softened_horizon(picture, line)


def _ground(tile: Image.Image, generator: Generator, width: int, height: int) -> Pixels:
    """A flat texture seen at a slant: far rows show more of it than near ones."""
    zoom = generator.uniform(0.7, 1.1) * 320 / max(width, 240)
    near = width * zoom
    far = min(near * generator.uniform(1.8, 2.6), 1000.0)
    deep = min(height * zoom * generator.uniform(2.0, 3.0), 1000.0)
    middle = generator.uniform(far / 2, 1024 - far / 2)
    start = generator.uniform(0, 1024 - deep)
    corners = [
        (middle - far / 2, start),
        (middle + far / 2, start),
        (middle - near / 2, start + deep),
        (middle + near / 2, start + deep),
    ]
    frame = (2 * width, 2 * height)
    coefficients = _perspective(frame, corners)
    large = tile.transform(frame, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BILINEAR)
    return _floats(large.reduce(2))


def _perspective(frame: tuple[int, int], corners: list[tuple[float, float]]) -> list[float]:
    """Coefficients of the projective map from the frame's corners to four points of the tile."""
    rows, wanted = [], []
    targets = [(0, 0), (frame[0], 0), (0, frame[1]), frame]
    for (x, y), (u, v) in zip(targets, corners, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
        wanted += [u, v]
    return [float(value) for value in np.linalg.solve(np.array(rows, float), np.array(wanted, float))]


def _crop(tile: Image.Image, generator: Generator, width: int, height: int, zoom: float) -> Pixels:
    """A piece of a texture seen straight on; ``zoom`` tile pixels to one pixel of the photo."""
    wide, tall = min(width * zoom, 1023.0), min(height * zoom, 1023.0)
    left, top = generator.uniform(0, 1024 - wide), generator.uniform(0, 1024 - tall)
    box = (left, top, left + wide, top + tall)
    return _floats(tile.resize((width, height), Image.Resampling.BICUBIC, box=box))


def _floats(image: Image.Image) -> Pixels:
    return as_floats(image.convert("RGB"))


def _tinted(grey: Pixels, dark: Colour, light: Colour) -> Pixels:
    low, high = np.array(dark, np.float32), np.array(light, np.float32)
    return low + grey * (high - low)


def _varied(generator: Generator, colour: Colour) -> Colour:
    red, green, blue = np.array(colour) * generator.uniform(0.94, 1.06, 3) * generator.uniform(0.85, 1.15)
    return float(red), float(green), float(blue)


def _gradient(top: Colour, bottom: Colour, width: int, height: int) -> Pixels:
    share = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    row = np.array(top, np.float32) * (1 - share) + np.array(bottom, np.float32) * share
    return np.broadcast_to(row, (height, width, 3)).copy()


def _sky(materials: Materials, generator: Generator, width: int, height: int) -> Pixels:
    hour = int(generator.integers(3))
    top, bottom = (((0.30, 0.50, 0.80), (0.75, 0.85, 0.95)), ((0.45, 0.55, 0.68), (0.88, 0.85, 0.80)),
                   ((0.22, 0.28, 0.48), (0.95, 0.68, 0.48)))[hour]  # fmt: skip
    sky = _gradient(_varied(generator, top), _varied(generator, bottom), width, height)
    clouds = _crop(materials.textures["clouds"], generator, width, height, generator.uniform(1.2, 2.4))
    cover: Pixels = np.clip((clouds - np.float32(generator.uniform(0.35, 0.6))) * 2.2, 0, 0.85)
    return sky + (np.float32(0.93) - sky) * cover


def _stars(materials: Materials, generator: Generator, width: int, height: int) -> Pixels:
    return (
        0.9 * _crop(materials.textures["stars"], generator, width, height, generator.uniform(0.7, 1.3)) + 0.01
    )


def _brick_wall(materials: Materials, generator: Generator, width: int, height: int) -> Pixels:
    bricks = _crop(materials.textures["bricks"], generator, width, height, generator.uniform(0.7, 1.3))
    return _tinted(bricks, _varied(generator, (0.22, 0.08, 0.06)), _varied(generator, (1.05, 0.78, 0.66)))


def _plaster(materials: Materials, generator: Generator, width: int, height: int) -> Pixels:
    mottled = _crop(materials.textures["clouds"], generator, width, height, 2.0)
    colours = ((0.80, 0.77, 0.70), (0.55, 0.62, 0.66), (0.62, 0.66, 0.52), (0.74, 0.60, 0.52))
    light = _varied(generator, colours[int(generator.integers(len(colours)))])
    return _tinted(mottled, (light[0] * 0.75, light[1] * 0.75, light[2] * 0.75), light)


def _blurred_room(materials: Materials, generator: Generator, width: int, height: int) -> Pixels:
    room = materials.room
    wide = room.width * generator.uniform(0.6, 1.0)
    tall = min(wide * height / width, room.height - 1.0)
    left, top = generator.uniform(0, room.width - wide), generator.uniform(0, room.height - tall)
    view = room.resize((width, height), Image.Resampling.BICUBIC, box=(left, top, left + wide, top + tall))
    if generator.uniform() < 0.5:
        view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return 0.8 * _floats(view.filter(ImageFilter.GaussianBlur(generator.uniform(2.0, 6.0))))


def _softened_horizon(picture: Pixels, line: int) -> Pixels:
    """A few blurred rows where ground and backdrop meet."""
    rows = slice(max(line - 2, 1), line + 2)
    above = picture[rows.start - 1 : rows.stop - 1]
    below = picture[rows.start + 1 : rows.stop + 1]
    picture[rows] = (above + picture[rows] + below) / 3
    return picture


_KINDS: dict[str, tuple[str, Colour, Colour, Upper]] = {
    "desk": ("page", (0.12, 0.11, 0.10), (0.95, 0.92, 0.85), _blurred_room),
    "gravel": ("gravel", (0.10, 0.09, 0.08), (0.92, 0.86, 0.78), _plaster),
    "hall": ("stone", (0.40, 0.36, 0.30), (0.85, 0.80, 0.72), _blurred_room),
    "meadow": ("grass", (0.04, 0.09, 0.02), (0.66, 0.80, 0.34), _sky),
    "moon": ("moon", (0.02, 0.02, 0.03), (1.05, 1.02, 0.98), _stars),
    "table": ("wood", (0.05, 0.05, 0.05), (1.0, 1.0, 1.0), _plaster),
    "terrace": ("brick", (0.10, 0.08, 0.07), (1.15, 0.95, 0.80), _sky),
    "wall": ("gravel", (0.08, 0.10, 0.06), (0.70, 0.72, 0.60), _brick_wall),
}
"""Of each background: the ground's texture, its darkest and lightest colour, and what is above."""
