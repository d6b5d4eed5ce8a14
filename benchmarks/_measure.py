"""Measuring: processor time of one thread, medians of alternating runs, peak memory of a process of its
own.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_REMOVED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def cpu_times(calls: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Processor seconds of each call, ``repeats`` times, in turns, so that a slow spell meets all of them
    alike.

    Each call runs once before, unmeasured.
    """
    for call in calls.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.process_time()
            call()
            times[name].append(time.process_time() - start)
    return times


def ratio(times: Mapping[str, Sequence[float]], name: str, base: str) -> float:
    """Median over the rounds of the time of ``name`` over that of ``base`` in the same round."""
    return statistics.median(a / b for a, b in zip(times[name], times[base], strict=True))


def peak_bytes() -> int:
    """The largest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def in_child(script: str | Path, arguments: Sequence[str]) -> Any:
    """Run a script in a process of its own, with one thread and no settings of the linear algebra's; its
    JSON.
    """
    environment = {key: value for key, value in os.environ.items() if key not in _REMOVED}
    command = [sys.executable, str(script), *arguments]
    done = subprocess.run(
        command, env={**environment, **ONE_THREAD}, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout)


def print_json(content: Any) -> None:
    """One JSON object on standard output."""
    print(json.dumps(content, indent=2))


def rounded(numbers: Mapping[str, float], digits: int = 3) -> dict[str, float]:
    """Numbers for people."""
    return {name: round(value, digits) for name, value in numbers.items()}
