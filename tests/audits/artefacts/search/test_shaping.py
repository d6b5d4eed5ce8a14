import numpy as np
import pytest

from pfungst.audits.artefacts.search.matching import Match, cut
from pfungst.audits.artefacts.search.shaping import Grain, overlay, shaped


def slow_agreement(pieces, side):
    """ρ of photos of one size laid upon each other without a shift; inner pixels."""
    count, (_, height, width) = len(pieces), pieces[0].shape
    rho, half = np.zeros((height, width)), side // 2
    for row in range(half, height - half):
        for column in range(half, width - half):
            window = np.s_[:, row - half : row + half + 1, column - half : column + half + 1]
            pairs = sum(
                float((pieces[i][window].astype(float) * pieces[j][window]).sum())
                for i in range(count)
                for j in range(count)
                if i != j
            )
            energy = sum(float((piece[window].astype(float) ** 2).sum()) for piece in pieces)
            rho[row, column] = pairs / ((count - 1) * energy)
    return rho


def test_agreement_is_the_mean_correlation_of_two_photos():
    rng = np.random.default_rng(0)
    common = rng.normal(size=(6, 15, 18))
    pieces = [(common + rng.normal(size=common.shape)).astype(np.float32) for _ in range(4)]
    grain = Grain(24)
    laid = overlay(pieces, [Match(1.0, 0, 0)] * 4, (15, 18), grain)
    found = laid.agreement()[grain.margin : grain.margin + 15, grain.margin : grain.margin + 18]
    expected = slow_agreement(pieces, grain.mean)
    inner = np.s_[3:-3, 3:-3]
    np.testing.assert_allclose(found[inner], expected[inner], atol=1e-4)
    assert found[inner].mean() == pytest.approx(0.5, abs=0.08)


def planted_looks(count, *, noise=0.5):
    """Photos of noise with one pattern, 14 × 40, each at a place of its own."""
    rng = np.random.default_rng(1)
    pattern = rng.normal(size=(6, 14, 40)).astype(np.float32)
    looks, matches = [], []
    for _ in range(count):
        photo = rng.normal(size=(6, 90, 120)).astype(np.float32)
        top, left = int(rng.integers(0, 70)), int(rng.integers(0, 75))
        photo[:, top : top + 14, left : left + 40] = (
            pattern + noise * photo[:, top : top + 14, left : left + 40]
        )
        looks.append(photo)
        matches.append(Match(0.9, top, left + 10))
    return looks, matches


def test_a_shape_grows_from_a_piece_to_what_the_photos_share():
    looks, matches = planted_looks(8)
    seed = cut(looks[0], matches[0].top, matches[0].left, 12, 12)
    patch = shaped(looks, matches, seed, Grain(12))
    assert patch is not None
    assert abs(patch.shape[0] - 14) <= 4
    assert abs(patch.shape[1] - 40) <= 4
    assert abs(patch.left - (matches[0].left - 10)) <= 3
    assert patch.mask.mean() > 0.8
    assert (patch.values[:, ~patch.mask] == 0).all()


def test_photos_with_nothing_in_common_have_no_shape():
    rng = np.random.default_rng(2)
    looks = [rng.normal(size=(6, 80, 80)).astype(np.float32) for _ in range(6)]
    seed = cut(looks[0], 30, 30, 24, 24)
    assert shaped(looks, [Match(0.5, 30, 30)] * 6, seed, Grain(24)) is None
