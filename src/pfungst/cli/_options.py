"""Single options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

JsonTarget = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write the numbers as JSON; '-' for standard output."),
]
Format = Annotated[
    str | None,
    typer.Option("--format", help="Layout of the photo set, if it is not recognised: voc, coco, yolo, …"),
]
Images = Annotated[
    Path | None,
    typer.Option("--images", help="Folder of the photos, where they do not lie beside the annotation file."),
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same numbers.")]
Classes = Annotated[
    list[str] | None,
    typer.Option(
        "--classes", "--class", metavar="NAME",
        help="Only this class; may be given several times, or with several names separated by commas.",
    ),
]  # fmt: skip
