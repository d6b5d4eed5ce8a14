"""Tables: a CSV or JSON Lines file with a photo and its label, or several, in each row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path, PurePosixPath

from pfungst.errors import DataError
from pfungst.files import is_file, shown
from pfungst.images.assembly import Assembly, class_problem, usable_path
from pfungst.images.dataset import DataSet
from pfungst.images.fitting import Size
from pfungst.images.layouts.base import Layout
from pfungst.images.layouts.columns import Columns, Find
from pfungst.images.layouts.rows import SUFFIXES, Row, read_rows
from pfungst.images.layouts.splits import folder_splits
from pfungst.images.names import Index, nfc, read_lines, split_name
from pfungst.images.place import Place
from pfungst.images.records import Labelled
from pfungst.images.tree import walk

_SNIFFED, _MOST_SNIFFED = 200, 1_000_000
_NAME_FILES = ("classes.txt", "class_names.txt", "names.txt", "labels.txt", "categories.txt")
_MISSING = "rows name a photo that is not here, or more than one; left out"
_NO_LABEL = "labels say that there is none (NaN, null); taken as showing none of the classes"
_ONE_NAME = "labels hold spaces, and parts of theirs are labels too; each taken as one name"
_REPEATED = "rows say again what another row of their photo says"
_AGAIN = "photos have more than one row, as few others have; their labels are joined"
_FEW = 0.1  # of the photos
_NO_CLASS = "rows have a class name that is too long or cannot be printed; left out"


@dataclass
class _Photo:
    """What the rows say of one photo."""

    objects: list[Labelled] = field(default_factory=list)
    rows: int = 0
    size: Size | None = None
    splits: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True)
class _Table:
    """A file whose columns are understood."""

    file: Path
    columns: Columns
    index: Index
    folder: Path
    home: PurePosixPath
    names: tuple[str, ...] = ()

    def find(self, name: str) -> PurePosixPath | None:
        """The photo that a name in the table means, first beside the table itself."""
        return _beside(self.index, self.home, name)

    def __str__(self) -> str:
        """How it is read, in words."""
        numbered = f", numbers are those of the {len(self.names)} names beside it" if self.names else ""
        return f"{self.columns}{numbered}"


def _beside(index: Index, home: PurePosixPath, name: str) -> PurePosixPath | None:
    return index.find(f"{home}/{name}") if home.parts else index.find(name)


def recognise(place: Place) -> str:
    """Tables with a column that names photos and one that labels them."""
    tables = _tables(place)
    if not tables:
        return ""
    listed = ", ".join(table.file.name for table in tables[:4])
    return f"{listed}: {tables[0]}"


def read(place: Place) -> DataSet:
    """Read tables of photos and labels.

    A column such as ``file_name`` or ``image`` names the photo, relative to the table's folder or to
    ``place.images``; one such as ``label`` or ``classes`` says what it shows: one class, several with ``|``
    or ``;`` between them (in a column of a plural name also ``,``, or spaces where each part is a label
    too), or a list. Numbers are named by a list of names (``classes.txt``) beside the table. A photo may have
    several rows. In place of a label there may be a column of 0 and 1 for each class, or Hugging Face's
    ``objects``. An empty label shows none of the classes. Boxes are corners (``xmin``, ``ymin``, ``xmax``,
    ``ymax``, taken as edges), ``x``, ``y``, ``width``, ``height``, or a centre and ``width``, ``height``, in
    pixels. Splits are those of a column ``split``, else of tables or folders named like splits.

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
    _name_unlike(photos, found)
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
        classes=[name for name in tables[0].names if name in found.classes]
        or tables[0].columns.in_order(found.classes),
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
    folder = place.images or file.parent
    if place.images is None and place.path.is_dir():
        folder, photos = place.path, place.tree.photos
    else:
        photos = walk(folder).photos
    home = PurePosixPath()
    if file.parent.is_relative_to(folder):
        home = PurePosixPath(file.parent.relative_to(folder).as_posix())
    index = Index(photos)
    try:
        columns = _columns(file, lambda name: _beside(index, home, name), len(photos))
        names = () if columns is None else _class_names(place, file, columns)
    except DataError:
        return None
    if columns is None:
        return None
    return _Table(file=file, columns=columns, index=index, folder=folder, home=home, names=names)


def _columns(file: Path, find: Find, photos: int) -> Columns | None:
    """By the first rows; by all of them if those name too few photos, as where most photos are elsewhere."""
    rows = list(islice(read_rows(file), _SNIFFED))
    found = Columns.of(rows, find, photos) if rows else None
    if found is None and len(rows) == _SNIFFED:
        return Columns.of(list(islice(read_rows(file), _MOST_SNIFFED)), find, photos)
    return found


def _class_names(place: Place, file: Path, columns: Columns) -> tuple[str, ...]:
    """The names that a list beside a table gives to its labels, if all of those are numbers of the list."""
    folders = dict.fromkeys((file.parent, place.path if place.path.is_dir() else file.parent))
    lists = [folder / name for folder in folders for name in _NAME_FILES if is_file(folder / name)]
    if len(lists) != 1:
        return ()
    names = tuple(map(nfc, read_lines(lists[0], what="names of classes")))
    if not _all_numbers(columns, read_rows(file), len(names)):
        return ()
    place.read.add(lists[0])
    return names


def _all_numbers(columns: Columns, rows: Iterable[Row], count: int) -> bool:
    """Whether all labels of a table are whole numbers from 0 to below ``count``."""
    names = {item.class_name for row in rows for item in columns.objects_in(row)}
    return all(name.isdecimal() and len(name) < 10 and int(name) < count for name in names)


def _read_table(table: _Table, photos: dict[Path, _Photo], found: Assembly) -> None:
    own = split_name(table.file.stem) or split_name(table.file.parent.name)
    for row in read_rows(table.file):
        name = table.columns.photo_in(row)
        relative = table.find(name) if name else None
        if relative is None:
            found.count(_MISSING, shown(name))
            continue
        photo = photos.setdefault(table.folder / relative, _Photo())
        before = len(photo.objects)
        _add_objects(table, row, photo, found, str(relative))
        if photo.objects[before:] and all(item in photo.objects[:before] for item in photo.objects[before:]):
            found.count(_REPEATED, str(relative))
            del photo.objects[before:]
        photo.rows += 1
        photo.size = photo.size or table.columns.size_in(row)
        split = table.columns.split_in(row) or own
        if split:
            photo.splits[split] = None


def _name_unlike(photos: Mapping[Path, _Photo], found: Assembly) -> None:
    """Name photos with several rows where that is no way of writing several labels, but a slip."""
    many = [path for path, photo in photos.items() if photo.rows > 1]
    boxed = any(item.box for photo in photos.values() for item in photo.objects)
    if not boxed and len(many) <= _FEW * len(photos):
        for path in many:
            found.count(_AGAIN, path.name)


def _add_objects(table: _Table, row: Row, photo: _Photo, found: Assembly, where: str) -> None:
    if table.columns.is_unlabelled(row):
        found.count(_NO_LABEL, where)
    if table.columns.is_one_name(row):
        found.count(_ONE_NAME, where)
    for item in table.columns.objects_in(row):
        name = table.names[int(item.class_name)] if table.names else item.class_name
        if class_problem(name):
            found.count(_NO_CLASS, where)
        else:
            photo.objects.append(replace(item, class_name=name))


LAYOUT = Layout(
    name="table",
    title="a CSV, TSV or JSON Lines file with columns such as file_name and label",
    recognise=recognise,
    read=read,
    takes_images=True,
)
