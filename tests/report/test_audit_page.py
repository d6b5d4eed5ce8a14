"""The report of an audit without a browser: what is in the file, what is not, what is said to be missing."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from pfungst.audits.schema import Audit
from pfungst.contract.used import UsedPhotos
from pfungst.errors import ConfigError, DataError
from pfungst.report import audit_page
from pfungst.report.audit_page import SECTIONS, headline, write_report
from pfungst.report.lists import csv_text
from pfungst.report.photo_data import low_shares, open_sources, page_data, shifted
from pfungst.report.pictures import heatmap_base64, picture_uri


class Page(HTMLParser):
    """Tags with their attributes, and the text a person reads."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.raw, self._inside = [], "", {}, ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag if tag in ("script", "style") else ""
        if self._inside == "script" and dict(attrs).get("id"):
            self._inside = dict(attrs)["id"]

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside:
            self.raw[self._inside] = self.raw.get(self._inside, "") + data
        else:
            self.text += data

    def all(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


def parsed(folder):
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def reported(folder):
    write_report(folder)
    return parsed(folder)


def words(page):
    return re.sub(r"\s+", " ", page.text)


def without(audit, **fields):
    models = tuple(
        replace(model, classes=tuple(replace(row, **fields) for row in model.classes))
        for model in audit.models
    )
    return replace(audit, models=models)


def test_sections_come_in_the_order_of_reading(example):
    page = parsed(example)
    assert [item["id"] for item in page.all("section")] == [name for name, _ in SECTIONS]
    assert [item["href"] for item in page.all("a") if item["href"] in {f"#{name}" for name, _ in SECTIONS}][
        : len(SECTIONS)
    ] == [f"#{name}" for name, _ in SECTIONS]
    assert "2 suspected problems" in page.text
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_nothing_is_fetched_and_only_this_style_and_script_may_run(example):
    page = parsed(example)
    policy = next(item for item in page.all("meta") if "http-equiv" in item)["content"]
    assert policy.startswith("default-src 'none'; img-src data:;")
    for name in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(page.raw[name].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    for tag, attributes in page.tags:
        assert "style" not in attributes, tag
        assert not any(name.startswith("on") for name in attributes), tag
        for name in ("src", "srcset"):
            assert attributes.get(name, "data:").startswith("data:image/") or name not in attributes
    assert all(item["href"].startswith(("#", "data:")) for item in page.all("a") + page.all("link"))


def test_every_picture_has_words_and_names_stay_text(example, nasty):
    page = parsed(example)
    assert all(item.get("alt") for item in page.all("img"))
    assert not any(item.get("src") == "x" for item in page.all("img"))
    assert page.text.count(nasty) > 10
    data = json.loads(page.raw["page-data"])
    assert data["classes"][0] == nasty
    assert data["photos"][0]["id"] == nasty
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {item["href"][1:] for item in page.all("a") if item["href"].startswith("#")}
    assert targets <= set(ids)


def test_the_numbers_are_those_of_the_records(example):
    audit, page = Audit.load(example), parsed(example)
    text = words(page)
    row = audit.models[0].classes[1]
    assert row.context is not None
    assert f"{row.context.ratio.mean:.2f} {row.context.ratio.low:.2f} to {row.context.ratio.high:.2f}" in text
    assert "−1.24" in text  # change by removal, with a true minus sign
    assert "The photo counts as" in text
    assert "before: score +0.95 > threshold 0.00" in text
    assert "epsilon=100" in text
    assert "2008000999.jpg: cannot be decoded (truncated JPEG)" in text
    assert "Written by Pfungst 0.2.0" in text


def test_photos_are_stored_once_with_what_the_models_said(example, nasty):
    data = json.loads(parsed(example).raw["page-data"])
    audit = Audit.load(example)
    assert sorted(photo["id"] for photo in data["photos"]) == sorted(photo.id for photo in audit.photos)
    assert len({photo["picture"] for photo in data["photos"]}) == len(data["photos"])
    entry = next(item for item in data["entries"] if data["photos"][item["photo"]]["id"] == nasty)
    fisher = entry["models"][0]
    assert fisher["ratio"] == round(audit.models[0].classes[0].context.ratios[nasty], 4)
    assert fisher["cluster"] == 0
    assert fisher["predicted"]
    wrong = [item for item in data["entries"] if not item["shown"]]
    assert wrong
    assert all(item["models"][0]["predicted"] for item in wrong)


def test_a_heatmap_keeps_white_for_zero_and_the_colours_of_the_legend():
    relevance = np.array([[0.0, 1.0], [-0.5, 0.01]])
    with Image.open(io.BytesIO(base64.b64decode(heatmap_base64(relevance)))) as picture:
        assert picture.mode == "P"
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[1, 1].tolist() == [255, 255, 255]
    assert pixels[0, 1].tolist() == [103, 0, 31]
    assert pixels[1, 0, 2] > pixels[1, 0, 0]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda a: replace(a, problems=()), "No suspected problem was found."),
        (lambda a: without(a, context=None), "was not measured: it needs boxes around the objects"),
        (lambda a: without(a, strategies=None), "Heatmaps were not grouped into strategies"),
        (lambda a: without(a, artefacts=(), artefact_note=""), "Artefacts were not searched."),
        (lambda a: without(a, artefacts=()), "No artefact was found."),
        (lambda a: without(a, artefacts=(replace(a.models[0].classes[0].artefacts[0], verdict="unclear"),)),
         "No artefact was proved."),
        (lambda a: replace(a, models=a.models[:1]), "One model was audited, so there is nothing to compare"),
        (lambda a: a, "The quality of this model's heatmaps was not measured"),
        (lambda a: replace(a, models=tuple(replace(m, survey="elsewhere") for m in a.models)),
         "No photos with heatmaps belong to this audit: the surveys of its models are missing."),
        (lambda a: replace(a, failures=(), not_run=(), settings={}, versions={}), "Every photo could be"),
        (lambda a: without(a, ap=None, localisation={}, quality_a=None, quality_v=None), "not measured"),
    ],
)  # fmt: skip
def test_a_missing_part_becomes_a_sentence(copied, change, sentence):
    page = reported(copied(change))
    assert sentence in words(page)
    assert [item["id"] for item in page.all("section")] == [name for name, _ in SECTIONS]


def test_what_is_known_of_the_photos_is_told_above_and_below(copied):
    used = UsedPhotos(
        data="set", photos=9, learned=4, overlap=("4 photos (a, …) that a model has learned from; left out",),
        only_in_data=("<owl>",),
    )  # fmt: skip
    folder = copied(lambda audit: replace(audit, used=used))
    write_report(folder)
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert text.count("4 photos (a, …) that a model has learned from; left out") == 2
    assert text.count("classes of set that no model knows: &lt;owl&gt;") == 2
    assert Audit.load(folder).used == used


def test_a_missing_picture_is_said_and_one_outside_is_not_read(example, copied):
    Image.new("RGB", (9, 9)).save(example / "secret.png")
    (example / "pictures" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")

    def change(audit):
        first = replace(audit.problems[0], picture="pictures/gone.png")
        second = replace(audit.problems[1], picture="pictures/broken.png")
        return replace(audit, problems=(first, second))

    text = words(reported(copied(change)))
    assert text.count("the picture is missing") == 2
    assert picture_uri(example, "secret.png") is None
    assert picture_uri(example, "pictures/fisher-0-crop.png").startswith("data:image/png;base64,")


def test_damaged_surveys_cost_pictures_but_not_the_page(copied):
    folder = copied()
    for file in (folder / "survey-fisher" / "arrays").iterdir():
        file.write_bytes(b"no arrays")
    (folder / "survey-network" / "records.jsonl").write_bytes(b"no journal\n")
    data = json.loads(reported(folder).raw["page-data"])
    assert data["photos"][0]["picture"] == ""
    fisher, network = data["entries"][0]["models"]
    assert fisher["map"] == ""
    assert network is None


def test_many_photos_go_into_linked_files(example, copied):
    folder = copied()
    write_report(folder, max_bytes=350_000)
    page = parsed(folder)
    links = [item["href"] for item in page.all("a") if item["href"].startswith("report/")]
    assert links[0] == "report/class-1.html"
    assert all((folder / link).is_file() for link in links)
    data = json.loads(page.raw["page-data"])
    assert data["entries"]
    entries = [
        item
        for link in links
        for item in json.loads(Page((folder / link).read_text(encoding="utf-8")).raw["page-data"])["entries"]
    ]
    whole = json.loads(parsed(example).raw["page-data"])["entries"]
    assert len(entries) == len(whole) > len(data["entries"])
    assert max((folder / link).stat().st_size for link in links) < 420_000
    write_report(folder)
    assert not list((folder / "report").glob("*.html"))


def test_pages_take_photos_until_they_are_full(example):
    sources = open_sources(example, Audit.load(example))
    keys = list(sources.seen)
    data, left = page_data(sources, keys, max_bytes=1)
    assert len(data["entries"]) == 1
    assert left == keys[1:]
    assert len(page_data(sources, keys)[0]["entries"]) == len(keys)


def test_a_folder_without_audit_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"is no audit: it has no audit.json"):
        write_report(tmp_path)


def test_it_is_written_in_one_move(copied, monkeypatch):
    folder = copied()
    before = (folder / "report.html").read_bytes()  # of the example

    def broken(*_args):
        raise RuntimeError("stop")

    monkeypatch.setattr(audit_page, "_lookups", broken)
    with pytest.raises(RuntimeError, match="stop"):
        write_report(folder)
    assert (folder / "report.html").read_bytes() == before


def test_each_problem_has_something_to_do_and_the_list_of_its_photos(example, nasty):
    audit, page = Audit.load(example), parsed(example)
    assert words(page).count("Do next:") == 2
    links = [item for item in page.all("a") if "download" in item]
    assert [item["download"].rsplit(".", 1)[1] for item in links] == ["csv", "txt", "csv", "txt"]
    text = unquote(links[0]["href"].partition(",")[2])
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["photo", "classes", "left", "top", "right", "bottom"]
    assert [row[0] for row in rows[1:]] == list(audit.problems[0].photos)
    assert rows[1] == [nasty, nasty, "12", "330", "150", "362"]
    lines = unquote(links[1]["href"].partition(",")[2]).splitlines()
    assert lines == list(audit.problems[0].photos)
    header = unquote(links[2]["href"].partition(",")[2]).splitlines()[0]
    assert header == "photo,classes,context_ratio"


def test_a_name_that_a_spreadsheet_would_run_stays_text():
    assert csv_text([["=1+1", "-2.5", "@x", "cat"]]) == "'=1+1,-2.5,'@x,cat\n"


def test_words_explain_themselves_and_every_word_used_is_in_the_glossary(example):
    page = parsed(example)
    used = {attributes["data-word"] for _, attributes in page.tags if "data-word" in attributes}
    assert used >= {
        "score",
        "threshold",
        "mu",
        "a",
        "v",
        "morf",
        "control",
        "eigenvalues",
        "kept",
        "interval",
    }
    ids = {attributes.get("id") for _, attributes in page.tags}
    assert {f"word-{name}" for name in used} <= ids
    assert all(item["href"] == f"#word-{item['data-word']}" for item in page.all("a") if "data-word" in item)


def test_heatmaps_are_drawn_from_the_decision_on_or_from_zero(copied):
    def change(audit):
        return without(audit, threshold=-0.5)

    folder = copied(change)
    from_threshold = json.loads(reported(folder).raw["page-data"])
    assert from_threshold["thresholds"] == [[-0.5] * 3] * 2
    write_report(folder, zero="score")
    from_zero = json.loads(parsed(folder).raw["page-data"])
    assert from_zero["entries"][0]["models"][0]["map"] != from_threshold["entries"][0]["models"][0]["map"]
    assert "red and blue balance where the score is zero" in words(parsed(folder))
    with pytest.raises(ConfigError, match="unknown zero of a heatmap 'middle'"):
        write_report(folder, zero="middle")


def test_the_relevance_of_what_decides_adds_up_to_it():
    rng = np.random.default_rng(0)
    relevance = rng.normal(size=(13, 7))
    score = float(relevance.sum())
    assert shifted(relevance, -0.979, score).sum() == pytest.approx(score + 0.979)
    assert (shifted(relevance, 0.0, score) == relevance).all()
    assert (shifted(relevance, float("nan"), score) == relevance).all()


def test_pixels_that_hold_little_of_the_score_bear_little_of_the_threshold():
    """Else a heatmap of a network is one red field: its biases took all but a thousandth of the score."""
    rng = np.random.default_rng(0)
    relevance = rng.normal(size=(13, 7)) * 1e-3
    relevance += (2e-3 - relevance.sum()) / relevance.size
    moved = shifted(relevance, -0.64, 2.0)
    assert moved.sum() == pytest.approx(1e-3 * (2.0 + 0.64))
    assert np.corrcoef(moved.ravel(), relevance.ravel())[0, 1] == pytest.approx(1)
    assert np.abs(moved - relevance).max() == pytest.approx(1e-3 * 0.64 / relevance.size)
    assert shifted(-relevance, -0.64, 2.0).sum() == pytest.approx(-2e-3)  # they speak against it: no share


def test_the_headline_neither_accuses_nor_acquits_of_what_cannot_be_said(example):
    audit = Audit.load(example)
    few = replace(audit.problems[0], kind="data")
    assert headline(audit) == "2 suspected problems, worst first."
    assert headline(replace(audit, problems=(audit.problems[0], few))) == (
        "1 suspected problem, worst first; 1 point on which nothing can be said."
    )
    assert headline(replace(audit, problems=(few,))) == (
        "No suspected problem was found where one could be looked for; 1 point on which nothing can be said."
    )


def test_the_number_that_decided_stands_in_the_class_table(example):
    text = (example / "report.html").read_text(encoding="utf-8")
    table = text[text.index('id="class-table"') : text.index("</table>", text.index('id="class-table"'))]
    assert table.count('class="decides"') == 2  # boat, in both models
    assert "decides" in table


def test_heatmaps_of_little_of_the_score_are_said_to_be_so(example, tmp_path, monkeypatch):
    folder = tmp_path / "audit"
    shutil.copytree(example, folder)
    sources = open_sources(folder, Audit.load(folder))
    little = {"score": 1.0, "pixels": 0.001, "taken": {"bias": 0.999}}
    seen = {
        key: (replace(rows[0], ledger=little) if rows[0] is not None else None, *rows[1:])
        for key, rows in sources.seen.items()
    }
    assert low_shares(sources) == []
    monkeypatch.setattr(audit_page, "open_sources", lambda *_: replace(sources, seen=seen))
    text = words(reported(folder))
    count = sum(rows[0] is not None for rows in seen.values())
    name = sources.audit.models[0].name
    assert (
        f"Of {count} heatmaps of {name}, {count} are to be read with care; the first: only 0.1 % of the"
        in text
    )
    assert "fixed numbers inside the model (biases)" in text
