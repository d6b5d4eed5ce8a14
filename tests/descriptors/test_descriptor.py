"""The register of descriptors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from pfungst.descriptors import (
    ColourConfig,
    Descriptor,
    Descriptors,
    SiftConfig,
    described,
    descriptor_from_dict,
    descriptor_kind,
    register_descriptor,
)
from pfungst.descriptors import descriptor as module
from pfungst.errors import ConfigError, PfungstError


@pytest.fixture
def register(monkeypatch):
    monkeypatch.setattr(module, "_KINDS", dict(module._KINDS))


@pytest.mark.parametrize(
    "descriptor",
    [SiftConfig(step=4, bin_sizes=(3, 5), max_height=200), ColourConfig(step=9, bin_sizes=(4,))],
    ids=repr,
)
def test_settings_go_to_a_dict_and_back(descriptor):
    import json

    settings = json.loads(json.dumps(descriptor.as_dict()))
    assert settings["name"] == descriptor.name
    assert descriptor_from_dict(settings) == descriptor


def test_kinds_of_a_users_own(register):
    @register_descriptor
    @dataclass(frozen=True)
    class Patch(Descriptor):
        name = "patch"
        side: int = 4

        @property
        def size(self):
            return self.side**2

        def describe(self, image):
            raise NotImplementedError

    assert descriptor_from_dict({"name": "patch", "side": 3}) == Patch(side=3)
    assert Patch().places((10, 10)) is None
    assert register_descriptor(Patch) is Patch  # the same again is no second one

    @dataclass(frozen=True)
    class Other(Patch):
        pass

    with pytest.raises(
        ConfigError, match=r"a second descriptor named 'patch'. Allowed: names other than colour"
    ):
        register_descriptor(Other)


def test_refusals(register):
    with pytest.raises(ConfigError, match=r"unknown descriptor 'hog'. Allowed: colour, sift"):
        descriptor_kind("hog")
    with pytest.raises(ConfigError, match="unknown descriptor"):
        descriptor_from_dict({"step": 3})
    with pytest.raises(
        ConfigError,
        match=r"descriptor colour has no setting 'window'. Allowed: step, bin_sizes, max_height\.",
    ):
        descriptor_from_dict({"name": "colour", "window": 3})

    class Nameless(SiftConfig):
        name = ""

    with pytest.raises(ConfigError, match="Nameless without a name"):
        register_descriptor(Nameless)


@pytest.mark.parametrize(
    ("values", "areas", "message"),
    [
        (np.ones((3, 2), np.float32), np.zeros((3, 4), np.int32), r"values of shape \(3, 2\).*\(N, 3\) and"),
        (np.ones((3, 3), np.float32), np.zeros((2, 4), np.int32), r"areas of shape \(2, 4\)"),
        (np.full((1, 3), np.nan, np.float32), np.zeros((1, 4), np.int32), "'mine' gave NaN or infinity"),
        (np.ones((0, 3), np.float32), np.zeros((0, 4), np.int32), "has no descriptor of kind 'mine'"),
    ],
)
def test_mistakes_of_a_users_own_kind_are_told(values, areas, message):
    @dataclass(frozen=True)
    class Mine(Descriptor):
        name = "mine"

        @property
        def size(self):
            return 3

        def describe(self, image):
            return Descriptors(values=values, areas=areas, shape=image.shape[:2])

    with pytest.raises(PfungstError, match=message):
        described(Mine(), np.zeros((4, 4, 3), np.uint8))
