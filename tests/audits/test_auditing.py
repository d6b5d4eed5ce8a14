import pytest

from pfungst.audits import AuditConfig, Subject, audit_models
from pfungst.audits.schema import Audit, picture_file
from pfungst.errors import ConfigError
from pfungst.evaluation.config import RegionConfig
from pfungst.files import safe_name

SMALL = AuditConfig(
    parts=("quality",),
    quality_images=6,
    regions=RegionConfig(size=10, steps=4, operators=("mean",), repetitions=1),
)


def test_an_audit_of_two_models(classifier, photos, tmp_path):
    photos.records[4].path.write_bytes(b"no photo")
    subjects = [Subject(name="first", classifier=classifier), Subject(name="second", classifier=classifier)]
    audit = audit_models(subjects, photos, tmp_path / "out", SMALL, split="test")
    assert [model.name for model in audit.models] == ["first", "second"]
    assert audit.n_photos == 12
    assert len(audit.photos) == 11
    assert len(audit.failures) == 1
    assert photos.records[4].id == audit.failures[0].item
    red = audit.models[0].by_name("red")
    assert red.positives == 4
    assert red.ap.mean == 1.0
    assert red.quality_a.mean > 0
    assert audit.models[0].rule == "own"
    assert audit.models[0].quality_rule == "default"
    loaded = Audit.load(tmp_path / "out")
    assert loaded.models[1].classes[0].ap == red.ap
    assert "context" in " ".join(audit.not_run) or "surroundings" in " ".join(audit.not_run)


def test_heatmaps_are_grouped_into_strategies(classifier, many_photos, tmp_path):
    config = AuditConfig(parts=("strategies",))
    audit = audit_models([Subject(name="a/b", classifier=classifier)], many_photos, tmp_path / "out", config)
    found = audit.models[0].by_name("blue").strategies
    assert found.n_images == sum(cluster.size for cluster in found.clusters) > 9
    assert found.clusters[0].mean_map == "pictures/a_b-strategies-03-blue-1.png"
    assert picture_file(tmp_path / "out", found.clusters[0].mean_map).is_file()


def test_an_audit_is_taken_up_again(classifier, photos, tmp_path):
    told = []
    subjects = [Subject(name="only", classifier=classifier)]
    first = audit_models(subjects, photos, tmp_path, SMALL)
    again = audit_models(subjects, photos, tmp_path, SMALL, progress=lambda *step: told.append(step))
    assert (tmp_path / "audit.json").exists()
    assert again.models[0].classes[0].ap == first.models[0].classes[0].ap
    assert ("only: survey", 12, 12) in told
    assert ("only: survey", 1, 12) not in told


def test_names_must_differ(classifier, photos, tmp_path):
    twice = [Subject(name="a/b", classifier=classifier), Subject(name="a b", classifier=classifier)]
    with pytest.raises(ConfigError, match="models named a/b, a b"):
        audit_models(twice, photos, tmp_path)
    assert safe_name("a/b <x>") == "a_b__x_"
    assert safe_name("..") == "_"


def test_long_names_fit_into_a_file_system_and_stay_apart(tmp_path):
    names = [safe_name("ä" * 400 + end) for end in "ab"]
    assert names[0] != names[1]
    (tmp_path / f"{names[0]}-{names[1]}-insertion.jpg").write_bytes(b"")
    assert safe_name("x" * 100) == "x" * 100


def test_unknown_part():
    with pytest.raises(ConfigError, match="unknown part of an audit 'luck'"):
        AuditConfig(parts=("luck",))
