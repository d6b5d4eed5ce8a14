"""What relevance cannot begin with, said before anything is computed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pfungst.network.lrp.errors import LrpError


def check_given(module: nn.Module, inputs: Tensor) -> None:
    """Refuse what is no network that can be followed, and what is no batch for it.

    Raises
    ------
    LrpError
        If the module is none, is compiled by ``torch.jit`` or in training mode, or the input is not a finite
        floating batch of its type and device.
    """
    _check_module(module)
    _check_inputs(inputs)
    weight = next((item for item in module.parameters() if item.is_floating_point()), None)
    if weight is not None and (weight.dtype != inputs.dtype or weight.device != inputs.device):
        raise LrpError(
            f"inputs of {inputs.dtype} on {inputs.device} for a network of {weight.dtype} on {weight.device}",
            hint="inputs.to(weight.device, weight.dtype)",
        )


def _check_module(module: Any) -> None:
    if isinstance(module, torch.export.ExportedProgram):
        raise LrpError("a program of torch.export", allowed="a torch.nn.Module", hint="program.module()")
    if not isinstance(module, nn.Module):
        raise LrpError(f"a network of type {type(module).__name__}", allowed="a torch.nn.Module")
    if isinstance(module, torch.jit.ScriptModule):
        raise LrpError(
            "a module of torch.jit, whose operations cannot be followed",
            allowed="a torch.nn.Module that runs in Python",
            hint="the module that it was compiled from, or torch.export.export of it",
        )
    if _is_exported(module):
        return  # whether it trains is written into its calls, which are checked as they are recorded
    training = next(
        (name or type(module).__name__ for name, part in module.named_modules() if part.training), None
    )
    if training is not None:
        raise LrpError(
            f"module {training!r} is in training mode", allowed="evaluation mode", hint="module.eval()"
        )


def _is_exported(module: nn.Module) -> bool:
    """Whether a module is a graph of ``torch.export``, which can be put into no mode."""
    return isinstance(module, torch.fx.GraphModule) and "eval" in vars(module)


def _check_inputs(inputs: Tensor) -> None:
    if not isinstance(inputs, Tensor) or inputs.dim() < 2 or inputs.shape[0] < 1 or not inputs.numel():
        found = tuple(inputs.shape) if isinstance(inputs, Tensor) else type(inputs).__name__
        raise LrpError(f"inputs {found}", allowed="a batch (n, ...) of at least one image")
    if inputs.dtype not in {torch.float32, torch.float64}:
        raise LrpError(f"inputs of {inputs.dtype}", allowed="torch.float32, torch.float64")
    if not bool(torch.isfinite(inputs).all()):
        raise LrpError("inputs hold NaN or infinity")
