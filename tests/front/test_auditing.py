"""Whole audits in one call."""

import pytest
from tests.audits.conftest import ColourClassifier, colour_photos
from tests.cli.test_context import folder  # noqa: F401 - a fixture

from pfungst.audits import AuditConfig, Subject
from pfungst.errors import ConfigError
from pfungst.front.auditing import audit, compare, headings, rules_for, subjects

NOTHING = AuditConfig(parts=("context",))


def test_a_classifier_and_photos_in_memory_are_audited_and_reported(photos_in, tmp_path):
    found = audit(ColourClassifier(), photos_in, tmp_path / "a", NOTHING, title="Colours")
    assert [model.name for model in found.models] == ["model 1"]
    assert "Colours" in (tmp_path / "a" / "report.html").read_text()
    named = Subject(name="named", classifier=ColourClassifier(), rule="own")
    other = audit([named, ColourClassifier()], photos_in, tmp_path / "b", NOTHING)
    assert [model.name for model in other.models] == ["named", "model 2"]
    called = audit({"mine": ColourClassifier()}, photos_in, tmp_path / "d", NOTHING, rules=["own"])
    assert [(model.name, model.rule) for model in called.models] == [("mine", other.models[0].rule)]
    result = compare(tmp_path / "a", tmp_path / "b", tmp_path / "c")
    assert not any(change.changed for change in result.changes)
    assert (tmp_path / "c" / "comparison.html").is_file()


def test_surveys_are_shared_between_audits(photos_in, tmp_path, monkeypatch):
    audit(ColourClassifier(), photos_in, tmp_path / "a", NOTHING, surveys=tmp_path / "s")
    assert (tmp_path / "a" / "survey-model_1" / "records.jsonl").is_file()
    assert (tmp_path / "a" / "report.html").is_file()
    monkeypatch.setattr(ColourClassifier, "explain", None)
    found = audit(ColourClassifier(), photos_in, tmp_path / "b", NOTHING, surveys=tmp_path / "s")
    assert found.models[0].by_name("red").context.n_images


def test_folders_of_models_and_photos(folder, tmp_path):  # noqa: F811
    found = audit(folder / "one", folder / "data", tmp_path / "a", NOTHING, split="all")
    assert [model.name for model in found.models] == ["one"]
    assert found.models[0].kind == "fisher"
    assert found.models[0].identity


def test_names_and_rules(tmp_path):
    paths = [tmp_path / "a" / "model", tmp_path / "b" / "model", tmp_path / "x"]
    assert headings(paths) == ["a/model", "b/model", "x"]
    assert headings([tmp_path / "x"] * 2) == [f"{tmp_path.name}/x (1)", f"{tmp_path.name}/x (2)"]
    assert rules_for(2, []) == ["default", "default"]
    assert rules_for(2, ["a"]) == ["a", "a"]
    assert rules_for(2, ["a", "b"]) == ["a", "b"]
    with pytest.raises(ConfigError, match="3 rules for 2 models"):
        subjects([ColourClassifier()] * 2, ["a", "b", "c"])


@pytest.fixture
def photos_in(tmp_path):
    place = tmp_path / "photos"
    place.mkdir()
    return colour_photos(place)
