"""Tables: a CSV or JSON Lines file with a photo and its label, or several, in each row."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath

from pfungst.errors import DataError
from pfungst.files import shown
from pfungst.images.assembly import Assembly, class_problem, usable_path
from pfungst.images.dataset import DataSet
from pfungst.images.fitting import Size
from pfungst.images.layouts.base import Layout
from pfungst.images.layouts.columns import Columns
from pfungst.images.layouts.rows import SUFFIXES, read_rows
from pfungst.images.layouts.splits import folder_splits
from pfungst.images.names import Index, split_name
from pfungst.images.place import Place
from pfungst.images.records import Labelled
from pfungst.images.tree import walk

_SNIFFED = 200
_MISSING = "rows name a photo that is not here; left out"
_NO_CLASS = "rows have a class name that is too long or cannot be printed; left out"


@dataclass
class _Photo:
    """What the rows say of one photo."""

    objects: list[Labelled] = field(default_factory=list)
    size: Size | None = None
    splits: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True)
class _Table:
    """A file whose columns are understood."""

    file: Path
    columns: Columns
    index: Index
    folder: Path


def recognise(place: Place) -> str:
    """Tables with a column that names photos and one that labels them."""
    tables = _tables(place)
    if not tables:
        return ""
    listed = ", ".join(table.file.name for table in tables[:4])
    return f"{listed}: {tables[0].columns}"


def read(place: Place) -> DataSet:
    """Read tables of photos and labels.

    A column such as ``file_name`` or ``image`` names the photo, relative to the table's folder or to
    ``place.images``; one such as ``label`` or ``classes`` says what it shows: one class, several with ``|``
    or ``;`` between them (in a column of a plural name also ``,``), or a list (JSON Lines). A photo may have
    several rows. In place of a label there may be a column of 0 and 1 for each class, or Hugging Face's
    ``objects``. An empty label shows none of the classes. Boxes are corners (``xmin``, ``ymin``, ``xmax``,
    ``ymax``, taken as edges), or ``x``, ``y``, ``width``, ``height``, in pixels. Splits are those of a column
    ``split``, else of tables or folders named like splits.

    Raises
    ------
    DataError
        If there is no such table, several of which either could be meant, or nothing can be used.
    """
    tables = _tables(place)
    if not tables:
        raise DataError(
            place.path,
            "holds no table of photos and labels",
            allowed=f"a file ({', '.join(SUFFIXES)}) with columns such as file_name and label",
        )
    names = [split_name(table.file.stem) or str(table.file.parent) for table in tables]
    if len(set(names)) < len(names):
        listed = ", ".join(table.file.name for table in tables)
        raise DataError(
            place.path, f"holds several tables of labels ({listed})", hint=f"one of them, {tables[0].file}"
        )
    found = Assembly(place)
    photos: dict[Path, _Photo] = {}
    for table in tables:
        place.read.add(table.file)
        _read_table(table, photos, found)
    base = place.path if place.path.is_dir() else place.path.parent
    relatives = {path: _relative(path, base, place.images) for path in photos}
    by_folder = folder_splits([*relatives.values()])
    for path, photo in photos.items():
        relative = relatives[path]
        if not usable_path(relative):
            found.note(relative, "its path cannot be printed; left out", path)
            continue
        splits = list(photo.splits) or ([by_folder[relative]] if by_folder else [])
        identity = found.new_id(relative)
        found.add(identity, path, photo.objects, size=photo.size, where=str(relative))
        for split in splits:
            if found.entries and found.entries[-1].id == identity:
                found.splits.setdefault(split, []).append(identity)
    return found.finish(
        name=place.path.stem if place.path.is_file() else place.path.name,
        classes=tables[0].columns.in_order(found.classes),
    )


def _relative(path: Path, base: Path, images: Path | None) -> PurePosixPath:
    for folder in (images, base):
        if folder is not None and path.is_relative_to(folder):
            return PurePosixPath(path.relative_to(folder).as_posix())
    return PurePosixPath(path.name)


def _tables(place: Place) -> list[_Table]:
    """The tables that name photos which are there."""
    found = []
    for file in place.files(*SUFFIXES):
        if "submission" in file.stem.lower():  # an empty answer to a contest, with labels that are none
            continue
        table = _understood(place, file)
        if table is not None:
            found.append(table)
    return found


def _understood(place: Place, file: Path) -> _Table | None:
    try:
        rows = list(islice(read_rows(file), _SNIFFED))
    except DataError:
        return None
    folder = place.images or file.parent
    if place.images is None and place.path.is_dir():
        folder, photos = place.path, place.tree.photos
    else:
        photos = walk(folder).photos
    index = Index(photos)
    columns = Columns.of(rows, index) if rows else None
    return None if columns is None else _Table(file=file, columns=columns, index=index, folder=folder)


def _read_table(table: _Table, photos: dict[Path, _Photo], found: Assembly) -> None:
    own = split_name(table.file.stem) or split_name(table.file.parent.name)
    for row in read_rows(table.file):
        name = table.columns.photo_in(row)
        relative = table.index.find(name) if name else None
        if relative is None:
            found.count(_MISSING, shown(name))
            continue
        photo = photos.setdefault(table.folder / relative, _Photo())
        for item in table.columns.objects_in(row):
            if class_problem(item.class_name):
                found.count(_NO_CLASS, str(relative))
            else:
                photo.objects.append(item)
        photo.size = photo.size or table.columns.size_in(row)
        split = table.columns.split_in(row) or own
        if split:
            photo.splits[split] = None


LAYOUT = Layout(
    name="table",
    title="a CSV, TSV or JSON Lines file with columns such as file_name and label",
    recognise=recognise,
    read=read,
    takes_images=True,
)
