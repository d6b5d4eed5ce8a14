"""Small Caffe files written by the tests themselves, and the real ones where they are present."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pfungst.network.caffe import CaffeNet, NetSpec, describe
from pfungst.network.caffe.schema import LEGACY_TYPES, message_class

Blobs = dict[str, list[np.ndarray]]


def _shared() -> Path:
    default = Path(__file__).parents[3].parent / "shared"
    return Path(os.environ.get("PFUNGST_SHARED", default))


@pytest.fixture(scope="session")
def caffe_files() -> Path:
    folder = _shared() / "caffe"
    if not folder.is_dir():
        pytest.skip("real Caffe files are not here (PFUNGST_SHARED)")
    return folder


@pytest.fixture(scope="session")
def photos() -> list[Path]:
    found = sorted((_shared() / "data" / "imagenet_subjects").glob("*.JPEG"))
    if not found:
        pytest.skip("real photos are not here (PFUNGST_SHARED)")
    return found


def _legacy_types() -> dict[str, str]:
    return {current: legacy for legacy, current in LEGACY_TYPES.items()}


def _fill_blob(blob: Any, array: np.ndarray, *, legacy: bool, double: bool) -> None:
    data = np.ascontiguousarray(array, dtype="<f8" if double else "<f4").tobytes()
    (blob.double_data if double else blob.data).append(data)
    if legacy:
        blob.num, blob.channels, blob.height, blob.width = (1,) * (4 - array.ndim) + array.shape
    else:
        blob.shape.dim.extend(array.shape)


@pytest.fixture(scope="session")
def write_caffemodel() -> Callable[..., Path]:
    """Write blobs as a caffemodel, current or legacy, float or double."""

    def write(
        path: Path,
        blobs: Mapping[str, Sequence[np.ndarray]],
        types: Mapping[str, str] | None = None,
        *,
        legacy: bool = False,
        double: bool = False,
    ) -> Path:
        with path.open("wb") as stream:
            for name, arrays in blobs.items():
                net = message_class("NetParameter")()
                layer = net.layers.add(name=name) if legacy else net.layer.add(name=name)
                kind = (types or {}).get(name, "Convolution")
                if legacy:
                    scope = layer.DESCRIPTOR.fields_by_name["type"].enum_type
                    layer.type = scope.values_by_name[_legacy_types()[kind]].number
                else:
                    layer.type = kind
                for array in arrays:
                    _fill_blob(layer.blobs.add(), array, legacy=legacy, double=double)
                stream.write(net.SerializeToString())  # messages written one after the other are one
        return path

    return write


@pytest.fixture(scope="session")
def random_blobs() -> Callable[..., Blobs]:
    """Weights of every layer of a network, scaled so that activations keep their size (He)."""

    def fill(spec: NetSpec, seed: int = 0) -> Blobs:
        rng = np.random.default_rng(seed)
        net = CaffeNet(describe(spec))
        kinds = {layer.name: layer.type for layer in spec.layers}
        blobs: Blobs = {}
        for entry in net.description[1:]:
            state = net.get_submodule(net.module_name(entry["name"])).state_dict()
            shapes = [tuple(tensor.shape) for tensor in state.values()]
            if not shapes:
                continue
            if kinds[entry["name"]] == "BatchNorm":
                (size,) = shapes[0]
                arrays = [rng.normal(size=size), rng.uniform(0.5, 2, size), np.array([2.5])]
            else:
                fan_in = float(np.prod(shapes[0][1:])) or 1.0
                arrays = [_normal(rng, shapes[0]) * np.float32(np.sqrt(2 / fan_in))]
                arrays += [rng.normal(size=shape) * 0.1 for shape in shapes[1:]]
            blobs[entry["name"]] = [array.astype(np.float32, copy=False) for array in arrays]
        return blobs

    return fill


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.standard_normal(shape, dtype=np.float32)
