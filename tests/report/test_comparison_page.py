"""The page of a comparison: what it says, and that names stay text."""

from __future__ import annotations

import re
from dataclasses import replace

from pfungst.audits.comparing import ArtefactChange, Change, Comparison
from pfungst.evaluation.statistics import Estimate
from pfungst.report.comparison_page import write_comparison


def estimate(mean, width=0.05):
    return Estimate(mean=mean, low=mean - width, high=mean + width, n_images=20, n_values=20)


def change(name, before, after, measure="average precision", **options):
    difference = None if before is None or after is None else estimate(after - before)
    changed = difference is not None and (difference.low > 0 or difference.high < 0)
    return Change(
        class_name=name,
        model=options.get("model", "m"),
        measure=measure,
        before=None if before is None else estimate(before),
        after=None if after is None else estimate(after),
        difference=difference,
        paired=measure == "average precision",
        changed=changed,
    )


COMPARISON = Comparison(
    before="flawed <b>photos</b>",
    after="clean photos",
    same_photos=False,
    changes=(
        change("horse", 0.9, 0.7),
        change("horse", 1.4, 0.5, "context ratio μ"),
        change("boat", 0.8, 0.81),
        change("cat", None, 0.6),
    ),
    artefacts=(
        ArtefactChange(
            class_name="<i>horse</i>", model="m", status="gone", where="lower left", before="x", after=""
        ),
        ArtefactChange(
            class_name="boat", model="m", status="kept", where="the border", before="y", after="z",
            difference=estimate(-0.2),
        ),
    ),
    only_after=("class dog",),
)  # fmt: skip


def text_of(comparison, folder):
    html = write_comparison(comparison, folder).read_text(encoding="utf-8")
    return html, re.sub(
        r"\s+", " ", re.sub(r"<[^>]*>", " ", re.sub(r"(?s)<(style|script).*?</\1>", "", html))
    )


def test_the_verdict_and_every_measure(tmp_path):
    html, text = text_of(COMPARISON, tmp_path / "new")
    assert "1 artefact gone, 0 new, 1 still there; 2 measures of 4 changed." in text
    assert "average precision fell by 0.20, from 0.90 to 0.70 (difference −0.25 to −0.15)" in text
    assert "effect changed by −0.20, −0.25 to −0.15" in text
    assert "class dog : only in clean photos" in text.replace("dog:", "dog :")
    assert html.count('<th scope="row"') == 4
    assert "not measured" in text
    assert "They looked at different photos" in text
    assert "default-src 'none'" in html


def test_names_stay_text(tmp_path):
    html, _ = text_of(COMPARISON, tmp_path)
    assert "&lt;b&gt;photos" in html
    assert "<b>photos" not in html
    assert "&lt;i&gt;horse" in html


def test_nothing_changed_and_nothing_to_compare_are_sentences(tmp_path):
    quiet = replace(COMPARISON, changes=COMPARISON.changes[2:3], artefacts=(), same_photos=True)
    _, text = text_of(quiet, tmp_path)
    assert "Nothing changed beyond chance." in text
    assert "Neither audit proved an artefact." in text
    _, text = text_of(replace(quiet, changes=()), tmp_path)
    assert "there is nothing to compare" in text
