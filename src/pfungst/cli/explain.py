"""``pfungst explain``: heatmaps of a model's predictions for photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pfungst.cli import _options, _run
from pfungst.cli._groups import grouped
from pfungst.cli._models import Model
from pfungst.cli._progress import progress_bar
from pfungst.cli._tables import print_table
from pfungst.cli._work import Crew
from pfungst.errors import PfungstError
from pfungst.evaluation import wording


@grouped
def explain(
    model: Model,
    crew: Crew,
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE...", help="Photos, or folders of photos, to explain.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")],
    class_: Annotated[
        list[str] | None,
        typer.Option("--class", "--classes", metavar="NAME",
                     help="A class; may be given several times, or with several names separated by commas. "
                     "'top' (the default) explains the highest score, 'predicted' every class above its "
                     "threshold."),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            help="Fisher vectors: epsilon, naive, absolute. Networks: a composite like cvpr2016; "
            "suited+gradient approximates operations that have no rule."
        ),
    ] = None,
    epsilon: Annotated[
        float | None, typer.Option(help="Stabiliser of the epsilon rule for Fisher vectors (the paper: 100).")
    ] = None,
    relative: Annotated[
        bool, typer.Option("--relative", help="Scale epsilon by the root of the number of descriptors.")
    ] = False,
    absorbed: Annotated[
        str | None, typer.Option(help="What the stabiliser absorbed: 'report' it, or 'spread' it evenly.")
    ] = None,
    arrays: Annotated[bool, typer.Option("--arrays", help="Also write relevance as safetensors.")] = False,
    json: _options.JsonTarget = None,
) -> None:  # fmt: skip
    """Draw which pixels made a prediction: red supports the class, blue contradicts it, white is zero.

    One PNG for each photo and class: photo, heatmap and overlay over a legend. The same command goes on after
    an interrupt: photos whose pictures are there are not explained again.
    """
    from pfungst.contract.plain import to_plain
    from pfungst.explaining import explain_photos, wanted_classes

    given = {"rule": rule, "epsilon": epsilon, "relative": relative or None, "absorbed": absorbed}
    with model.loaded() as (classifier, identity), progress_bar() as progress:
        found = explain_photos(
            classifier,
            images,
            out,
            classes=wanted_classes(classifier, class_),
            options={name: value for name, value in given.items() if value is not None},
            arrays=arrays,
            identity=identity,
            workers=crew.hired,
            progress=progress,
        )
    if found.failures and len(images) == 1 and not images[0].is_dir():
        raise PfungstError(found.failures[0].reason)
    if json is not None:
        content = {"model": str(model.model), "explanations": found.heatmaps, "failures": found.failures}
        _run.write_json(json, to_plain(content))
    if json != "-":
        table = [
            (row.image, row.class_name, wording.signed(row.score, 3), row.picture) for row in found.heatmaps
        ]
        print_table(str(model.model), ("photo", "class", "f(x)", "picture"), table)
        remarks = (f"{row.image}, {row.class_name}: {row.caveat}" for row in found.heatmaps if row.caveat)
        _run.print_notes(remarks)
    _run.finish(found.failures)
