"""Folders with a ``config.json`` beside ``model.safetensors``, in the forms of transformers and of timm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pfungst.errors import ModelError
from pfungst.files import parse_json, read_bounded

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
_MAX_CONFIG_BYTES = 8 * 2**20


def is_folder_of(spec: str, key: str, *, without: str = "") -> bool:
    """Whether this is a folder whose ``config.json`` has the key ``key`` and lacks ``without``."""
    try:
        if not (Path(spec) / CONFIG_FILE).is_file():
            return False
        config = folder_config(spec)
    except (ModelError, OSError, ValueError):
        return False
    return key in config and (not without or without not in config)


def folder_config(spec: str | Path) -> dict[str, Any]:
    """The checked content of ``config.json``: plain JSON.

    Raises
    ------
    ModelError
        If it is missing, too large or not a JSON object.
    """
    return read_object(Path(spec) / CONFIG_FILE)


def read_object(file: Path) -> dict[str, Any]:
    """A JSON object of a bounded file.

    Raises
    ------
    ModelError
        If the file is not one.
    """
    content = read_bounded(file, _MAX_CONFIG_BYTES, error=ModelError, what="a configuration")
    try:
        found = parse_json(content)
    except ValueError as error:
        raise ModelError(file, f"is not readable JSON ({error})") from error
    if not isinstance(found, dict):
        raise ModelError(file, "is not a JSON object", allowed='{"name": value, ...}')
    return found
