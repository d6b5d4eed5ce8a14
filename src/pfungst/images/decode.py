"""From an image file to an RGB array: the whole photo, upright, or an error that says why not."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from pfungst.errors import ImageError
from pfungst.files import is_file

FORMATS = ("JPEG", "MPO", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF")
"""Formats that are read. Not on the list: those that run a program (EPS) or are no photos."""

SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp",
     ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".avif")
)  # fmt: skip
"""File name endings, in lower case, by which a folder's photos are told from its other files."""

MAX_PIXELS = 100_000_000
"""Photos with more pixels than this are refused before a pixel is decoded (300 MB of RGB)."""

_ORIENTATION_TAG = 0x0112
_STRIP_PIXELS = 2**20  # converted at a time, so that a large photo is not in memory in three forms
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


def image_size(path: str | Path) -> tuple[int, int]:
    """``(height, width)`` of the photo as :func:`decode` returns it, read from the header alone.

    Raises
    ------
    ImageError
        If the file is missing or no photo.
    """
    with _open_file(Path(path)) as stream, _opened(stream, path) as image:
        width, height = image.size
        tags = getattr(image, "tag_v2", {})
        if tags:  # some releases of Pillow state a TIFF's size as stored, some as turned
            width, height = int(tags[256]), int(tags[257])
        # Asked for EXIF data that its header lacks, a PNG file would be decoded.
        in_header = _orientation(image) if "exif" in image.info else 1
        turned = (tags.get(_ORIENTATION_TAG, 1) if tags else in_header) in (5, 6, 7, 8)
        return (width, height) if turned else (height, width)


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


def _formats() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _unidentified(stream: Any, name: str | Path) -> ImageError:
    empty = stream.seek(0, io.SEEK_END) == 0
    problem = "is an empty file" if empty else "is not a photo in a known format, or its header is damaged"
    return ImageError(name, problem, allowed=", ".join(FORMATS), hint=_ANOTHER_COPY)


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
