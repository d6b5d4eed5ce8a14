"""Names as people write them: Unicode forms, lists of photos, splits, names that are nearly the same."""

from __future__ import annotations

import codecs
import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from pfungst.errors import DataError
from pfungst.files import read_bounded

_MAX_LIST_BYTES = 64 * 2**20
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))

_SPLITS = {
    "train": "train", "training": "train", "trn": "train",
    "val": "val", "valid": "val", "validation": "val", "validate": "val", "dev": "val", "devel": "val",
    "development": "val",
    "test": "test", "testing": "test", "tst": "test", "eval": "test", "evaluation": "test", "holdout": "test",
    "trainval": "trainval",
}  # fmt: skip
_FILLERS = frozenset(
    ("set", "data", "dataset", "images", "image", "imgs", "img", "photos", "split", "instances")
)

_SYNONYMS = (
    {"motorbike", "motorcycle"}, {"aeroplane", "airplane", "plane"}, {"tvmonitor", "tv", "television"},
    {"sofa", "couch"}, {"pottedplant", "plant"}, {"diningtable", "table"}, {"person", "people", "human"},
    {"bicycle", "bike"}, {"car", "automobile"}, {"truck", "lorry"}, {"cow", "cattle"},
)  # fmt: skip
_NEAR = 0.8


def nfc(text: str) -> str:
    """The text with composed letters, in which names are compared: ``é`` is one letter, not two."""
    return unicodedata.normalize("NFC", text)


def split_name(folder: str) -> str | None:
    """``train``, ``val``, ``test`` or ``trainval`` for a folder or file named like a split, else None.

    Common spellings count (``valid``, ``dev``, ``Training``, ``test_set``, ``train2017``).

    Examples
    --------
    >>> [split_name(name) for name in ("valid", "Test_set", "train2017", "trains", "cat")]
    ['val', 'test', 'train', None, None]
    """
    words = [word for word in re.split(r"[^a-z]+", _joined(folder)) if word not in _FILLERS]
    words = [word.removesuffix("set") for word in words if word]
    return _SPLITS.get(words[0]) if len(words) == 1 else None


def split_prefix(folder: str) -> str | None:
    """The split that a folder's name begins with, as a word (``trainA``, ``test_cats``), else None.

    Examples
    --------
    >>> [split_prefix(name) for name in ("trainA", "test_cats", "val-0", "train", "trains", "developer")]
    ['train', 'test', 'val', None, None, None]
    """
    found = re.match(r"([a-z]+|[A-Z][a-z]+|[A-Z]+(?![a-z]))(?=[^a-z])", folder)
    return None if found is None else split_name(found.group(1))


def split_names(folders: Iterable[str]) -> dict[str, str]:
    """The split of each folder that is named like one; where two mean the same, they keep their own names.

    Examples
    --------
    >>> split_names(["train", "valid", "notes"]), split_names(["Test", "eval"])
    ({'train': 'train', 'valid': 'val'}, {'Test': 'test', 'eval': 'eval'})
    """
    named = {folder: name for folder in sorted(folders) if (name := split_name(folder))}
    counts = Counter(named.values())
    for folder, name in named.items():
        if counts[name] > 1 and folder.lower() != name:
            named[folder] = folder
    return named


def _joined(folder: str) -> str:
    return folder.lower().replace("train_val", "trainval").replace("train-val", "trainval")


def read_text(file: Path, *, what: str, limit: int = _MAX_LIST_BYTES) -> str:
    """A text file in UTF-8 or with the mark of UTF-16; other bytes are read as Windows-1252.

    Raises
    ------
    DataError
        If the file cannot be read, is too large for ``what``, or is no text.
    """
    content = read_bounded(file, limit, error=DataError, what=what)
    try:
        for mark, encoding in _BOMS:
            if content.startswith(mark):
                return content.decode(encoding)
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            return content.decode("cp1252")
    except UnicodeDecodeError as error:
        raise DataError(file, "is no text in UTF-8, UTF-16 or Windows-1252", allowed=what) from error


def read_lines(file: Path, *, what: str) -> list[str]:
    """The lines of a text file without the space around them; empty ones are left out."""
    return [line.strip() for line in read_text(file, what=what).splitlines() if line.strip()]


class Index:
    r"""Finds the file that a name from a list or an annotation means.

    Parameters
    ----------
    paths : iterable of PurePosixPath
        The files that there are.

    Examples
    --------
    >>> index = Index([PurePosixPath("JPEGImages/my cat.jpg")])
    >>> names = ("JPEGImages/my cat.jpg", "C:\\photos\\JPEGImages\\my cat.jpg", "my cat", "my cat.png")
    >>> [str(index.find(name)) for name in names] == ["JPEGImages/my cat.jpg"] * 4
    True
    """

    def __init__(self, paths: Iterable[PurePosixPath]) -> None:
        self._whole: dict[str, PurePosixPath] = {}
        self._others: tuple[dict[str, PurePosixPath | None], ...] = ({}, {}, {}, {})
        named, stems, any_case, stems_any_case = self._others
        for path in paths:
            name, stem, inner = nfc(path.name), nfc(path.stem), nfc(str(path.with_suffix("")))
            self._whole[nfc(str(path))] = path
            for table, key in ((named, name), (stems, inner), (stems, stem)):
                _enter(table, key, path)
            for table, key in ((any_case, name), (stems_any_case, inner), (stems_any_case, stem)):
                _enter(table, key.lower(), path)

    def find(self, name: str) -> PurePosixPath | None:
        """The file of that name; None if there is none, or more than one could be meant.

        The whole name counts first, then without its first folders, then the file's name alone, then another
        ending of the same name, and last another case of letters.
        """
        parts = [part for part in nfc(name).replace("\\", "/").split("/") if part not in ("", ".")]
        for start in range(len(parts)):
            found = self._whole.get("/".join(parts[start:]))
            if found is not None:
                return found
        if not parts:
            return None
        whole, last = "/".join(parts), parts[-1]
        keys = (whole, last, _stem(whole), _stem(last))
        named, stems, any_case, stems_any_case = self._others
        for table, spellings in (
            (named, (last,)),
            (stems, keys),
            (any_case, (last.lower(),)),
            (stems_any_case, tuple(key.lower() for key in keys)),
        ):
            for key in spellings:
                if key in table:
                    return table[key]
        return None


def _enter(table: dict[str, PurePosixPath | None], key: str, path: PurePosixPath) -> None:
    table[key] = path if table.get(key, path) == path else None


def _stem(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    return folder + slash + (last.rpartition(".")[0] or last)


def find_listed(line: str, index: Index) -> PurePosixPath | None:
    """The photo that a line of a list names: the whole line, else what stands before a label or a space."""
    for name in (line, re.sub(r"\s+-?\d+$", "", line), line.split(maxsplit=1)[0]):
        found = index.find(name.strip("\"'"))
        if found is not None:
            return found
    return None


def nearly(name: str, known: Sequence[str]) -> str | None:
    """The known name that ``name`` probably means: another case or form, a synonym, a slip of the pen."""
    plain = _plain(name)
    for other in known:
        if _plain(other) == plain or any({plain, _plain(other)} <= group for group in _SYNONYMS):
            return other
    near = difflib.get_close_matches(plain, [_plain(other) for other in known], n=1, cutoff=_NEAR)
    return next((other for other in known if near and _plain(other) == near[0]), None)


def _plain(name: str) -> str:
    folded = unicodedata.normalize("NFKD", name).casefold()
    return re.sub(r"[\W_]+", "", "".join(letter for letter in folded if not unicodedata.combining(letter)))


def same_but_for_case(names: Sequence[str]) -> list[str]:
    """A line for each group of names that differ in case, spaces or signs alone."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_plain(name) or name, []).append(name)
    return [
        f"classes {', '.join(map(repr, group))} differ in spelling alone; are they one?"
        for group in groups.values()
        if len(group) > 1
    ]


def named_classes(texts: Sequence[str] | None, known: Iterable[str]) -> tuple[str, ...] | None:
    """The classes that people name, each text one of them or several separated by commas.

    A known name that holds commas itself is taken whole, the longest first.

    Parameters
    ----------
    texts : sequence of str or None
        None (or none) stays None.
    known : iterable of str
        The names that there are; others are taken as they stand.

    Examples
    --------
    >>> named_classes(["cat, dog", "bars, iron"], ["dog", "bars, iron"])
    ('cat', 'dog', 'bars, iron')
    """
    if not texts:
        return None
    names = {nfc(name) for name in known}
    found = [name for text in texts for name in _cut(nfc(text).strip(), names)]
    return tuple(dict.fromkeys(found))


def _cut(text: str, known: Collection[str]) -> Iterator[str]:
    """The names in a text; where several parts together are a known name, that name."""
    parts = text.split(",")
    first = 0
    while first < len(parts):
        ends = range(len(parts), first + 1, -1)
        end = next((end for end in ends if ",".join(parts[first:end]).strip() in known), first + 1)
        name = ",".join(parts[first:end]).strip()
        if name:
            yield name
        first = end
