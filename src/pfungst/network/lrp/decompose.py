"""Functions that are several operations at once, written out: each is recorded as what it is made of.

Every entry has the signature of the function that it stands for and calls torch functions only, so that the
recorder sees them one by one. What it computes is what the function computes (the tests compare them).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pfungst.network.lrp.errors import LrpError


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """``softmax(Q Kᵀ / √d + mask) V``."""
    _refuse_dropout(dropout_p, "scaled_dot_product_attention")
    if enable_gqa:
        key, value = (x.repeat_interleave(query.shape[-3] // x.shape[-3], -3) for x in (key, value))
    scores = (query * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)) @ key.transpose(-2, -1)
    if is_causal:
        scores = scores.masked_fill(_future(scores), -math.inf)
    if attn_mask is not None:
        scores = _masked(scores, attn_mask)
    return scores.softmax(-1) @ value


def _future(scores: Tensor) -> Tensor:
    shape = scores.shape[-2:]
    return torch.ones(shape, dtype=torch.bool, device=scores.device).triu(1)


def _masked(scores: Tensor, mask: Tensor) -> Tensor:
    """Scores with a mask: ``True`` takes part; numbers are added, and −∞ takes no part."""
    if mask.dtype == torch.bool:
        return scores.masked_fill(~mask, -math.inf)
    closed = mask == -math.inf
    if not bool(closed.any()):
        return scores + mask
    return (scores + mask.masked_fill(closed, 0.0)).masked_fill(closed, -math.inf)


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """``nn.MultiheadAttention``: tokens come first, then the batch; here the batch goes first at once."""
    del embed_dim_to_check, is_causal
    _refuse_dropout(dropout_p if training else 0.0, "multi_head_attention_forward")
    if static_k is not None or static_v is not None:
        raise LrpError("multi_head_attention_forward with static_k or static_v", allowed="without them")
    alone = query.dim() == 2
    weights = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else in_proj_weight
    q, k, v = _projected((query, key, value), weights, in_proj_bias)
    n, length = q.shape[:2]
    if bias_k is not None and bias_v is not None:
        k, v = (torch.cat([x, b.expand(n, 1, -1)], 1) for x, b in ((k, bias_k), (v, bias_v)))
    if add_zero_attn:
        k, v = (torch.cat([x, torch.zeros_like(x[:, :1])], 1) for x in (k, v))
    mask = _joint_mask(attn_mask, key_padding_mask, (n, num_heads, length, k.shape[1]), q)
    q, k, v = (x.reshape(n, x.shape[1], num_heads, -1).transpose(1, 2) for x in (q, k, v))
    scores = (q * (1 / math.sqrt(q.shape[-1]))) @ k.transpose(-2, -1)
    attention = (scores if mask is None else _masked(scores, mask)).softmax(-1)
    mixed = (attention @ v).transpose(1, 2).reshape(n, length, -1)
    result = nn.functional.linear(mixed, out_proj_weight, out_proj_bias).transpose(0, 1)
    shown = None
    if need_weights:
        shown = attention.mean(1) if average_attn_weights else attention
    if alone:
        return result.squeeze(1), shown.squeeze(0) if shown is not None else None
    return result, shown


def _projected(
    signals: Sequence[Tensor], weights: Sequence[Tensor | None] | Tensor | None, bias: Tensor | None
) -> list[Tensor]:
    """Q, K and V, batch first; one product where all three are of the same tokens."""
    first, same = signals[0], all(item is signals[0] for item in signals)
    if same and isinstance(weights, Tensor):
        tokens = _batch_first(first)
        return list(nn.functional.linear(tokens, weights, bias).chunk(3, dim=-1))
    parts = weights.chunk(3) if isinstance(weights, Tensor) else weights
    biases = bias.chunk(3) if bias is not None else (None, None, None)
    assert parts is not None
    return [
        nn.functional.linear(_batch_first(x), weight, b)  # type: ignore[arg-type]
        for x, weight, b in zip(signals, parts, biases, strict=True)
    ]


def _batch_first(tokens: Tensor) -> Tensor:
    return tokens.transpose(0, 1) if tokens.dim() == 3 else tokens.unsqueeze(0)


def _joint_mask(
    mask: Tensor | None, padding: Tensor | None, shape: tuple[int, int, int, int], like: Tensor
) -> Tensor | None:
    """Both masks of ``nn.MultiheadAttention`` as numbers to add; there, ``True`` takes no part."""
    n, heads, _length, keys = shape
    found = []
    if mask is not None:
        full = mask if mask.dim() == 2 else mask.reshape(n, heads, *mask.shape[-2:])
        found.append(nn.functional.pad(_numbers(full, like), (0, keys - full.shape[-1])))
    if padding is not None:
        full = padding.reshape(n, 1, 1, -1)
        found.append(nn.functional.pad(_numbers(full, like), (0, keys - full.shape[-1])))
    return sum(found[1:], found[0]) if found else None


def _numbers(mask: Tensor, like: Tensor) -> Tensor:
    if mask.dtype != torch.bool:
        return mask.to(like.dtype)
    return torch.zeros(mask.shape, dtype=like.dtype, device=like.device).masked_fill(mask, -math.inf)


def _refuse_dropout(probability: float, name: str) -> None:
    if probability > 0:
        raise LrpError(
            f"{name} with dropout {probability:g} works in training mode",
            hint="module.eval(), and dropout_p=0.0 in functional calls",
        )


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """``a · sigmoid(b)`` of the two halves."""
    a, b = input.chunk(2, dim=dim)
    return a * b.sigmoid()


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``β input + α mat1 mat2``, batched or not."""
    return _scaled(input, beta) + _scaled(torch.matmul(mat1, mat2), alpha)


def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """``input + value · tensor1 · tensor2``."""
    return input + _scaled(tensor1 * tensor2, value)


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """``input + value · tensor1 / tensor2``."""
    return input + _scaled(tensor1 / tensor2, value)


def lerp(input: Tensor, end: Tensor, weight: Tensor | float) -> Tensor:
    """``input + weight · (end − input)``."""
    return input + (end - input) * weight


def _scaled(x: Tensor, factor: float) -> Tensor:
    return x if factor == 1 else x * factor


def normalize(
    input: Tensor,
    p: float = 2.0,
    dim: int | tuple[int, ...] = 1,
    eps: float = 1e-12,
    out: Tensor | None = None,
) -> Tensor:
    """``x / max(‖x‖, ε)``."""
    del out
    size: Tensor = torch.linalg.vector_norm(input, p, dim, keepdim=True)
    return input / size.clamp_min(eps)


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """``input`` in the shape of ``other``, of which nothing else is used."""
    return input.expand(other.shape)


def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """``input`` in the shape of ``other``, of which nothing else is used."""
    return input.reshape(other.shape)


def type_as(input: Tensor, other: Tensor) -> Tensor:
    """``input`` in the type of ``other``, of which nothing else is used."""
    return input.to(other.dtype)


def var_mean(input: Tensor, *args: Any, **options: Any) -> tuple[Tensor, Tensor]:
    """Variance and mean, of the same dimensions."""
    return torch.var(input, *args, **options), _mean_beside(input, args, options)


def std_mean(input: Tensor, *args: Any, **options: Any) -> tuple[Tensor, Tensor]:
    """Standard deviation and mean, of the same dimensions."""
    return torch.std(input, *args, **options), _mean_beside(input, args, options)


def _mean_beside(input: Tensor, args: tuple[Any, ...], options: Mapping[str, Any]) -> Tensor:
    """The mean over the dimensions that ``torch.var`` was given in one of its signatures."""
    dims = options.get("dim", args[0] if args and not isinstance(args[0], bool) else None)
    kept = bool(options.get("keepdim", args[2] if len(args) > 2 else False))
    if dims is None:
        dims = tuple(range(input.dim()))
    return input.mean(dims, kept)


def batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
    cudnn_enabled: bool = False,
) -> Tensor:
    """``torch.batch_norm``, which has its arguments in another order than the functional one."""
    del cudnn_enabled
    return nn.functional.batch_norm(
        input, running_mean, running_var, weight, bias, training=training, momentum=momentum, eps=eps
    )


def instance_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
    cudnn_enabled: bool = False,
) -> Tensor:
    """``torch.instance_norm``, which has its arguments in another order than the functional one."""
    del cudnn_enabled
    return nn.functional.instance_norm(
        input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps
    )


def batch_norm_inference(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor,
    running_var: Tensor,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """``aten._native_batch_norm_legit_no_training``; the saved statistics are empty."""
    result = batch_norm(input, weight, bias, running_mean, running_var, False, momentum, eps)
    return result, input.new_empty(0), input.new_empty(0)


def layer_norm_with_statistics(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """``aten.native_layer_norm``, whose statistics nobody reads in evaluation."""
    result = nn.functional.layer_norm(input, list(normalized_shape), weight, bias, eps)
    return result, input.new_empty(0), input.new_empty(0)


def group_norm_with_statistics(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    n: int,
    c: int,
    hxw: int,
    group: int,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """``aten.native_group_norm``, whose statistics nobody reads in evaluation."""
    del n, c, hxw
    result = nn.functional.group_norm(input, group, weight, bias, eps)
    return result, input.new_empty(0), input.new_empty(0)


def convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    *_settings: Any,
) -> Tensor:
    """``aten.convolution`` as the function of its number of dimensions."""
    n = weight.dim() - 2
    if transposed:
        return getattr(nn.functional, f"conv_transpose{n}d")(  # type: ignore[no-any-return]
            input, weight, bias, stride, padding, output_padding, groups, dilation
        )
    return getattr(nn.functional, f"conv{n}d")(  # type: ignore[no-any-return]
        input, weight, bias, stride, padding, dilation, groups
    )


DECOMPOSED: Mapping[str, Callable[..., Any]] = {
    "scaled_dot_product_attention": scaled_dot_product_attention,
    "multi_head_attention_forward": multi_head_attention_forward,
    "glu": glu,
    "addmm": addmm,
    "baddbmm": addmm,
    "addcmul": addcmul,
    "addcdiv": addcdiv,
    "lerp": lerp,
    "normalize": normalize,
    "expand_as": expand_as,
    "reshape_as": reshape_as,
    "view_as": reshape_as,
    "type_as": type_as,
    "var_mean": var_mean,
    "std_mean": std_mean,
    "convolution": convolution,
    "native_layer_norm": layer_norm_with_statistics,
    "native_group_norm": group_norm_with_statistics,
    "_native_batch_norm_legit_no_training": batch_norm_inference,
}
_REORDERED = {"batch_norm": batch_norm, "instance_norm": instance_norm}
"""Names that ``torch.nn.functional`` and ``torch`` give to functions of different signatures."""


def decomposition(func: object, name: str, args: Sequence[Any] = ()) -> Callable[..., Any] | None:
    """What a function is made of, if it is more than one operation."""
    if name == "to" and len(args) > 1 and isinstance(args[1], Tensor):
        return type_as
    if name in _REORDERED and getattr(func, "__module__", "") != "torch.nn.functional":
        return _REORDERED[name]
    return DECOMPOSED.get(name)
