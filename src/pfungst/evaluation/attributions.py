"""Heatmaps that are to be judged: the model's own by rule, or a user's from disk or from a callable."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from pfungst.contract.classifier import ImageArray
from pfungst.contract.explanation import Explanation
from pfungst.contract.look import Look
from pfungst.errors import ConfigError, DataError, FileError
from pfungst.files import is_file, shown

_MAX_AXES = 8
DEFAULT_RULE = "default"
"""Asks a classifier to explain without naming a rule."""

Attribution = Callable[[ImageArray, str, str], NDArray[np.floating]]
"""``attribution(image, class_name, image_id)`` gives relevance ``(height, width)`` or ``(channels, height,
width)`` in the pixels of the photo or of the model's input view; picklable if several workers are to run."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RelevanceMap:
    """One heatmap in the two geometries in which it is measured.

    Attributes
    ----------
    view : (height, width) float64 or None
        In the pixels of the model's input; None for a user's map of the photo of a model with its own view.
    photo : (height, width) float64
        In the photo's pixels.
    """

    view: NDArray[np.float64] | None
    photo: NDArray[np.float64]


@dataclass(frozen=True)
class AttributionFolder:
    """A user's relevance on disk: ``FOLDER/<class>/<image id>.npy``, or ``FOLDER/<image id>.safetensors``
    with one array per class.

    Pickled arrays are refused, so that nothing in a file is executed.

    Parameters
    ----------
    path : path
        The folder.
    """

    path: Path

    def __post_init__(self) -> None:
        if not Path(self.path).is_dir():
            raise DataError(self.path, "no such folder of attributions")

    def __call__(self, image: ImageArray, class_name: str, image_id: str) -> NDArray[np.floating]:
        """The array of one image and class.

        Raises
        ------
        DataError
            If there is no file for it, or it cannot be read.
        """
        del image
        single, joint = self._files(class_name, image_id)
        if is_file(single):
            return _read_npy(single)
        if is_file(joint):
            return _read_safetensors(joint, class_name)
        raise DataError(
            self.path,
            f"no attribution of image {image_id!r} for class {class_name!r}",
            allowed=f"{single.relative_to(self.path)} or {joint.name} with an array {class_name!r}",
        )

    def _files(self, class_name: str, image_id: str) -> tuple[Path, Path]:
        for part in (class_name, image_id):
            if not part or part in {".", ".."} or any(mark in part for mark in "/\\\0"):
                raise DataError(self.path, f"{part!r} cannot be part of a file name")
        root = Path(self.path)
        return root / class_name / f"{image_id}.npy", root / f"{image_id}.safetensors"


def _read_npy(path: Path) -> NDArray[np.floating]:
    try:
        with path.open("rb") as stream:
            shape, order, kind = _npy_header(path, stream)
            values = np.frombuffer(stream.read(), dtype=kind)
    except OSError as error:
        raise DataError(path, f"cannot be read ({error.strerror})") from error
    return _numbers(path, values.reshape(shape, order=order))


def _npy_header(path: Path, stream: BinaryIO) -> tuple[tuple[int, ...], Literal["C", "F"], np.dtype[Any]]:
    """Shape, order and type, which must account for every byte that follows."""
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files that Python 2 wrote
            shape, fortran, kind = readers[npy.read_magic(stream)](stream)
    except Exception as error:  # the header is parsed as Python source, which fails in many ways
        raise DataError(path, f"is not a readable .npy array ({error})") from error
    if kind.kind not in "fiu":
        raise DataError(path, f"holds {kind}", allowed="an array of real numbers")
    left = path.stat().st_size - stream.tell()
    if min(shape, default=1) < 0 or len(shape) > _MAX_AXES or math.prod(shape) * kind.itemsize != left:
        raise DataError(path, f"states the shape {shown(shape)} of {kind}, but {left} bytes follow")
    return shape, "F" if fortran else "C", kind


def _read_safetensors(path: Path, class_name: str) -> NDArray[np.floating]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as arrays:
            if class_name not in arrays.keys():  # noqa: SIM118 - not a dict
                raise DataError(
                    path, f"has no array {class_name!r}", allowed=", ".join(sorted(arrays.keys()))
                )
            return _numbers(path, arrays.get_tensor(class_name))
    except (SafetensorError, OSError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise DataError(path, f"is not a readable safetensors file ({error})") from error


def _numbers(path: Path, array: object) -> NDArray[np.floating]:
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        kind = getattr(array, "dtype", type(array).__name__)
        raise DataError(path, f"holds {kind}", allowed="an array of real numbers")
    with np.errstate(all="ignore"):  # beyond float64 becomes infinity, which is refused later
        return array.astype(np.float64)


def rule_options(rule: str) -> dict[str, str]:
    """Options of ``explain`` that ask for a rule by name."""
    return {} if rule == DEFAULT_RULE else {"rule": rule}


def model_map(explanation: Explanation) -> RelevanceMap:
    """The classifier's own relevance."""
    return RelevanceMap(view=explanation.picture_relevance, photo=explanation.relevance)


def user_map(
    look: Look, photo: int, class_name: str, image_id: str, *, name: str, attribution: Attribution
) -> RelevanceMap:
    """A user's relevance, checked, in the geometries in which it can be measured.

    Parameters
    ----------
    look : Look
    photo : int
        Which of its photos.
    class_name, image_id : str
    name : str
        What the user calls the attribution.
    attribution : callable

    Raises
    ------
    ConfigError
        If it has the wrong shape or is not finite.
    """
    image, picture = look.images[photo], look.pictures[photo]
    array = np.asarray(attribution(image, class_name, image_id), dtype=np.float64)
    found = array.sum(axis=0) if array.ndim == 3 else array
    what = f"attribution {name!r} of image {image_id!r} for class {class_name!r}"
    if not np.isfinite(found).all():
        raise ConfigError(f"{what} holds NaN or infinity", allowed="finite numbers")
    if found.shape == picture.shape[:2]:
        return RelevanceMap(view=found, photo=look.on_photo(found, photo=photo))
    if found.shape == image.shape[:2]:
        return RelevanceMap(view=None, photo=found)
    allowed = f"{image.shape[:2]} (the photo)"
    if picture.shape != image.shape:
        allowed += f" or {picture.shape[:2]} (the input view)"
    raise ConfigError(f"{what} has shape {found.shape}", allowed=allowed)


def checked_attributions(
    attributions: Mapping[str, Attribution] | None, rules: Sequence[str]
) -> dict[str, Attribution]:
    """The same mapping; its names stand beside the rules' in every result, so they must differ from them.

    Raises
    ------
    ConfigError
        If a name is empty or also that of a rule.
    """
    chosen = dict(attributions or {})
    for name in chosen:
        if not name or name in rules:
            raise ConfigError(f"attribution name {name!r}", allowed="a name that no rule has")
    return chosen


def folder_attributions(texts: Sequence[str]) -> dict[str, AttributionFolder]:
    """``NAME=FOLDER`` (or ``FOLDER``, named after itself) to attributions by name.

    Raises
    ------
    ConfigError
        If two have the same name.
    FileError
        If a folder does not exist.
    """
    found: dict[str, AttributionFolder] = {}
    for text in texts:
        name, _, folder = text.rpartition("=")
        label = name or Path(folder).name
        if label in found:
            raise ConfigError(f"two attributions are called {label!r}", hint="NAME=FOLDER with another name")
        if not folder:
            raise FileError(text, "no such folder of attributions")
        found[label] = AttributionFolder(Path(folder))
    return found
