import re

import numpy as np
import pytest
from safetensors.numpy import save_file

from pfungst.contract.look import PlainLook
from pfungst.errors import ConfigError, DataError
from pfungst.evaluation.attributions import (
    AttributionFolder,
    checked_attributions,
    folder_attributions,
    user_map,
)

IMAGE = np.zeros((6, 8, 3), np.uint8)
HEAT = np.arange(48.0).reshape(6, 8)


class Corner(PlainLook):
    """Sees the upper left 4 x 4 pixels."""

    @property
    def pictures(self):
        return tuple(image[:4, :4] for image in self.images)

    def on_photo(self, relevance, *, photo=0):
        full = np.zeros(self.images[photo].shape[:2])
        full[:4, :4] = relevance
        return full


def mapped(kind, array):
    look = kind(None, (np.zeros((3, 3, 3), np.uint8), IMAGE))
    return user_map(look, 1, "cat", "im", name="mine", attribution=lambda *_: array)


def test_npy_and_safetensors(tmp_path):
    (tmp_path / "cat").mkdir()
    np.save(tmp_path / "cat" / "im.npy", HEAT.astype(np.float32))
    save_file({"cat": HEAT * 2, "dog": HEAT * 3}, tmp_path / "other.safetensors")
    folder = AttributionFolder(tmp_path)
    assert (folder(IMAGE, "cat", "im") == HEAT).all()
    assert (folder(IMAGE, "cat", "other") == 2 * HEAT).all()
    assert (folder(IMAGE, "dog", "other") == 3 * HEAT).all()


def test_what_cannot_be_read_is_named(tmp_path):
    folder = AttributionFolder(tmp_path)
    with pytest.raises(
        DataError, match=r"no attribution of image 'im' for class 'cat'.*im\.npy or im\.safetensors"
    ):
        folder(IMAGE, "cat", "im")
    (tmp_path / "cat").mkdir()
    np.save(tmp_path / "cat" / "im.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"im\.npy: holds object\. Allowed: an array of real numbers"):
        folder(IMAGE, "cat", "im")
    np.save(tmp_path / "cat" / "im.npy", np.array([["x"]]))
    with pytest.raises(DataError, match=r"holds <U1.*real numbers"):
        folder(IMAGE, "cat", "im")
    (tmp_path / "cat" / "im.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match="not a readable"):
        folder(IMAGE, "cat", "im")
    (tmp_path / "b.safetensors").write_bytes(b"xx")
    with pytest.raises(DataError, match="not a readable safetensors file"):
        folder(IMAGE, "cat", "b")
    save_file({"dog": HEAT}, tmp_path / "c.safetensors")
    with pytest.raises(DataError, match=r"has no array 'cat'\. Allowed: dog"):
        folder(IMAGE, "cat", "c")
    with pytest.raises(DataError, match="no such folder"):
        AttributionFolder(tmp_path / "none")


@pytest.mark.parametrize("name", ["../im", "a/b", "..", "", "a\\b"])
def test_names_cannot_leave_the_folder(tmp_path, name):
    with pytest.raises(DataError, match="cannot be part of a file name"):
        AttributionFolder(tmp_path)(IMAGE, "cat", name)


def test_maps_of_the_photo():
    assert (mapped(PlainLook, HEAT).view == HEAT).all()
    assert (mapped(PlainLook, np.stack([HEAT, HEAT, HEAT])).photo == 3 * HEAT).all()
    assert mapped(Corner, HEAT).view is None
    assert (mapped(Corner, HEAT).photo == HEAT).all()


def test_maps_of_the_input_view_are_also_placed_on_the_photo():
    found = mapped(Corner, np.ones((3, 4, 4)))
    assert (found.view == 3).all()
    assert found.photo.shape == (6, 8)
    assert found.photo.sum() == 48


def test_wrong_maps_are_refused():
    with pytest.raises(
        ConfigError, match=r"'mine' of image 'im' for class 'cat' has shape \(5, 5\).*\(6, 8\)"
    ):
        mapped(PlainLook, np.ones((5, 5)))
    with pytest.raises(ConfigError, match=r"\(6, 8\) \(the photo\) or \(4, 4\) \(the input view\)"):
        mapped(Corner, np.ones((5, 5)))
    with pytest.raises(ConfigError, match="holds NaN or infinity"):
        mapped(PlainLook, np.full((6, 8), np.nan))


def test_names_of_attributions(tmp_path):
    (tmp_path / "ig").mkdir()
    found = folder_attributions([str(tmp_path / "ig"), f"mine={tmp_path}"])
    assert list(found) == ["ig", "mine"]
    with pytest.raises(ConfigError, match="two attributions are called 'mine'"):
        folder_attributions([f"mine={tmp_path}", f"mine={tmp_path}"])
    with pytest.raises(DataError, match="no such folder"):
        folder_attributions(["mine=/nowhere"])
    with pytest.raises(ConfigError, match="attribution name 'naive'"):
        checked_attributions({"naive": lambda *_: HEAT}, ["naive"])


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (9007199254740992,), }", "but 8 bytes follow"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, -1), }", "but 8 bytes follow"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (10**30,), }", "is not a readable"),
        ("{'descr': '|V2000000000', 'fortran_order': False, 'shape': (), }", "holds |V"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "holds object"),
        ("(" * 5000, "is not a readable"),
        ("{'descr': (", "is not a readable"),
    ],
)
def test_hostile_npy_headers(tmp_path, header, message):
    raw = (header + "\n").encode()
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "im.npy").write_bytes(
        b"\x93NUMPY\x01\0" + len(raw).to_bytes(2, "little") + raw + bytes(8)
    )
    with pytest.raises(DataError, match=re.escape(message)):
        AttributionFolder(tmp_path)(np.zeros((2, 2, 3), np.uint8), "cat", "im")


def test_both_orders_of_npy_arrays(tmp_path):
    (tmp_path / "cat").mkdir()
    array = np.arange(6.0).reshape(2, 3)
    for number, version in enumerate(
        (array, np.asfortranarray(array), array.astype(np.int16), array.astype(">f4"))
    ):
        np.save(tmp_path / "cat" / f"{number}.npy", version)
        found = AttributionFolder(tmp_path)(np.zeros((2, 3, 3), np.uint8), "cat", str(number))
        np.testing.assert_array_equal(found, array)
