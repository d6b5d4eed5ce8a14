"""From an ONNX file or an exported program of PyTorch to a classifier that can be saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from pfungst.contract.deciding import Decision
from pfungst.errors import ConfigError
from pfungst.network.classifier import NetworkClassifier
from pfungst.network.opening import check_runs, named_outputs, output_width
from pfungst.network.presets import preprocess_for
from pfungst.network.sources.graph.exported_file import read_exported
from pfungst.network.sources.graph.onnx_file import read_onnx
from pfungst.network.sources.graph.source import FILES, ends_in


def convert_graph(
    path: str | Path,
    expected: str | Path,
    *,
    classes: Sequence[str] | str | Path | None = None,
    decision: Decision | None = None,
    side: int | None = None,
    **changes: Any,
) -> NetworkClassifier:
    """Convert an ``.onnx`` or ``.pt2`` file into a classifier that can be saved, scored and explained.

    Nothing in the file is executed. The scores are the raw ones before a softmax or sigmoid at its end, which
    is left out, and a warning says so.

    Parameters
    ----------
    path : path
        The file.
    expected : str or path
        What the network expects of a photo, which such a file does not say: a name of
        :data:`pfungst.network.presets.PRESETS`, or its ``preprocessor_config.json``.
    classes : sequence of str or path, optional
        Names of the outputs, or a file with one a line; default ``output 0``, ``output 1`` ...
    decision : {"thresholds", "highest"}, optional
        What is predicted; default ``thresholds`` where the network ends in a sigmoid, else ``highest``.
    side : int, optional
        Height and width of the input, where the file leaves them open.
    changes
        Fields of :class:`Preprocess` that differ from ``expected``.

    Raises
    ------
    ModelError
        If the file is damaged, would have to be executed, or has an operator that is not known.
    ConfigError
        If an option does not fit.

    Examples
    --------
    >>> model = convert_graph("net.onnx", "imagenet", classes="words.txt")  # doctest: +SKIP
    >>> model.save("model")  # doctest: +SKIP
    """
    file = Path(path)
    module, architecture, shape = _read(file, side)
    preprocess = preprocess_for(expected, shape, **changes)
    outputs = output_width(module, preprocess.n_channels, preprocess.input_size, str(file))
    ending = ends_in(architecture)
    network = NetworkClassifier(
        module,
        named_outputs(classes, None, outputs, str(file)),
        preprocess,
        architecture=architecture,
        decision=decision or ("thresholds" if ending in {"sigmoid", "hardsigmoid"} else "highest"),
        info={"file": file.name, "format": architecture["origin"], "ends_in": ending},
    )
    check_runs(network, str(file))
    return network


def _read(file: Path, side: int | None) -> tuple[nn.Module, dict[str, Any], tuple[int, ...]]:
    suffix = file.suffix.lower()
    if suffix == ".onnx":
        return read_onnx(file, side=side)
    if suffix in {".pt2", ".pt"}:
        return read_exported(file)
    raise ConfigError(
        f"{file} is no network that can be converted",
        allowed=f"a file in {' or '.join(FILES)}, or a Caffe prototxt and its .caffemodel",
    )
