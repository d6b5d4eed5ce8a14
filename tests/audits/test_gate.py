"""What stops a pipeline, and how limits are read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pfungst.audits.gate import KINDS, failures, new_kinds, new_problems, parse_limit
from pfungst.audits.schema import Artefact, Audit, ClassAudit, ModelAudit, Problem
from pfungst.errors import ConfigError
from pfungst.evaluation.statistics import Estimate


def estimate(mean):
    return Estimate(mean=mean, low=mean - 0.1, high=mean + 0.1, n_images=9, n_values=9)


def mark(boxes, where="lower left corner", identity="m1"):
    return Artefact(id=identity, kind="place", where=where, crop="", n_images=9, boxes=boxes, share=0.5,
                    share_elsewhere=0.0, relevance_share=0.5, area_share=0.1, verdict="proved")  # fmt: skip


def row(name, ap, **parts):
    return ClassAudit(name=name, positives=9, true_positives=8, false_positives=1, threshold=0.0,
                      ap=None if ap is None else estimate(ap), **parts)  # fmt: skip


def problem(kind, name, **parts):
    return Problem(kind=kind, class_name=name, models=("my.net v2",), title=f"{kind} of {name}",
                   sentence="s", **parts)  # fmt: skip


ROWS = (row("horse", 0.9), row("guide dog", 0.4), row("owl", None))


def audit(*problems, rows=ROWS, mean_ap=0.65):
    model = ModelAudit(name="my.net v2", kind="k", rule="r", identity={}, survey="s", mean_ap=mean_ap,
                       classes=tuple(rows))  # fmt: skip
    return Audit(title="t", data="d", split="test", classes=tuple(r.name for r in rows), n_photos=20,
                 photos=(), models=(model,), problems=problems, ran=())  # fmt: skip


def test_kinds_stop_and_each_problem_is_a_line():
    found = audit(problem("artefact", "horse"), problem("data", "owl"))
    assert [str(item) for item in failures(found, ("artefact", "context"))] == [
        "artefact: artefact of horse (my.net v2)"
    ]
    assert len(failures(found, KINDS)) == 2
    assert failures(found) == []
    with pytest.raises(
        ConfigError, match=r"unknown kind of problem 'artifact'.*artefact, photo, context, default, leak"
    ):
        failures(found, ("artifact",))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("map<0.6", []),
        ("map<0.66", ["models[my.net v2].mean_ap is 0.65"]),
        ("map <= 0.65", ["models[my.net v2].mean_ap is 0.65"]),
        ("ap<0.5", ["models[my.net v2].classes[guide dog].ap.mean is 0.4"]),
        ("models[my.net v2].classes[horse].ap.low<0.85", ["models[my.net v2].classes[horse].ap.low is 0.8"]),
        ("models[0].classes[horse].ap.low<0.85", None),
        ("problems.count>0", ["problems.count is 1"]),
        ("problems > 1", []),
        ("models.classes.positives != 9", []),
        ("n_photos==20", ["n_photos is 20"]),
        ("kept>0.5", ["nothing of it was measured, so it cannot be checked"]),
        ("a<-1e3", ["nothing of it was measured, so it cannot be checked"]),
    ],
)
def test_limits(text, lines):
    found = audit(problem("data", "owl"))
    if lines is None:
        with pytest.raises(ConfigError, match="has no item '0'"):
            failures(found, limits=[parse_limit(text)])
        return
    assert [item.sentence for item in failures(found, limits=[parse_limit(text)])] == lines


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("map", "cannot be read"),
        ("map<", "cannot be read"),
        ("<0.5", "cannot be read"),
        ("map<0.6<0.7", "has the path 'map<0.6'"),
        ("map<sixty", "ends in 'sixty'"),
        ("map<nan", "finite number"),
        ("map<1e999", "finite number"),
        ("__import__('os')<1", "has the path"),
        ("models[a]..mean_ap<1", "has the path"),
        ("models.accuracy<1", "models has no 'accuracy'.*mean_ap"),
        ("modells<1", "an audit has no 'modells'"),
        ("models[a].classes[b].ap.middle<1", "ap has no 'middle'.*mean, low, high"),
    ],
)
def test_a_limit_that_cannot_be_read_is_refused_before_anything_is_measured(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_limit(text)


def test_brackets_hold_any_name():
    assert parse_limit("models[a <b>].mean_ap<=1").path == ("models", "[a <b>]", "mean_ap")


def test_a_path_that_ends_at_no_number_is_refused():
    with pytest.raises(ConfigError, match="title is no number"):
        failures(audit(), limits=[parse_limit("title==1")])


def test_a_number_of_an_audit_that_is_not_measured_does_not_pass():
    limit = parse_limit("map<0.6")
    (failure,) = failures(audit(mean_ap=float("nan")), limits=[limit])
    assert "cannot be checked" in failure.sentence


def test_new_problems_of_a_second_audit():
    here, there = mark({"p": (0, 0, 10, 10)}), mark({"p": (50, 50, 60, 60)}, "upper right corner", "m2")
    old = audit(problem("artefact", "horse", reference="m1"), problem("context", "owl"),
                rows=(row("horse", 0.9, artefacts=(here,)), row("owl", 0.5)))  # fmt: skip
    moved = audit(problem("artefact", "horse", reference="m2"), problem("context", "owl"),
                  problem("context", "horse"),
                  rows=(row("horse", 0.9, artefacts=(there,)), row("owl", 0.5)))  # fmt: skip
    assert new_problems(old, old) == []
    assert [item.rule for item in new_problems(old, moved)] == ["artefact", "context"]
    assert [item.rule for item in new_problems(old, moved, ("context",))] == ["context"]
    other_photos = replace(here, boxes={"q": (0, 0, 9, 9)})
    again = audit(problem("artefact", "horse", reference="m1"),
                  rows=(row("horse", 0.9, artefacts=(other_photos,)),))  # fmt: skip
    assert new_problems(old, again) == []


def test_words_for_new_problems():
    assert new_kinds(("new",)) == KINDS
    assert new_kinds(("new:leak", "new:data", "new:leak")) == ("leak", "data")
    with pytest.raises(ConfigError, match=r"unknown reason to stop a comparison 'old'.*new, new:artefact"):
        new_kinds(("old",))
