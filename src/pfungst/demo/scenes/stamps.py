"""One object's cut-out, turned, scaled and put into another light."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from PIL import Image
from scipy.ndimage import gaussian_filter

from pfungst.demo.scenes._outlines import OUTLINES, Material
from pfungst.demo.scenes.materials import Materials, Pixels, as_floats
from pfungst.demo.scenes.planning import ObjectPlan

LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue in grey."""

_HAZE = np.array([0.58, 0.62, 0.66], dtype=np.float32)
_DECOYS = ("stone", "gravel", "retina", "moon", "brick")
_METALS = ((0.95, 0.95, 0.97), (1.05, 0.88, 0.52), (1.0, 0.70, 0.52), (0.80, 0.74, 0.62))


def render_stamp(item: ObjectPlan, materials: Materials, generator: Generator) -> tuple[Pixels, Pixels]:
    """Colours ``(height, width, 3)`` and alpha ``(height, width)`` of one object."""
    source, material = _source(item, materials, generator)
    pixels = as_floats(_turned(source, item))
    colours = _relit(pixels[..., :3], generator, material)
    if item.class_name:
        most = OUTLINES[item.class_name][item.variant].haze
        colours = colours + (_HAZE - colours) * np.float32(most * generator.uniform(0.3, 1.0))
    return colours, np.ascontiguousarray(pixels[..., 3])


def _source(item: ObjectPlan, materials: Materials, generator: Generator) -> tuple[Image.Image, Material]:
    if item.class_name:
        outline = OUTLINES[item.class_name][item.variant]
        return materials.cutouts[item.class_name][item.variant], outline.material
    return _decoy(materials, generator), "metal" if generator.uniform() < 0.6 else "painted"


def _decoy(materials: Materials, generator: Generator) -> Image.Image:
    """A disc of some texture, shaded like a pebble or a worn button."""
    texture = materials.textures[_DECOYS[int(generator.integers(len(_DECOYS)))]]
    left, top = (int(generator.integers(0, 1024 - 160)) for _ in range(2))
    disc = texture.crop((left, top, left + 160, top + 160)).resize((64, 64), Image.Resampling.BOX)
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    radius = np.hypot(x, y)
    shade = (1.1 - 0.5 * np.clip(radius, 0, 1) ** 3 - 0.25 * x - 0.2 * y)[..., None]
    pixels = np.clip(np.asarray(disc.convert("RGB"), dtype=np.float64) * shade, 0, 255).astype(np.uint8)
    image = Image.fromarray(pixels)
    alpha = np.clip((0.95 - radius) * 20, 0, 1) * 255
    image.putalpha(Image.fromarray(alpha.astype(np.uint8)))
    return image


def _turned(source: Image.Image, item: ObjectPlan) -> Image.Image:
    """Turn, flip and scale; coins turn before they are squashed, for they lie on the ground."""
    size = (max(round(item.width), 3), max(round(item.height), 3))
    image = source.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if item.flip else source
    if abs(item.angle) > 15:
        return image.rotate(item.angle, Image.Resampling.BICUBIC).resize(size, Image.Resampling.LANCZOS)
    image = image.resize(size, Image.Resampling.LANCZOS)
    image = image.rotate(item.angle, Image.Resampling.BICUBIC, expand=True)
    box = image.getchannel("A").getbbox()
    return image.crop(box) if box else image


def _relit(colours: Pixels, generator: Generator, material: Material) -> Pixels:
    """Other light on an object: hue, saturation, contrast, brightness, a side in the shade, focus."""
    grey = (colours @ LUMINANCE)[..., None]
    turn = {"painted": 3.14, "fixed": 0.25, "metal": 0.0}[material] * generator.uniform(-1, 1)
    colours = grey + (colours - grey) @ _hue_turn(turn) * np.float32(generator.uniform(0.45, 1.15))
    if material == "metal":
        colours = grey * np.array(_METALS[int(generator.integers(len(_METALS)))], dtype=np.float32)
    contrast, brightness = generator.uniform(0.75, 1.2), generator.uniform(0.7, 1.2)
    contrast *= 1.25 if material == "metal" else 1.0
    colours = (colours - 0.45) * np.float32(contrast) + np.float32(0.45)
    side = np.linspace(-1, 1, colours.shape[1], dtype=np.float32)[None, :, None]
    colours = colours * (np.float32(brightness) + np.float32(generator.uniform(-0.2, 0.2)) * side)
    blur = generator.uniform(0.0, 0.9)
    colours = gaussian_filter(colours, (blur, blur, 0)) if blur > 0.25 else colours
    return np.clip(colours, 0, 1)


def _hue_turn(angle: float) -> Pixels:
    """Rotation of colours about the grey axis."""
    axis = np.full(3, 3**-0.5)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    turn = np.cos(angle) * np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * np.outer(axis, axis)
    return np.asarray(turn, dtype=np.float32)
