"""``pfungst demo``: the main job from end to end on photos that the program makes itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pfungst.cli import _options, _run


def demo(
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("pfungst-demo"),
    images: Annotated[int, typer.Option(help="Photos in each of the two sets.")] = 400,
    models: Annotated[str, typer.Option(help="Which classifiers, separated by commas.")] = "fisher,network",
    seed: _options.Seed = 0,
    workers: _options.Workers = 0,
    json: _options.JsonTarget = None,
) -> None:
    """Train on generated photos with two known flaws, and see whether the heatmaps give them away.

    Makes two sets of photos (flawed, and a clean twin), trains classifiers on both, measures them, and
    writes heatmaps and a page to open in a browser. Takes a few minutes.
    """
    from pfungst.demo import DemoConfig, run_demo
    from pfungst.demo.showing import result_tables
    from pfungst.images.scenes import read_scene_notes

    config = DemoConfig(
        n_images=images,
        models=_run.comma_list(models) or (),
        workers=_options.worker_count(workers),
        random_state=seed,
    )
    with _run.progress_bar() as progress:
        result = run_demo(out, config, progress=progress)
    if json is not None:
        _run.write_json(json, result.as_dict())
    if json != "-":
        notes = read_scene_notes(out / "scenes" / "flawed")
        for table in result_tables(result.trials, notes):
            _run.print_table(table.title, table.header, table.rows)
            typer.echo(f"{table.note}\n")
        typer.echo(f"Open {result.page.resolve()} in a browser.")
    _run.finish(result.failures)
