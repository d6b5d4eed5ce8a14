import contextlib
import io
import os
import struct
import warnings
import zlib
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from pfungst.errors import ConfigError, ImageError
from pfungst.images import decode, decode_bytes, image_size
from pfungst.images.decode import LIMIT_VARIABLE

ORIENTED = {  # what EXIF says of the stored rows and columns, written as array operations
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[:, ::-1],
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: a.transpose(1, 0, 2)[::-1],
}


def picture(height=24, width=40, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png(header, *chunks):
    """A PNG file from its header fields and further chunks, written byte by byte."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", *header)), *chunks, (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))
        for tag, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + body


def png_16(values, colour_type, *chunks):
    height, width = values.shape[:2]
    rows = values.astype(">u2").reshape(height, -1)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return png((width, height, 16, colour_type, 0, 0, 0), *chunks, (b"IDAT", data))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_give_the_pixels_back(tmp_path, kind):
    file = tmp_path / "photo"
    file.write_bytes(encoded(Image.fromarray(picture()), kind))
    pixels = decode(file)
    np.testing.assert_array_equal(pixels, picture())
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable
    assert image_size(file) == (24, 40)


def test_lossy_formats_come_close():
    smooth = np.asarray(Image.fromarray(picture(4, 5)).resize((50, 40)))
    for kind in ("JPEG", "WEBP", "JPEG2000"):
        pixels = decode_bytes(encoded(Image.fromarray(smooth), kind, quality=95))
        assert np.abs(pixels.astype(int) - smooth).mean() < 8, kind


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(tmp_path, kind, orientation):
    blocks = np.kron(picture(3, 5), np.ones((16, 16, 1), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "JPEG" else {}
    file = tmp_path / "photo"
    file.write_bytes(encoded(Image.fromarray(blocks), kind, exif=exif, **lossless))
    expected = ORIENTED[orientation](blocks)
    pixels = decode(file)
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).mean() < (25 if kind == "JPEG" else 0.5)
    assert image_size(file) == expected.shape[:2]


def test_unreadable_exif_leaves_the_photo_as_it_is():
    plain = encoded(Image.fromarray(picture()), "JPEG")
    for broken in (b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0"):
        segment = b"\xff\xe1" + struct.pack(">H", len(broken) + 2) + broken
        np.testing.assert_array_equal(decode_bytes(plain[:2] + segment + plain[2:]), decode_bytes(plain))


def test_grey_palette_and_bilevel_become_rgb():
    grey = picture()[..., 0]
    np.testing.assert_array_equal(
        decode_bytes(encoded(Image.fromarray(grey), "PNG")), np.repeat(grey[..., None], 3, axis=2)
    )
    palette = Image.fromarray(picture()).quantize(7)
    np.testing.assert_array_equal(decode_bytes(encoded(palette, "PNG")), np.asarray(palette.convert("RGB")))
    bilevel = Image.fromarray(grey > 100)
    np.testing.assert_array_equal(decode_bytes(encoded(bilevel, "PNG"))[..., 1] == 255, grey > 100)


def test_cmyk_jpeg_is_not_inverted():
    cmyk = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # magenta and yellow make red
    pixels = decode_bytes(encoded(cmyk, "JPEG", quality=95))
    assert np.abs(pixels.reshape(-1, 3).mean(axis=0) - [255, 0, 0]).max() < 12


def test_alpha_is_composited_on_white():
    rgba = np.dstack([picture(), picture(seed=1)[..., :1]])
    alpha = rgba[..., 3:] / 255
    expected = rgba[..., :3] * alpha + 255 * (1 - alpha)
    pixels = decode_bytes(encoded(Image.fromarray(rgba), "PNG"))
    assert np.abs(pixels - expected).max() <= 1


def test_grey_with_alpha_and_transparent_palette_entries():
    rgba = np.dstack([picture(), picture(seed=1)[..., :1]])
    la = Image.merge("LA", [Image.fromarray(rgba[..., 0]), Image.fromarray(rgba[..., 3])])
    alpha = rgba[..., 3] / 255
    expected = rgba[..., 0] * alpha + 255 * (1 - alpha)
    assert np.abs(decode_bytes(encoded(la, "PNG"))[..., 2] - expected).max() <= 1
    palette = Image.fromarray(np.array([[0, 1]], np.uint8))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    pixels = decode_bytes(encoded(palette, "PNG", transparency=0))
    assert pixels.tolist() == [[[255, 255, 255], [40, 50, 60]]]


def test_16_bit_samples_are_scaled_not_clipped(tmp_path):
    values = np.array([[0, 128, 129, 257, 1000], [32768, 50000, 65000, 65406, 65535]], dtype=np.uint16)
    expected = np.repeat(np.floor(values / 257 + 0.5)[..., None], 3, axis=2)
    np.testing.assert_array_equal(decode_bytes(png_16(values, 0)), expected)
    portable = b"P5 5 2 65535\n" + values.astype(">u2").tobytes()
    np.testing.assert_array_equal(decode_bytes(portable), expected)
    np.testing.assert_array_equal(decode_bytes(encoded(Image.fromarray(values), "TIFF")), expected)


def test_16_bit_colour_keeps_its_upper_byte():
    values = np.random.default_rng(0).integers(0, 65536, (6, 5, 3))
    np.testing.assert_array_equal(decode_bytes(png_16(values, 2)), values >> 8)


def test_16_bit_grey_with_a_transparent_value():
    values = np.array([[0, 1000, 65535]], dtype=np.uint16)
    pixels = decode_bytes(png_16(values, 0, (b"tRNS", struct.pack(">H", 1000))))
    assert pixels[0, :, 0].tolist() == [0, 255, 255]


def test_16_bit_tiff_whose_zero_is_white():
    values = np.array([[0, 65535, 257]], dtype=np.uint16)
    content = encoded(Image.fromarray(values), "TIFF", tiffinfo={262: 0})
    pixels = decode_bytes(content)
    with Image.open(io.BytesIO(content)) as image:
        assert image.tag_v2[262] == 0
    assert pixels[0, :, 0].tolist() == [255, 0, 254]


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_samples_without_a_white_are_refused(dtype):
    content = encoded(Image.fromarray(np.ones((3, 4), dtype)), "TIFF")
    with pytest.raises(ImageError, match=r"samples, whose white is not defined. Allowed: 8 or 16 bits"):
        decode_bytes(content, name="scan.tif")


def test_one_pixel_decodes(tmp_path):
    file = tmp_path / "dot.png"
    Image.new("RGB", (1, 1), (1, 2, 3)).save(file)
    assert decode(file).tolist() == [[[1, 2, 3]]]


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "TIFF", "PNG"):
        content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        assert decode_bytes(content)[0, 0].tolist() == [255, 0, 0], kind


KINDS = {
    "JPEG": {}, "progressive": {"progressive": True}, "PNG": {}, "GIF": {}, "BMP": {}, "TIFF": {},
    "LZW": {"compression": "tiff_lzw"}, "WEBP": {}, "PPM": {}, "JPEG2000": {},
}  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(sorted(KINDS)), share=st.floats(0, 1, exclude_max=True))
def test_never_half_an_image(kind, share):
    """Cut anywhere, a file decodes to the whole photo (only trailing bytes lost) or not at all."""
    real = {"progressive": "JPEG", "LZW": "TIFF"}.get(kind, kind)
    whole = encoded(Image.fromarray(picture()), real, **KINDS[kind])
    cut = whole[: int(share * len(whole))]
    try:
        pixels = decode_bytes(cut)
    except ImageError:
        return
    np.testing.assert_array_equal(pixels, decode_bytes(whole))


def test_truncated_photo_is_refused_even_if_another_library_wants_half_images(tmp_path, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    file = tmp_path / "half.jpg"
    content = encoded(Image.fromarray(picture(80, 80)), "JPEG")
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageError) as caught:
        decode(file)
    assert str(caught.value).startswith(f"{file}: is truncated or damaged (image file is truncated (")
    assert str(caught.value).endswith("Try: another copy of the photo.")
    assert caught.value.path == str(file)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_damaged_bytes_are_refused_or_decoded_never_something_else():
    whole = encoded(Image.fromarray(picture()), "PNG")
    generator = np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(whole)
        for place in generator.integers(0, len(whole), 3):
            damaged[place] = generator.integers(256)
        with contextlib.suppress(ImageError):
            assert decode_bytes(bytes(damaged)).ndim == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is an empty file. Allowed: JPEG"),
        (
            b"hello, this is a text",
            "is not a photo in a known format, or its header is damaged. Allowed: JPEG",
        ),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "is not a photo in a known format"),
    ],
)
def test_no_photo(tmp_path, content, message):
    file = tmp_path / "photo.jpg"
    file.write_bytes(content)
    for reader in (decode, image_size):
        with pytest.raises(ImageError) as caught:
            reader(file)
        assert str(caught.value).startswith(f"{file}: {message}")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(ImageError, match=r"absent\.jpg: no such file\."):
        decode(tmp_path / "absent.jpg")
    with pytest.raises(ImageError, match="is not a file"):
        decode(tmp_path)


def bomb(width, height):
    return png((width, height, 8, 2, 0, 0, 0), (b"IDAT", zlib.compress(b"\0" * 1000)))


@pytest.mark.parametrize("side", [11_000, 13_000, 60_000])
def test_decompression_bomb_is_refused_before_decoding(side):
    """Above this library's limit, above Pillow's warning and above Pillow's error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(
            ImageError, match=r"too many to decode. Allowed: at most 100,000,000 pixels"
        ) as caught:
            decode_bytes(bomb(side, side), name="bomb.png")
    assert str(caught.value).startswith("bomb.png: has ")


def test_pixel_limit_is_the_callers():
    content = encoded(Image.fromarray(picture()), "PNG")
    assert decode_bytes(content, max_pixels=24 * 40).shape == (24, 40, 3)
    with pytest.raises(
        ImageError, match=r"has 40 x 24 = 960 pixels, too many to decode. Allowed: at most 959 "
    ):
        decode_bytes(content, max_pixels=959)


def test_the_pixel_limit_is_an_option_of_all_commands(monkeypatch):
    content = bomb(15_000, 10_000)
    with pytest.raises(ImageError, match="pfungst --max-megapixels"):
        decode_bytes(content)
    monkeypatch.setenv(LIMIT_VARIABLE, "149.5")
    with pytest.raises(ImageError, match="at most 149,500,000 pixels"):
        decode_bytes(content)
    monkeypatch.setenv(LIMIT_VARIABLE, "0.5")
    with pytest.raises(ConfigError, match=r"PFUNGST_MAX_MEGAPIXELS = 0.5. Allowed: 1 to 10000 megapixels"):
        decode_bytes(content)


def test_a_larger_limit_than_that_of_pillow_holds(monkeypatch):
    content = bomb(20_000, 10_000)
    monkeypatch.setenv(LIMIT_VARIABLE, "199")
    most = Image.MAX_IMAGE_PIXELS
    with pytest.raises(ImageError, match=r"has 20000 x 10000 = 200,000,000 pixels.*at most 199,000,000"):
        decode_bytes(content)
    assert most == Image.MAX_IMAGE_PIXELS


def test_no_warning_leaks():
    exif = (
        b"\xff\xe1"
        + struct.pack(">H", 40)
        + b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\xff\0\0"
        + b"\0" * 14
    )
    content = encoded(Image.fromarray(picture()), "JPEG")
    palette = Image.fromarray(picture()).quantize(4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decode_bytes(content[:2] + exif + content[2:])
        decode_bytes(encoded(palette, "PNG", transparency=bytes([0, 100, 200, 255])))


class TestHostile:
    def progressive(self, scans, side=64):
        buffer = io.BytesIO()
        Image.new("RGB", (side, side), (200, 30, 30)).save(buffer, "JPEG", progressive=True)
        content = buffer.getvalue()
        last = content.rindex(b"\xff\xda")
        return content[:-2] + content[last:-2] * scans + content[-2:]

    def test_progressive_scans_are_counted(self, monkeypatch):
        assert decode_bytes(self.progressive(3)).shape == (64, 64, 3)
        with pytest.raises(ImageError, match=r"goes over its 64 x 64 pixels 1011 times, too often to decode"):
            decode_bytes(self.progressive(1001))
        monkeypatch.setattr(import_module("pfungst.images.decode"), "_MAX_SCANNED_PIXELS", 64 * 64 * 20)
        decode_bytes(self.progressive(9))
        with pytest.raises(ImageError, match="21 times, too often"):
            decode_bytes(self.progressive(11))

    def test_strips_make_the_same_pixels(self, monkeypatch):
        rng = np.random.default_rng(5)
        deep = Image.fromarray(rng.integers(0, 65536, (23, 17), dtype=np.uint16))
        colour = Image.fromarray(rng.integers(0, 256, (23, 17, 4), dtype=np.uint8))
        images = [deep, colour, colour.convert("RGB").quantize(9), colour.convert("1"), colour.convert("LA")]
        contents = [encoded(image, "PNG") for image in images]
        whole = [decode_bytes(content) for content in contents]
        monkeypatch.setattr(import_module("pfungst.images.decode"), "_STRIP_PIXELS", 17 * 4)
        for content, expected in zip(contents, whole, strict=True):
            np.testing.assert_array_equal(decode_bytes(content), expected)

    def test_unreadable_exif_does_not_hide_the_size(self, tmp_path):
        content = encoded(Image.fromarray(picture()), "PNG")
        broken = png_chunk(b"eXIf", bytes(14))
        (tmp_path / "a.png").write_bytes(content[:33] + broken + content[33:])
        assert image_size(tmp_path / "a.png") == (24, 40) == decode(tmp_path / "a.png").shape[:2]

    @pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
    def test_names_that_no_file_can_have(self, tmp_path, name):
        with pytest.raises(ImageError, match="no such file"):
            decode(tmp_path / name)

    def test_pipes_are_not_waited_for(self, tmp_path):
        os.mkfifo(tmp_path / "a.jpg")
        with pytest.raises(ImageError, match="is not a file"):
            image_size(tmp_path / "a.jpg")


def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
