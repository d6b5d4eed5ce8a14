"""The gallery page: everything escaped, nothing fetched, every picture described."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np

from pfungst.contract import Explanation, Ledger
from pfungst.images import Box
from pfungst.report.gallery import GalleryHeatmap, GalleryPhoto, GalleryTable, write_gallery

NASTY = '<script>alert("x")</script>&.jpg'


class Page(HTMLParser):
    """Collects what a browser would act on."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.images, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_data(self, data):
        self.text += data


def page(tmp_path):
    relevance = np.zeros((20, 30))
    relevance[4, 5], relevance[9, 9] = 2.0, -1.0
    ledger = Ledger(score=1.25, pixels=1.0, taken={"stabiliser": 0.25})
    explanation = Explanation(
        image_id=NASTY, class_name="horse", score=1.25, rule="epsilon=100", relevance=relevance, ledger=ledger
    )
    photo = GalleryPhoto(
        section=NASTY,
        image=np.full((20, 30, 3), 90, np.uint8),
        boxes=(Box(class_name="horse", left=3, top=4, right=13, bottom=10),),
        heatmaps=(GalleryHeatmap(title=NASTY, explanation=explanation),),
    )
    table = GalleryTable(title=NASTY, header=[NASTY, "b"], rows=[[NASTY, NASTY]], note=NASTY)
    path = write_gallery(
        tmp_path / "sub" / "index.html", title=NASTY, introduction=NASTY, tables=[table], photos=[photo]
    )
    return path.read_text(encoding="utf-8")


def test_names_with_markup_stay_text(tmp_path):
    html = page(tmp_path)
    parsed = Page(html)
    assert "script" not in parsed.tags
    assert parsed.text.count(NASTY) >= 9
    assert any(NASTY in image["alt"] for image in parsed.images)


def test_nothing_is_fetched_and_every_picture_has_words(tmp_path):
    html = page(tmp_path)
    parsed = Page(html)
    assert len(parsed.images) == 4  # legend, photo, heatmap, overlay
    for image in parsed.images:
        assert image["src"].startswith("data:image/")
        assert image["alt"]
    assert not re.search(r"(?:src|href)=[\"'](?!data:)", html)
    assert "default-src 'none'" in html


def test_the_account_and_the_boxes_are_shown(tmp_path):
    html = page(tmp_path)
    assert 'x="3" y="4" width="10" height="6"' in html
    text = re.sub(r"\s+", " ", Page(html).text)
    assert "f(x) = +1.250" in text
    assert "pixels+1.0000stabiliser+0.2500residual+0.0000" in text
