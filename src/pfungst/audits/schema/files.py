"""Names of an audit's files, and where they lie."""

from __future__ import annotations

from pathlib import Path

from pfungst.errors import DataError
from pfungst.files import safe_name, shown

AUDIT_FILE = "audit.json"
PICTURES_FOLDER = "pictures"


def picture_file(folder: str | Path, name: str) -> Path:
    """Where a picture that an audit names, such as ``pictures/tag.png``, lies.

    Raises
    ------
    DataError
        If the name leads out of the audit's folder of pictures.
    """
    try:
        file = (Path(folder) / name).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a zero byte, a loop of links
        raise DataError(folder, f"names the picture {name!r}, which cannot be a file") from error
    if not file.is_relative_to((Path(folder) / PICTURES_FOLDER).resolve()):
        raise DataError(folder, f"names the picture {name!r}, which is not in {PICTURES_FOLDER}/")
    return file


def survey_name(model: str) -> str:
    """The folder's name of the survey of a model, in an audit's or any other folder of surveys."""
    return f"survey-{safe_name(model)}"


def survey_folder(folder: str | Path, name: str) -> Path:
    """Where the survey that a model of an audit names lies.

    Raises
    ------
    DataError
        If the name leads out of the audit's folder.
    """
    root = Path(folder).resolve()
    try:
        place = (root / name).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(folder, f"names the survey {shown(name)}, which cannot be a folder") from error
    if not place.is_relative_to(root) or ".." in Path(name).parts or Path(name).is_absolute():
        raise DataError(folder, f"names the survey {shown(name)}, which leads out of the audit")
    return place
