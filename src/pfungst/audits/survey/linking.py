"""A survey in a second folder, without a second copy of its arrays."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pfungst.errors import ConfigError
from pfungst.runs.journal import read_configuration
from pfungst.runs.manifest import MANIFEST_FILE
from pfungst.runs.recorded import ARRAYS_FOLDER, RECORDS_FILE
from pfungst.writing import make_folder, writing


def link_survey(source: Path, target: Path) -> None:
    """Make a finished survey and its parts readable from another folder: records copied, arrays linked.

    Where the file system has no links, arrays are copied as well. Files of ``target`` are never deleted.

    Raises
    ------
    ConfigError
        If ``target`` holds a survey with another configuration.
    FileError
        If it cannot be written to.
    """
    if source.resolve() == target.resolve():
        return
    for journal in sorted(source.rglob(RECORDS_FILE)):
        place = target / journal.parent.relative_to(source)
        _require_same(journal, place / RECORDS_FILE)
        make_folder(place / ARRAYS_FOLDER)
        with writing(place):
            for file in sorted((journal.parent / ARRAYS_FOLDER).glob("*.safetensors")):
                _link(file, place / ARRAYS_FOLDER / file.name)
            for name in (RECORDS_FILE, MANIFEST_FILE):
                shutil.copyfile(journal.with_name(name), place / name)


def _require_same(source: Path, target: Path) -> None:
    if target.is_file() and read_configuration(target) != read_configuration(source):
        raise ConfigError(
            f"{target.parent} was begun with another configuration than {source.parent}",
            allowed="the configuration it was begun with",
            hint="another --out folder",
        )


def _link(source: Path, target: Path) -> None:
    if target.exists() and target.stat().st_size == source.stat().st_size:
        return
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
