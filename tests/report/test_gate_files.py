"""JUnit XML and SARIF of an audit: by their published schemas, and with what the audit says."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from pfungst.audits.gate import failures, parse_limit
from pfungst.audits.schema import Audit
from pfungst.report.junit import write_junit
from pfungst.report.sarif import write_sarif

XSD = (
    "pip", ("pytest", "8.3.5"), "pytest-8.3.5/testing/example_scripts/junit-10.xsd",
    "a1a816f58d1bf95ebabf371994df0b9246dee66ea9572fbec4f9296f1b2c0ff6",
)  # fmt: skip
"""The schema of the Jenkins xUnit plugin, which pytest's sources carry."""
SARIF = (
    "npm", ("@microsoft/jest-sarif", "1.0.0-beta.0"), "package/lib/schemas/sarif-2.1.0-rtm.5.json",
    "2d99159ae54a3eea97f81781cff48780548657c35949f4b7f25e99a2ba4de4f8",
)  # fmt: skip


@pytest.fixture
def audit(example):
    return Audit.load(example)


@pytest.fixture
def failed(audit):
    return failures(audit, ("artefact",), [parse_limit("ap<0.7"), parse_limit("map<0")])


def test_junit_is_valid_by_the_published_schema(audit, failed, fetched, tmp_path):
    xmlschema = pytest.importorskip("xmlschema", reason="xmlschema is not installed")
    schema = tmp_path / "junit-10.xsd"
    schema.write_bytes(fetched(*XSD))
    checked = xmlschema.XMLSchema(str(schema))
    nothing = replace(audit, problems=(), models=())
    odd = replace(audit, problems=(replace(audit.problems[0], sentence="bell \x07 and \ud800"),))
    for found in (audit, nothing, odd):
        checked.validate(str(write_junit(tmp_path / "out" / "j.xml", found, ("artefact",), failed)))
    with pytest.raises(xmlschema.XMLSchemaException):
        checked.validate("<testsuites><testcase/></testsuites>")


def test_junit_fails_what_was_asked_tells_the_rest_and_skips_what_was_not_examined(
    audit, failed, nasty, tmp_path
):
    root = ElementTree.parse(write_junit(tmp_path / "j.xml", audit, ("artefact",), failed)).getroot()
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["Fisher vectors", "EfficientNet-Lite0", "limits"]
    cases = {case.get("name"): case for case in suites["Fisher vectors"]}
    assert len(cases) == int(suites["Fisher vectors"].get("tests")) == 5 * 3 + 1
    mark = cases[f"{nasty}: artefact"].find("failure")
    assert mark.get("message") == audit.problems[0].title
    assert "Next: Crop or cover" in mark.text
    assert [part.tag for part in cases["boat: context"]] == ["system-out"]
    assert [part.tag for part in cases["cat: context"]] == []
    assert suites["Fisher vectors"].get("failures") == "1"
    assert [(case.get("name"), case.find("failure").get("message")) for case in suites["limits"]] == [
        ("ap<0.7", f"models[Fisher vectors].classes[{nasty}].ap.mean is 0.62"),
        ("ap<0.7", f"models[EfficientNet-Lite0].classes[{nasty}].ap.mean is 0.68"),
    ]
    bare = replace(audit, models=tuple(replace(m, quality=None) for m in audit.models))
    root = ElementTree.parse(write_junit(tmp_path / "j.xml", bare)).getroot()
    told = [case.find("skipped") for case in root.iter("testcase") if case.get("name") == "heatmaps: heatmap"]
    assert [item.get("message") for item in told] == ["heatmap quality was not measured"] * 2
    assert root[0].get("failures") == "2"


def test_sarif_is_valid_by_the_published_schema(audit, failed, fetched, tmp_path):
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    schema = json.loads(fetched(*SARIF))
    checked = jsonschema.validators.validator_for(schema)(schema)
    unknown = replace(audit, problems=(replace(audit.problems[0], kind="other"),))
    for found in (audit, replace(audit, problems=()), unknown):
        checked.validate(json.loads(write_sarif(tmp_path / "s.sarif", found, failed).read_text("utf-8")))
    assert list(checked.iter_errors({"version": "2.1.0", "runs": [{"results": [{}]}]}))


def test_sarif_has_a_result_for_each_problem_with_its_photos(audit, failed, tmp_path):
    (run,) = json.loads(write_sarif(tmp_path / "s.sarif", audit, failed).read_text("utf-8"))["runs"]
    results = run["results"]
    assert [item["ruleId"] for item in results][:2] == ["artefact", "context"]
    assert {item["ruleId"] for item in results[2:]} == {"limit"}
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == {"artefact", "context", "limit"}
    first = results[0]
    assert len(first["locations"]) == len(audit.problems[0].photos)
    place = first["locations"][1]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == audit.problems[0].photos[1]
    assert place["message"]["text"].startswith("left 12, top 330")
    assert "<" not in first["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    marks = [item["partialFingerprints"]["pfungstProblem/v1"] for item in results]
    assert len(set(marks)) == len(results) == 4
    notes = run["invocations"][0]["toolExecutionNotifications"]
    assert any("truncated JPEG" in note["message"]["text"] for note in notes)
