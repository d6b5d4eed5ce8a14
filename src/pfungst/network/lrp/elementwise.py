"""Element by element, in blocks that stay in the processor's cache, and in place.

Memory traffic is LRP's overhead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

_BLOCK = 1 << 17


def rows(tensor: Tensor) -> Tensor | None:
    """The tensor as ``(n, everything else)`` in the order of its memory; None if it is not dense."""
    if not tensor.dim():
        return tensor.view(1, 1)  # a number, which only one photo can have
    if tensor.is_contiguous():
        return tensor.view(tensor.shape[0], -1)
    if tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last):
        return tensor.permute(0, 2, 3, 1).view(tensor.shape[0], -1)
    return None


def aligned(tensor: Tensor, like: Tensor) -> Tensor:
    """The tensor in the memory order of ``like`` (itself if it is so already)."""
    if tensor.stride() == like.stride():
        return tensor
    return torch.empty_like(like).copy_(tensor)


def dense(tensor: Tensor) -> Tensor:
    """The tensor in one of the memory orders that ``rows`` knows."""
    return tensor if rows(tensor) is not None else tensor.contiguous()


def _blocks(*tensors: Tensor) -> Iterator[tuple[int, int, list[Tensor]]]:
    """(sample, block number, pieces) of dense tensors of the same order."""
    flat = [rows(tensor) for tensor in tensors]
    first = flat[0]
    assert first is not None
    assert all(item is not None for item in flat)
    size = first.shape[1]
    step = _BLOCK if first.device.type == "cpu" else max(size, 1)
    for sample in range(first.shape[0]):
        views = [torch.split(item[sample if len(item) > 1 else 0], step) for item in flat if item is not None]
        for number, pieces in enumerate(zip(*views, strict=True)):
            yield sample, number, list(pieces)


def _sums(tensor: Tensor) -> Tensor:
    size = tensor.numel() // tensor.shape[0]
    step = _BLOCK if tensor.device.type == "cpu" else max(size, 1)
    return torch.zeros(tensor.shape[0], -(-size // step), dtype=tensor.dtype, device=tensor.device)


def _cells(sums: Tensor) -> list[tuple[Tensor, ...]]:
    """Each number of ``sums`` as a place to write to."""
    return [row.unbind() for row in sums.unbind()]


@dataclass
class Quotient:
    """``s_j = R_j / (z_j + ε sgn z_j)`` and what did not get through, one number a sample (float64).

    ``stabiliser`` is ``Σ_j ε sgn(z_j) s_j`` over z_j ≠ 0, ``zero`` is ``Σ_j R_j`` over z_j = 0.
    """

    values: Tensor
    stabiliser: Tensor
    zero: Tensor


def quotient(
    relevance: Tensor, z: Tensor, epsilon: float, *, factor: float = 1.0, out: Tensor | None = None
) -> Quotient:
    """Stabilised quotient of ``factor · R``.

    Parameters
    ----------
    relevance : (n, ...) floating
        R_j; overwritten with s_j unless there is ``out``.
    z : (n, ...) or (1, ...) floating
        Denominators.
    epsilon : float
        ε; where z_j = 0, s_j is 0.
    factor : float
        α or β.
    out : Tensor, optional
        Where s_j goes; may be ``z``.
    """
    if not relevance.dim():
        found = quotient(relevance.view(1), z.view(1), epsilon, factor=factor)
        return Quotient(found.values.view(()), found.stabiliser, found.zero)
    relevance, z = _common(relevance, z)
    out = relevance if out is None else aligned(out, relevance)
    stabiliser, zero = _sums(relevance), _sums(relevance)
    taken, missed = _cells(stabiliser) if epsilon else [], _cells(zero)
    for sample, number, (r, d, s) in _blocks(relevance, z, out):
        scaled = r if factor == 1.0 else r * factor
        divisor = d
        if float(torch.amin(d.abs())) == 0:  # a sixth of the time of (d == 0).any()
            empty = torch.eq(d, 0, out=torch.empty_like(d))  # numbers, as truth values take six times as long
            torch.dot(scaled, empty, out=missed[sample][number])
            scaled = torch.addcmul(scaled, scaled, empty, value=-1)
            divisor = d if epsilon else d + empty
        if epsilon:
            shift = torch.copysign(_scalar(epsilon, divisor), divisor)
            torch.div(scaled, divisor + shift, out=s)
            torch.dot(shift, s, out=taken[sample][number])
        else:
            torch.div(scaled, divisor, out=s)
    return Quotient(out, _total(stabiliser), _total(zero))


def _common(relevance: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    z = dense(z)
    if z.shape[0] == relevance.shape[0]:
        return aligned(relevance, z), z
    relevance = dense(relevance)
    if z.shape[1:] != relevance.shape[1:] or z[:1].stride()[1:] != relevance[:1].stride()[1:]:
        z = torch.empty_like(relevance[:1]).copy_(z)
    return relevance, z


def multiplied(values: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
    """``values · factor``, written over ``values``, and its sum a sample (float64)."""
    values = dense(values)
    factor = aligned(factor, values)
    sums = _sums(values)
    cells = _cells(sums)
    for sample, number, (c, a) in _blocks(values, factor):
        torch.dot(c, a, out=cells[sample][number])
        c.mul_(a)
    return values, _total(sums)


def total(values: Tensor) -> Tensor:
    """Sum of each sample, ``(n,)`` float64."""
    flat = rows(dense(values))
    assert flat is not None
    return flat.sum(dim=1).double()


def negative_part(z: Tensor, z_plus: Tensor, offset: float = 0.0) -> tuple[Tensor, bool]:
    """``z⁻ = z − z⁺``, new memory, not above 0; and whether any of it is less than 1/100 of ``z⁺ + offset``.

    The difference has the rounding errors of z⁺, and of what else z was made from (``offset``).
    """
    z = dense(z)
    z_plus = aligned(z_plus, z)
    result = torch.empty_like(z)
    lost = False
    for _, _, (whole, plus, out) in _blocks(z, z_plus, result):
        torch.sub(whole, plus, out=out)
        lost = lost or float(torch.add(out, plus, alpha=LOST).amax()) > -LOST * offset
        out.clamp_(max=0.0)
    return result, lost


LOST = 0.01


def strengthened(z: Tensor, z_plus: Tensor, gamma: float) -> Tensor:
    """``z + γ z⁺`` where z ≥ 0, ``z + γ (z − z⁺)`` elsewhere, written over ``z_plus``.

    Both are ``z + γ (z/2 + sgn(z) (z⁺ − z/2))``, which needs no masks: z⁺ ≥ z/2.
    """
    z, z_plus = dense(z), aligned(z_plus, dense(z))
    for _, _, (whole, part) in _blocks(z, z_plus):
        torch.copysign(part.sub_(whole, alpha=0.5), whole, out=part)
        part.mul_(gamma).add_(whole, alpha=1 + gamma / 2)
    return z_plus


def below_zero(s: Tensor, z: Tensor) -> Tensor | None:
    """The part of ``s`` where z < 0, or None if it is all zero there."""
    z = aligned(z, s)
    for _, _, (values, signs) in _blocks(s, z):
        if float(torch.dot(values.abs(), signs.clamp(max=0))) != 0:
            return s * (z < 0)
    return None


def _total(sums: Tensor) -> Tensor:
    return sums.double().sum(dim=1)


def _scalar(value: float, like: Tensor) -> Tensor:
    return torch.tensor(value, dtype=like.dtype, device=like.device)
