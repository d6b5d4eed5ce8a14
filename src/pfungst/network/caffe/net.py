"""A feed-forward network made from a plain description: a list of layers, executed in order.

The description is JSON: the first entry is the input, ``{"type": "input", "name": ..., "outputs": [blob],
"shape": [channels, height, width]}``; every other one ``{"type": ..., "name": ..., "inputs": [blobs],
"outputs": [blobs], "settings": {...}}``. A blob may be overwritten in place. The network's output is the last
entry's first output.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pfungst.errors import ModelError
from pfungst.files import shown
from pfungst.network.caffe.layers import FACTORIES

Entry = Mapping[str, Any]
MAX_LAYERS = 20_000
MAX_BLOB_ELEMENTS = 2**27
MAX_PARAMETERS = 2**29
MAX_ACTIVATIONS = 2**30
MAX_WINDOW = 16_384
_MAX_NAMES_ALIKE = 100


class CaffeNet(nn.Module):
    """A network that executes a description; each layer is a submodule ``layers.<name>``.

    Attributes
    ----------
    description : list of dict
        What :meth:`from_description` rebuilds the same architecture from.
    input_shape : tuple of int
        ``(channels, height, width)``.
    output_shape : tuple of int
        Without the batch.
    """

    def __init__(self, description: Sequence[Entry], *, path: str = "network description") -> None:
        """Build on the meta device: shapes are checked, nothing is allocated. Use the class methods."""
        super().__init__()
        try:
            self.description: list[dict[str, Any]] = [dict(entry) for entry in description]
            self.input_shape = tuple(int(size) for size in self.description[0]["shape"])
            self._start = str(self.description[0]["outputs"][0])
        except (TypeError, KeyError, IndexError, ValueError) as error:
            raise ModelError(path, f"has no input layer as its first ({error!r})") from error
        self.layers = nn.ModuleDict()
        self._keys: dict[str, str] = {}
        tracer = Tracer(self._start, self.input_shape, path=path)
        if not 1 < len(self.description) <= MAX_LAYERS + 1:
            raise ModelError(
                path, f"describes {len(self.description) - 1} layers", allowed=f"1 to {MAX_LAYERS}"
            )
        for entry in self.description[1:]:
            module = tracer.add(entry)
            name = entry["name"]
            if name in self._keys:
                raise ModelError(path, f"has two layers of the name {name!r}")
            self._keys[name] = self._free_key(name, path)
            self.layers[self._keys[name]] = module
        self.output_shape = tuple(tracer.last.shape[1:])
        self._last_uses = _last_uses(self.description)

    @classmethod
    def from_description(cls, description: Sequence[Entry]) -> CaffeNet:
        """The architecture with all parameters zero, ready for ``load_state_dict``.

        Parameters
        ----------
        description : list of dict
            As :func:`~pfungst.network.caffe.describe` or a model folder gives it.

        Raises
        ------
        ModelError
            If a layer's type or settings are unknown or do not fit its inputs, or sizes are absurd.
        """
        net = cls(description).to_empty(device="cpu")
        with torch.no_grad():
            for tensor in net.state_dict().values():
                tensor.zero_()
        return net.eval()

    def _free_key(self, name: str, path: str) -> str:
        """A name that ``ModuleDict`` takes: no dot, not one of its own members, not yet used."""
        key = name.replace(".", "_") or "_"
        for _ in range(_MAX_NAMES_ALIKE):
            if not hasattr(self.layers, key) and key not in self.layers:
                return key
            key += "_"
        raise ModelError(path, f"has more than {_MAX_NAMES_ALIKE} layers with names like {shown(name)}")

    def module_name(self, layer: str) -> str:
        """Where the module of a Caffe layer stands, as ``get_submodule`` and state dicts name it."""
        return f"layers.{self._keys[layer]}"

    def steps(self, x: Tensor) -> Iterator[tuple[Entry, tuple[Tensor, ...]]]:
        """Execute layer by layer; yields each layer's entry and its outputs. Blobs are freed after use."""
        blobs = {self._start: x}
        for index, (entry, key) in enumerate(zip(self.description[1:], self._keys.values(), strict=True)):
            result = self.layers[key](*(blobs[name] for name in entry["inputs"]))
            outputs = result if isinstance(result, tuple) else (result,)
            blobs.update(zip(entry["outputs"], outputs, strict=True))
            for name in self._last_uses[index]:
                blobs.pop(name, None)
            yield entry, outputs

    def forward(self, x: Tensor) -> Tensor:
        """``(n, channels, height, width)`` to ``(n, *output_shape)``."""
        output = x
        for _, outputs in self.steps(x):
            output = outputs[0]
        return output


class Tracer:
    """Follows shapes through layers on the meta device, one after the other."""

    def __init__(self, start: str, shape: Sequence[int], *, path: str) -> None:
        self.path = path
        if not shape or min(shape) < 1 or math.prod(shape) > MAX_BLOB_ELEMENTS:
            raise ModelError(path, f"has the input shape {tuple(shape)}", allowed="positive sizes of a photo")
        self.last = torch.empty((1, *shape), device="meta")
        self.blobs: dict[str, Tensor] = {start: self.last}
        self._parameters = self._activations = 0

    def shapes(self, names: Sequence[str], label: str) -> list[tuple[int, ...]]:
        """Shapes of the named blobs, with a batch of 1."""
        for name in names:
            if name not in self.blobs:
                raise ModelError(self.path, f"{label} reads blob {name!r}, which no layer before it makes")
        return [tuple(self.blobs[name].shape) for name in names]

    def add(self, entry: Entry) -> nn.Module:
        """Build one layer on the meta device, run it and check what comes out.

        Raises
        ------
        ModelError
            Naming layer and type.
        """
        kind, inputs, names = self._parts(entry)
        label = f"layer {entry['name']!r} ({kind})"
        if kind not in FACTORIES:
            raise ModelError(self.path, f"{label} is of unknown type", allowed=", ".join(FACTORIES))
        self.shapes(inputs, label)
        try:
            with torch.device("meta"), torch.no_grad():
                settings = entry.get("settings", {})
                check_extent(kind, settings, self.blobs[inputs[0]].shape if inputs else ())
                module = FACTORIES[kind](**settings).eval()
                result = module(*(self.blobs[name] for name in inputs))
            outputs = result if isinstance(result, tuple) else (result,)
            self.blobs.update(zip(names, outputs, strict=True))
        except Exception as error:  # settings of the wrong type make modules raise almost anything
            reason = str(error).strip().split("\n", 1)[0][:200]
            raise ModelError(self.path, f"{label} does not fit its inputs or settings ({reason})") from error
        self._check_size(label, module, outputs)
        self.last = outputs[0]
        return module

    def _parts(self, entry: Entry) -> tuple[str, list[str], list[str]]:
        """Type, inputs and outputs of an entry, which has a name as well."""
        try:
            lists = list(entry["inputs"]), list(entry["outputs"])
            texts = [entry["name"], entry["type"], *lists[0], *lists[1]]
        except (TypeError, KeyError, ValueError) as error:
            raise ModelError(self.path, f"has an incomplete layer {shown(entry)}") from error
        if not lists[1] or not all(isinstance(text, str) for text in texts):
            raise ModelError(self.path, f"has an incomplete layer {shown(entry)}")
        return entry["type"], *lists

    def _check_size(self, label: str, module: nn.Module, outputs: Sequence[Tensor]) -> None:
        self._parameters += sum(parameter.numel() for parameter in module.state_dict().values())
        largest = max(output.numel() for output in outputs)
        self._activations += sum(output.numel() for output in outputs)
        sizes = self._parameters <= MAX_PARAMETERS and self._activations <= MAX_ACTIVATIONS
        if not sizes or not 0 < largest <= MAX_BLOB_ELEMENTS:
            raise ModelError(
                self.path,
                f"{label} makes the network absurdly large: a blob of {largest} numbers, "
                f"{self._activations} in all blobs and {self._parameters} parameters so far",
                allowed=f"blobs of at most {MAX_BLOB_ELEMENTS} numbers for one photo, "
                f"{MAX_ACTIVATIONS} in all, {MAX_PARAMETERS} parameters",
            )


def check_extent(kind: str, settings: Mapping[str, Any], shape: Sequence[int]) -> None:
    """Refuse settings whose cost does not show in the size of a layer's output: padding that strides skip.

    Raises
    ------
    ValueError
        With the setting.
    """
    single = [settings.get("size", 1)], [settings.get("copies", 1)]
    pairs = [settings.get(name, (1, 1)) for name in ("kernel", "stride", "pad", "dilation")]
    for values, count in (*((item, 1) for item in single), *((item, 2) for item in pairs)):
        if not isinstance(values, (list, tuple)) or len(values) != count or not all(map(_is_extent, values)):
            raise ValueError(f"{shown(values)}, allowed are {count} integers up to {MAX_WINDOW}")
    if kind in ("lrn", "lrn_within_channel") and len(shape) == 4:
        padded = math.prod(shape) // shape[1] * (shape[1] + settings.get("size", 1))
    else:
        sides = zip(shape[2:4], settings.get("pad", (0, 0)), strict=False)
        padded = math.prod(shape[:2]) * math.prod(size + 2 * pad for size, pad in sides)
    if padded > MAX_BLOB_ELEMENTS:
        raise ValueError(f"padding to {padded} numbers, allowed are {MAX_BLOB_ELEMENTS}")


def _is_extent(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_WINDOW


def _last_uses(description: Sequence[Entry]) -> list[list[str]]:
    """For each layer after the input, the blobs that nothing later reads or writes."""
    last: dict[str, int] = {}
    for index, entry in enumerate(description[1:]):
        for name in (*entry["inputs"], *entry["outputs"]):
            last[name] = index
    ending: list[list[str]] = [[] for _ in description[1:]]
    for name, at in last.items():
        ending[at].append(name)
    return ending


def blobs(net: CaffeNet, x: Tensor) -> dict[str, Tensor]:
    """Every intermediate blob as it stands at the end: in-place layers have overwritten their input's.

    Parameters
    ----------
    net : CaffeNet
    x : (n, channels, height, width) float32

    Returns
    -------
    dict of str to tensor
        By blob name, the input first.
    """
    found = {str(net.description[0]["outputs"][0]): x}
    with torch.no_grad():
        for entry, outputs in net.steps(x):
            found.update(zip(entry["outputs"], outputs, strict=True))
    return found


def activations(net: CaffeNet, x: Tensor) -> dict[str, Tensor]:
    """Every layer's first output, by layer name; in-place layers have entries of their own."""
    with torch.no_grad():
        return {str(entry["name"]): outputs[0] for entry, outputs in net.steps(x)}
