"""What the camera and the archive add: light, focus, grain, and the credit line."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from scipy.ndimage import gaussian_filter

from pfungst.demo.scenes.config import TAG_TEXT
from pfungst.demo.scenes.materials import Pixels, as_floats
from pfungst.demo.scenes.stamps import LUMINANCE
from pfungst.images.rectangles import Region


def through_camera(canvas: Pixels, generator: Generator) -> Pixels:
    """Colour temperature, exposure, contrast, now and then black and white; vignette, focus, grain."""
    warm, exposure = generator.uniform(-0.10, 0.10), generator.uniform(0.8, 1.15)
    canvas = np.clip(
        canvas * np.array([1 + warm, 1.0, 1 - warm], dtype=np.float32) * np.float32(exposure), 0, 1
    )
    canvas = canvas ** np.float32(generator.uniform(0.8, 1.2))
    if generator.uniform() < 0.12:
        canvas = np.repeat((canvas @ LUMINANCE)[..., None], 3, axis=2)
    height, width = canvas.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    vignette = 1 - generator.uniform(0.0, 0.25) * (x**2 + y**2)[..., None] / 2
    canvas = canvas * np.asarray(vignette, dtype=np.float32)
    blur = generator.uniform(0.3, 0.9)
    canvas = gaussian_filter(canvas, (blur, blur, 0))
    grain = gaussian_filter(generator.standard_normal(canvas.shape, dtype=np.float32), (0.5, 0.5, 0))
    return np.asarray(np.clip(canvas + grain * np.float32(generator.uniform(0.01, 0.035)), 0, 1))


def with_tag(canvas: Pixels, generator: Generator) -> tuple[Pixels, Region]:
    """The credit line in the lower left corner, white with a dark rim, and its exact box."""
    height, width = canvas.shape[:2]
    font = ImageFont.load_default(size=max(round(0.047 * max(height, width)), 9))
    left, top, right, bottom = (int(v) for v in font.getbbox(TAG_TEXT))
    x = int(generator.integers(4, 9)) - left
    y = height - int(generator.integers(4, 9)) - bottom
    rim, text = Image.new("L", (width, height)), Image.new("L", (width, height))
    ImageDraw.Draw(rim).text((x + 1, y + 1), TAG_TEXT, fill=255, font=font)
    ImageDraw.Draw(text).text((x, y), TAG_TEXT, fill=255, font=font)
    dark = as_floats(rim.filter(ImageFilter.GaussianBlur(0.8)))[..., None] * np.float32(0.7)
    light = as_floats(text)[..., None] * np.float32(0.92)
    canvas = canvas * (1 - dark)
    box = Region(left=x + left, top=y + top, right=x + right + 1, bottom=y + bottom + 1)
    return canvas + (1 - canvas) * light, box
