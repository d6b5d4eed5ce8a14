"""What an audit can say of the technical documentation of the EU AI Act, and what it cannot.

Annex IV of Regulation (EU) 2024/1689 lists what the technical documentation of a high-risk system holds. An
audit knows a part of it; for every other part the dossier says that it does not, and who does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pfungst.audits.schema import Audit, ClassAudit
from pfungst.evaluation.statistics import Estimate
from pfungst.evaluation.wording import flattened, interval, number, percent
from pfungst.writing import write_whole

_CANNOT = "*This audit cannot say it. To be written by the provider: {what}.*"
_HEAD = (
    "class", "photos", "recognised", "missed", "wrongly recognised", "threshold", "average precision",
    "by chance", "still recognised without the object",
)  # fmt: skip


def write_dossier(path: str | Path, audit: Audit) -> Path:
    """Write the dossier as Markdown, point by point of Annex IV."""
    return write_whole(path, ("\n\n".join(_blocks(audit)) + "\n").encode())


def _blocks(audit: Audit) -> Iterator[str]:
    yield f"# Technical documentation: {_plain(audit.title)}"
    yield (
        "Points of Annex IV of Regulation (EU) 2024/1689 (AI Act) as far as one audit by Pfungst can fill "
        "them. It is a part of a documentation, no assessment of conformity and no legal advice. An audit "
        "examines trained models on labelled photos; it knows neither their purpose nor their use."
    )
    yield "## 1. General description of the system"
    yield from _general(audit)
    yield "## 2. Elements of the system and process of its development"
    yield from _development(audit)
    yield "## 3. Monitoring, functioning and control"
    yield from _functioning(audit)
    yield "## 4. Appropriateness of the performance metrics"
    yield (
        "Average precision tells how well a score ranks a class's photos, whatever the threshold; counts "
        "tell what the threshold makes of it. Neither sees *why* a photo is recognised: that is what the "
        "tests under 2(g) are for. All intervals are of 95 %, from resampled photos."
    )
    yield _cannot("why these metrics suit the intended purpose")
    for title, what in _OTHER_POINTS:
        yield f"## {title}"
        yield _cannot(what)


_OTHER_POINTS = (
    ("5. Risk management system (Article 9)", "risks, their evaluation and the measures against them"),
    ("6. Changes through the lifecycle", "what changed since; two audits are held side by side by "
     "`pfungst compare`"),
    ("7. Harmonised standards applied", "standards and other specifications that were applied"),
    ("8. EU declaration of conformity (Article 47)", "a copy of the declaration"),
    ("9. Post-market monitoring (Article 72)", "the plan"),
)  # fmt: skip


def _cannot(what: str) -> str:
    return _CANNOT.format(what=what)


def _general(audit: Audit) -> Iterator[str]:
    yield "**(a) Purpose, provider, version.**"
    yield _cannot("intended purpose, name of the provider, version and its relation to earlier ones")
    yield "**Models under audit.**"
    rows = [
        (model.name, model.kind, model.rule, "; ".join(f"{k} = {v}" for k, v in flattened(model.identity)))
        for model in audit.models
    ]
    yield _table(("model", "kind", "rule of its heatmaps", "identity"), rows)
    yield "**(c) Versions of software.**"
    yield _table(("software", "version"), list(audit.versions.items()))
    yield "**(b), (d)–(h) Interaction, forms of marketing, hardware, user interface, instructions.**"
    yield _cannot("each of these points")


def _development(audit: Audit) -> Iterator[str]:
    yield "**(a)–(c) Methods, design, architecture.**"
    yield _cannot("how the models were developed, their design choices and architecture, resources used")
    yield "**(d) Data.**"
    yield (
        f"Test data: {_plain(audit.data)}, split “{_plain(audit.split)}”, {audit.n_photos} photos, "
        f"{len(audit.failures)} of which could not be used; {len(audit.classes)} classes."
    )
    yield _cannot("provenance, collection, labelling and cleaning of the data, and the training data at all")
    yield "**(e), (f) Human oversight, pre-determined changes.**"
    yield _cannot("measures of human oversight (Article 14) and changes that were foreseen")
    yield "**(g) Validation and testing: metrics by class.**"
    for model in audit.models:
        yield f"Model {_plain(model.name)}: mean average precision {number(model.mean_ap)}."
        yield _table(_HEAD, [_class_row(row) for row in model.classes])
    yield "**(g) Validation and testing: tests that were run.**"
    yield _list(audit.ran, "None could be run.")
    yield "**(g) Tests that were not run, and why.**"
    yield _list(audit.not_run, "All tests that this program has were run on every class.")
    yield "**(g) Settings and seeds.**"
    yield _table(("setting", "value"), flattened(audit.settings))
    yield "**(g) Test logs, dated and signed.**"
    yield _cannot("date and signature of the persons responsible; the log itself is `audit.json`")
    yield "**(h) Cybersecurity.**"
    yield _cannot("measures of cybersecurity; attacks on the models were not tried")


def _functioning(audit: Audit) -> Iterator[str]:
    yield "**Known limitations and biases, as found.**"
    if not audit.problems:
        yield (
            "None was found by the tests that were run, on these photos. That is no proof that there is none."
        )
    for place, problem in enumerate(audit.problems, 1):
        lines = (problem.sentence, *problem.numbers, f"Photos concerned: {len(problem.photos)}.",
                 problem.advice and f"Advised: {problem.advice}")  # fmt: skip
        title = f"{place}. **{_plain(problem.title)}** ({_plain(', '.join(problem.models))})"
        yield title + "\n" + "\n".join(f"   - {_plain(line)}" for line in lines if line)
    yield "**Accuracy for persons or groups concerned; foreseeable unintended outcomes.**"
    yield _cannot("which groups of persons are concerned: the classes above are of photos, not of persons")
    yield "**Specifications of input data.**"
    yield _cannot("which photos the system is made for; it was audited on the data under 2(d) alone")


def _class_row(row: ClassAudit) -> tuple[str, ...]:
    kept = row.context.kept_without_object if row.context is not None else None
    return (
        row.name,
        str(row.positives),
        str(row.true_positives),
        str(row.positives - row.true_positives),
        str(row.false_positives),
        number(row.threshold),
        _with_interval(row.ap),
        number(row.chance.level if row.chance is not None else None),
        f"{percent(kept.mean)} of {kept.n_images}" if kept is not None else "not measured",
    )


def _with_interval(estimate: Estimate | None) -> str:
    if estimate is None:
        return "not measured"
    between = interval(estimate)
    return f"{number(estimate.mean)}{f' ({between})' if between else ''}"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    if not rows:
        return "*Nothing was recorded.*"
    body = [[_plain(str(cell)) for cell in row] for row in rows]
    return "\n".join(_cells(row) for row in (head, ["---"] * len(head), *body))


def _cells(values: Sequence[str]) -> str:
    return f"| {' | '.join(values)} |"


def _list(lines: Sequence[str], none: str) -> str:
    return "\n".join(f"- {_plain(line)}" for line in lines) or none


def _plain(text: str) -> str:
    """Text that no name can turn into markup of a page."""
    flat = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|#" else letter for letter in flat)
