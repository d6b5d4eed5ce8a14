"""The figure of several models and photos: what stands where, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pfungst.contract import Explanation, Ledger
from pfungst.contract.heatmap import colours
from pfungst.errors import ConfigError
from pfungst.report.figure import AUTO, FigureStyle, Tile, draw_tiles, heatmap_tile, make_figure


class HalfAndHalf:
    """The left half of a photo supports, the right contradicts; the score is the photo's mean."""

    def __init__(self, *classes: str, sign: float = 1.0) -> None:
        self.classes = classes
        self.thresholds = np.zeros(len(classes))
        self.sign = sign
        self.asked: list[tuple[str, dict]] = []

    def scores(self, images):
        return np.array(
            [[image[..., index].mean() for index in range(len(self.classes))] for image in images]
        )

    def explain(self, image, class_name, *, image_id="", **options):
        self.asked.append((class_name, options))
        relevance = np.full(image.shape[:2], 0.5 * self.sign)
        relevance[:, image.shape[1] // 2 :] *= -1
        score = float(image[..., self.classes.index(class_name)].mean())
        return Explanation(
            image_id=image_id, class_name=class_name, score=score, rule="half", relevance=relevance,
            ledger=Ledger(score=score, pixels=0.0),
        )  # fmt: skip


def photo(red: int, green: int, shape=(60, 120)) -> np.ndarray:
    return np.full((*shape, 3), (red, green, 0), dtype=np.uint8)


PHOTOS = [("red photo", photo(200, 10)), ("green photo", photo(10, 200, (120, 60)))]


def test_layout_of_cells():
    first, second = HalfAndHalf("warm", "fresh"), HalfAndHalf("warm", "fresh", sign=-1)
    figure = make_figure({"first": first, "second": second}, PHOTOS, style=FigureStyle(side=100))
    pixels = np.asarray(figure)
    assert pixels.shape[1] == 3 * 110 + 10
    red, blue = colours(np.array([1.0, -1.0]))
    top = 40  # below the headings
    assert pixels[top + 25, 10 + 50].tolist() == [200, 10, 0]
    assert (pixels[top + 25, 120 + 20] == red).all()
    assert (pixels[top + 25, 120 + 80] == blue).all()
    assert (pixels[top + 25, 230 + 20] == blue).all()
    second_row = top + 50 + 40
    assert pixels[second_row + 50, 10 + 50].tolist() == [10, 200, 0]
    assert (pixels[second_row + 50, 120 + 30] == red).all()  # half as wide, centred
    assert (pixels[second_row + 50, 120 + 10] == 255).all()


def test_auto_takes_each_models_highest_score():
    model = HalfAndHalf("warm", "fresh")
    other = HalfAndHalf("x", "y")
    make_figure({"a": model, "b": other}, PHOTOS, options={"b": {"rule": "half"}})
    assert model.asked == [("warm", {}), ("fresh", {})]
    assert other.asked == [("x", {"rule": "half"}), ("y", {"rule": "half"})]
    make_figure({"a": model}, PHOTOS[:1], class_name="fresh")
    assert model.asked[-1][0] == "fresh"


def test_relevance_is_averaged_before_it_is_coloured():
    relevance = np.zeros((80, 80))
    relevance[::2] = 1.0
    relevance[1::2] = -1.0  # cancels in every pair of rows
    relevance[:2, :2] = 3.0
    explanation = Explanation(
        image_id="", class_name="c", score=1.234, rule="", relevance=relevance,
        ledger=Ledger(score=1.234, pixels=0.0),
    )  # fmt: skip
    tile = heatmap_tile(explanation, 40)
    assert tile.picture.shape == (40, 40, 3)
    assert (tile.picture[0, 0] == colours(np.array(1.0))).all()
    assert (tile.picture[5:] == 255).all()
    assert tile.caption == "c\nf(x) = +1.23"


def test_progress_and_long_captions():
    told = []
    name = "a very long class name of very many words that never fits " * 3
    model = HalfAndHalf(name)
    figure = make_figure(
        {"m" * 90: model}, PHOTOS, style=FigureStyle(side=60), progress=lambda *step: told.append(step)
    )
    assert told == [("heatmaps", 1, 2), ("heatmaps", 2, 2)]
    assert figure.width == 2 * 70 + 10


def test_what_cannot_be_drawn_is_refused():
    model = HalfAndHalf("warm", "fresh")
    with pytest.raises(ConfigError, match=r"model a: unknown class 'cold'.*Allowed: auto, warm, fresh"):
        make_figure({"a": model}, PHOTOS, class_name="cold")
    with pytest.raises(ConfigError, match="a figure of no model"):
        make_figure({}, PHOTOS)
    with pytest.raises(ConfigError, match="a figure of no photo"):
        make_figure({"a": model}, [])
    with pytest.raises(ConfigError, match="a cell of 3 pixels"):
        FigureStyle(side=3)
    heatmap = Tile(picture=np.zeros((50, 50, 3), np.uint8), caption="")
    with pytest.raises(ConfigError, match="at most 200000000 pixels"):
        draw_tiles(["x"] * 1000, [[heatmap]], FigureStyle(side=2000))
    assert AUTO == "auto"


@pytest.fixture
def command(tmp_path, monkeypatch):
    """The command on a folder of photos, models being made by name."""
    import pfungst.models
    from pfungst.cli.main import app

    for name, image in PHOTOS:
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    (tmp_path / "notes.txt").write_text("no photo")
    monkeypatch.setattr(
        pfungst.models.ModelReference, "load", lambda self: HalfAndHalf("warm", Path(self.spec).name)
    )
    monkeypatch.setattr(pfungst.models.ModelReference, "identity", lambda self, classifier=None: {})

    def run(*arguments: str):
        return CliRunner().invoke(app, ["figure", *arguments])

    return run


def test_command_line(command, tmp_path):
    out = tmp_path / "deep" / "figure.png"
    result = command("one/m", "two/m", "--images", str(tmp_path), "--out", str(out), "--side", "80")
    assert result.exit_code == 0, result.output
    assert "2 photos, 2 models" in result.output
    with Image.open(out) as picture:
        assert picture.width == 3 * 90 + 10


def test_command_line_goes_on_without_a_broken_photo(command, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    out = tmp_path / "out" / "figure.png"
    result = command("m", "--images", str(tmp_path), "--out", str(out), "--rule", "half")
    assert result.exit_code == 3
    assert "broken.jpg" in result.output
    assert out.is_file()


def test_command_line_refuses_what_does_not_fit(command, tmp_path):
    common = ["--images", str(tmp_path), "--out", str(tmp_path / "f.png")]
    assert "3 rules for 2 models" in str(command("a", "b", *common, *["--rule", "x"] * 3).exception)
    (tmp_path / "empty").mkdir()
    empty = ["--images", str(tmp_path / "empty"), "--out", str(tmp_path / "f.png")]
    assert "holds no photo" in str(command("a", *empty).exception)


def test_a_heatmap_of_little_of_the_score_is_marked():
    ledger = Ledger(score=2.0, pixels=0.02, taken={"bias": 1.98})
    found = Explanation(
        image_id="a", class_name="c", score=2.0, rule="r", relevance=np.ones((4, 4)), ledger=ledger
    )
    assert heatmap_tile(found, 8).caption == "c\nf(x) = +2.00, 1.0 % of it shown"
