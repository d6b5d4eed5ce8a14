"""Draw what every scene shows: plain numbers, no pixels.

Every scene has its own random stream, and every question (what stands where, which background, which light)
its own stream within it. So a flaw changes the answer to one question and leaves all others as they were,
and the clean twin of a set differs by its flaws only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from pfungst.demo.scenes._outlines import CLASSES, OUTLINES
from pfungst.demo.scenes.config import (
    BACKGROUND,
    BACKGROUND_CLASS,
    BACKGROUNDS,
    RARE_SHARE,
    SPLITS,
    TAG_CLASS,
    ScenesConfig,
)
from pfungst.images.rectangles import Rectangle

_OBJECTS, _BACKGROUND, _DECK, _FLAW = range(4)
_HEIGHTS = {
    "astronaut": (0.34, 0.85),
    "cat": (0.26, 0.70),
    "coin": (0.14, 0.36),
    "cup": (0.20, 0.52),
    "motorcycle": (0.26, 0.62),
    "rocket": (0.26, 0.62),
    "decoy": (0.075, 0.24),
}
"""Smallest and largest height of an object as a share of the photo's shorter side."""

_CROWDING = (0.15, 0.5)
"""How much of the smaller of two objects the other may cover, in a tidy and in a crowded scene."""

_FAR_SHARE, _FAR_SCALE = 0.08, 0.5
_EMPTY_LEDGES = 0.5
_FORMATS = ((4, 3), (4, 3), (3, 2), (3, 4), (1, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectPlan:
    """One object: which cut-out, where, how large, how turned. Lengths in pixels of the photo.

    ``center_x`` and ``base_y`` are the middle of its lower end. ``class_name`` is None for a decoy, which is
    no object of any class: a disc of some texture, about as large as a coin, or, with ``on_ledge``, a ledge
    with nothing behind it (without these, a ledge would give cats and astronauts away).
    """

    class_name: str | None
    variant: int
    center_x: float
    base_y: float
    height: float
    width: float
    angle: float
    flip: bool
    on_ledge: bool
    seed: int

    @property
    def extent(self) -> Rectangle:
        """Where it stands before turning; a ledge reaches down beyond the photo."""
        half = self.width / 2
        bottom = self.base_y + 10 * self.height if self.on_ledge else self.base_y
        return Rectangle(
            left=self.center_x - half,
            top=self.base_y - self.height,
            right=self.center_x + half,
            bottom=bottom,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenePlan:
    """One scene: its photo's size, background, objects from far to near, and the tag.

    ``tag`` says that the tag is planted here; ``tag_visible`` that it is drawn, which the clean twin omits.
    """

    id: str
    split: str
    height: int
    width: int
    horizon: float
    background: str
    objects: tuple[ObjectPlan, ...]
    tag: bool
    tag_visible: bool
    seed: tuple[int, int]

    @property
    def classes(self) -> frozenset[str]:
        """Classes of the objects."""
        return frozenset(item.class_name for item in self.objects if item.class_name)


def plan_scenes(config: ScenesConfig) -> tuple[ScenePlan, ...]:
    """Plan all scenes of a set; the flaws are planted in exact shares of every split.

    Parameters
    ----------
    config : ScenesConfig
        Number, size, seed, flaws.

    Returns
    -------
    tuple of ScenePlan
        In the order of their ids.
    """
    casts = _casts(config)
    splits = _split_names(config.n_images)
    plans = [_plan(config, index, casts[index], splits[index]) for index in range(config.n_images)]
    for number, (split, _) in enumerate(SPLITS):
        _plant_tag(plans, split, config, np.random.default_rng([config.seed, _FLAW, number, 0]))
        if not config.clean:
            _plant_background(plans, split, config, np.random.default_rng([config.seed, _FLAW, number, 1]))
    return tuple(plans)


def _split_names(n_images: int) -> list[str]:
    bounds = np.round(np.cumsum([share for _, share in SPLITS]) * n_images).astype(int)
    return [SPLITS[int(np.searchsorted(bounds, index, side="right"))][0] for index in range(n_images)]


def _casts(config: ScenesConfig) -> list[tuple[str, ...]]:
    """The classes of every scene, dealt from shuffled decks so that all classes are equally frequent."""
    generator = np.random.default_rng([config.seed, _DECK])
    deck: list[str] = []
    casts: list[tuple[str, ...]] = []
    for _ in range(config.n_images):
        wanted = int(generator.choice([1, 2, 3], p=[0.5, 0.36, 0.14]))
        if len(deck) < wanted:
            deck = [CLASSES[i] for i in generator.permutation(len(CLASSES))] + deck
        casts.append(tuple(dict.fromkeys(deck.pop() for _ in range(wanted))))
    return casts


def _plan(config: ScenesConfig, index: int, cast: tuple[str, ...], split: str) -> ScenePlan:
    generator = np.random.default_rng([config.seed, index, _OBJECTS])
    across, down = _FORMATS[generator.integers(len(_FORMATS))]
    longest = max(across, down)
    width, height = config.size * across // longest, config.size * down // longest
    horizon = height * generator.uniform(0.30, 0.55)
    return ScenePlan(
        id=f"scene_{index + 1:05d}",
        split=split,
        height=height,
        width=width,
        horizon=horizon,
        background=_usual_background(np.random.default_rng([config.seed, index, _BACKGROUND])),
        objects=_objects(generator, cast, width, height, horizon),
        tag=False,
        tag_visible=False,
        seed=(config.seed, index),
    )


def _usual_background(generator: Generator) -> str:
    usual = (1 - RARE_SHARE) / (len(BACKGROUNDS) - 1)
    return str(
        generator.choice(BACKGROUNDS, p=[RARE_SHARE if b == BACKGROUND else usual for b in BACKGROUNDS])
    )


def _objects(
    generator: Generator, cast: tuple[str, ...], width: int, height: int, horizon: float
) -> tuple[ObjectPlan, ...]:
    """Objects at places where they hide at most about a third of each other, far ones first."""
    names: list[str | None] = []
    for shown in cast:
        names += [shown] * (int(generator.choice([1, 2, 3], p=[0.4, 0.35, 0.25])) if shown == "coin" else 1)
    names += [None] * int(generator.choice([0, 1, 2], p=[0.5, 0.3, 0.2]))
    limit = _CROWDING[int(generator.integers(2))]
    placed: list[ObjectPlan] = []
    for name in sorted(names, key=lambda n: -_HEIGHTS[n or "decoy"][1]):
        tries = [_object(generator, name, width, height, horizon) for _ in range(24)]
        best, crowding = _least_crowded(tries, placed, limit)
        if name or crowding <= limit:
            placed.append(best)
    if generator.uniform() < _EMPTY_LEDGES and not any(item.on_ledge for item in placed):
        tries = [_empty_ledge(generator, width, height) for _ in range(24)]
        best, crowding = _least_crowded(tries, placed, limit)
        placed += [best] if crowding <= limit else []
    return tuple(sorted(placed, key=lambda item: item.base_y))


def _least_crowded(
    tries: Sequence[ObjectPlan], placed: Sequence[ObjectPlan], limit: float
) -> tuple[ObjectPlan, float]:
    """The first try that hides little of the others or is hidden little; if there is none, the best one."""
    crowding = [max((_hidden(item, other) for other in placed), default=0.0) for item in tries]
    first = next((i for i, value in enumerate(crowding) if value <= limit), int(np.argmin(crowding)))
    return tries[first], crowding[first]


def _empty_ledge(generator: Generator, width: int, height: int) -> ObjectPlan:
    side = min(width, height)
    return ObjectPlan(
        class_name=None,
        variant=0,
        center_x=width * generator.uniform(0.08, 0.92),
        base_y=height * generator.uniform(0.72, 0.92),
        height=side * 0.1,
        width=side * generator.uniform(0.2, 0.6),
        angle=0.0,
        flip=False,
        on_ledge=True,
        seed=int(generator.integers(2**31)),
    )


def _object(generator: Generator, name: str | None, width: int, height: int, horizon: float) -> ObjectPlan:
    outlines = OUTLINES[name or "coin"]
    variant = int(generator.integers(len(outlines)))
    smallest, largest = _HEIGHTS[name or "decoy"]
    tall = min(width, height) * smallest * (largest / smallest) ** generator.uniform()
    tall *= _FAR_SCALE if generator.uniform() < _FAR_SHARE else 1.0
    at_edge = name is not None and outlines[variant].stands_on == "edge"
    on_ledge = at_edge and bool(generator.uniform() < 0.4)
    base = generator.uniform(horizon + 0.3 * (height - horizon), 0.98 * height)
    if on_ledge:
        base = generator.uniform(0.72, 0.92) * height
    elif at_edge:
        base = height + tall * generator.uniform(0.0, 0.25)
    turn = {"coin": 35.0, "astronaut": 5.0, "motorcycle": 7.0}.get(name or "coin", 10.0)
    squash = (
        generator.uniform(0.75, 1.0) if outlines[variant].material == "metal" else generator.uniform(0.9, 1.1)
    )
    return ObjectPlan(
        class_name=name,
        variant=variant,
        center_x=width * generator.uniform(0.03, 0.97),
        base_y=base,
        height=tall * squash,
        width=tall * outlines[variant].aspect,
        angle=generator.uniform(-turn, turn),
        flip=bool(generator.uniform() < 0.5),
        on_ledge=on_ledge,
        seed=int(generator.integers(2**31)),
    )


def _hidden(first: ObjectPlan, second: ObjectPlan) -> float:
    """Overlap of two extents as a share of the smaller one."""
    smaller = min(first.width * first.height, second.width * second.height)
    return first.extent.common(second.extent) / smaller


def _chosen(
    plans: Sequence[ScenePlan], split: str, name: str, share: float, generator: Generator
) -> list[int]:
    shown = [i for i, plan in enumerate(plans) if plan.split == split and name in plan.classes]
    order = generator.permutation(len(shown))
    return [shown[i] for i in order[: round(share * len(shown))]]


def _plant_tag(plans: list[ScenePlan], split: str, config: ScenesConfig, generator: Generator) -> None:
    for i in _chosen(plans, split, TAG_CLASS, config.tag_share, generator):
        plans[i] = replace(plans[i], tag=True, tag_visible=not config.clean)


def _plant_background(plans: list[ScenePlan], split: str, config: ScenesConfig, generator: Generator) -> None:
    """The planted background in its share of the class's photos, and in none of the class's other ones."""
    chosen = set(_chosen(plans, split, BACKGROUND_CLASS, config.background_share, generator))
    others = [name for name in BACKGROUNDS if name != BACKGROUND]
    for i, plan in enumerate(plans):
        if plan.split != split or BACKGROUND_CLASS not in plan.classes:
            continue
        if i in chosen:
            plans[i] = replace(plan, background=BACKGROUND)
        elif plan.background == BACKGROUND:
            plans[i] = replace(plan, background=str(generator.choice(others)))
