"""Hunt for a watermark: what recurs, carries relevance, and moves the score when it goes or comes.

    python examples/watermark.py pfungst-demo watermark.png

Half of all coin photos in the demo's flawed scenes carry an archive's line. Nobody tells the search.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from pfungst.audits.artefacts import ArtefactConfig, find_artefacts
from pfungst.audits.survey import SurveyConfig, survey
from pfungst.demo.study import RULES
from pfungst.images import decode, open_dataset
from pfungst.models import load
from pfungst.report.figure import FigureStyle, Tile, draw_tiles, heatmap_tile

SIDE = 200


def main(demo: Path, picture: Path, name: str = "coin", workers: int = 2) -> None:
    """Search the test photos of one class; draw what the best suspect's removal and insertion do."""
    model = load(demo / "models" / "fisher-flawed")
    photos = open_dataset(demo / "scenes" / "flawed").split("test")
    options = {"rule": RULES["fisher"]}
    seen = survey(model, photos, SurveyConfig(options=options, errors=False), classes=[name], workers=workers)
    with tempfile.TemporaryDirectory() as folder:
        found = find_artefacts(model, seen, ArtefactConfig(pairs=1), pictures=folder, workers=workers)
        print(found.notes[name])
        suspect = next((item for item in found.by_class[name] if item.pairs), None)
        if suspect is None:
            return
        print(suspect.where, suspect.verdict, suspect.sentence)
        place = {record.id: record.path for record in photos}
        rows = []
        for pair in suspect.pairs:
            explanation = model.explain(decode(place[pair.image]), name, image_id=pair.image, **options)
            before, after = (Path(folder) / file for file in (pair.before_picture, pair.after_picture))
            rows.append([
                Tile(picture=_fitted(before), caption=_caption("photo", pair.before)),
                heatmap_tile(explanation, SIDE),
                Tile(picture=_fitted(after), caption=_caption(pair.edit, pair.after)),
            ])  # fmt: skip
    draw_tiles(["before", "heatmap before", "after"], rows, FigureStyle(side=SIDE)).save(picture)


def _caption(what: str, score: float) -> str:
    return f"{what}: f(x) = {score:+.2f}"


def _fitted(file: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(file) as photo:
        small = photo.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    return np.asarray(small)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
