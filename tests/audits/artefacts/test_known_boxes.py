"""Objects are kept out of edits as far as they are known, also where one of their class has no box."""

from pathlib import Path

import numpy as np

from pfungst.audits.artefacts.proof.proving import carrier_of
from pfungst.images import Box, Record


def test_a_known_box_is_on_the_object_even_if_another_object_has_none():
    box = Box(class_name="cat", left=2, top=1, right=6, bottom=5)
    half = Record(
        id="a", path=Path("a.png"), positive=frozenset(["cat"]), boxes=(box,), half_boxed=frozenset(["cat"])
    )
    assert half.boxes_of("cat") == ()
    carrier = carrier_of(half, np.zeros((8, 9, 3), np.uint8), "cat", None)
    expected = np.zeros((8, 9), bool)
    expected[1:5, 2:6] = True
    np.testing.assert_array_equal(carrier.on_object, expected)
