import json
from dataclasses import dataclass, replace
from math import hypot

import numpy as np
import pytest

from pfungst.audits import AuditConfig, Subject, audit_models
from pfungst.audits.comparing import compare_audits, difference, match_models
from pfungst.audits.schema import Artefact, Audit
from pfungst.contract.ranking import average_precision
from pfungst.errors import ConfigError, DataError
from pfungst.evaluation.statistics import Estimate
from pfungst.images import decode

NOTHING = AuditConfig(parts=())


@dataclass(frozen=True)
class Blurred:
    """Another classifier whose scores are mixed up by a number made of the photo."""

    inner: object

    @property
    def classes(self):
        return self.inner.classes

    @property
    def thresholds(self):
        return self.inner.thresholds

    def scores(self, images):
        rows = []
        for image in images:
            noise = np.random.default_rng(int(image.sum())).normal(0, 0.3, len(self.classes))
            rows.append(self.inner.scores([image])[0] + noise)
        return np.array(rows)

    def explain(self, image, class_name, **options):
        return self.inner.explain(image, class_name, **options)


def audited(classifier, photos, folder, name="m", kind="classifier"):
    audit_models([Subject(name=name, classifier=classifier, kind=kind)], photos, folder, NOTHING)
    return folder


def test_precision_of_the_same_photos_is_compared_in_pairs(classifier, photos, tmp_path):
    worse = Blurred(classifier)
    a = audited(classifier, photos, tmp_path / "a")
    b = audited(worse, photos, tmp_path / "b")
    result = compare_audits(a, b)
    assert result.same_photos
    red = next(change for change in result.changes if change.class_name == "red")
    labels = photos.labels()[:, 0]
    images = [decode(record.path) for record in photos]
    expected = average_precision(labels, worse.scores(images)[:, 0]) - 1.0
    assert red.difference.mean == pytest.approx(expected)
    assert red.paired
    assert red.before.mean == 1.0
    content = json.loads(result.save(tmp_path / "c").read_text())
    assert content["changes"][0]["measure"] == "average precision"
    nothing = compare_audits(a, a)
    assert not any(change.changed for change in nothing.changes)


def test_other_photos_are_compared_by_their_intervals(classifier, photos, tmp_path):
    a = audited(classifier, photos, tmp_path / "a")
    fewer = replace(photos, records=photos.records[:9])
    b = audited(Blurred(classifier), fewer, tmp_path / "b", name="other")
    result = compare_audits(a, b)
    assert not result.same_photos
    assert not any(change.paired for change in result.changes)
    assert result.changes[0].model == "m → other"


def test_difference_of_two_intervals():
    a = Estimate(mean=1.0, low=0.7, high=1.5, n_images=10, n_values=12)
    b = Estimate(mean=3.0, low=2.6, high=3.3, n_images=8, n_values=8)
    found = difference(a, b)
    assert found.mean == 2.0
    assert found.low == pytest.approx(2.0 - hypot(0.4, 0.5))
    assert found.high == pytest.approx(2.0 + hypot(0.3, 0.3))
    assert found.n_images == 8
    assert difference(a, None) is None
    assert difference(Estimate(mean=float("nan"), low=0, high=0, n_images=0, n_values=0), b) is None


def coverage(runs=400):
    """How often the interval of a difference of two independent means holds the truth."""
    hits = 0
    for run in range(runs):
        rng = np.random.default_rng(run)
        estimates = []
        for mean, spread, n in ((1.0, 1.0, 30), (1.5, 2.0, 50)):
            values = rng.normal(mean, spread, n)
            half = 1.96 * values.std(ddof=1) / n**0.5
            estimates.append(
                Estimate(
                    mean=values.mean(),
                    low=values.mean() - half,
                    high=values.mean() + half,
                    n_images=n,
                    n_values=n,
                )
            )
        found = difference(*estimates)
        hits += found.low <= 0.5 <= found.high
    return hits / runs


def test_the_interval_of_a_difference_covers_it():
    assert 0.91 <= coverage() <= 0.98


def artefact(where, boxes, effect):
    return Artefact(
        id=where,
        kind="place",
        where=where,
        crop="",
        n_images=4,
        boxes=boxes,
        share=0.5,
        share_elsewhere=0.0,
        relevance_share=0.2,
        area_share=0.02,
        effect=Estimate(mean=effect, low=effect - 0.1, high=effect + 0.1, n_images=4, n_values=4),
        verdict="proved",
        sentence=f"falls by {effect}",
    )


def with_artefacts(folder, *artefacts):
    audit = Audit.load(folder)
    (model,) = audit.models
    classes = (replace(model.classes[0], artefacts=artefacts), *model.classes[1:])
    replace(audit, models=(replace(model, classes=classes),)).save(folder)
    return folder


def test_artefacts_are_gone_new_or_kept(classifier, photos, tmp_path):
    here, far = {"photo000": (0.0, 0.0, 10.0, 5.0)}, {"photo000": (50.0, 30.0, 58.0, 36.0)}
    near = {"photo000": (1.0, 0.0, 10.0, 5.0), "photo003": (0.0, 0.0, 9.0, 5.0)}
    a = with_artefacts(
        audited(classifier, photos, tmp_path / "a"),
        artefact("lower left", here, 0.5),
        artefact("a band", {"x": (0.0, 0.0, 1.0, 1.0)}, 0.3),
    )
    b = with_artefacts(
        audited(classifier, photos, tmp_path / "b"),
        artefact("lower left", near, 0.2),
        artefact("right", far, 0.4),
    )
    found = {item.where: item for item in compare_audits(a, b).artefacts}
    assert {where: item.status for where, item in found.items()} == {
        "lower left": "kept",
        "a band": "gone",
        "right": "new",
    }
    assert found["lower left"].difference.mean == pytest.approx(-0.3)
    assert found["a band"].before == "falls by 0.3"


def test_models_are_matched_by_name_then_kind_then_order(classifier, photos, tmp_path):
    a, b = (
        Audit.load(audited(classifier, photos, tmp_path / name)).models[0] for name in ("first", "second")
    )
    one, two, three = (
        replace(a, name=name, kind=kind) for name, kind in (("x", "f"), ("y", "n"), ("z", "q"))
    )
    others = (replace(b, name="u", kind="n"), replace(b, name="v", kind="w"), replace(b, name="x", kind="n"))
    pairs = match_models((one, two, three), others)
    assert [(first.name, second.name) for first, second in pairs] == [("x", "x"), ("y", "u"), ("z", "v")]


def test_audits_without_a_class_in_common(classifier, photos, tmp_path):
    a = audited(classifier, photos, tmp_path / "a")
    b = audited(classifier, photos.select(["red"]), tmp_path / "b")
    c = audited(classifier, photos.select(["blue"]), tmp_path / "c")
    result = compare_audits(a, b)
    assert result.only_before == ("class green", "class blue")
    with pytest.raises(ConfigError, match="have no class in common"):
        compare_audits(b, c)
    with pytest.raises(DataError, match=r"has no audit\.json"):
        compare_audits(a, tmp_path)
