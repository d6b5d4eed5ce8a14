"""A run as a script of its own, which may be killed, and disks that are full."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pfungst.runs.recorded import open_run

SCRIPT = """
import os, sys, time
import numpy as np
from pfungst.runs.arrays import ArrayStore
from pfungst.runs.recorded import Finished, run_items

def task(item):
    with open(os.environ["RUN_LOG"], "a") as log:
        log.write(f"{item} {os.getpid()}\\n")
    time.sleep(float(os.environ["RUN_PAUSE"]))
    rng = np.random.default_rng(item)
    arrays = {"map0": rng.normal(size=(5, item + 1)).astype(np.float32), "thumbnail": rng.bytes(9)}
    arrays["thumbnail"] = np.frombuffer(arrays["thumbnail"], np.uint8)
    return Finished(record={"image": f"photo/{item}", "value": rng.normal()}, arrays=arrays)

def go(out, workers, seed=0, items=40):
    ArrayStore.shard_items = 8
    keys = [f"photo/{item}" for item in range(items)]
    return run_items(task, range(items), keys=keys, configuration={"seed": seed}, out=out, workers=workers)

if __name__ == "__main__":
    go(sys.argv[1], int(sys.argv[2]))
"""


class ScriptedRun:
    """Forty items, some hundredths of a second each, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.out, self.log, self.errors = folder / "out", folder / "log", folder / "errors"
        self.script = folder / "scripted_run.py"
        self.script.write_text(SCRIPT)
        self.log.touch()

    def start(self, *, workers: int = 1, pause: float = 0.01) -> subprocess.Popen[bytes]:
        environment = os.environ | {"RUN_LOG": str(self.log), "RUN_PAUSE": str(pause)}
        command = [sys.executable, str(self.script), str(self.out), str(workers)]
        with self.errors.open("w") as errors:
            return subprocess.Popen(command, env=environment, stderr=errors)

    def finish(self, *, workers: int = 1) -> None:
        """Run to the end."""
        assert self.start(workers=workers, pause=0).wait() == 0, self.errors.read_text()

    def wait_for(self, started: int, process: subprocess.Popen[bytes]) -> None:
        """Until so many items have been begun, or the process has ended."""
        deadline = time.monotonic() + 60
        while len(self.begun()) < started and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def begun(self) -> list[list[str]]:
        """``[item, process]`` of each attempt."""
        return [line.split() for line in self.log.read_text().splitlines()]

    def processes_end(self) -> bool:
        """Whether every process that worked on an item is gone within ten seconds."""
        deadline = time.monotonic() + 10
        processes = {process for _, process in self.begun()}
        while any(_is_alive(process) for process in processes) and time.monotonic() < deadline:
            time.sleep(0.02)
        return not any(_is_alive(process) for process in processes)

    def numbers(self) -> tuple[str, dict[str, dict[str, bytes]]]:
        """Every number of the run: its records, and its arrays by item and name."""
        run = open_run(self.out)
        records = sorted(run.records(), key=lambda record: record["image"])
        arrays = {
            record["image"]: {name: array.tobytes() for name, array in run.arrays(record["image"]).items()}
            for record in records
        }
        return json.dumps(records), arrays


def _is_alive(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """The numbers of a run without any interruption."""
    scripted = ScriptedRun(tmp_path_factory.mktemp("whole"))
    scripted.finish()
    numbers = scripted.numbers()
    assert len(numbers[1]) == 40
    return numbers


@pytest.fixture
def scripted(tmp_path):
    return ScriptedRun(tmp_path)
