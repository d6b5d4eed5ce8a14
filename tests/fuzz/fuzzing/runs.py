"""Run folders from others, altered anywhere: what is read is what was measured, or it is refused."""

from __future__ import annotations

import io
import shutil
from random import Random
from typing import Any

import numpy as np

from fuzzing.mutation import mutate_bytes
from fuzzing.target import Case, Target
from pfungst.runs.arrays import ArrayStore
from pfungst.runs.recorded import Finished, Run, open_run, run_items

_ITEMS = 5


def _measured(item: int) -> Finished:
    rng = np.random.default_rng(item)
    arrays = {"map0": rng.normal(size=(3, item + 2)).astype(np.float32), "thumbnail": np.arange(item + 4)}
    return Finished(record={"image": f"p{item}", "value": float(rng.normal())}, arrays=arrays)


def _numbers(run: Run) -> dict[str, Any]:
    return {
        record["image"]: (
            record,
            {name: _bytes(array) for name, array in run.arrays(record["image"]).items()},
        )
        for record in run.records()
    }


def _bytes(array: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


class Runs(Target):
    """A finished run: records, arrays in a shard and in files of their own, manifest."""

    name = "runs"

    def prepare(self) -> None:
        """A run of which every number is known."""
        original = self.folder / "original"
        before, ArrayStore.shard_items = ArrayStore.shard_items, 3
        try:
            keys = [f"p{item}" for item in range(_ITEMS)]
            run = run_items(_measured, range(_ITEMS), keys=keys, configuration={"seed": 0}, out=original)
        finally:
            ArrayStore.shard_items = before
        self._numbers = _numbers(run)
        self._files = {
            str(file.relative_to(original)): file.read_bytes()
            for file in sorted(original.rglob("*"))
            if file.is_file()
        }

    def make(self, rng: Random) -> Case:
        """A file altered, gone, cut, or with the content of another; or records of a stranger's own."""
        files = dict(self._files)
        name = rng.choice(sorted(files))
        action = rng.random()
        if action < 0.6:
            files[name] = mutate_bytes(rng, files[name], (b"\n", b"p1", b"0"))
        elif action < 0.7:
            del files[name]
        elif action < 0.8:
            files[name] = files[rng.choice(sorted(files))]
        elif action < 0.9:
            lines = files["records.jsonl"].splitlines(keepends=True)
            rng.shuffle(lines)
            files["records.jsonl"] = b"".join(lines[: rng.randint(1, len(lines))])
        return files

    def run(self, case: Case) -> bool:
        """Read all of it; other numbers than were measured are a fault."""
        folder = self.folder / "run"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self.write(folder, case)
        assert _numbers(open_run(folder)) == self._numbers
        return True
