"""What a measurement tells of its photos: how many, what was left out, which classes are not shared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pfungst.contract.classifier import Classifier
from pfungst.contract.seen import overlap_lines
from pfungst.images.dataset import DataSet, Overlap
from pfungst.images.names import nearly


@dataclass(frozen=True, kw_only=True)
class UsedPhotos:
    """The photos of a measurement.

    Attributes
    ----------
    data, layout : str
        The data set's name, and how its files were read.
    photos : int
        How many.
    learned : int
        Photos that a model has learned from; left out unless ``learned_measured``.
    overlap : tuple of str
        In words: photos that a model has learned from, photos that look like one, models that do not say.
    problems : tuple of str
        What was wrong in the data set's files, a line each.
    only_in_data : tuple of str
        Classes that no model knows.
    only_in_models : mapping of str to tuple of str
        Classes of each model that the data set does not have.
    """

    data: str
    photos: int
    layout: str = ""
    learned: int = 0
    learned_measured: bool = False
    overlap: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    only_in_data: tuple[str, ...] = ()
    only_in_models: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def lines(self) -> tuple[str, ...]:
        """What a person should know of them, the problems apart."""
        lines = list(self.overlap)
        if self.only_in_data:
            lines.append(f"classes of {self.data} that no model knows: {', '.join(self.only_in_data)}")
        lines += [
            f"classes of {model} that {self.data} does not have: {', '.join(names)}"
            for model, names in self.only_in_models.items()
        ]
        lines += [f"are {one!r} and {other!r} the same class?" for one, other in self._perhaps_the_same]
        return tuple(lines)

    @property
    def _perhaps_the_same(self) -> list[tuple[str, str]]:
        lacking = dict.fromkeys(name for names in self.only_in_models.values() for name in names)
        pairs = [(name, nearly(name, self.only_in_data)) for name in lacking]
        return [(name, other) for name, other in pairs if other is not None]


def used_photos(data: DataSet, models: Mapping[str, Classifier | Any]) -> UsedPhotos:
    """What there is to tell of photos that models, by name, are measured on."""
    overlap = data.overlap or Overlap()
    known = {name for model in models.values() for name in model.classes}
    lacking = {
        title: tuple(name for name in model.classes if name not in data.classes)
        for title, model in models.items()
    }
    return UsedPhotos(
        data=data.name,
        photos=len(data),
        layout=data.layout,
        learned=len(overlap.seen),
        learned_measured=overlap.included,
        overlap=tuple(overlap_lines(overlap)),
        problems=data.problems,
        only_in_data=tuple(name for name in data.classes if name not in known),
        only_in_models={title: names for title, names in lacking.items() if names},
    )
