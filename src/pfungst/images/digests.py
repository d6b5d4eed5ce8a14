"""What tells one photo from another: the SHA-256 of its file, and a hash of its looks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from pfungst.errors import FileError, PfungstError
from pfungst.images.decode import reduced
from pfungst.progress import Progress, silent

if TYPE_CHECKING:
    from PIL.Image import Image

Answer = TypeVar("Answer")

NEAR = 6
"""Most bits of 64 in which the hashes of two looks may differ for the photos to count as near duplicates.

Of 1,419 VOC photos no two differ in less than 10; copies that are mirrored, halved or saved with JPEG
quality 50 differ from their originals in at most 4, those that are cut by 3 % or brightened by a fifth mostly
in at most 6.
"""

_SIDE = 128
_PLAIN = 3.0  # levels of grey, standard deviation: below, a photo has no look to be told by


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """A file's SHA-256, with its size and time of change when it was taken."""

    sha256: str
    bytes: int
    mtime_ns: int

    @property
    def short(self) -> np.uint64:
        """The first 64 bits of the SHA-256."""
        return np.uint64(int(self.sha256[:16], 16))


def digest_of(path: str | Path) -> Digest:
    """Read a file once and tell it by its content.

    Raises
    ------
    FileError
        If it cannot be read.
    """
    try:
        with Path(path).open("rb") as stream:
            state = Path(path).stat()
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise FileError(path, f"cannot be read ({getattr(error, 'strerror', None) or error})") from error
    return Digest(sha256=sha256, bytes=state.st_size, mtime_ns=state.st_mtime_ns)


def each(
    paths: Sequence[Path],
    ask: Callable[[Path], Answer],
    *,
    stage: str,
    workers: int = 1,
    progress: Progress = silent,
) -> list[Answer | PfungstError]:
    """What is asked of each file, in order, by several threads; the error where it cannot be read."""

    def answer(path: Path) -> Answer | PfungstError:
        try:
            return ask(path)
        except PfungstError as error:
            return error

    answers: list[Answer | PfungstError] = []
    with ThreadPoolExecutor(max(workers, 1)) as threads:
        for found in threads.map(answer, paths):
            answers.append(found)
            progress(stage, len(answers), len(paths))
    return answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Two 64-bit hashes of how a photo looks: of itself and of its mirror image; 0 where it is all plain."""

    upright: np.uint64
    mirrored: np.uint64


def look_of(path: str | Path) -> Look:
    """Hash how a photo looks, from a copy reduced to at most 128 pixels.

    It is the perceptual hash of the ImageHash library: signs of the lowest 8 × 8 coefficients of the discrete
    cosine transform of 32 × 32 pixels, about their median.

    Raises
    ------
    ImageError
        If the photo cannot be decoded.
    """
    from PIL import ImageOps

    image = reduced(path, _SIDE).convert("L")
    if float(np.asarray(image, dtype=np.float64).std()) < _PLAIN:
        return Look(upright=np.uint64(0), mirrored=np.uint64(0))
    return Look(upright=_hash(image), mirrored=_hash(ImageOps.mirror(image)))


def _hash(image: Image) -> np.uint64:
    from imagehash import phash

    bits = np.packbits(phash(image).hash.ravel())
    return np.uint64(int.from_bytes(bits.tobytes(), "big"))
