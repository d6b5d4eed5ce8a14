"""Lists of photos to take away from a page: as data URLs, so that the page stays one file and asks nobody."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from pfungst.audits.schema import Artefact, Audit, Photo, Problem
from pfungst.files import safe_name

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would take for the start of a formula."""


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file in a page: ``href`` is the whole of it."""

    name: str
    href: str
    words: str


def photo_lists(audit: Audit, problem: Problem) -> list[Download]:
    """A problem's photos as CSV and as plain text, a photo a line; none if it is about no photo."""
    if not problem.photos:
        return []
    stem = safe_name("-".join(filter(None, (problem.kind, problem.class_name))))
    count = f"{len(problem.photos)} photo{'s' if len(problem.photos) != 1 else ''}"
    return [
        _download(f"{stem}.csv", "text/csv", photo_csv(audit, problem), f"{count} as CSV"),
        _download(f"{stem}.txt", "text/plain", "".join(f"{image}\n" for image in problem.photos), "as TXT"),
    ]


def photo_csv(audit: Audit, problem: Problem) -> str:
    """Photo, its classes, where the mark lies in pixels, and μ, as far as the problem knows them."""
    photos = {photo.id: photo for photo in audit.photos}
    boxes, ratios = _boxes(audit, problem), _ratios(audit, problem)
    header = ["photo", "classes", *(_SIDES if boxes else ()), *(["context_ratio"] if ratios else [])]
    rows = [_row(image, photos.get(image), boxes, ratios) for image in problem.photos]
    return csv_text([header, *rows])


_SIDES = ("left", "top", "right", "bottom")


def _row(
    image: str,
    photo: Photo | None,
    boxes: Mapping[str, Sequence[float]],
    ratios: Mapping[str, float],
) -> list[str]:
    row = [image, " ".join(photo.positive) if photo is not None else ""]
    if boxes:
        row += [f"{side:g}" for side in boxes[image]] if image in boxes else [""] * len(_SIDES)
    if ratios:
        row.append(f"{ratios[image]:.4f}" if image in ratios else "")
    return row


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    """Rows as CSV; a text that a spreadsheet would run as a formula is kept from it by an apostrophe."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([[_harmless(cell) for cell in row] for row in rows])
    return stream.getvalue()


def _harmless(cell: str) -> str:
    try:
        float(cell)
    except ValueError:
        return f"'{cell}" if cell.startswith(_FORMULA) else cell
    return cell


def _download(name: str, kind: str, text: str, words: str) -> Download:
    return Download(name=name, href=f"data:{kind};charset=utf-8,{quote(text)}", words=words)


def _boxes(audit: Audit, problem: Problem) -> dict[str, tuple[float, float, float, float]]:
    """Where the mark lies, of all models that the problem was found in."""
    if problem.kind != "artefact":
        return {}
    found: dict[str, tuple[float, float, float, float]] = {}
    for artefact in _artefacts(audit, problem):
        found |= {image: box for image, box in artefact.boxes.items() if image not in found}
    return found


def _artefacts(audit: Audit, problem: Problem) -> list[Artefact]:
    """The one that the problem names first, then those of other models."""
    named = set(problem.photos)
    rows = [model.by_name(problem.class_name) for model in audit.models if model.name in problem.models]
    proved = [item for row in rows if row for item in row.artefacts if item.proved]
    known = [item for item in proved if item.boxes.keys() <= named]
    return sorted(known, key=lambda item: item.id != problem.reference)


def _ratios(audit: Audit, problem: Problem) -> Mapping[str, float]:
    if problem.kind != "context":
        return {}
    first = next((model for model in audit.models if model.name in problem.models), None)
    row = first.by_name(problem.class_name) if first is not None else None
    return row.context.ratios if row is not None and row.context is not None else {}
