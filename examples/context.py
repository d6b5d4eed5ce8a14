"""Does a class live off its background? Flawed scenes beside their clean twin.

    python examples/context.py pfungst-demo context.png

In the flawed scenes nearly all rockets stand on the same meadow; in the clean twin they do not. Each model is
measured on the test photos of its own scenes. ``pfungst demo --twin`` makes both.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pfungst.audits.context.measuring import measure_context
from pfungst.audits.survey import SurveyConfig
from pfungst.demo.study import RULES
from pfungst.images import open_dataset
from pfungst.models import load
from pfungst.report.context_figure import save_context_figure


def main(demo: Path, picture: Path, workers: int = 2) -> None:
    """Measure both twins and draw their bars."""
    tables = {}
    for variant in ("flawed", "clean"):
        model = load(demo / "models" / f"fisher-{variant}")
        photos = open_dataset(demo / "scenes" / variant).split("test")
        config = SurveyConfig(options={"rule": RULES["fisher"]}, errors=False)
        found = measure_context(model, photos, config, workers=workers)
        tables[f"{variant} scenes"] = found.rows
        for name, row in found.rows.items():
            print(f"{variant} {name}: outside–inside ratio {row.ratio}; {row.note}")
    save_context_figure(picture, tables, title="Fisher vectors on scenes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
