"""What is known of PyTorch's functions: to which kind of operation each belongs, by its name.

Kinds decide how relevance goes through a call; a function that is in no kind is ``unknown``, and relevance
that reaches it is an error.
"""

from __future__ import annotations

from torch._ops import OpOverload
from torch.overrides import resolve_name

_NAMES: dict[str, str] = {
    "convolution": "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d",
    "linear": "linear matmul mm",
    "batch_norm": "batch_norm",
    "activation": "relu relu6 hardtanh leaky_relu prelu elu selu celu rrelu gelu silu hardswish mish "
    "softsign tanh clamp clamp_min clamp_max clip threshold _threshold tanhshrink hardshrink softshrink "
    "pow square sqrt abs sin tan sinh atan arctan asin arcsin asinh arcsinh expm1 log1p erf special_erf",
    "squash": "sigmoid hardsigmoid special_expit softplus logsigmoid log_sigmoid cos cosh erfc special_erfc",
    "softmax": "softmax _softmax special_softmax",
    "log_softmax": "log_softmax _log_softmax special_log_softmax",
    "norm": "layer_norm group_norm instance_norm rms_norm",
    "identity": "dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout feature_dropout "
    "contiguous clone to type float double detach data positive alias _to_copy lift_fresh_copy",
    "reshape": "reshape view _unsafe_view flatten unflatten squeeze unsqueeze ravel",
    "rearrange": "permute transpose swapaxes swapdims movedim moveaxis t T mT __getitem__ narrow select "
    "chunk split tensor_split unbind split_with_sizes index_select flip roll expand repeat "
    "repeat_interleave tile broadcast_to pixel_shuffle pixel_unshuffle channel_shuffle "
    "unfold pad constant_pad_nd hsplit vsplit dsplit slice diagonal rot90 take_along_dim gather "
    "sort msort topk",
    "choice": "where masked_fill assigned copy index_put scatter index_copy slice_scatter select_scatter "
    "masked_scatter index_fill",
    "contraction": "bmm einsum tensordot mv dot inner outer bilinear fold grid_sample",
    "concat": "cat concat concatenate stack hstack vstack dstack",
    "sum_of": "add sub subtract __radd__ __rsub__ rsub",
    "product": "mul multiply div true_divide divide __rmul__ __truediv__ __rtruediv__ neg negative",
    "max_pool": "max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices "
    "max_pool3d_with_indices adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d "
    "adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices adaptive_max_pool3d_with_indices "
    "amax amin max min maximum minimum",
    "avg_pool": "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d "
    "adaptive_avg_pool3d _adaptive_avg_pool2d mean sum interpolate upsample upsample_bilinear2d "
    "upsample_nearest2d upsample_bicubic2d",
    "lrn": "local_response_norm",
}
KIND_OF: dict[str, str] = {name: kind for kind, names in _NAMES.items() for name in names.split()}

REPLAYED = frozenset({"activation", "squash", "identity", "reshape", "rearrange"})
"""Kinds whose output is not kept but computed again when it is needed: cheap, and memory is what limits
batches.
"""

SHAPE_ONLY = frozenset(
    [
        "zeros_like",
        "ones_like",
        "full_like",
        "empty_like",
        "rand_like",
        "randn_like",
        "new_zeros",
        "new_ones",
        "new_full",
        "new_empty",
        "new_tensor",
    ]
)
"""Functions that look at a tensor's shape and type but not at its numbers: what they make is a constant."""

_SIGN_KEEPING = frozenset({"identity", "reshape", "rearrange", "concat", "max_pool", "avg_pool", "sum_of"})
_RECTIFIERS = frozenset({"relu", "relu6", "sigmoid", "hardsigmoid", "softmax", "softplus"})


def function_name(func: object) -> str:
    """The plain name of a torch function; for a property such as ``x.T`` the property's."""
    name = str(getattr(func, "__name__", func))
    if isinstance(func, OpOverload):
        name = name.split(".", maxsplit=1)[0]  # relu.default
    if name in {"__get__", "__set__"}:
        return full_name(func).split(".")[-2] + ("=" if name == "__set__" else "")
    return name


def full_name(func: object) -> str:
    """The name as a user would write it, such as ``torch.nn.functional.relu``."""
    return resolve_name(func) or str(getattr(func, "__name__", func))


def base_name(name: str) -> str:
    """The operation's name without the mark of working in place, such as ``add`` for ``__iadd__``."""
    if name.startswith("__i") and name.endswith("__") and name != "__index__":
        return {"truediv": "div"}.get(name[3:-2], name[3:-2])
    if name.endswith("_") and not name.endswith("__"):
        return name[:-1]
    return {"__add__": "add", "__sub__": "sub", "__mul__": "mul", "__matmul__": "matmul"}.get(name, name)


def nonnegative_output(name: str, kind: str, inputs_nonnegative: bool) -> bool:
    """Whether the output is known to have no negative values, without looking at them.

    ``inputs_nonnegative`` speaks of everything the call was given, constants among them.
    """
    if name in _RECTIFIERS:
        return True
    if kind not in _SIGN_KEEPING or name in {"sub", "subtract", "__rsub__", "rsub", "interpolate", "pad"}:
        return False
    return inputs_nonnegative
