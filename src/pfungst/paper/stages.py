"""Stages of a long experiment: each is done once; a finished one is taken from its folder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pfungst import __version__
from pfungst.contract.plain import to_plain
from pfungst.runs.executor import Workers, executor_of
from pfungst.runs.journal import Journal, read_records

STAGE_FILE = "stage.jsonl"


def run_stage(
    folder: Path,
    configuration: Mapping[str, Any],
    work: Callable[[], Any],
    *,
    workers: Workers = 1,
) -> dict[str, Any]:
    """What ``work`` returned, now or in an earlier run.

    Parameters
    ----------
    folder : path
        The stage's own; its ``stage.jsonl`` holds configuration and result.
    configuration : mapping
        Everything that the result depends on.
    work : callable
        Returns numbers that :func:`~pfungst.contract.plain.to_plain` can write; NaN becomes None.
    workers : int or Cluster
        Their number is noted beside the time; None for a cluster, which may grow and shrink.

    Returns
    -------
    dict
        ``result``, the ``seconds`` of wall time and ``processor_seconds`` of this machine that the run which
        finished it took, and its ``workers``.

    Raises
    ------
    ConfigError
        If the folder was begun with another configuration; the message names the fields that differ.
    """
    wanted = {"version": __version__, **configuration}
    file = folder / STAGE_FILE
    with Journal(file, wanted, key="stage") as journal:
        if folder.name not in journal.finished:
            wall, processor = time.perf_counter(), _processor_seconds()
            result = to_plain(work())
            took = {
                "seconds": time.perf_counter() - wall,
                "processor_seconds": _processor_seconds() - processor,
                "workers": executor_of(workers).fixed,
            }
            journal.append({"stage": folder.name, **took, "result": result})
    return next(iter(read_records(file)))


def _processor_seconds() -> float:
    """Of this process and of all worker processes that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
