"""``manifest.json`` of a run: what it is, with what it was made, how far it has come, and what failed."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from pfungst import __version__
from pfungst.contract.plain import to_json
from pfungst.errors import DataError, Failure
from pfungst.files import parse_json, read_bounded
from pfungst.writing import write_whole

MANIFEST_FILE = "manifest.json"
FORMAT = "pfungst-run"
FORMAT_VERSION = 1
_MAX_BYTES = 64 * 2**20
_LIBRARIES = ("numpy", "scipy", "scikit-learn", "pillow", "torch", "safetensors", "distributed")


def library_versions() -> dict[str, str]:
    """Versions of Python, of this library, and of those that its numbers depend on."""
    versions = {"python": platform.python_version(), "pfungst": __version__}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def write_manifest(
    folder: Path,
    *,
    state: str,
    configuration: Mapping[str, Any],
    n_items: int,
    n_finished: int,
    failures: Sequence[Failure] = (),
    problems: Sequence[str] = (),
) -> None:
    """Write the manifest in one move.

    Parameters
    ----------
    folder : path
        Of the run.
    state : {"running", "stopped", "finished"}
        A run that was killed stays ``running``; its lock is free.
    configuration : mapping
        What the run was begun with, seeds and the identities of model and data among it.
    n_items, n_finished : int
        Items in all, and those with a record.
    failures : sequence of Failure
        Items without a record, and why.
    problems : sequence of str
        What was left out before the run began, and why.

    Raises
    ------
    FileError
        If the disk is full or cannot be written to.
    """
    content = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "state": state,
        "counts": {
            "items": n_items,
            "finished": n_finished,
            "failures": len(failures),
            "problems": len(problems),
        },
        "failures": list(failures),
        "problems": list(problems),
        "configuration": dict(configuration),
        "versions": library_versions(),
    }
    write_whole(folder / MANIFEST_FILE, to_json(content))


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """The content of a run's manifest.

    Raises
    ------
    DataError
        If it is missing, damaged or of a newer version.
    """
    file = Path(folder) / MANIFEST_FILE
    try:
        if not file.exists():
            raise DataError(folder, f"is no run: it has no {MANIFEST_FILE}", hint="the --out of a run")
        content = parse_json(read_bounded(file, _MAX_BYTES, error=DataError, what="the manifest of a run"))
    except ValueError as error:
        raise DataError(file, f"cannot be read ({error})", hint="running the same command again") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(file, "is not the manifest of a run", allowed=f'"format": "{FORMAT}"')
    if content.get("version") != FORMAT_VERSION:
        raise DataError(file, f"has format version {content.get('version')}", allowed=str(FORMAT_VERSION))
    counts = content.get("counts")
    if not isinstance(content.get("state"), str) or not isinstance(counts, dict) or "finished" not in counts:
        raise DataError(file, "states no counts", hint="running the same command again")
    return content
