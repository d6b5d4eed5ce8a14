import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageFont

from pfungst.contract import heatmap
from pfungst.contract.heatmap import (
    block_means,
    colours,
    font,
    labelled_picture,
    legend,
    overlay,
    scaled,
    wrapped,
)
from pfungst.errors import ConfigError

maps = arrays(np.float64, (4, 5), elements=st.floats(-1e6, 1e6))


@given(maps)
def test_scaling_divides_by_the_largest_magnitude(relevance):
    values = scaled(relevance)
    peak = np.abs(relevance).max()
    expected = relevance / peak if peak else relevance * 0
    np.testing.assert_array_equal(values, expected)
    assert np.abs(values).max() == (1 if peak else 0)


def test_zero_is_white_and_signs_keep_their_colour():
    red, blue = colours(np.array([1.0]))[0], colours(np.array([-1.0]))[0]
    assert colours(np.array([0.0]))[0].tolist() == [255, 255, 255]
    assert red.tolist() == [103, 0, 31]
    assert blue.tolist() == [5, 48, 97]
    grid = colours(np.linspace(-1, 1, 2001)).astype(int)
    positive, negative = grid[1001:], grid[:1000]
    assert (positive[:, 0] >= positive[:, 2]).all()
    assert (negative[:, 2] >= negative[:, 0]).all()
    brightness = grid.sum(axis=1)
    assert (np.diff(brightness[1000:]) <= 0).all(), "further from zero is darker"
    assert (np.diff(brightness[:1001]) >= 0).all()


def test_colours_keep_the_shape_and_stay_in_range():
    assert colours(np.zeros((2, 3, 4))).shape == (2, 3, 4, 3)
    np.testing.assert_array_equal(colours(np.array([-7.0, 7.0])), colours(np.array([-1.0, 1.0])))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_relevance_is_not_drawn_as_a_blank_map(bad):
    with pytest.raises(ConfigError, match="the relevance to draw holds NaN or infinity"):
        scaled(np.array([[1.0, bad]]))


def test_overlay_shows_the_photo_where_there_is_no_relevance():
    photo = np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    relevance = np.zeros((3, 4))
    relevance[1, 2], relevance[0, 0] = 2.0, -2.0
    shown = overlay(photo, relevance)
    np.testing.assert_array_equal(shown[1, 2], colours(np.array(1.0)))
    np.testing.assert_array_equal(shown[0, 0], colours(np.array(-1.0)))
    grey = photo[2, 3] @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(shown[2, 3], [0.35 * grey + 0.65 * 255] * 3, atol=1)


def test_overlay_needs_the_photo_of_the_heatmap():
    with pytest.raises(ConfigError, match=r"a photo of shape \(3, 4, 3\) under a heatmap of shape \(4, 3\)"):
        overlay(np.zeros((3, 4, 3), np.uint8), np.zeros((4, 3)))


@given(st.lists(st.text("abcdefgh/", min_size=1, max_size=60), max_size=12), st.integers(40, 300))
def test_wrapped_lines_fit_and_lose_nothing(words, width):
    lines = wrapped(" ".join(words), font(14), width)
    assert all(font(14).getlength(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == "".join(words)


def test_short_text_stays_one_line():
    assert wrapped("horse | f(x) = +1.0", font(14), 400) == ["horse | f(x) = +1.0"]


@pytest.mark.parametrize("width", [40, 180, 260, 1500])
def test_legend_runs_from_blue_over_white_to_red(width):
    strip = np.asarray(legend(width, 0.25))
    assert strip.shape[1] == width
    middle = strip[8]
    assert middle[8].tolist() == [5, 48, 97]
    assert middle[width - 9].tolist() == [103, 0, 31]
    assert middle[width // 2].min() >= 225, "white, or next to it, as the middle may fall between two columns"


def test_the_font_has_every_sign_of_the_legend():
    """A sign that the font lacks is drawn as the same box as any other that it lacks."""
    typeface = font(40)
    assert isinstance(typeface, ImageFont.FreeTypeFont)

    def drawn(text):
        mask = typeface.getmask(text)
        return Image.frombytes("L", mask.size, bytes(mask)).tobytes()

    lacking = drawn("\N{SNOWMAN}")
    for sign in set("-0.25e+07 contradicts supports f(x) = | rule"):
        assert drawn(sign) != lacking or sign == " "


class TestLargePhotos:
    @pytest.mark.parametrize("shape", [(7, 10), (6, 9), (1, 11), (3, 3), (2, 2)])
    @pytest.mark.parametrize("factor", [1, 2, 3, 4])
    def test_means_of_squares_are_those_of_a_plain_loop(self, shape, factor):
        values = np.random.default_rng(0).normal(size=shape)
        rows, columns = (range(0, size, factor) for size in shape)
        expected = [[values[y : y + factor, x : x + factor].mean() for x in columns] for y in rows]
        np.testing.assert_allclose(block_means(values, factor), expected, rtol=1e-12, atol=1e-15)

    @pytest.mark.parametrize(
        ("shape", "drawn"), [((20, 30), (20, 30)), ((41, 30), (21, 15)), ((30, 121), (8, 31))]
    )
    def test_large_photos_are_drawn_reduced_by_a_whole_factor(self, monkeypatch, shape, drawn):
        """40 pixels are drawn as they are; 41 by two, 121 by four."""
        monkeypatch.setattr(heatmap, "DRAWN", 40)
        relevance = np.full(shape, 0.25)
        relevance[0, 0] = -1.0
        photo = np.full((*shape, 3), 90, np.uint8)
        picture = np.asarray(labelled_picture(relevance, "c", photo))
        alone = np.asarray(labelled_picture(relevance, "c"))
        height = picture.shape[0] - 8 - 18 - 4 - 34
        assert height == drawn[0]
        assert picture.shape[1] == max(3 * (drawn[1] + 8) + 8, 180)
        assert alone.shape[0] == picture.shape[0]
        tile = picture[8 + 18 + 4 :][: drawn[0], 8 : 8 + drawn[1]]
        assert (tile == 90).all(), "the photo comes first, as it was"
        assert relevance.shape == shape

    def test_what_is_drawn_is_the_mean_of_a_square(self, monkeypatch):
        """Squares of 2 x 2: means 1, -0.5, 0 and 0.25 of a peak of 1."""
        monkeypatch.setattr(heatmap, "DRAWN", 2)
        squares = np.array([[1.0, -0.5], [0.0, 0.25]])
        relevance = np.kron(squares, np.ones((2, 2))) + np.kron(np.ones((2, 2)), [[0.5, -0.5], [-0.5, 0.5]])
        picture = np.asarray(labelled_picture(relevance, "c"))
        assert (picture[30:32, 8:10] == colours(squares)).all()
