"""``pfungst explain``: heatmaps of a model's predictions for photos."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pfungst.cli import _options, _run
from pfungst.errors import ConfigError, PfungstError, about_photo

if TYPE_CHECKING:
    from pfungst.contract.classifier import Classifier
    from pfungst.contract.explanation import Explanation


def explain(
    model: Annotated[Path, typer.Argument(help="Model folder that `pfungst train` or `convert` wrote.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Photos to explain.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")],
    class_: Annotated[
        str, typer.Option("--class", help="Classes separated by commas; 'top' explains the highest score, "
                          "'predicted' every class above its threshold.")
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
    workers: _options.Workers = 0,
    json: _options.JsonTarget = None,
) -> None:  # fmt: skip
    """Draw which pixels made a prediction: red supports the class, blue contradicts it, white is zero.

    One PNG for each photo and class: photo, heatmap and overlay over a legend.
    """
    from pfungst.models import load_model
    from pfungst.runs.executor import map_items

    given = {"rule": rule, "epsilon": epsilon, "relative": relative or None, "absorbed": absorbed}
    task = ExplainTask(
        classifier=load_model(model),
        wanted=class_,
        out=out,
        arrays=arrays,
        options={name: value for name, value in given.items() if value is not None},
    )
    rows: list[dict[str, Any]] = []
    failures: list[PfungstError] = []
    items = list(zip(images, _distinct_stems(images), strict=True))
    with _run.progress_bar() as progress:
        for outcome in map_items(
            task, items, workers=_options.worker_count(workers), progress=progress, stage="heatmaps"
        ):
            if outcome.error is None:
                rows.extend(outcome.unwrap())
            elif len(images) == 1 or isinstance(outcome.error, ConfigError):
                raise outcome.error  # a wrong class or rule would fail for every photo
            else:
                failures.append(outcome.error)
    if json is not None:
        _run.write_json(
            json, {"model": str(model), "explanations": rows, "failed": [str(e) for e in failures]}
        )
    if json != "-":
        table = [(row["image"], row["class"], f"{row['score']:+.3f}", row["picture"]) for row in rows]
        _run.print_table(f"{model}", ("photo", "class", "f(x)", "picture"), table)
    _run.finish(failures)


@dataclass(frozen=True, kw_only=True)
class ExplainTask:
    """Explain one photo, given as path and name, and write its pictures."""

    classifier: Classifier
    wanted: str
    out: Path
    arrays: bool
    options: dict[str, Any]

    def __call__(self, item: tuple[Path, str]) -> list[dict[str, Any]]:
        """Numbers and file names of each explanation."""
        from pfungst.images import decode

        path, name = item
        image = decode(path)
        with about_photo(path):
            explanations = _explain(self.classifier, image, self.wanted, name, self.options)
        return [_save(explanation, image, self.out, name, self.arrays) for explanation in explanations]


def _explain(
    classifier: Classifier, image: Any, wanted: str, image_id: str, options: dict[str, Any]
) -> list[Explanation]:
    from pfungst.contract.classifier import explain_classes

    if wanted in ("top", "predicted") and wanted not in classifier.classes:
        scores = classifier.scores([image])[0]
        if wanted == "top":
            names = [classifier.classes[int(scores.argmax())]]
        else:
            above = scores > classifier.thresholds
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
