"""What a format must tell so that its reader can be attacked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import ClassVar

from pfungst.errors import PfungstError

Case = Mapping[str, bytes]
"""The files of a case by relative name."""


class Target(ABC):
    """A reader and a maker of hostile files for it.

    Parameters
    ----------
    folder : path
        An empty folder that belongs to the target.
    """

    name: ClassVar[str]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prepare()

    def prepare(self) -> None:  # noqa: B027 - not every format needs files beside the case's
        """Make what all cases share."""

    @abstractmethod
    def make(self, rng: Random) -> Case:
        """A case."""

    @abstractmethod
    def run(self, case: Case) -> bool:
        """Read the case; whether all of it was accepted. Refusals are errors of the family."""

    @staticmethod
    def write(folder: Path, case: Case) -> None:
        """Put the files of a case into a folder."""
        for name, content in case.items():
            file = folder / name
            try:
                file.write_bytes(content)
            except FileNotFoundError:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)

    def case(self, seed: int, index: int) -> Case:
        """The case of a seed and a number: always the same."""
        return self.make(Random(f"{self.name}/{seed}/{index}"))

    def accepts(self, case: Case) -> bool:
        """Whether the reader took the case; False if it refused it as it should.

        Raises
        ------
        Exception
            Anything that a user would see as a traceback.
        """
        try:
            return self.run(case)
        except PfungstError as error:
            str(error).encode()  # it will be printed
            return False
