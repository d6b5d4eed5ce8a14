"""The options that say who works: this machine's processes, or a cluster's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from pfungst.cli._groups import Group

if TYPE_CHECKING:
    from pfungst.runs.executor import Workers


@dataclass(frozen=True, kw_only=True)
class Crew(Group):
    """Who works."""

    panel: ClassVar[str] = "Work"

    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 takes one for each processor.")] = 0
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Work on a Dask cluster instead: its scheduler (tcp://host:8786) or "
            "scheduler file. Needs pfungst[dask].",
        ),
    ] = None

    @property
    def hired(self) -> Workers:
        """The processes that ``--workers`` asks for, or the cluster of ``--scheduler``."""
        from pfungst.runs.executor import Cluster, default_workers

        return Cluster(self.scheduler) if self.scheduler is not None else self.workers or default_workers()
