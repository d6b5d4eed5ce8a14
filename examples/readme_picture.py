"""Draw the README's picture from the folder that ``pfungst demo`` wrote.

    python examples/readme_picture.py pfungst-demo docs/figures/demo.png

It takes the tagged coin photo, among the test photos with one coin, whose score is highest.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pfungst.demo.scenes import read_scene_notes
from pfungst.demo.study import RULES
from pfungst.images import decode, open_dataset
from pfungst.models import load


def main(demo: Path, picture: Path) -> None:
    """Explain the photo and write the picture."""
    scenes = demo / "scenes" / "flawed"
    tag = read_scene_notes(scenes).tag
    model = load(demo / "models" / "fisher-flawed")
    column = model.classes.index(tag.class_name)
    photos = [
        record
        for record in open_dataset(scenes).split("test")
        if record.id in tag.boxes and len(record.boxes_of(tag.class_name)) == 1
    ]
    scores = model.scores(decode(record.path) for record in photos)[:, column]
    chosen = photos[int(scores.argmax())]
    image = decode(chosen.path)
    explanation = model.explain(image, tag.class_name, image_id=chosen.id, rule=RULES["fisher"])
    explanation.save(picture, image)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
