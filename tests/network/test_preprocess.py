"""Values of the network's input, against a loop; errors; JSON."""

import json

import numpy as np
import pytest

from pfungst.errors import ConfigError
from pfungst.network.preprocess import Preprocess


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
@pytest.mark.parametrize("with_image", [False, True])
def test_values_follow_the_equation(rng, channels, with_image):
    mean_image = rng.uniform(90, 130, (3, 9, 8)).astype(np.float32) if with_image else None
    preprocess = Preprocess(
        input_size=(5, 4),
        resize_length=16,
        channels=channels,
        scale=0.7,
        mean=(3.0, 5.0, 11.0),
        std=(2.0, 7.0, 13.0),
        mean_image=mean_image,
    )
    crops = rng.integers(0, 256, (2, 5, 4, 3), dtype=np.uint8)
    values = preprocess.values(crops)
    assert values.dtype == np.float32
    assert values.shape == (2, 3, 5, 4)
    for n, c, i, j in np.ndindex(values.shape):
        grey = float(crops[n, i, j, c if channels == "RGB" else 2 - c])
        mean = preprocess.mean[c] if mean_image is None else float(mean_image[c, i + 2, j + 2])
        assert values[n, c, i, j] == pytest.approx((0.7 * grey - mean) / preprocess.std[c], abs=1e-4)


def test_value_range_holds_black_and_white(rng):
    preprocess = Preprocess(input_size=(4, 4), scale=-1 / 255, mean=(0.4, 0.5, 0.6), std=(0.1, 0.2, 0.3))
    low, high = preprocess.value_range()
    ends = preprocess.values(np.stack([np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)]))
    np.testing.assert_allclose(np.broadcast_to(low, (3, 4, 4)), ends.min(axis=0), atol=1e-5)
    np.testing.assert_allclose(np.broadcast_to(high, (3, 4, 4)), ends.max(axis=0), atol=1e-5)


def test_json_round_trip(rng):
    mean_image = rng.normal(size=(3, 6, 6)).astype(np.float32)
    one = Preprocess(input_size=(6, 5), channels="BGR", mean=(1, 2, 3), resize="warp", mean_image=mean_image)
    other = Preprocess.from_dict(json.loads(json.dumps(one.as_dict())), mean_image=mean_image)
    assert other == one
    np.testing.assert_array_equal(other.offset(), one.offset())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": "GRB"}, "unknown channel order 'GRB'. Allowed: RGB, BGR, gray, RGBA."),
        (
            {"resize": "squash"},
            r"unknown resize rule 'squash'. Allowed: longest\+pad, shortest, shortest-torchvision",
        ),
        (
            {"input_size": (300, 20)},
            "an input of 300 x 20 pixels cannot be cropped from a photo resized to 256",
        ),
        ({"input_size": (0, 5)}, r"input_size \(0, 5\). Allowed: \(height, width\)"),
        ({"mean": (1.0, 2.0)}, r"mean \(1.0, 2.0\). Allowed: three finite numbers"),
        ({"std": (1.0, 0.0, 1.0)}, "std above 0"),
        ({"scale": float("nan")}, "a finite scale other than 0"),
        ({"mean_image": np.zeros((3, 4, 9), np.float32)}, r"a mean image of shape \(3, 4, 9\)"),
        ({"mean_image": np.full((3, 9, 9), np.nan, np.float32)}, "the mean image holds NaN"),
    ],
)
def test_errors_name_the_value(settings, message):
    with pytest.raises(ConfigError, match=message):
        Preprocess(**{"input_size": (8, 8), **settings})


def test_descriptions_are_checked():
    with pytest.raises(ConfigError, match=r"unknown fields \['colour'\]"):
        Preprocess.from_dict({"input_size": [8, 8], "colour": 1})
    with pytest.raises(ConfigError, match="without input_size"):
        Preprocess.from_dict({"scale": 1.0})
    with pytest.raises(ConfigError, match="cannot be read"):
        Preprocess.from_dict({"input_size": [8, 8], "scale": "much"})
