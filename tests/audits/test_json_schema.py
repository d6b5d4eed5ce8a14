"""The schema is the records', it is shipped, and a real audit keeps to it."""

from __future__ import annotations

import json

import pytest

from pfungst.audits import AuditConfig, Subject, audit_models
from pfungst.audits.json_schema import audit_schema, shipped_schema
from pfungst.audits.schema import AUDIT_FILE, FORMAT_VERSION
from pfungst.evaluation.config import RegionConfig

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")


def test_the_shipped_schema_is_that_of_the_records_and_a_schema():
    assert shipped_schema() == audit_schema()
    jsonschema.Draft202012Validator.check_schema(audit_schema())
    assert audit_schema()["properties"]["version"] == {"const": FORMAT_VERSION}


def test_a_real_audit_keeps_to_it_and_a_changed_one_does_not(classifier, many_photos, tmp_path):
    regions = RegionConfig(size=10, steps=3, operators=("mean",), repetitions=1)
    config = AuditConfig(parts=("quality", "context", "strategies"), quality_images=3, regions=regions)
    audit_models([Subject(name="one", classifier=classifier)], many_photos, tmp_path, config)
    content = json.loads((tmp_path / AUDIT_FILE).read_text(encoding="utf-8"))
    checked = jsonschema.Draft202012Validator(audit_schema())
    checked.validate(content)
    assert content["audit"]["models"][0]["classes"][0]["context"] is not None
    assert content["audit"]["models"][0]["quality"]["curves"]
    content["audit"]["models"][0]["mean_ap"] = "high"
    content["audit"]["surprise"] = 1
    found = {error.json_path for error in checked.iter_errors(content)}
    assert found == {"$.audit", "$.audit.models[0].mean_ap"}
