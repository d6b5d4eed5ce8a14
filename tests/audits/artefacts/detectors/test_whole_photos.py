"""Properties of whole photos: measured, moved alone, found where part of a class has them, proved."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from tests.audits.artefacts.conftest import CLASSES, MarkReader, surveyed

from pfungst.audits.artefacts import ArtefactConfig, find_artefacts
from pfungst.audits.artefacts.detectors.properties import PROPERTIES
from pfungst.audits.artefacts.detectors.whole_photos import as_much_changed
from pfungst.demo.scenes.planting import Plant, plant
from pfungst.images import DataSet, Record

ALONE = ArtefactConfig(detectors=("whole",), insertions=12, pairs=0, max_suspects=9)


def scene(seed=0, size=(96, 120)):
    rng = np.random.default_rng(seed)
    base = gaussian_filter(rng.normal(size=(*size, 3)), (10, 10, 0))
    fine = gaussian_filter(rng.normal(size=(*size, 3)), (1, 1, 0))
    pixels = 120 + 25 * base / base.std() + 14 * fine / fine.std()
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def slow_blockiness(image):
    y = [[0.299 * r + 0.587 * g + 0.114 * b for r, g, b in row] for row in image.astype(float)]
    ratios = []
    for lines in (y, [list(column) for column in zip(*y, strict=True)]):
        at, elsewhere = [], []
        for first in range(len(lines) - 1):
            steps = [abs(a - b) for a, b in zip(lines[first], lines[first + 1], strict=True)]
            (at if (first + 1) % 8 == 0 else elsewhere).extend(steps)
        ratios.append((np.mean(at) + 0.05) / (np.mean(elsewhere) + 0.05))
    return np.log(np.mean(ratios))


def test_values_are_what_they_say():
    image = scene()
    red, green, blue = (image[..., channel].astype(float) for channel in range(3))
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    values = {name: item.value(image) for name, item in PROPERTIES.items()}
    assert values["cast"] == pytest.approx(red.mean() - blue.mean())
    assert values["tint"] == pytest.approx(green.mean() - (red.mean() + blue.mean()) / 2)
    assert values["light"] == pytest.approx(y.mean())
    assert values["contrast"] == pytest.approx(y.std())
    assert values["colour"] == pytest.approx(np.log(1 + np.ptp(image.astype(float), axis=2).mean()))
    assert values["blocks"] == pytest.approx(slow_blockiness(image))
    noisy = np.clip(128 + np.random.default_rng(0).normal(0, 12, (200, 200, 1)), 0, 255)
    found = PROPERTIES["noise"].value(np.repeat(noisy, 3, axis=2).astype(np.uint8))
    assert np.exp(found) == pytest.approx(12, rel=0.2)  # a median of nine follows the noise a little


@pytest.mark.parametrize("name", list(PROPERTIES))
@pytest.mark.parametrize("seed", [0, 1])
def test_an_edit_moves_the_number_to_its_target(name, seed):
    item, image = PROPERTIES[name], scene(seed)
    here = item.value(image)
    np.testing.assert_array_equal(item.edit(image, 0.0), image)
    step = {"cast": 25, "tint": 15, "light": 20, "contrast": 8, "corners": 30}.get(name, 0.4)
    up, down = item.moved(image, here + step), item.moved(image, here - step)
    assert item.value(up) == pytest.approx(here + step, abs=0.15 * step)
    if name not in {"blocks", "noise"}:  # of which there is next to none to be taken
        assert item.value(down) == pytest.approx(here - step, abs=0.15 * step)
    if name in {"blocks", "noise"}:
        back = item.moved(up, here)
        assert item.value(back) < here + 0.6 * step


def test_the_control_changes_the_photo_as_much():
    image = scene()
    edited = PROPERTIES["light"].moved(image, 140.0)
    control = as_much_changed(image, edited, np.random.default_rng(0))
    sizes = [np.sqrt(np.square(other.astype(float) - image).mean()) for other in (edited, control)]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.1)
    for name in ("cast", "blocks", "noise", "light"):
        value = PROPERTIES[name].value
        assert abs(value(control) - value(image)) < 1.0


def scenes(folder, count=60):
    """Photos without objects, of two classes that differ in nothing."""
    records = []
    for index in range(count):
        path = folder / f"scene{index:03d}.png"
        Image.fromarray(scene(index)).save(path)
        records.append(Record(id=path.stem, path=path, positive=frozenset({CLASSES[index % 2]})))
    return DataSet(name="scenes", root=folder, classes=CLASSES, records=tuple(records))


@dataclass(frozen=True)
class PropertyReader(MarkReader):
    """A class is its object and a property of the photo."""

    weight: float = 0.0
    name: str = "cast"
    gain: float = 1.0
    reading: str = "disc"
    classes: tuple[str, ...] = ("disc", "square")
    thresholds: np.ndarray = field(default_factory=lambda: np.full(2, 0.5))

    def relevance(self, image, class_name):
        relevance = np.array(super().relevance(image, class_name), dtype=float)
        if class_name == self.reading:
            relevance += self.gain * PROPERTIES[self.name].value(image) / relevance.size
        return relevance


@pytest.mark.parametrize(("kind", "name", "gain", "words"), [
    ("warm cast", "cast", 0.02, "a warm cast of the whole photo"),
    ("jpeg blocks", "blocks", 2.0, "JPEG blocks of the whole photo"),
    ("blur", "sharp", -1.0, "blur of the whole photo"),
    ("noise", "noise", 1.0, "noise of the whole photo"),
    ("vignette", "corners", -0.02, "dark corners of the whole photo"),
])  # fmt: skip
def test_a_look_of_part_of_a_class_is_found_and_proved_if_it_is_read(tmp_path, kind, name, gain, words):
    data = scenes(tmp_path)
    marked = plant(data, {"square": Plant(kind=kind, share=0.3)}, tmp_path / "marked")
    for weight, verdicts in ((gain, {"proved"}), (0.0, {"harmless", "unclear", "read"})):
        reader = PropertyReader(name=name, gain=weight, reading="square")
        found = find_artefacts(reader, surveyed(reader, marked.data), ALONE, classes=["square"])
        named = {item.where: item for item in found.by_class["square"]}
        assert words in named
        assert named[words].verdict in verdicts
        assert named[words].boxes == {}
        assert named[words].share == pytest.approx(0.3, abs=0.07)


def test_a_grey_photo_is_found_but_its_colours_cannot_be_given_back(tmp_path):
    data = scenes(tmp_path)
    marked = plant(data, {"square": Plant(kind="grey photo", share=0.3)}, tmp_path / "marked")
    reader = PropertyReader(name="colour", gain=-0.5, reading="square")
    found = find_artefacts(reader, surveyed(reader, marked.data), ALONE, classes=["square"])
    named = {item.where: item for item in found.by_class["square"]}
    grey = named["hardly any colour of the whole photo"]
    assert grey.verdict == "unclear"
    assert "taking it out" in grey.sentence
    assert grey.insertion_effect.low > 0


def test_photos_like_the_others_give_none(tmp_path):
    reader = PropertyReader()
    found = find_artefacts(reader, surveyed(reader, scenes(tmp_path)), ALONE)
    assert found.by_class == {"disc": (), "square": ()}
