"""Weight files: named tensors from safetensors or from a state dict of PyTorch, nothing executed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, load, nn

from pfungst.errors import ModelError

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
_AVERAGED = ("state_dict_ema", "model_ema", "ema")
_PREFIXES = ("module.", "_orig_mod.")
_MAX_BYTES = 16 * 2**30


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Read weights from ``.safetensors``, or a state dict from ``.pth`` / ``.pt`` without executing anything.

    A checkpoint of a training that holds the state dict beside other plain values (``{"state_dict": ...,
    "epoch": 90}``) is unpacked, and the prefixes of ``DataParallel`` and ``torch.compile`` are taken off.
    A name such as ``net-57934424.pth`` states the beginning of the file's SHA-256, which is then checked.

    Raises
    ------
    ModelError
        If the file is missing, damaged, holds anything but tensors, two sets of weights, or does not match
        its hash.
    """
    file = Path(path)
    if not file.is_file():
        raise ModelError(file, "no such weight file")
    if file.stat().st_size > _MAX_BYTES:
        raise ModelError(file, "is too large for weights", allowed=f"at most {_MAX_BYTES >> 30} GiB")
    _check_hash_in_name(file)
    try:
        content = _load_tensors(file)
    except Exception as error:  # every reader has errors of its own; the user needs the file's name
        reason = str(error).split("\n", 1)[0]
        raise ModelError(
            file,
            f"is not a readable weight file ({type(error).__name__}: {reason})",
            allowed="safetensors, or a state dict saved by torch.save",
            hint="torch.save(model.state_dict(), FILE), or safetensors.torch.save_model(model, FILE)",
        ) from error
    return _without_prefix(_unpacked(file, content))


def _load_tensors(file: Path) -> Any:
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)
    return load(file, map_location="cpu", weights_only=True)


def _is_state(content: object) -> bool:
    return isinstance(content, dict) and all(isinstance(value, Tensor) for value in content.values())


def _unpacked(file: Path, content: Any) -> dict[str, Tensor]:
    """The state dict itself, or the one inside a checkpoint."""
    if not _is_state(content) and isinstance(content, dict):
        inside = [name for name in (*_WRAPPERS, *_AVERAGED) if _is_state(content.get(name) or None)]
        if len(inside) > 1:
            raise ModelError(
                file,
                f"holds several sets of weights ({', '.join(inside)})",
                allowed="one",
                hint="a file with the one that is meant, by torch.save",
            )
        content = content[inside[0]] if inside else content
    if not _is_state(content) or not content:
        raise ModelError(file, "holds something else than named tensors", allowed="a plain state dict")
    return {str(name): value for name, value in content.items()}


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _check_hash_in_name(file: Path) -> None:
    stated = re.search(r"-([0-9a-f]{8,64})$", file.stem)
    if stated is None:
        return
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if not found.startswith(stated[1]):
        raise ModelError(
            file,
            f"is damaged: its SHA-256 begins with {found[:8]}, not with {stated[1]} as its name states",
            hint="the package or file anew",
        )


def fill(module: nn.Module, state: Mapping[str, Tensor], source: str | Path) -> None:
    """Set all parameters and buffers of a module, and no others.

    Raises
    ------
    ModelError
        Naming the weights that are missing, superfluous or of another shape.
    """
    expected = module.state_dict()
    missing = [name for name in expected if name not in state and not name.endswith("num_batches_tracked")]
    unknown = [name for name in state if name not in expected]
    shapes = [
        f"{name} is {tuple(state[name].shape)}, not {tuple(value.shape)}"
        for name, value in expected.items()
        if name in state and state[name].shape != value.shape
    ]
    parts = [
        f"{what} {', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
        for what, names in (("it lacks", missing), ("it has besides", unknown), ("", shapes))
        if names
    ]
    if parts:
        raise ModelError(
            source,
            f"its weights do not fit the network: {'; '.join(part.strip() for part in parts)}",
            hint="the name of the architecture that the weights are of",
        )
    module.load_state_dict({name: value for name, value in state.items() if name in expected}, strict=False)
