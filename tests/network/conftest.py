"""What the tests of networks share."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pfungst.images.dataset import DataSet, Record


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def colour_photos(tmp_path):
    """24 small photos: a red or green or blue disc on grey noise; some show two; one label is difficult."""
    generator = np.random.default_rng(3)
    records = []
    for number in range(24):
        photo = generator.integers(90, 150, (40 + number % 5, 52, 3)).astype(np.uint8)
        shown = {number % 3} | ({(number + 1) % 3} if number % 4 == 0 else set())
        for colour in shown:
            _disc(photo, generator, colour)
        path = tmp_path / "photos" / f"{number:02d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(photo).save(path)
        names = frozenset(("red", "green", "blue")[colour] for colour in shown)
        hard = frozenset({"blue"}) - names if number == 5 else frozenset()
        records.append(Record(id=f"{number:02d}", path=path, positive=names, difficult=hard))
    splits = {
        "train": tuple(record.id for record in records[:15]),
        "val": tuple(record.id for record in records[15:]),
    }
    return DataSet(
        name="discs",
        root=Path(tmp_path),
        classes=("red", "green", "blue"),
        records=tuple(records),
        splits=splits,
    )


def _disc(photo, generator, colour):
    height, width = photo.shape[:2]
    y, x = generator.integers(10, height - 10), generator.integers(10, width - 10)
    rows, columns = np.ogrid[:height, :width]
    inside = (rows - y) ** 2 + (columns - x) ** 2 < 81
    photo[inside] = 30
    photo[inside, colour] = 230
