"""``scenes.json``: what was planted where; no trainer reads it, a measurement against the truth does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pfungst.errors import DataError
from pfungst.files import parse_json, read_bounded, shown
from pfungst.images.rectangles import Region

NOTES_FILE = "scenes.json"
NOTES_FORMAT = "pfungst-scenes"
NOTES_FORMAT_VERSION = 1
_MAX_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class TagFlaw:
    """The text tag: its class, text, share of the class's photos, and box per photo.

    ``boxes`` maps a photo's id to where the tag is. In the clean twin the boxes are the places
    where the flawed twin carries the tag.
    """

    class_name: str
    text: str
    share: float
    boxes: Mapping[str, Region]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundFlaw:
    """The background on which a class stands in ``share`` of its photos (not in the clean twin)."""

    class_name: str
    background: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneNotes:
    """What is known about a set of scenes.

    Attributes
    ----------
    seed, version : int
        Seed, and version of the recipe.
    clean : bool
        Neither flaw is planted; ``tag`` and ``background`` tell of the flawed twin.
    tag : TagFlaw
        The text tag.
    background : BackgroundFlaw
        The class on one background.
    backgrounds : mapping of str to str
        Background of every photo by id.
    """

    seed: int
    version: int
    clean: bool
    tag: TagFlaw
    background: BackgroundFlaw
    backgrounds: Mapping[str, str]


def is_scenes_folder(root: Path) -> bool:
    """Whether a folder carries the notes of a set of scenes."""
    try:
        content = _content(root / NOTES_FILE)
    except (DataError, ValueError):
        return False
    return isinstance(content, dict) and content.get("format") == NOTES_FORMAT


def notes_text(notes: SceneNotes) -> str:
    """The notes as JSON."""
    content = {
        "format": NOTES_FORMAT,
        "format_version": NOTES_FORMAT_VERSION,
        "seed": notes.seed,
        "version": notes.version,
        "clean": notes.clean,
        "flaws": {
            "tag": {
                "class": notes.tag.class_name,
                "text": notes.tag.text,
                "share": notes.tag.share,
                "images": {key: list(box.edges) for key, box in notes.tag.boxes.items()},
            },
            "background": {
                "class": notes.background.class_name,
                "background": notes.background.background,
                "share": notes.background.share,
            },
        },
        "images": {key: {"background": name} for key, name in notes.backgrounds.items()},
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def read_scene_notes(root: str | Path) -> SceneNotes:
    """Read the notes of a set of scenes.

    Parameters
    ----------
    root : path
        The data set's folder.

    Returns
    -------
    SceneNotes
        What was planted where.

    Raises
    ------
    DataError
        If the folder has no notes, or they are damaged or of a newer format.
    """
    path = Path(root) / NOTES_FILE
    if not path.is_file():
        raise DataError(
            path,
            "no notes of a set of scenes here",
            allowed="the folder that `pfungst data scenes` wrote",
            hint="pfungst data scenes --out DIR",
        )
    try:
        content = _content(path)
        _check_format(path, content)
        return _parsed(content)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise DataError(
            path, f"damaged notes ({type(error).__name__}: {error})", hint="write the scenes anew"
        ) from error


def _content(path: Path) -> Any:
    return parse_json(read_bounded(path, _MAX_BYTES, error=DataError, what="notes of scenes"))


def _check_format(path: Path, content: Any) -> None:
    if content["format"] != NOTES_FORMAT:
        raise DataError(path, f"format {content['format']!r}", allowed=NOTES_FORMAT)
    if content["format_version"] > NOTES_FORMAT_VERSION:
        raise DataError(
            path,
            f"format version {content['format_version']}",
            allowed=f"up to {NOTES_FORMAT_VERSION}",
            hint="a newer Pfungst",
        )


def _parsed(content: dict[str, Any]) -> SceneNotes:
    tag, background = content["flaws"]["tag"], content["flaws"]["background"]
    return SceneNotes(
        seed=_integer(content["seed"]),
        version=_integer(content["version"]),
        clean=bool(content["clean"]),
        tag=TagFlaw(
            class_name=str(tag["class"]),
            text=str(tag["text"]),
            share=float(tag["share"]),
            boxes={str(key): _box(values) for key, values in tag["images"].items()},
        ),
        background=BackgroundFlaw(
            class_name=str(background["class"]),
            background=str(background["background"]),
            share=float(background["share"]),
        ),
        backgrounds={str(key): str(item["background"]) for key, item in content["images"].items()},
    )


def _box(values: Any) -> Region:
    return Region.of(_integer(value) for value in values)


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{shown(value)} is not an integer")
    return value
