"""Hostile image files."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from random import Random

import numpy as np
from PIL import Image, features

from fuzzing.mutation import INTEGERS, mutate_bytes, pick
from fuzzing.target import Case, Target
from pfungst.errors import ImageError
from pfungst.images import decode, image_size

_TOKENS = (
    b"\xff\xd8", b"\xff\xd9", b"\xff\xda", b"\xff\xc0", b"\xff\xc2", b"\xff\xc4", b"\xff\xdb", b"\xff\xdd",
    b"\xff\xe1", b"\xff\xee",
    b"Exif\0\0", b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0", b"IHDR",
    b"IDAT", b"PLTE", b"tRNS",
    b"IEND", b"acTL", b"fcTL", b"eXIf", b"iCCP", b"GIF89a", b"!\xf9\x04\x05", b"BM", b"II*\0", b"MM\0*",
    b"RIFF", b"WEBPVP8X",
    b"ANIM", b"P6 ", b"P5\n65535 65535\n65535\n", b"ftypavif", b"\xff\x4f\xff\x51",
    b"\0\0\0\x0cjP  \r\n\x87\n", b"\0" * 64, b"\xff" * 64,
)  # fmt: skip


class Images(Target):
    """Photos of every format and mode that is read, damaged in structure or in bytes."""

    name = "images"

    def make(self, rng: Random) -> Case:
        """Structure is damaged where a checksum would hide what is changed in bytes."""
        kind, content = pick(rng, corpus())
        draw = rng.random()
        if draw < 0.5 and kind in _STRUCTURES:
            content = _STRUCTURES[kind](rng, content)
            if draw < 0.1:
                content = mutate_bytes(rng, content, _TOKENS)
        elif draw < 0.53:
            content = content[:20] + pick(rng, corpus())[1][20:]
        else:
            content = mutate_bytes(rng, content, _TOKENS)
        return {"a.photo": content}

    def run(self, case: Case) -> bool:
        """Decode; the size read from the header must be that of the pixels."""
        self.write(self.folder, case)
        file = self.folder / "a.photo"
        try:
            stated = image_size(file)
        except ImageError:
            stated = None
        pixels = decode(file)
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3
        assert pixels.flags.writeable
        assert pixels.flags.c_contiguous
        # A PNG file may state its orientation behind its pixels, where a header's reader does not look.
        assert stated is not None
        assert sorted(stated) == sorted(pixels.shape[:2]), (stated, pixels.shape)
        return True


@cache
def corpus() -> list[tuple[str, bytes]]:
    """Small photos ``(format, bytes)`` in all modes."""
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (6, 9, 3), dtype=np.uint8))
    alpha = Image.fromarray(rng.integers(0, 256, (6, 9, 4), dtype=np.uint8))
    deep = Image.fromarray(rng.integers(0, 65536, (6, 9), dtype=np.uint16))
    floating = Image.fromarray(rng.normal(size=(6, 9)).astype(np.float32))
    palette = colour.quantize(8)
    turned = Image.Exif()
    turned[0x0112] = 6
    wanted = [
        (colour, "JPEG", {"quality": 60}), (colour, "JPEG", {"progressive": True, "exif": turned}),
        (colour.convert("L"), "JPEG", {}), (colour.convert("CMYK"), "JPEG", {}),
        (colour, "PNG", {}), (alpha, "PNG", {}), (deep, "PNG", {}), (palette, "PNG", {"transparency": 1}),
        (colour.convert("1"), "PNG", {}), (alpha.convert("LA"), "PNG", {}), (colour, "PNG", {"exif": turned}),
        (colour, "PNG", {"save_all": True, "append_images": [colour.rotate(180)]}),
        (palette, "GIF", {}), (palette, "GIF", {"save_all": True,
        "append_images": [palette.rotate(180)] * 2}),
        (colour, "BMP", {}), (palette, "BMP", {}), (colour.convert("1"), "BMP", {}),
        (colour, "TIFF", {}), (colour, "TIFF", {"compression": "tiff_lzw"}), (colour, "TIFF",
        {"compression": "tiff_deflate"}),
        (colour, "TIFF", {"compression": "jpeg"}), (colour.convert("1"), "TIFF", {"compression": "group4"}),
        (deep, "TIFF", {}), (floating, "TIFF", {}), (colour.convert("CMYK"), "TIFF", {}),
        (colour.convert("LAB"), "TIFF", {}),
        (colour, "TIFF", {"exif": turned}), (colour, "WEBP", {}), (alpha, "WEBP", {"lossless": True}),
        (colour, "WEBP", {"save_all": True, "append_images": [colour.rotate(180)]}),
        (colour, "PPM", {}), (colour.convert("L"), "PPM", {}), (colour.convert("1"), "PPM", {}), (deep,
        "PPM", {}),
        (colour, "JPEG2000", {}), (alpha, "JPEG2000", {}), (colour, "MPO", {"save_all": True,
        "append_images": [colour]}),
        (colour, "AVIF", {}), (alpha, "AVIF", {}),
    ]  # fmt: skip
    return [(kind, _encoded(image, kind, options)) for image, kind, options in wanted if _can_write(kind)]


def _can_write(kind: str) -> bool:
    needed = {"WEBP": "webp", "JPEG2000": "jpg_2000", "AVIF": "avif", "TIFF": "libtiff"}
    return kind not in needed or bool(features.check(needed[kind]))


def _encoded(image: Image.Image, kind: str, options: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _damage_png(rng: Random, content: bytes) -> bytes:
    """Chunks changed, removed, repeated or moved, their checksums made right."""
    chunks = []
    place = 8
    while place + 12 <= len(content):
        (size,) = struct.unpack_from(">I", content, place)
        chunks.append([content[place + 4 : place + 8], bytearray(content[place + 8 : place + 8 + size])])
        place += 12 + size
    step, chosen = rng.random(), int(rng.random() * len(chunks))
    if step < 0.35:
        data = chunks[0][1]
        field = pick(rng, (0, 4, 8, 9, 10, 11, 12))
        data[field : field + (4 if field < 8 else 1)] = _field(rng, 4 if field < 8 else 1)
    elif step < 0.6:
        chunks[chosen][1] = bytearray(mutate_bytes(rng, bytes(chunks[chosen][1]), _TOKENS))
    elif step < 0.7 and chunks[chosen][0] == b"IDAT":
        raw = mutate_bytes(rng, zlib.decompress(chunks[chosen][1]))
        chunks[chosen][1] = bytearray(zlib.compress(raw * pick(rng, (1, 1, 3, 200))))
    elif step < 0.8:
        del chunks[chosen]
    elif step < 0.9:
        chunks[chosen:chosen] = [chunks[chosen]] * pick(rng, (1, 2, 300))
    else:
        names = (
            b"IHDR",
            b"PLTE",
            b"tRNS",
            b"IDAT",
            b"eXIf",
            b"iCCP",
            b"acTL",
            b"fcTL",
            b"fdAT",
            b"zTXt",
            b"gAMA",
            b"xxxx",
        )
        chunks.insert(
            chosen,
            [
                pick(rng, names),
                bytearray(pick(rng, (b"", b"\0" * 26, b"a\0\0" + zlib.compress(b"\0" * 70_000)))),
            ],
        )
    return content[:8] + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def _field(rng: Random, size: int) -> bytes:
    number = pick(rng, INTEGERS) if rng.random() < 0.6 else int(rng.random() * 20)
    return (number % 2 ** (8 * size)).to_bytes(size, "big")


def _damage_jpeg(rng: Random, content: bytes) -> bytes:
    """Segments changed, removed, repeated or moved, their lengths mostly made right."""
    segments, place = [], 2
    while place + 4 <= len(content) and content[place + 1] != 0xDA:
        (size,) = struct.unpack_from(">H", content, place + 2)
        segments.append([content[place + 1], bytearray(content[place + 4 : place + 2 + size])])
        place += 2 + size
    chosen, step = int(rng.random() * len(segments)), rng.random()
    if step < 0.5:
        segments[chosen][1] = bytearray(mutate_bytes(rng, bytes(segments[chosen][1])))[:65_000]
    elif step < 0.65:
        del segments[chosen]
    elif step < 0.8:
        segments[chosen:chosen] = [segments[chosen]] * pick(rng, (1, 2, 300))
    elif step < 0.9:
        segments[chosen][0] = pick(
            rng, (0xC0, 0xC1, 0xC2, 0xC4, 0xC9, 0xDB, 0xDD, 0xE0, 0xE1, 0xE2, 0xEE, 0xFE)
        )
    else:
        sizes = [data for marker, data in segments if marker in (0xC0, 0xC2)]
        for data in sizes:
            data[1:5] = _field(rng, 2) + _field(rng, 2)
    head = b"".join(
        b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data for marker, data in segments
    )
    return content[:2] + head + content[place:]


def _damage_tiff(rng: Random, content: bytes) -> bytes:
    """One entry of the first directory changed."""
    data = bytearray(content)
    (start,) = struct.unpack_from("<I", data, 4)
    if start + 2 > len(data):
        return mutate_bytes(rng, content, _TOKENS)
    (count,) = struct.unpack_from("<H", data, start)
    entry = start + 2 + 12 * int(rng.random() * count)
    offset, size = pick(rng, ((0, 2), (2, 2), (4, 4), (8, 4), (8, 2)))
    data[entry + offset : entry + offset + size] = _field(rng, size)[::-1]
    return bytes(data)


_STRUCTURES = {"PNG": _damage_png, "JPEG": _damage_jpeg, "MPO": _damage_jpeg, "TIFF": _damage_tiff}
