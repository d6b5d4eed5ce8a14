"""What many photos and many workers cost.

``python benchmarks/scale.py`` prints one JSON object:

- ``speedup_2_workers``: wall time of explaining the same photos in this process over that in two local
  processes, the best of alternating rounds, workers started before;
- ``speedup_2_bare_processes``: the same for two processes that share nothing and are told nothing, each with
  half of the photos: the most that this machine gives;
- ``dask_over_local``: wall time on a Dask cluster of two workers on this machine over that in two local
  processes, likewise;
- ``memory_growth``: peak memory of an audit of many photos over that of few (this process and its workers);
- ``time_per_image_growth``: processor time that one more photo costs in a large audit over that in a small
  one (this process and its workers; what does not depend on the number of photos cancels). It falls while the
  search for artefacts, which looks at no more than 64 photos of a class, has not yet as many to look at;
- ``time_per_image_growth_full_search``: the same with a search of no more than 8 photos of a class, which
  even the smallest audit has: what a photo costs by itself;
- ``decodes_per_photo``, ``hashes_per_photo``: how often a photo is decoded, and its file hashed, in a whole
  audit of a Fisher-vector model with all parts, counted in one process; ``classes_per_photo`` is how many
  classes a photo shows there;
- ``descriptions_per_photo``: how often an untouched photo is described in the audit's survey, and
  ``edited_descriptions_per_photo``: how often one with an edit is, the object or an area off it filled in;
- ``cpu_seconds_per_photo``: processor time of an audit of two small models, a Fisher-vector model and a
  network, over the number of photos, in one process. ``--part work`` measures it alone.

Walls need a quiet machine: ``load`` is its load average when they were measured. ``cpu_2_workers_over_1`` and
``cpu_dask_over_local`` are the same comparisons in processor time, which tells what parallel work adds; on
idle processors the speed-up is 2 over the former. The photos are generated scenes, the classifier is a
Fisher-vector model with random weights, for which costs are those of a trained one.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import resource
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from _measure import in_child, peak_bytes, print_json, rounded

from pfungst.audits.artefacts import ArtefactConfig
from pfungst.audits.auditing import AuditConfig, Subject, audit_models
from pfungst.demo.scenes import ScenesConfig, write_scenes
from pfungst.descriptors import SiftConfig, dense_sift, fit_pca
from pfungst.evaluation.replacement import ReplacementConfig
from pfungst.fisher.classifier import FisherClassifier, FisherPipeline
from pfungst.images import DataSet, Record, decode, open_dataset
from pfungst.mixture import MixtureConfig, fit_mixture
from pfungst.runs.executor import Cluster, StandingCrew, standing_crew


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large the measurement is: photos explained, rounds, photos of three audits."""

    scenes: int
    explained: int
    rounds: int
    audits: tuple[int, int, int]
    components: int
    step: int


FULL = Size(scenes=60, explained=48, rounds=3, audits=(40, 200, 1400), components=64, step=4)
TINY = Size(scenes=20, explained=6, rounds=1, audits=(12, 18, 30), components=8, step=8)
AUDIT_COMPONENTS, AUDIT_STEP = 8, 8
FEW = 8
"""Photos of a class that the search is given where its own growth is not to be measured."""


def make_scenes(folder: Path, size: Size) -> DataSet:
    """Distinct photos with their boxes."""
    write_scenes(folder / "scenes", ScenesConfig(n_images=size.scenes, seed=0))
    return open_dataset(folder / "scenes")


def repeated(data: DataSet, number: int) -> DataSet:
    """So many records; photos come round again under other names."""
    records: list[Record] = [
        replace(data.records[index % len(data)], id=f"photo{index:05d}") for index in range(number)
    ]
    return replace(data, records=tuple(records), splits={})


def make_model(data: DataSet, components: int, step: int) -> FisherClassifier:
    """A Fisher-vector model whose mixture is fitted to some photos and whose weights are drawn."""
    sift = SiftConfig(step=step)
    sample = np.concatenate([dense_sift(decode(record.path), sift).values for record in data.records[:4]])
    pca = fit_pca(sample, 64 if components > 8 else 16)
    config = MixtureConfig(n_components=components, init="random", max_iter=4)
    pipeline = FisherPipeline(
        descriptor=sift, pca=pca, mixture=fit_mixture(pca.transform(sample[::4]), config)
    )
    weights = np.random.default_rng(0).normal(0, 1, (len(data.classes), pipeline.n_dimensions))
    zeros = np.zeros(len(data.classes))
    return FisherClassifier(pipeline, data.classes, weights, zeros, thresholds=zeros)


@dataclass(frozen=True)
class ExplainPhoto:
    """A picklable task: the heatmap of a photo's highest score."""

    classifier: FisherClassifier

    def __call__(self, path: Path) -> float:
        """Explain one photo."""
        look = self.classifier.look([decode(path)], relevance=True)
        top = self.classifier.classes[int(look.scores[0].argmax())]
        return float(look.explain([[top]])[0][0].relevance.sum())


def measure_walls(size: Size) -> dict[str, float]:
    """Explaining in this process, in two processes and on two workers of a cluster, in turns."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        data = make_scenes(folder, size)
        task = ExplainPhoto(make_model(data, size.components, size.step))
        items = [record.path for record in repeated(data, size.explained)]
        kinds = {"one": 1, "two": 2, "dask": stack.enter_context(local_cluster())}
        crews: dict[str, StandingCrew[Any, Any]] = {
            kind: stack.enter_context(standing_crew(task, workers)) for kind, workers in kinds.items()
        }
        for crew in crews.values():
            run(crew, items[:4])
        walls: dict[str, list[float]] = {kind: [] for kind in crews}
        processors: dict[str, list[float]] = {kind: [] for kind in crews}
        for _ in range(size.rounds):
            for kind, crew in crews.items():
                start, before = time.perf_counter(), processor_seconds()
                run(crew, items)
                walls[kind].append(time.perf_counter() - start)
                processors[kind].append(processor_seconds() - before)
            walls.setdefault("bare", []).append(bare_wall(task, items))
    wall = {kind: min(times) for kind, times in walls.items()}
    processor = {kind: min(times) for kind, times in processors.items()}
    return {
        "speedup_2_workers": wall["one"] / wall["two"],
        "speedup_2_bare_processes": wall["one"] / wall["bare"],
        "dask_over_local": wall["dask"] / wall["two"],
        "cpu_2_workers_over_1": processor["two"] / processor["one"],
        "cpu_dask_over_local": processor["dask"] / processor["two"],
        "seconds_per_image": wall["one"] / size.explained,
    }


def run(crew: StandingCrew[Any, Any], items: list[Any]) -> None:
    for outcome in crew(items):
        outcome.unwrap()


def bare_wall(task: ExplainPhoto, items: list[Any]) -> float:
    """Wall time of two processes, each with half of the photos and a model of its own, started before."""
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(3)
    halves = [
        context.Process(target=bare_loop, args=(task, items[half::2], together), daemon=True)
        for half in range(2)
    ]
    for process in halves:
        process.start()
    together.wait()
    start = time.perf_counter()
    together.wait()
    seconds = time.perf_counter() - start
    for process in halves:
        process.join()
    return seconds


def bare_loop(task: ExplainPhoto, items: list[Any], together: Barrier) -> None:
    """One of the two: warm up, start together, explain, end together."""
    for item in items[:2]:
        task(item)
    together.wait()
    for item in items:
        task(item)
    together.wait()


def processor_seconds() -> float:
    """Processor time so far of this process and all below it that are alive."""
    import psutil

    total = time.process_time()
    for child in psutil.Process().children(recursive=True):
        times = child.cpu_times()
        total += times.user + times.system
    return total


@contextmanager
def local_cluster() -> Iterator[Cluster]:
    """A Dask cluster of two workers on this machine."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1", silence_logs=50
    ) as cluster:
        yield Cluster(cluster.scheduler_address)


def measure_audit(number: int, size: Size, search: ArtefactConfig) -> dict[str, float]:
    """Peak memory and processor time of one audit with two workers, in this process."""
    with tempfile.TemporaryDirectory() as name:
        data = make_scenes(Path(name), size)
        model = make_model(data, AUDIT_COMPONENTS, AUDIT_STEP)
        config = AuditConfig(
            artefacts=search,
            quality_images=4,
            replacement=ReplacementConfig(n_replaced=200, batch_size=50, repetitions=1),
        )
        start = _user_seconds()
        audit_models([Subject(name="model", classifier=model)], repeated(data, number), Path(name) / "audit",
                     config, workers=2)  # fmt: skip
        seconds = _user_seconds() - start
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )
    return {"peak": peak_bytes() + 2 * worker, "seconds": seconds}


def _user_seconds() -> float:
    """Of this process and its workers, which have ended."""
    both = (resource.getrusage(kind) for kind in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def make_network(data: DataSet) -> Any:
    """A small network with random weights."""
    import torch
    from torch import nn

    from pfungst.network import NetworkClassifier, Preprocess

    torch.manual_seed(0)
    torch.set_num_threads(1)
    module = nn.Sequential(
        nn.Conv2d(3, 16, 5, stride=2), nn.ReLU(),
        nn.Conv2d(16, 32, 5, stride=2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, len(data.classes)),
    )  # fmt: skip
    see = Preprocess(input_size=(96, 96), resize_length=110)
    zeros = np.zeros(len(data.classes))
    return NetworkClassifier(module.eval(), data.classes, see, thresholds=zeros)


def measure_work(size: Size) -> dict[str, float]:
    """What a whole audit does with a photo, and what it costs."""
    with tempfile.TemporaryDirectory() as name:
        data = make_scenes(Path(name), size)
        fisher = Subject(name="fisher", classifier=make_model(data, AUDIT_COMPONENTS, AUDIT_STEP))
        network = Subject(name="network", classifier=make_network(data))
        config = AuditConfig(
            quality_images=min(AuditConfig().quality_images, len(data) // 4),
            replacement=ReplacementConfig(n_replaced=200, batch_size=50, repetitions=1),
        )
        with Counted(data) as counted:
            audit_models([fisher], data, Path(name) / "one", config)
            counts = counted.per_photo()
        with Counted(data) as counted:
            audit_models([fisher], data, Path(name) / "survey", replace(config, parts=("context",)))
            surveyed = counted.per_photo()
        start = time.process_time()
        audit_models([fisher, network], data, Path(name) / "both", config)
        seconds = time.process_time() - start
    return {
        "cpu_seconds_per_photo": seconds / len(data),
        "classes_per_photo": sum(len(record.positive) for record in data) / len(data),
        "decodes_per_photo": counts["decodes"],
        "hashes_per_photo": counts["hashes"],
        "descriptions_per_photo": surveyed["descriptions"],
        "edited_descriptions_per_photo": surveyed["edited_descriptions"],
    }


class Counted:
    """Counts, in a ``with`` block, what this process does with the photos of a data set.

    Functions are replaced wherever a module of the library holds them.
    """

    def __init__(self, data: DataSet) -> None:
        self._photos = len(data)
        self._untouched = {_fingerprint(decode(record.path)) for record in data}
        self._counts = dict.fromkeys(("decodes", "hashes", "descriptions", "edited_descriptions"), 0)
        self._stack = ExitStack()

    def __enter__(self) -> Counted:
        from pfungst.images import decode as decoding
        from pfungst.runs import identity

        self._replace_everywhere(sys.modules[decoding.__module__]._decode, "decodes")
        self._replace_everywhere(identity.file_sha256, "hashes")
        self._stack.enter_context(mock.patch.object(identity, "hashlib", _Hashing(self._counts)))
        describe = FisherPipeline.describe

        def described(pipeline: FisherPipeline, image: Any, *more: Any, **options: Any) -> Any:
            untouched = _fingerprint(image) in self._untouched
            self._counts["descriptions" if untouched else "edited_descriptions"] += 1
            return describe(pipeline, image, *more, **options)

        self._stack.enter_context(mock.patch.object(FisherPipeline, "describe", described))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def per_photo(self) -> dict[str, float]:
        """All counts over the number of photos."""
        return {name: count / self._photos for name, count in self._counts.items()}

    def _replace_everywhere(self, function: Callable[..., Any], name: str) -> None:
        def counting(*arguments: Any, **options: Any) -> Any:
            self._counts[name] += 1
            return function(*arguments, **options)

        for module in [module for key, module in sys.modules.items() if key.startswith("pfungst.")]:
            for attribute, value in list(vars(module).items()):
                if value is function:
                    self._stack.enter_context(mock.patch.object(module, attribute, counting))


class _Hashing:
    """``hashlib`` that counts digests of whole files' bytes."""

    def __init__(self, counts: dict[str, int]) -> None:
        self._counts = counts

    def sha256(self, *content: bytes) -> Any:
        self._counts["hashes"] += bool(content)
        return hashlib.sha256(*content)


def _fingerprint(image: Any) -> int:
    return zlib.crc32(np.ascontiguousarray(image).tobytes())


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of many photos and many workers.")
    parser.add_argument("--tiny", action="store_true", help="a few seconds, to see that it runs")
    parser.add_argument("--part", choices=["walls", "audit", "work"], help=argparse.SUPPRESS)
    parser.add_argument("--photos", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--searched", type=int, default=ArtefactConfig().max_photos, help=argparse.SUPPRESS)
    options = parser.parse_args()
    size = TINY if options.tiny else FULL
    search = ArtefactConfig(max_photos=options.searched)
    parts: dict[str | None, Callable[[], Any]] = {
        "walls": lambda: measure_walls(size),
        "audit": lambda: measure_audit(options.photos, size, search),
        "work": lambda: rounded(measure_work(size)),
        None: lambda: measure(size, ["--tiny"] * options.tiny),
    }
    print_json(parts[options.part]())


def measure(size: Size, tiny: list[str]) -> dict[str, Any]:
    """Everything, each in a process of its own."""
    load = os.getloadavg()[0]
    walls = in_child(__file__, ["--part", "walls", *tiny])
    work = in_child(__file__, ["--part", "work", *tiny])
    audits = [audit(number, tiny) for number in size.audits]
    quick = [audit(number, [*tiny, "--searched", str(FEW)]) for number in size.audits]
    return {
        **rounded(walls),
        **work,
        "memory_growth": round(audits[2]["peak"] / audits[1]["peak"], 3),
        "time_per_image_growth": growth(audits, size.audits),
        "time_per_image_growth_full_search": growth(quick, size.audits),
        "peak_mb": {str(n): round(part["peak"] / 1e6) for n, part in zip(size.audits, audits, strict=True)},
        "cpu_seconds": {
            str(n): round(part["seconds"], 1) for n, part in zip(size.audits, audits, strict=True)
        },
        "load": round(load, 1),
    }


def audit(number: int, arguments: list[str]) -> dict[str, float]:
    """One audit in a process of its own."""
    part: dict[str, float] = in_child(__file__, ["--part", "audit", "--photos", str(number), *arguments])
    return part


def growth(parts: list[dict[str, float]], numbers: tuple[int, int, int]) -> float:
    """Processor time of a further photo between the larger two audits over that between the smaller two."""
    early, late = (
        (parts[i + 1]["seconds"] - parts[i]["seconds"]) / (numbers[i + 1] - numbers[i]) for i in range(2)
    )
    return round(late / early, 3)


if __name__ == "__main__":
    main()
