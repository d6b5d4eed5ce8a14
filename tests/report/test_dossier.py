"""What an audit says of the technical documentation, and that it says what it cannot say."""

from __future__ import annotations

import re
from dataclasses import replace

from pfungst.audits.schema import Audit
from pfungst.report.dossier import write_dossier


def test_every_point_of_the_annex_is_there_filled_or_named_as_missing(example, tmp_path, nasty):
    audit = Audit.load(example)
    text = write_dossier(tmp_path / "deep" / "file.md", audit).read_text(encoding="utf-8")
    assert re.findall(r"^## (\d)\.", text, flags=re.M) == [str(point) for point in range(1, 10)]
    for section in re.split(r"^## ", text, flags=re.M)[1:]:
        assert "This audit cannot say it" in section
    assert "no assessment of conformity and no legal advice" in text
    boat = next(line for line in text.splitlines() if line.startswith("| boat"))
    row = audit.models[0].by_name("boat")
    assert f"| {row.positives} | {row.true_positives} | 2 | {row.false_positives} |" in boat
    assert "0.71 (0.63 to 0.79)" in boat
    assert "75 % of 12" in boat
    assert "“boat” is recognised by its surroundings" in text
    assert nasty not in text
    assert r"\<img src=x" in text


def test_without_a_problem_it_acquits_of_nothing(example, tmp_path):
    audit = replace(Audit.load(example), problems=(), ran=(), not_run=())
    text = write_dossier(tmp_path / "file.md", audit).read_text(encoding="utf-8")
    assert "That is no proof that there is none." in text
    assert "None could be run." in text
