"""``pfungst demo``: the main job from end to end on photos that the program makes itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pfungst.cli import _options, _run
from pfungst.cli._groups import grouped
from pfungst.cli._progress import progress_bar
from pfungst.cli._work import Crew


@grouped
def demo(
    crew: Crew,
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("pfungst-demo"),
    images: Annotated[int, typer.Option(help="Photos in each of the two sets.")] = 400,
    models: Annotated[str, typer.Option(help="Which classifiers, separated by commas.")] = "fisher,network",
    twin: Annotated[
        bool, typer.Option("--twin", help="Also learn from the same scenes without the flaws, and compare.")
    ] = False,
    seed: _options.Seed = 0,
    json: _options.JsonTarget = None,
) -> None:
    """Train on generated photos with two known flaws, and see whether an audit names them.

    Half of the coin photos carry a line of text, and rockets stand on a meadow. Trains two classifiers on
    such photos, audits them, and writes a report to open in a browser. Takes about ten minutes on two
    processors.
    """
    from pfungst.cli.audit import print_audit
    from pfungst.contract.plain import to_plain
    from pfungst.demo import DemoConfig, run_demo

    config = DemoConfig(
        n_images=images,
        models=_run.comma_list(models) or (),
        twin=twin,
        random_state=seed,
    )
    with progress_bar() as progress:
        result = run_demo(out, config, workers=crew.hired, progress=progress)
    if json is not None:
        _run.write_json(json, {"page": str(result.page)} | to_plain(result))
    if json != "-":
        for variant, audit in result.audits.items():
            typer.secho(f"Models that learned from the {variant} photos", bold=True)
            print_audit(audit)
        for variant, page in result.pages.items():
            typer.echo(f"Report of the {variant} photos: {page.resolve()}")
        if result.comparison_page is not None:
            typer.echo(f"What changed between them: {result.comparison_page.resolve()}")
        typer.echo(f"Open {result.page.resolve()} in a browser.")
    _run.finish(result.failures)
