"""``pfungst explain``: heatmaps of a model's predictions for photos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pfungst.cli import _options, _run

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
        typer.Option(help="Fisher vectors: epsilon, naive, absolute. Networks: a composite, such as cvpr2016."),
    ] = None,
    epsilon: Annotated[
        float | None, typer.Option(help="Stabiliser of the epsilon rule for Fisher vectors (the paper: 100).")
    ] = None,
    relative: Annotated[
        bool, typer.Option("--relative", help="Scale epsilon by the square root of the number of descriptors.")
    ] = False,
    absorbed: Annotated[
        str | None, typer.Option(help="What the stabiliser absorbed: 'report' it, or 'spread' it evenly.")
    ] = None,
    arrays: Annotated[bool, typer.Option("--arrays", help="Also write the relevance as safetensors.")] = False,
    json: _options.JsonTarget = None,
) -> None:  # fmt: skip
    """Draw which pixels made a prediction: red supports the class, blue contradicts it, white is zero.

    One PNG for each photo and class: photo, heatmap and overlay over a legend.
    """
    from pfungst.errors import PfungstError
    from pfungst.images import decode
    from pfungst.models import load_model

    classifier = load_model(model)
    given = {"rule": rule, "epsilon": epsilon, "relative": relative or None, "absorbed": absorbed}
    options = {name: value for name, value in given.items() if value is not None}
    rows: list[dict[str, Any]] = []
    failures: list[PfungstError] = []
    names = _distinct_stems(images)
    with _run.progress_bar() as progress:
        for done, (path, name) in enumerate(zip(images, names, strict=True), start=1):
            try:
                image = decode(path)
                for explanation in _explain(classifier, image, class_, name, options):
                    rows.append(_save(explanation, image, out, name, arrays))
            except PfungstError as error:
                if not rows and len(images) == 1:
                    raise
                failures.append(error)
            progress("heatmaps", done, len(images))
    if json is not None:
        _run.write_json(json, {"model": str(model), "explanations": rows})
    if json != "-":
        table = [(row["image"], row["class"], f"{row['score']:+.3f}", row["picture"]) for row in rows]
        _run.print_table(f"{model}", ("photo", "class", "f(x)", "picture"), table)
    _run.finish(failures)


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
