"""From an image file to an RGB array: the whole photo, upright, or an error that says why not."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError, features

from pfungst.errors import ImageError
from pfungst.files import is_file

FORMATS = ("JPEG", "MPO", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF", "HEIF")
"""Formats that are read, HEIF where the package pillow-heif is installed and AVIF where Pillow has it.

Not on the list: those that run a program (EPS) or are no photos.
"""

SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp",
     ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k")
)  # fmt: skip
"""File name endings, in lower case, by which a folder's photos are told from its other files."""

OPTIONAL_SUFFIXES = {".avif": "AVIF", ".heic": "HEIF", ".heif": "HEIF", ".hif": "HEIF"}
"""Endings of formats that not every installation reads."""

MAX_PIXELS = 100_000_000
"""Photos with more pixels than this are refused before a pixel is decoded (300 MB of RGB)."""

_ORIENTATION_TAG = 0x0112
_STRIP_PIXELS = 2**20  # converted at a time, so that a large photo is not in memory in three forms
_PLAIN_HEADER_BYTES = 4096
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_MAX_SCANS = 1000
_MAX_SCANNED_PIXELS = 4_000_000_000
_ANOTHER_COPY = "another copy of the photo"


def decode(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode one photo completely.

    Grey, palette, CMYK and YCbCr become RGB; alpha is composited on white; 16-bit samples ``v`` become
    ``round(v / 257)``, so that 65,535 is 255 (Pillow keeps the upper byte of 16-bit colour); the EXIF
    orientation is applied. Colour profiles are not: pixels are taken as sRGB. Of an animation the first
    frame is read.

    A file that ends too early is refused. A JPEG whose data were cut and whose end marker was put back looks
    whole to its decoder and cannot be told from a photo.

    Parameters
    ----------
    path : path
        The image file.
    max_pixels : int
        Largest accepted height times width (Pillow itself refuses more than about 179 million).

    Returns
    -------
    (height, width, 3) uint8
        RGB, rows from the top, C-contiguous and writable.

    Raises
    ------
    ImageError
        If the file is missing, no photo, truncated, damaged, too large, or has samples without a defined
        white (32-bit integers, floats).
    """
    return _decode(_open_file(Path(path)), path, max_pixels)


def decode_bytes(
    content: bytes, *, name: str = "image in memory", max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """Decode a photo that is already in memory; ``name`` stands for the path in error messages.

    See :func:`decode` for everything else.
    """
    return _decode(io.BytesIO(content), name, max_pixels)


@lru_cache(maxsize=1)
def photo_suffixes() -> frozenset[str]:
    """File name endings, in lower case, of the photos that this installation reads."""
    known = _formats()
    return SUFFIXES | {suffix for suffix, name in OPTIONAL_SUFFIXES.items() if name in known}


@dataclass(frozen=True, slots=True)
class Header:
    """What a photo's header says: its size as stored, and its EXIF orientation, 1 to 8."""

    height: int
    width: int
    orientation: int = 1

    @property
    def stored(self) -> tuple[int, int]:
        """``(height, width)`` of the stored pixels."""
        return self.height, self.width

    @property
    def size(self) -> tuple[int, int]:
        """``(height, width)`` of the photo as shown."""
        return (self.width, self.height) if self.orientation in (5, 6, 7, 8) else self.stored


def image_header(path: str | Path) -> Header:
    """Size and orientation, without decoding a pixel.

    Raises
    ------
    ImageError
        If the file is missing or no photo.
    """
    with _open_file(Path(path)) as stream:
        plain = _plain_jpeg_header(stream.read(_PLAIN_HEADER_BYTES))
        stream.seek(0)
        return plain or _header(stream, path)


def _plain_jpeg_header(content: bytes) -> Header | None:
    """The header of a JPEG without EXIF or other metadata of its kind (APP1), in a tenth of the time.

    A JPEG is a chain of segments, each a mark ``FF xx`` and its length; those of ``FF C0`` to ``FF CF``, save
    three, hold precision, height and width.
    """
    place = 2
    while content[:2] == b"\xff\xd8" and content[place : place + 1] == b"\xff" and place + 9 <= len(content):
        mark, length = content[place + 1], int.from_bytes(content[place + 2 : place + 4], "big")
        if mark in _FRAMES:
            height = int.from_bytes(content[place + 5 : place + 7], "big")
            width = int.from_bytes(content[place + 7 : place + 9], "big")
            return Header(height, width) if height and width else None
        if mark == 0xE1 or not 0xC0 <= mark <= 0xFE or mark in range(0xD0, 0xDA):
            return None
        place += 2 + length
    return None


def _header(stream: io.BufferedReader, path: str | Path) -> Header:
    with _opened(stream, path) as image:
        width, height = image.size
        tags = getattr(image, "tag_v2", {})
        if tags:  # some releases of Pillow state a TIFF's size as stored, some as turned
            width, height = int(tags[256]), int(tags[257])
        # Asked for EXIF data that its header lacks, a PNG file would be decoded.
        in_header = _orientation(image) if "exif" in image.info else 1
        turned = tags.get(_ORIENTATION_TAG, 1) if tags else in_header
        return Header(height, width, turned if turned in range(1, 9) else 1)


def image_size(path: str | Path) -> tuple[int, int]:
    """``(height, width)`` of the photo as :func:`decode` returns it, read from the header alone.

    Raises
    ------
    ImageError
        If the file is missing or no photo.
    """
    return image_header(path).size


def reduced(path: str | Path, side: int, *, max_pixels: int | None = None) -> Image.Image:
    """A photo decoded at a fraction of its size where its format can, no larger than ``side``, upright.

    For a glance at many photos: grey or colour as stored, alpha not composited.

    Raises
    ------
    ImageError
        As for :func:`decode`.
    """
    with _open_file(Path(path)) as stream, _opened(stream, path) as image:
        _check_size(image, path, max_pixels or MAX_PIXELS)
        _check_scans(image, stream, path)
        image.draft("RGB", (side, side))
        orientation = _orientation(image)
        small = image.convert("L" if image.mode in ("1", "L", "I;16", "I", "F") else "RGB")
        small.thumbnail((side, side))
        turn = _TRANSPOSED.get(orientation)
        return small if turn is None else small.transpose(turn)


def _open_file(path: Path) -> io.BufferedReader:
    if not is_file(path):
        raise ImageError(path, "is not a file" if os.path.exists(path) else "no such file")
    try:
        return path.open("rb")
    except OSError as error:
        raise ImageError(path, f"cannot be opened ({error.strerror})") from error


def _decode(stream: io.BufferedIOBase, name: str | Path, max_pixels: int) -> NDArray[np.uint8]:
    with stream, _opened(stream, name) as image:
        _check_size(image, name, max_pixels)
        _check_scans(image, stream, name)
        image.load()
        pixels = _rgb(image, name)
        orientation = _orientation(image)
    return np.ascontiguousarray(_upright(pixels, orientation))


@contextlib.contextmanager
def _opened(stream: Any, name: str | Path) -> Iterator[Image.Image]:
    """The opened image; whatever Pillow raises within the block becomes an ImageError."""
    lenient = ImageFile.LOAD_TRUNCATED_IMAGES
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ImageFile.LOAD_TRUNCATED_IMAGES = False  # another library may have asked for half images
        try:
            with Image.open(stream, formats=_formats()) as image:
                yield image
        except ImageError:
            raise
        except UnidentifiedImageError as error:
            raise _unidentified(stream, name) from error
        except Image.DecompressionBombError as error:
            raise _too_large(name, "more pixels than Pillow opens", MAX_PIXELS) from error
        except MemoryError as error:
            raise ImageError(name, "does not fit into memory", hint="a smaller version") from error
        except Exception as error:  # a damaged file makes the format readers raise almost anything
            raise ImageError(name, f"is truncated or damaged ({error})", hint=_ANOTHER_COPY) from error
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = lenient


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    with contextlib.suppress(ImportError):
        from pillow_heif import register_heif_opener

        register_heif_opener()
    Image.init()
    missing = set() if features.check("avif") else {"AVIF"}
    return tuple(name for name in FORMATS if name in Image.OPEN and name not in missing)


def _unidentified(stream: Any, name: str | Path) -> ImageError:
    empty = stream.seek(0, io.SEEK_END) == 0
    problem = "is an empty file" if empty else "is not a photo in a known format, or its header is damaged"
    return ImageError(name, problem, allowed=", ".join(_formats()), hint=_ANOTHER_COPY)


def _check_size(image: Image.Image, name: str | Path, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise _too_large(name, f"{width} x {height} = {width * height:,} pixels", max_pixels)


def _too_large(name: str | Path, found: str, max_pixels: int) -> ImageError:
    return ImageError(
        name,
        f"has {found}, too many to decode",
        allowed=f"at most {max_pixels:,} pixels",
        hint="a smaller version of the photo, or a larger max_pixels if it can be trusted",
    )


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # unreadable EXIF data say nothing about the pixels
        return 1


def _check_scans(image: Image.Image, stream: io.BufferedIOBase, name: str | Path) -> None:
    """A progressive JPEG goes over all its pixels once a scan, and a few bytes make a scan."""
    if image.format not in ("JPEG", "MPO") or not image.info.get("progressive"):
        return
    place = stream.tell()
    stream.seek(0)
    scans = sum(chunk.count(b"\xff\xda") for chunk in iter(lambda: stream.read(2**20), b""))
    stream.seek(place)
    if scans > _MAX_SCANS or scans * image.width * image.height > _MAX_SCANNED_PIXELS:
        raise ImageError(
            name,
            f"goes over its {image.width} x {image.height} pixels {scans} times, too often to decode",
            allowed=f"at most {_MAX_SCANS} scans and {_MAX_SCANNED_PIXELS:,} pixels in all of them",
            hint="the photo saved anew, without progressive scans",
        )


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turned as the EXIF orientation 1 … 8 says; others say nothing."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    rows, columns = _REVERSED.get(orientation, (1, 1))
    return pixels[::rows, ::columns]


_TRANSPOSED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip

_REVERSED = {2: (1, -1), 3: (-1, -1), 4: (-1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}
"""Steps through rows and columns for each orientation, after the axes of 5 to 8 were exchanged."""


def _rgb(image: Image.Image, name: str | Path) -> NDArray[np.uint8]:
    """RGB on white, ``(height, width, 3)``, made strip by strip."""
    convert = _converter(image, name)
    width, height = image.size
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    rows = max(_STRIP_PIXELS // width, 1)
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        pixels[top : top + rows] = np.asarray(convert(strip))
    return pixels


def _converter(image: Image.Image, name: str | Path) -> Callable[[Image.Image], Image.Image]:
    """What turns a strip of this image into RGB."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        table = _table_of_16_bit(image)
        return lambda strip: Image.fromarray(table[np.clip(np.asarray(strip), 0, 65535)]).convert("RGB")
    if image.mode in ("I", "F"):
        kind = "32-bit floating-point" if image.mode == "F" else "signed or 32-bit integer"
        raise ImageError(
            name,
            f"has {kind} samples, whose white is not defined",
            allowed="8 or 16 bits a sample",
            hint="a conversion to 8 or 16 bits",
        )
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        return _on_white
    return lambda strip: strip.convert("RGB")


def _on_white(strip: Image.Image) -> Image.Image:
    coloured = strip.convert("RGBA")
    white = Image.new("RGBA", coloured.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, coloured).convert("RGB")


def _table_of_16_bit(image: Image.Image) -> NDArray[np.uint8]:
    """8-bit grey of each sample 0 .. 65535, ``white`` being 255; a transparent sample value becomes white."""
    tags = getattr(image, "tag_v2", {})
    white = 2 ** int(tags.get(258, (16,))[0]) - 1
    grey = (np.arange(65536, dtype=np.int64) * 255 + white // 2) // white
    if tags.get(262) == 0:  # zero is white; Pillow turns 8-bit TIFF of this kind round, but not 16-bit
        grey = 255 - grey
    transparent = image.info.get("transparency")
    if isinstance(transparent, int) and 0 <= transparent <= 65535:
        grey[transparent] = 255
    table: NDArray[np.uint8] = np.clip(grey, 0, 255).astype(np.uint8)
    return table
