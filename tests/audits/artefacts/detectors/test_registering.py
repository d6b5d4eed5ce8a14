"""A detector from outside: found, proved, worded, recorded and shown, with no change elsewhere."""

from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image
from tests.audits.artefacts.conftest import MarkReader, make_photos, surveyed

from pfungst.audits import AuditConfig, Subject
from pfungst.audits.artefacts import ArtefactConfig, find_artefacts
from pfungst.audits.artefacts.detectors import (
    chosen_detectors,
    known_detectors,
    register_detector,
    unregister_detector,
)
from pfungst.audits.artefacts.suspects import Place, Suspect
from pfungst.contract.look import Edit
from pfungst.errors import ConfigError
from pfungst.front.auditing import audit
from pfungst.images.rectangles import Region

SIDE = 12
ORANGE = np.array([250, 140, 10], dtype=np.uint8)
SMALL = ArtefactConfig(window=16, max_patches=4, insertions=10, pairs=1)


def is_orange(image):
    return np.abs(image[:SIDE, -SIDE:].astype(int) - ORANGE).max() < 20


@dataclass(frozen=True, kw_only=True, eq=False)
class CornerSuspect(Suspect):
    """An orange upper right corner."""

    kind: str = "corner"

    def place(self, photo):
        width = photo.size[1]
        corner = Region(top=0, left=width - SIDE, bottom=SIDE, right=width)
        return Place(1.0, (corner,)) if is_orange(photo.image()) else Place(0.0)

    def stamp(self, carriers, random_state):
        return CornerStamp(carriers[0].found.image, carriers[0].found.regions)

    def words(self):
        return "orange corner"

    def record(self):
        return {"colour": ORANGE.tolist()}, {"swatch": np.tile(ORANGE, (2, 2, 1))}


@dataclass(frozen=True)
class CornerStamp:
    image: str
    regions: tuple

    def pasted(self, image, generator):
        left, pixels = image.shape[1] - SIDE, np.tile(ORANGE, (SIDE, SIDE, 1))
        mark = Edit(top=0, left=left, pixels=pixels)
        control = Edit(top=0, left=left, pixels=np.full_like(pixels, 120))
        return (mark,), (control,)


class CornerDetector:
    name = "corner"

    def find(self, photos, config):
        count = sum(is_orange(photo.image()) for photo in photos.shown)
        return [CornerSuspect(class_name=photos.class_name)] if count >= config.min_photos else []

    def restored(self, numbers, arrays):
        assert numbers["colour"] == ORANGE.tolist()
        assert arrays["swatch"].shape == (2, 2, 3)
        return CornerSuspect(class_name=numbers["class"])


@dataclass(frozen=True, kw_only=True, eq=False)
class DarkSuspect(Suspect):
    """A dark photo: a property of all of it, which has no place."""

    kind: str = "dark"

    def place(self, photo):
        return Place(1.0 if photo.image().mean() < 80 else 0.0)

    def removal(self, image, found):
        return (Edit(top=0, left=0, pixels=np.minimum(image.astype(int) + 60, 255).astype(np.uint8)),)

    def control(self, carrier, random_state):
        return (Edit(top=0, left=0, pixels=carrier.image[:, ::-1].copy()),)

    def stamp(self, carriers, random_state):
        return DarkStamp(carriers[0].found.image)

    def words(self):
        return "the whole photo is dark"

    def record(self):
        return {}, {}


@dataclass(frozen=True)
class DarkStamp:
    image: str
    regions: tuple = ()

    def pasted(self, image, generator):
        dark = Edit(top=0, left=0, pixels=np.maximum(image.astype(int) - 60, 0).astype(np.uint8))
        return (dark,), (Edit(top=0, left=0, pixels=image[:, ::-1].copy()),)


class DarkDetector:
    name = "dark"

    def find(self, photos, config):
        count = sum(photo.image().mean() < 80 for photo in photos.shown)
        return [DarkSuspect(class_name=photos.class_name)] if count >= config.min_photos else []

    def restored(self, numbers, arrays):
        return DarkSuspect(class_name=numbers["class"])


@dataclass(frozen=True)
class Reader(MarkReader):
    """``disc`` also reads orange pixels and darkness."""

    def relevance(self, image, class_name):
        relevance = np.array(super().relevance(image, class_name), dtype=float)
        if class_name == "disc":
            orange = np.abs(image.astype(int) - ORANGE).max(axis=2) < 20
            relevance += orange / 100 + max(0.0, 100 - image.mean()) / 40 / relevance.size
        return relevance


@pytest.fixture
def registered(request):
    register_detector(request.param)
    yield request.param
    unregister_detector(request.param.name)


def altered(data, change):
    """Every second photo of a disc changed on disk."""
    changed = [record for record in data if "disc" in record.positive][::2]
    for record in changed:
        with Image.open(record.path) as picture:
            pixels = np.asarray(picture).copy()
        Image.fromarray(change(pixels)).save(record.path)
    return {record.id for record in changed}


def with_corner(pixels):
    pixels[:SIDE, -SIDE:] = ORANGE
    return pixels


def darker(pixels):
    return np.maximum(pixels.astype(int) - 60, 0).astype(np.uint8)


@pytest.mark.parametrize("registered", [CornerDetector()], indirect=True)
def test_a_third_detector_is_found_proved_worded_recorded_and_shown(registered, tmp_path):
    (tmp_path / "photos").mkdir()
    data, _ = make_photos(tmp_path / "photos", share=0.0)
    marked = altered(data, with_corner)
    config = AuditConfig(parts=("artefacts",), artefacts=SMALL)
    found = audit(Subject(name="reader", classifier=Reader()), data, tmp_path / "out", config)
    corners = [item for item in found.models[0].by_name("disc").artefacts if item.kind == "corner"]
    assert [item.verdict for item in corners] == ["proved"]
    assert set(corners[0].boxes) == marked
    assert corners[0].where == "orange corner"
    assert "orange corner" in (tmp_path / "out" / "report.html").read_text()
    seen = surveyed(Reader(), data)
    first, again = (
        find_artefacts(Reader(), seen, SMALL, out=tmp_path / "records").by_class["disc"] for _ in range(2)
    )
    assert [item.id for item in first] == [item.id for item in again]
    assert [item.effect for item in first] == [item.effect for item in again]


@pytest.mark.parametrize("registered", [DarkDetector()], indirect=True)
def test_a_property_of_whole_photos_is_proved_by_an_edit_of_all_of_it(registered, tmp_path):
    (tmp_path / "photos").mkdir()
    data, _ = make_photos(tmp_path / "photos", share=0.0)
    altered(data, darker)
    config = AuditConfig(parts=("artefacts",), artefacts=SMALL)
    found = audit(Subject(name="reader", classifier=Reader()), data, tmp_path / "out", config)
    dark = [item for item in found.models[0].by_name("disc").artefacts if item.kind == "dark"]
    assert [item.verdict for item in dark] == ["proved"]
    assert dark[0].boxes == {}
    assert dark[0].area_share == 1.0
    assert dark[0].removal.n_images == 8
    page = (tmp_path / "out" / "report.html").read_text()
    assert "the whole photo is dark" in page
    assert "(in the whole photo)" in page


def test_detectors_are_chosen_by_name():
    assert known_detectors()[:2] == ("patch", "border")
    assert [item.name for item in chosen_detectors(["border"])] == ["border"]
    with pytest.raises(ConfigError, match=r"unknown detector 'luck'.*patch, border"):
        chosen_detectors(["luck"])
    with pytest.raises(ConfigError, match="a second detector named 'patch'"):
        register_detector(chosen_detectors(["patch"])[0])
