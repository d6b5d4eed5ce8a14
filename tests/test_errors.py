import pickle

import pytest

from pfungst.errors import (
    ConfigError,
    DataError,
    FileError,
    ImageError,
    ModelError,
    PfungstError,
    unknown_name,
)


def test_message_has_one_sentence_for_each_part():
    assert str(PfungstError("It broke")) == "It broke."
    assert str(PfungstError("It broke.", allowed="1 to 3.", hint="2")) == "It broke. Allowed: 1 to 3. Try: 2."
    assert str(ConfigError("It broke", hint="2")) == "It broke. Try: 2."


def test_file_errors_name_their_file(tmp_path):
    error = DataError(tmp_path / "x", "is broken", allowed="whole ones")
    assert str(error) == f"{tmp_path}/x: is broken. Allowed: whole ones."
    assert error.path == f"{tmp_path}/x"
    assert error.problem == f"{tmp_path}/x: is broken"


@pytest.mark.parametrize("kind", [PfungstError, ConfigError])
def test_errors_survive_the_way_between_processes(kind):
    error = kind("It broke", allowed="a", hint="b")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (str(copy), copy.args, copy.allowed, copy.hint) == (str(error), error.args, "a", "b")


@pytest.mark.parametrize("kind", [FileError, ImageError, DataError, ModelError])
def test_file_errors_survive_the_way_between_processes(kind):
    error = kind("photo.jpg", "is broken", hint="b")
    copy = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(error))))
    assert type(copy) is kind
    assert (str(copy), copy.path, copy.allowed) == ("photo.jpg: is broken. Try: b.", "photo.jpg", None)
    assert isinstance(copy, PfungstError)


def test_state_of_a_users_own_subclass_survives():
    error = PfungstError("It broke")
    error.number = 7
    assert pickle.loads(pickle.dumps(error)).number == 7


@pytest.mark.parametrize("known", [["b", "a"], ("b", "a"), {"b": 1, "a": 2}, "b, a"])
def test_unknown_name_lists_the_known_ones_in_order(known):
    assert str(unknown_name("rule", "x", known)) == "unknown rule 'x'. Allowed: b, a."


def test_unknown_name_sorts_what_has_no_order():
    assert str(unknown_name("rule", "x", {"b", "c", "a"})) == "unknown rule 'x'. Allowed: a, b, c."


def test_errors_about_a_photo_name_it(tmp_path):
    from pfungst.errors import ConfigError, ImageError, PfungstError, about_photo

    with pytest.raises(ImageError, match=r"a\.png: too small\. Allowed: 22 pixels"), about_photo("a.png"):
        raise PfungstError("too small", allowed="22 pixels")
    for passing in (ConfigError("wrong option"), ImageError("b.png", "unreadable")):
        with pytest.raises(type(passing)) as caught, about_photo("a.png"):
            raise passing
        assert caught.value is passing


def test_of_many_names_the_most_alike_are_listed():
    many = [f"class {number}" for number in range(900)]
    text = str(unknown_name("class", "hors", [*many, "sorrel", "Horse", "sea horse"]))
    assert text == "unknown class 'hors'. Allowed: 903 names, the closest of them Horse, sea horse, sorrel."
