"""The option that says where a command writes its model; a finished one is not replaced without a word."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from pfungst.cli._groups import Group
from pfungst.errors import ModelError


@dataclass(frozen=True, kw_only=True)
class ModelTarget(Group):
    """Where a model is written."""

    out: Annotated[Path, typer.Option("--out", help="Model folder to write.")]
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model that is there.")] = False

    @property
    def unfinished(self) -> Path:
        """What a training that was stopped has left beside it, to go on from."""
        return self.out.with_name(self.out.name + ".training")

    def check(self) -> None:
        """See that it may be written, before the work begins.

        Raises
        ------
        ModelError
            If something else than a model is there; or a finished model, and ``--overwrite`` was not given.
        """
        from pfungst.contract.storage import check_target, is_model_folder

        check_target(self.out)
        if is_model_folder(self.out) and not self.overwrite and not self.unfinished.exists():
            raise ModelError(self.out, "there is a finished model", hint="--overwrite, or another --out")
