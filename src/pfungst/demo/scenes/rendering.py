"""Turn a plan into a photo with exact boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pfungst.demo.scenes.backgrounds import render_background
from pfungst.demo.scenes.camera import through_camera, with_tag
from pfungst.demo.scenes.materials import Materials, Pixels, as_floats
from pfungst.demo.scenes.planning import ObjectPlan, ScenePlan
from pfungst.demo.scenes.stamps import render_stamp
from pfungst.images.rectangles import Box, Region

VISIBLE_ALPHA = 0.5
"""A pixel belongs to an object where at least this share of it is seen."""

_DIFFICULT_SHARE, _DIFFICULT_SIDE, _TRUNCATED_SHARE = 0.45, 0.05, 0.95
_BACKGROUND_STREAM, _CAMERA_STREAM, _TAG_STREAM = 10, 11, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneObject:
    """What of an object is to be seen.

    Attributes
    ----------
    box : Box
        Smallest box, half-open, around the pixels of which at least ``VISIBLE_ALPHA`` shows the object.
    truncated : bool
        More than a twentieth of it lies beyond the photo's edge.
    occluded : bool
        More than a tenth of it is behind something.
    """

    box: Box
    truncated: bool
    occluded: bool


@dataclass(frozen=True, kw_only=True)
class RenderedScene:
    """A photo with its answers.

    Attributes
    ----------
    pixels : ndarray (height, width, 3) of uint8
        The photo.
    objects : tuple of SceneObject
        What is to be seen, far ones first.
    tag_box : Region or None
        Half-open box of the tag, in a clean twin of the place where its flawed twin carries it.
    """

    pixels: NDArray[np.uint8]
    objects: tuple[SceneObject, ...]
    tag_box: Region | None


@dataclass(slots=True)
class _Layer:
    plan: ObjectPlan
    visible: Pixels
    own_area: float
    framed_area: float


def render_scene(plan: ScenePlan, materials: Materials) -> RenderedScene:
    """Render one scene; the same plan gives the same pixels.

    Parameters
    ----------
    plan : ScenePlan
        What it shows.
    materials : Materials
        Cut-outs and textures, from :func:`load_materials`.

    Returns
    -------
    RenderedScene
        Boxes are measured on the objects' visible parts; objects of which nothing is seen are left out.
    """
    canvas = render_background(
        plan.background,
        materials,
        np.random.default_rng([*plan.seed, _BACKGROUND_STREAM]),
        height=plan.height,
        width=plan.width,
        horizon=plan.horizon,
    )
    layers: list[_Layer] = []
    for item in plan.objects:
        canvas = _add_object(canvas, item, materials, layers)
    canvas = through_camera(canvas, np.random.default_rng([*plan.seed, _CAMERA_STREAM]))
    tag_box = None
    if plan.tag:
        tagged, tag_box = with_tag(canvas, np.random.default_rng([*plan.seed, _TAG_STREAM]))
        canvas = tagged if plan.tag_visible else canvas
    objects = tuple(seen for layer in layers if (seen := _seen(layer, plan)) is not None)
    return RenderedScene(
        pixels=(np.clip(canvas, 0, 1) * 255 + 0.5).astype(np.uint8), objects=objects, tag_box=tag_box
    )


def _add_object(canvas: Pixels, item: ObjectPlan, materials: Materials, layers: list[_Layer]) -> Pixels:
    generator = np.random.default_rng(item.seed)
    if item.class_name is None and item.on_ledge:
        return _add_ledge(canvas, item, materials, layers, generator)
    colours, own = render_stamp(item, materials, generator)
    top, left = round(item.base_y - own.shape[0]), round(item.center_x - own.shape[1] / 2)
    alpha = _framed(own[..., None], top, left, canvas.shape)[..., 0]
    canvas = canvas * (1 - _shadow(alpha, item, generator)[..., None])
    canvas = canvas * (1 - alpha[..., None]) + _framed(colours, top, left, canvas.shape) * alpha[..., None]
    for layer in layers:
        layer.visible *= 1 - alpha
    if item.class_name:
        framed = float((alpha >= VISIBLE_ALPHA).sum())
        layers.append(_Layer(item, alpha, float((own >= VISIBLE_ALPHA).sum()), framed))
    return _add_ledge(canvas, item, materials, layers, generator) if item.on_ledge else canvas


def _framed(stamp: Pixels, top: int, left: int, shape: tuple[int, ...]) -> Pixels:
    """The stamp laid into an empty picture of the given shape; what reaches beyond is cut."""
    frame = np.zeros((shape[0], shape[1], stamp.shape[2]), dtype=np.float32)
    rows = slice(max(top, 0), min(top + stamp.shape[0], shape[0]))
    columns = slice(max(left, 0), min(left + stamp.shape[1], shape[1]))
    if rows.start < rows.stop and columns.start < columns.stop:
        frame[rows, columns] = stamp[
            rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]
    return frame


def _shadow(alpha: Pixels, item: ObjectPlan, generator: Generator) -> Pixels:
    """Soft shade on the ground around the object's foot, and a fainter cast one to a side."""
    rows = np.arange(alpha.shape[0], dtype=np.float32)[:, None]
    columns = np.arange(alpha.shape[1], dtype=np.float32)[None, :]
    half, deep = max(item.width * 0.55, 3.0), max(min(item.height * 0.07, 12.0), 2.0)
    foot = ((columns - item.center_x) / half) ** 2 + ((rows - item.base_y + deep * 0.4) / deep) ** 2
    contact = np.exp(-foot * 1.2) * np.float32(generator.uniform(0.35, 0.6))
    reach = max(item.height * 0.05, 2.0)
    side = int(generator.choice([-1, 1])) * round(reach)
    cast = gaussian_filter(np.roll(alpha, (round(reach * 0.5), side), (0, 1)), reach * 0.6)
    return np.asarray(np.maximum(contact, cast * np.float32(generator.uniform(0.12, 0.3))), dtype=np.float32)


def _add_ledge(
    canvas: Pixels, item: ObjectPlan, materials: Materials, layers: list[_Layer], generator: Generator
) -> Pixels:
    """A block in front of an object whose lower end is missing, down to the photo's lower edge."""
    height, width = canvas.shape[:2]
    top = round(item.base_y) - max(round(0.03 * item.height), 2)
    left = max(round(item.center_x - item.width * generator.uniform(0.6, 0.9)), 0)
    right = min(round(item.center_x + item.width * generator.uniform(0.6, 0.9)), width)
    if right - left < 4 or height - top < 4:
        return canvas
    texture = materials.textures[("bricks", "stone", "wood")[int(generator.integers(3))]]
    x, y = (int(generator.integers(0, 1024 - max(width, height))) for _ in range(2))
    block = texture.convert("RGB").crop((x, y, x + right - left, y + height - top))
    colours = as_floats(block) * np.float32(generator.uniform(0.55, 0.95))
    colours = colours * np.array(generator.uniform(0.75, 1.0, 3), dtype=np.float32)
    lip = max(round(0.02 * height), 2)
    colours[:lip] = colours[:lip] * 0.5 + 0.42
    colours[lip : 2 * lip] *= 0.6
    front = np.zeros((height, width), dtype=np.float32)
    front[top:, left:right] = 1
    front = gaussian_filter(front, 0.6, mode="nearest")[..., None]
    for layer in layers:
        layer.visible *= 1 - front[..., 0]
    return canvas * (1 - front) + _framed(colours, top, left, canvas.shape) * front


def _seen(layer: _Layer, plan: ScenePlan) -> SceneObject | None:
    seen = layer.visible >= VISIBLE_ALPHA
    if not seen.any() or layer.plan.class_name is None:
        return None
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    side = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    share = float(seen.sum()) / layer.own_area
    small = side < _DIFFICULT_SIDE * max(plan.height, plan.width)
    box = Box(
        class_name=layer.plan.class_name,
        left=float(columns[0]),
        top=float(rows[0]),
        right=float(columns[-1] + 1),
        bottom=float(rows[-1] + 1),
        difficult=bool(small or share < _DIFFICULT_SHARE),
    )
    return SceneObject(
        box=box,
        truncated=layer.framed_area < _TRUNCATED_SHARE * layer.own_area,
        occluded=float(seen.sum()) < 0.9 * layer.framed_area,
    )
