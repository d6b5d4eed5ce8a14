"""Both lists come from what was measured."""

from __future__ import annotations

from types import SimpleNamespace

from pfungst.audits.config import PARTS
from pfungst.audits.examined import examined
from pfungst.audits.schema import ClassAudit, ContextRow, ModelAudit, Strategies
from pfungst.evaluation.statistics import Estimate


def estimate(n):
    return Estimate(mean=0.5, low=0.4, high=0.6, n_images=n, n_values=n)


def row(name, positives=20, **parts):
    return ClassAudit(
        name=name, positives=positives, true_positives=3, false_positives=1, threshold=0.0, **parts
    )


def model(*classes, quality=None):
    return ModelAudit(name="m", kind="k", rule="r", quality_rule="r", identity={}, survey="s", mean_ap=0.5,
                      classes=classes, quality=quality)  # fmt: skip


def curve(rule, n_images, class_name="all"):
    return SimpleNamespace(class_name=class_name, rule=rule, n_images=n_images)


CONTEXT = ContextRow(n_images=9, kept_without_object=estimate(9))
FULL = {"quality_a": estimate(3), "context": CONTEXT, "strategies": Strategies(n_images=20, n_clusters=2)}


def test_everything_is_examined_only_where_everything_was_measured():
    quality = SimpleNamespace(curves=[curve("r", 14), curve("r", 12), curve("x", 40), curve("r", 90, "cat")])
    done, left = examined([model(row("cat", **FULL), row("dog", **FULL), quality=quality)], PARTS)
    assert left == ()
    assert done == (
        "scores, and a heatmap of every class shown or wrongly predicted, all 2 classes",
        "whether the heatmaps are right, all 2 classes, on 14 photos",
        "whether a class lives off its surroundings, all 2 classes",
        "groups of photos that are recognised alike, all 2 classes",
        "marks that recur, tested by taking them out and putting them in, all 2 classes",
    )


def test_what_lacks_is_said_class_by_class_with_its_reason():
    few = ContextRow(n_images=3, kept_without_object=estimate(3))
    classes = (
        row("cat", **FULL),
        row("cow", 4, context=few, strategies=Strategies(n_images=4)),
        row("dog", 4, context=few, strategies=Strategies(n_images=4)),
        row("owl", 0),
    )
    done, left = examined([model(*classes)], PARTS)
    assert "whether a class lives off its surroundings, 1 of 4 classes" in done
    text = "\n".join(left)
    assert (
        "whether a class lives off its surroundings: cow and dog (3 recognised photos with boxes, 8 needed)"
        in left
    )
    assert "lives off its surroundings: owl (no boxes around its objects)" in text
    assert (
        "marks that recur, tested by taking them out and putting them in: cow and dog (4 photos, 5 needed)"
        in left
    )
    assert "cow and dog (4 heatmaps, too few to divide)" in text
    assert "owl (no photo shows it)" in text


def test_without_boxes_nothing_is_said_of_the_surroundings():
    done, left = examined([model(row("cat", quality_a=estimate(3)))], ("quality", "context"))
    assert not any("surroundings" in line for line in done)
    assert "whether a class lives off its surroundings: cat (no boxes around its objects)" in left
    assert "groups of photos that are recognised alike: not asked for" in left
