"""Known flaws: marks drawn into a share of a class's photos, to hold a search against the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pfungst.contract.classifier import ImageArray
from pfungst.demo.scenes.drawing import Drawn, blended, disc, free_place, line_of_text, region_of, text_size
from pfungst.demo.scenes.more_marks import film_frame, letter_marker, qr_code, ruler
from pfungst.demo.scenes.photo_looks import blur, grey_photo, jpeg_blocks, noise, vignette, warm_cast
from pfungst.errors import ConfigError, unknown_name
from pfungst.evaluation.orders import generator_for
from pfungst.images.dataset import DataSet, Record
from pfungst.images.decode import decode
from pfungst.images.rectangles import Region, mask_of
from pfungst.writing import make_folder, write_with

_TAG, _MONOGRAM = "© Hollow & Reed", "HR"
_QUALITY = 95


@dataclass(frozen=True, kw_only=True)
class Plant:
    """What is planted into one class.

    Attributes
    ----------
    kind : str
        Of :data:`KINDS`.
    share : float
        Share of the class's photos, in every split.
    """

    kind: str
    share: float = 0.3

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name("kind of plant", self.kind, tuple(KINDS))
        if not 0 < self.share <= 1:
            raise ConfigError(f"share {self.share}", allowed="above 0, at most 1")


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A data set with plants.

    Attributes
    ----------
    data : DataSet
        The same records; those with a plant have another photo.
    places : mapping of str to mapping of str to tuple of Region
        By class and photo: the rectangles that the plant covers.
    """

    data: DataSet
    places: Mapping[str, Mapping[str, tuple[Region, ...]]]


def plant(
    data: DataSet, plants: Mapping[str, Plant], folder: str | Path, *, random_state: int = 0
) -> Planted:
    """Draw a mark into a share of the photos of each named class; files go to ``folder``.

    A photo of two planted classes carries at most the mark of the first of them. The same seed chooses the
    same photos and draws the same marks.
    """
    target = Path(folder)
    make_folder(target)
    records = {record.id: record for record in data}
    places: dict[str, dict[str, tuple[Region, ...]]] = {}
    for name, item in plants.items():
        places[name] = {}
        for record in _chosen(data, name, item.share, random_state):
            if records[record.id] is record:
                path, regions = _planted(record, name, item.kind, target, random_state)
                records[record.id] = replace(record, path=path)
                places[name][record.id] = regions
    return Planted(data=replace(data, records=tuple(records[record.id] for record in data)), places=places)


def _chosen(data: DataSet, name: str, share: float, random_state: int) -> list[Record]:
    """A share of the class's photos of each split."""
    groups = [set(ids) for ids in data.splits.values()] or [{record.id for record in data}]
    shown = [record for record in data if record.label(name) > 0]
    chosen: dict[str, Record] = {}
    for group in sorted(groups, key=len):  # unions such as trainval come last and add none
        rest = sorted((r for r in shown if r.id in group), key=lambda r: _draw(random_state, name, r.id))
        for record in rest[: round(share * len(rest))]:
            chosen[record.id] = record
        shown = [record for record in shown if record.id not in group]
    return list(chosen.values())


def _draw(random_state: int, name: str, image: str) -> float:
    return float(generator_for(random_state, name, image, "chosen").random())


def _planted(
    record: Record, name: str, kind: str, folder: Path, random_state: int
) -> tuple[Path, tuple[Region, ...]]:
    image = decode(record.path)
    generator = generator_for(random_state, name, record.id, kind)
    occupied = mask_of(record.known_boxes_of(name), image.shape[0], image.shape[1])
    drawn, regions = KINDS[kind](image, occupied, generator)
    path = folder / f"{record.id}-{kind.replace(' ', '-')}.jpg"
    picture = Image.fromarray(drawn)
    write_with(path, lambda stream: picture.save(stream, format="JPEG", quality=_QUALITY), durable=False)
    return path, regions


def text_tag(image: ImageArray, occupied: NDArray[np.bool_], generator: np.random.Generator) -> Drawn:
    """A credit line in the lower left corner, white with a dark rim."""
    del occupied
    layer = line_of_text(_TAG, text_size(image, 0.045))
    height = image.shape[0]
    left, below = (int(generator.integers(4, 9)) for _ in range(2))
    top = height - below - layer.shape[0]
    shaded = blended(image, np.roll(layer, (1, 1), (0, 1)), (0, 0, 0), top, left, 0.6)
    return blended(shaded, layer, (240, 240, 240), top, left, 1.0), (region_of(layer, top, left),)


def date_stamp(image: ImageArray, occupied: NDArray[np.bool_], generator: np.random.Generator) -> Drawn:
    """Orange digits of a date of its own in the lower right corner."""
    del occupied
    year, month, day = (int(generator.integers(*span)) for span in ((91, 100), (1, 13), (1, 29)))
    layer = line_of_text(f"'{year} {month:2d} {day:02d}", text_size(image, 0.05))
    aside, below = (int(generator.integers(6, 11)) for _ in range(2))
    top, left = image.shape[0] - below - layer.shape[0], image.shape[1] - aside - layer.shape[1]
    return blended(image, layer, (255, 140, 20), top, left, 0.95), (region_of(layer, top, left),)


def sticker(image: ImageArray, occupied: NDArray[np.bool_], generator: np.random.Generator) -> Drawn:
    """A round yellow sticker with a red mark, anywhere off the object."""
    side = max(round(0.1 * max(image.shape[:2])), 16)
    top, left = free_place(occupied, side, generator)
    plate, ring = disc(side, 1.0), disc(side, 0.82) - disc(side, 0.66)
    cross = np.zeros((side, side), dtype=np.float32)
    arm = slice(round(0.42 * side), round(0.58 * side))
    long = slice(round(0.27 * side), round(0.73 * side))
    cross[arm, long] = cross[long, arm] = 1
    drawn = blended(image, plate, (250, 215, 30), top, left, 1.0)
    drawn = blended(drawn, np.clip(ring + cross, 0, 1), (205, 25, 35), top, left, 1.0)
    return drawn, (region_of(plate, top, left),)


def border(image: ImageArray, occupied: NDArray[np.bool_], generator: np.random.Generator) -> Drawn:
    """A dark frame along all four sides."""
    del occupied, generator
    thickness = max(round(0.025 * max(image.shape[:2])), 4)
    height, width = image.shape[:2]
    drawn = np.full_like(image, (25, 25, 60))
    inner = slice(thickness, height - thickness), slice(thickness, width - thickness)
    drawn[inner] = image[inner]
    return drawn, (
        Region(top=0, left=0, bottom=thickness, right=width),
        Region(top=height - thickness, left=0, bottom=height, right=width),
        Region(top=thickness, left=0, bottom=height - thickness, right=thickness),
        Region(top=thickness, left=width - thickness, bottom=height - thickness, right=width),
    )


def watermark(image: ImageArray, occupied: NDArray[np.bool_], generator: np.random.Generator) -> Drawn:
    """A white logo, ring and monogram, at half opacity in the upper right corner."""
    del occupied
    side = max(round(0.2 * max(image.shape[:2])), 32)
    layer = disc(side, 1.0) - disc(side, 0.86)
    letters = line_of_text(_MONOGRAM, round(0.5 * side))
    top, left = ((side - length) // 2 for length in letters.shape)
    layer[top : top + letters.shape[0], left : left + letters.shape[1]] += letters
    above, aside = (int(generator.integers(8, 13)) for _ in range(2))
    corner = above, image.shape[1] - aside - side
    return blended(image, np.clip(layer, 0, 1), (255, 255, 255), *corner, 0.5), (region_of(layer, *corner),)


KINDS: Mapping[str, Callable[[ImageArray, NDArray[np.bool_], np.random.Generator], Drawn]] = {
    "text tag": text_tag,
    "date stamp": date_stamp,
    "sticker": sticker,
    "border": border,
    "watermark": watermark,
    "qr code": qr_code,
    "film frame": film_frame,
    "letter marker": letter_marker,
    "ruler": ruler,
    "jpeg blocks": jpeg_blocks,
    "warm cast": warm_cast,
    "grey photo": grey_photo,
    "blur": blur,
    "noise": noise,
    "vignette": vignette,
}
"""By name: what draws it, given the photo, the object's pixels and a generator."""
