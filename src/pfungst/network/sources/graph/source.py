"""The source of networks that were written down step by step: built again from their description."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from pfungst.errors import ConfigError
from pfungst.network.sources.graph.network import Graph, read_steps
from pfungst.network.sources.registry import Opened, Request, register

FILES = (".onnx", ".pt2")
_PROGRAMS = (".pt", ".pth", ".torchscript", ".ts")
_ACTIVATIONS = frozenset(
    (
        "softmax",
        "log_softmax",
        "sigmoid",
        "hardsigmoid",
        "tanh",
        "relu",
        "relu6",
        "leaky_relu",
        "elu",
        "clamp",
    )
)


class GraphSource:
    """Files of ONNX and of ``torch.export``.

    They do not say what they expect of a photo, so they are converted once, and the model folder is used.
    """

    name = "graph"
    form = "an .onnx or .pt2 file, once `pfungst convert` has made a model folder of it"

    def recognise(self, spec: str) -> bool:
        """Whether the name ends in ``.onnx`` or ``.pt2``, or is a weight file without an architecture."""
        return Path(spec).suffix.lower() in FILES + _PROGRAMS

    def files(self, spec: str) -> list[Path]:
        """The file itself."""
        return [Path(spec)]

    def load(self, request: Request) -> Opened:
        """Refuse a file that does not say what it expects of a photo."""
        spec = request.spec
        if Path(spec).suffix.lower() in _PROGRAMS:
            raise ConfigError(
                f"{spec} holds weights or a TorchScript program; neither says which network it is",
                allowed="a model folder, torchvision:NAME or timm:NAME with --weights, a Hugging Face folder",
                hint=f"timm:NAME --weights {spec}, or torch.export.save for a network of one's own",
            )
        raise ConfigError(
            f"{spec} does not say what it expects of a photo",
            hint=f"pfungst convert {spec} --input imagenet --out model, and then the folder `model`",
        )

    def build(self, architecture: Mapping[str, Any]) -> nn.Module:
        """The network of a description."""
        return Graph(architecture)

    def with_outputs(self, architecture: Mapping[str, Any], outputs: int, head: str) -> dict[str, Any]:
        """Another width of the step ``head``, and no activation after it."""
        plans = read_steps(architecture)
        steps = [dict(entry) for entry in architecture["steps"]]
        position = next((i for i, plan in enumerate(plans) if plan.name == head), None)
        if position is None or plans[position].op not in {"linear", "conv"}:
            raise ConfigError(
                f"layer {head!r} cannot be given {outputs} outputs", allowed="a linear layer or a convolution"
            )
        weights = {
            key: [[outputs, *shape[1:]], dtype] for key, (shape, dtype) in plans[position].weights.items()
        }
        bias = [[outputs], "float32"]
        slots = [plans[position].inputs[0], {"weight": "weight"}, {"weight": "bias"}]
        steps[position] |= {"weights": {**weights, "bias": bias}, "inputs": slots}
        return {**architecture, **_without_activations(steps, position, str(architecture["output"]))}


def _without_activations(steps: list[dict[str, Any]], head: int, output: str) -> dict[str, Any]:
    """The same steps without what would squash scores after the head."""
    renamed: dict[str, str] = {}
    kept = steps[: head + 1]
    for step in steps[head + 1 :]:
        inputs = [renamed.get(item, item) if isinstance(item, str) else item for item in step["inputs"]]
        if step["op"] in _ACTIVATIONS:
            renamed[step["outputs"][0]] = inputs[0]
        else:
            kept.append({**step, "inputs": inputs})
    return {"steps": kept, "output": renamed.get(output, output)}


def ends_in(architecture: Mapping[str, Any]) -> str:
    """The operation that makes the output, reshapes left out; ``softmax``, ``sigmoid`` or another."""
    makers = {name: step for step in architecture["steps"] for name in step["outputs"]}
    step = makers.get(architecture["output"])
    while step is not None and step["op"] in {"reshape", "flatten", "squeeze", "permute"}:
        step = makers.get(step["inputs"][0])
    return str(step["op"]) if step is not None else ""


register(GraphSource())
