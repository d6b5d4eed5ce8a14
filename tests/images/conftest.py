"""Small made photos, and photo sets of them as people have them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageDraw


def photo(kind="disc", seed=0, *, size=(60, 45), box=(20, 12, 40, 32)):
    """A disc or bars in a box on noise; ``size`` is (width, height)."""
    noise = np.random.default_rng([seed, len(kind)]).integers(
        60, 200, (size[1] // 6 + 1, size[0] // 6 + 1, 3)
    )
    image = Image.fromarray(noise.astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = box
    if kind == "disc":
        draw.ellipse((left, top, right - 1, bottom - 1), fill=(255, 255, 255))
    else:
        for x in range(left, right, 6):
            draw.rectangle((x, top, min(x + 2, right - 1), bottom - 1), fill=(0, 0, 0))
    return image


def save(image, path, **options):
    """Save a photo, with the folders it needs."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


def xml(name, size=(60, 45), objects=(("disc", (21, 13, 40, 32)),)):
    """A VOC annotation; corners are 1-based and inclusive."""
    tags = ("xmin", "ymin", "xmax", "ymax")
    inner = "".join(
        f"<object><name>{label}</name><bndbox>"
        + "".join(f"<{tag}>{value}</{tag}>" for tag, value in zip(tags, box, strict=True))
        + "</bndbox></object>"
        for label, box in objects
    )
    stated = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
    return f"<annotation><filename>{name}</filename>{stated}{inner}</annotation>"


def write(path, text, **options):
    """Write text or bytes, with the folders it needs."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if isinstance(text, bytes):
        Path(path).write_bytes(text)
    else:
        Path(path).write_text(text, **options)


def voc(root, names, *, lists=None):
    """VOC's own layout, a disc in each photo."""
    for number, name in enumerate(names):
        save(photo(seed=number), root / "JPEGImages" / f"{name}.jpg")
        write(root / "Annotations" / f"{name}.xml", xml(f"{name}.jpg"))
    for split, text in (lists or {}).items():
        write(root / "ImageSets" / "Main" / f"{split}.txt", text)
    return root


def coco(file, names, *, photos, boxes=None, size=(60, 45), categories=("disc",), stated=True):
    """A COCO file and its photos; each shows one object of the first category."""
    images, things = [], []
    for number, name in enumerate(names):
        save(photo(seed=number), photos / name)
        images.append({"id": number, "file_name": name})
        if stated:
            images[-1] |= {"width": size[0], "height": size[1]}
        box = (boxes or {}).get(name, (20, 12, 20, 20))
        things.append({"id": number, "image_id": number, "category_id": 1, "bbox": list(box), "iscrowd": 0})
    kinds = [{"id": number, "name": name} for number, name in enumerate(categories, start=1)]
    write(file, json.dumps({"images": images, "annotations": things, "categories": kinds}))
    return file


@pytest.fixture
def made():
    """The writers above."""
    return SimpleNamespace(photo=photo, save=save, xml=xml, write=write, voc=voc, coco=coco)
