"""``pfungst explain``: heatmaps of a model's predictions for photos."""

from __future__ import annotations

import hashlib
import json as json_module
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pfungst.cli import _options, _run
from pfungst.errors import about_photo

if TYPE_CHECKING:
    from pfungst.contract.classifier import Classifier
    from pfungst.contract.explanation import Explanation
    from pfungst.progress import Progress
    from pfungst.runs.executor import Workers as Crew
    from pfungst.runs.recorded import Finished, Run


def explain(
    model: Annotated[Path, typer.Argument(help=_options.MODEL_HELP)],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Photos to explain.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")],
    class_: Annotated[
        str, typer.Option("--class", help="Classes separated by commas; 'top' explains the highest score, "
                          "'predicted' every class that the model predicts.")
    ] = "top",
    rule: Annotated[
        str | None,
        typer.Option(help="Fisher vectors: epsilon, naive, absolute. Networks: a composite like cvpr2016."),
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
    weights: _options.Weights = None,
    labels: _options.Labels = None,
    workers: _options.Workers = 0,
    scheduler: _options.Scheduler = None,
    json: _options.JsonTarget = None,
) -> None:  # fmt: skip
    """Draw which pixels made a prediction: red supports the class, blue contradicts it, white is zero.

    One PNG for each photo and class: photo, heatmap and overlay over a legend. The same command goes on after
    an interrupt: photos whose pictures are there are not explained again.
    """
    given = {"rule": rule, "epsilon": epsilon, "relative": relative or None, "absorbed": absorbed}
    options = {name: value for name, value in given.items() if value is not None}
    with _options.loaded_model(model, weights=weights, labels=labels) as (classifier, identity):
        task = ExplainTask(classifier=classifier, wanted=class_, out=out, arrays=arrays, options=options)
        with _run.progress_bar() as progress:
            found = explain_photos(
                task,
                images,
                identity=identity,
                workers=_options.crew(workers, scheduler),
                progress=progress,
            )
        rows = [row for record in found.records() for row in record["explanations"]]
        failures = [error for _, error in found.failures]
        if len(images) == 1 and failures:
            raise failures[0]
        if json is not None:
            _run.write_json(
                json, {"model": str(model), "explanations": rows, "failed": [str(e) for e in failures]}
            )
        if json != "-":
            table = [(row["image"], row["class"], f"{row['score']:+.3f}", row["picture"]) for row in rows]
            _run.print_table(f"{model}", ("photo", "class", "f(x)", "picture"), table)
    _run.finish(failures)


def explain_photos(
    task: ExplainTask,
    photos: list[Path],
    *,
    identity: dict[str, Any],
    workers: Crew,
    progress: Progress,
) -> Run:
    """Explain every photo that this command has not explained yet; the run's records name the pictures.

    Each combination of model, options and photos is a run of its own, in ``runs/`` below the pictures: the
    same command goes on with it, another one does not meet it.
    """
    from pfungst import __version__
    from pfungst.runs.recorded import run_items

    names = _distinct_stems(photos)
    configuration = {
        "version": __version__,
        "model": identity,
        "class": task.wanted,
        "options": task.options,
        "arrays": task.arrays,
        "photos": [_state(path) for path in photos],
    }
    text = json_module.dumps(configuration, sort_keys=True)
    folder = task.out / "runs" / hashlib.sha256(text.encode()).hexdigest()[:12]
    _forget_if_deleted(folder)
    return run_items(
        task,
        list(zip(photos, names, strict=True)),
        keys=names,
        configuration=configuration,
        out=folder,
        workers=workers,
        progress=progress,
        stage="heatmaps",
    )


def _state(path: Path) -> list[Any]:
    """A photo that is changed makes another run."""
    state = path.stat() if path.is_file() else None
    return [str(path.resolve()), *((state.st_size, state.st_mtime_ns) if state else ())]


def _forget_if_deleted(folder: Path) -> None:
    """Begin a run anew if a picture of it has been deleted since."""
    from pfungst.runs.recorded import RECORDS_FILE, open_run

    if not (folder / RECORDS_FILE).is_file():
        return
    rows = [row for record in open_run(folder).records() for row in record["explanations"]]
    if not all(Path(row["picture"]).is_file() for row in rows):
        (folder / RECORDS_FILE).unlink()


@dataclass(frozen=True, kw_only=True)
class ExplainTask:
    """Explain one photo, given as path and name, and write its pictures."""

    classifier: Classifier
    wanted: str
    out: Path
    arrays: bool
    options: dict[str, Any]

    def __call__(self, item: tuple[Path, str]) -> Finished:
        """Numbers and file names of each explanation."""
        from pfungst.images import decode
        from pfungst.runs.recorded import Finished

        path, name = item
        image = decode(path)
        with about_photo(path):
            explanations = _explain(self.classifier, image, self.wanted, name, self.options)
        rows = [_save(explanation, image, self.out, name, self.arrays) for explanation in explanations]
        return Finished(record={"image": name, "explanations": _run.finite(rows)})


def _explain(
    classifier: Classifier, image: Any, wanted: str, image_id: str, options: dict[str, Any]
) -> list[Explanation]:
    from pfungst.contract.classifier import explain_classes
    from pfungst.contract.deciding import predicted

    if wanted in ("top", "predicted") and wanted not in classifier.classes:
        scores = classifier.scores([image])[0]
        if wanted == "top":
            names = [classifier.classes[int(scores.argmax())]]
        else:
            above = predicted(classifier, scores[None])[0]
            names = [name for name, yes in zip(classifier.classes, above, strict=True) if yes]
    else:
        names = list(_run.comma_list(wanted) or ())
    return explain_classes(classifier, image, names, image_id=image_id, **options)


def _save(explanation: Explanation, image: Any, out: Path, name: str, arrays: bool) -> dict[str, Any]:
    stem = f"{name}-{_safe(explanation.class_name)}"
    row = explanation.as_dict() | {"picture": str(explanation.save(out / f"{stem}.png", image))}
    if arrays:
        row["arrays"] = str(explanation.save_arrays(out / f"{stem}.safetensors"))
    return row


def _safe(text: str) -> str:
    """A class name as part of a file name."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in text)


def _distinct_stems(paths: list[Path]) -> list[str]:
    """File names without suffix, numbered where two photos share one."""
    seen: dict[str, int] = {}
    names = []
    for path in paths:
        seen[path.stem] = seen.get(path.stem, 0) + 1
        names.append(path.stem if seen[path.stem] == 1 else f"{path.stem}-{seen[path.stem]}")
    return names
