import numpy as np
import pytest

from pfungst.audits.artefacts.detectors.frames import Frame, common_frame, find_frame, pieces
from pfungst.images.rectangles import Region

DARK = (20, 30, 60)


def photo(seed=0, size=(90, 130)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def framed(image, thickness, colour=DARK, *, sides=("rows", "columns")):
    drawn = image.copy()
    if "rows" in sides:
        drawn[:thickness], drawn[-thickness:] = colour, colour
    if "columns" in sides:
        drawn[:, :thickness], drawn[:, -thickness:] = colour, colour
    return drawn


def test_a_frame_is_measured():
    frame = find_frame(framed(photo(), 6))
    assert frame is not None
    assert frame.sides == (6, 6, 6, 6)
    assert frame.colour == pytest.approx(DARK, abs=0.1)
    strips = frame.strips((90, 130))
    assert sum(strip.shape[0] * strip.shape[1] for strip in strips) == 90 * 130 - 78 * 118
    bars = find_frame(framed(photo(), 6, sides=("rows",)))
    assert bars is not None
    assert bars.sides == (6, 0, 6, 0)


def test_what_is_no_frame():
    assert find_frame(photo()) is None
    assert find_frame(np.full((60, 80, 3), 240, dtype=np.uint8)) is None  # a plain ground
    one = photo()
    one[:8] = 200
    assert find_frame(one) is None  # one side alone
    two = framed(photo(), 6, sides=("rows",))
    two[:6] = 250
    assert find_frame(two) is None  # of different colours


def test_frames_are_alike_in_sides_colour_and_thickness():
    frame = Frame(sides=(6, 6, 6, 6), colour=(20.0, 30.0, 60.0))
    assert frame.like(Frame(sides=(9, 8, 9, 9), colour=(30.0, 30.0, 50.0)))
    assert not frame.like(Frame(sides=(14, 14, 14, 14), colour=frame.colour))
    assert not frame.like(Frame(sides=(6, 0, 6, 0), colour=frame.colour))
    assert not frame.like(Frame(sides=frame.sides, colour=(200.0, 30.0, 60.0)))
    other = Frame(sides=(6, 6, 6, 6), colour=(250.0, 250.0, 250.0))
    assert common_frame([None, other, frame, frame]) == frame
    assert common_frame([None, None]) is None


def test_strips_are_cut_into_short_pieces():
    strips = [Region(top=0, left=0, bottom=5, right=130)]
    cut = pieces(strips)
    assert [piece.shape for piece in cut] == [(5, 48), (5, 48), (5, 34)]
