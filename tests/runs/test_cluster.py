"""The same work on a Dask cluster of two workers on this machine."""

import functools
import json
import operator
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pfungst.errors import ConfigError, FileError, PfungstError
from pfungst.mixture import MixtureConfig, fit_mixture
from pfungst.runs.executor import Cluster, map_items
from pfungst.runs.recorded import Finished, run_items

pytest.importorskip("distributed", reason="needs pfungst[dask]")

ROOT = Path(__file__).parents[2]
CLUSTER = """
import sys
from dask import config
from distributed import LocalCluster

if __name__ == "__main__":
    config.set({"distributed.scheduler.allowed-failures": 1, "distributed.admin.low-level-log-length": 10})
    cluster = LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, scheduler_port=0, host="127.0.0.1",
        silence_logs=50,
    )
    open(sys.argv[1] + ".part", "w").write(cluster.scheduler_address)
    import os
    os.replace(sys.argv[1] + ".part", sys.argv[1])
    sys.stdin.read()
    cluster.close()
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster that runs beside us and ends with the tests; its workers see no directory of ours."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "cluster.py").write_text(CLUSTER)
    place = folder / "address"
    command = [sys.executable, str(folder / "cluster.py"), str(place)]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])  # workers import this module
    environment = os.environ | {"PYTHONPATH": paths}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=-3, stderr=-3, env=environment) as process:
        deadline = time.monotonic() + 60
        while not place.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield Cluster(place.read_text(), patience=30)
        process.stdin.close()


def test_a_cluster_gives_the_same_outcomes(cluster):
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=(300, 300))
    items = [generator.normal(size=(300, 200)) for _ in range(9)]
    task = functools.partial(operator.matmul, matrix)
    here = [outcome.unwrap() for outcome in map_items(task, items)]
    seen = []
    there = list(map_items(task, items, workers=cluster, progress=lambda *step: seen.append(step)))
    assert seen == [("images", done, 9) for done in range(10)]
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one, other.unwrap())


def test_workers_use_one_thread_of_linear_algebra(cluster):
    ask = "__import__('numpy') and __import__('threadpoolctl').threadpool_info()"
    infos = [outcome.unwrap() for outcome in map_items(eval, [ask] * 3, workers=cluster)]
    assert all(info["num_threads"] == 1 for pools in infos for info in pools)


class Counted:
    """A task that counts how often it is unpacked in a process."""

    unpacked = 0

    def __setstate__(self, state):
        type(self).unpacked += 1

    def __getstate__(self):
        return {"any": 1}

    def __call__(self, item):
        return os.getpid(), type(self).unpacked


def test_the_task_travels_once_to_each_worker(cluster):
    found = [outcome.unwrap() for outcome in map_items(Counted(), range(12), workers=cluster)]
    assert {count for _, count in found} == {1}
    assert len({process for process, _ in found}) == 2


def numbers(item):
    if item == 3:
        raise PfungstError("item 3 is bad")
    value = np.random.default_rng(item).normal(size=4)
    return Finished(record={"image": str(item), "value": value[0]}, arrays={"map": value})


def test_runs_are_the_same_on_a_cluster_and_here(cluster, tmp_path):
    def content(out, workers):
        keys = [str(item) for item in range(8)]
        with run_items(numbers, range(8), keys=keys, configuration={}, out=out, workers=workers) as run:
            arrays = [run.arrays(key).get("map", np.zeros(0)).tobytes() for key in keys]
            return json.dumps(run.records()), arrays, [(key, str(error)) for key, error in run.failures]

    assert content(tmp_path / "cluster", cluster) == content(tmp_path / "here", 1)
    assert content(None, cluster) == content(None, 1)


def test_fits_are_the_same_on_a_cluster_and_here(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("pfungst.runs.shards.SHARD_ROWS", 100)
    values = np.random.default_rng(0).normal(size=(450, 5)).astype(np.float32)
    np.save(tmp_path / "values.npy", values)
    mapped = np.load(tmp_path / "values.npy", mmap_mode="r")
    config = MixtureConfig(n_components=3, init="random", max_iter=3)
    there = fit_mixture(mapped, config, workers=cluster)
    np.testing.assert_array_equal(there.means, fit_mixture(values, config).means)
    assert there.history == fit_mixture(values, config).history


def test_an_item_that_kills_its_workers_is_named_and_the_run_goes_on(cluster):
    items = ["1", "2", "__import__('os')._exit(3)", "4", "5", "6"]
    outcomes = list(map_items(eval, items, workers=cluster, name=lambda item: f"item {item[:10]}"))
    assert [outcome.value for outcome in outcomes] == [1, 2, None, 4, 5, 6]
    assert str(outcomes[2].error).startswith("item __import__: its worker process died each time")


def test_a_fault_of_the_program_is_raised(cluster):
    with pytest.raises(ZeroDivisionError):
        list(map_items(eval, ["1", "1/0"], workers=cluster))


def test_a_scheduler_that_does_not_answer_is_said(tmp_path):
    with pytest.raises(
        PfungstError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9.*Try: dask scheduler"
    ):
        list(map_items(abs, [1, 2], workers=Cluster("tcp://127.0.0.1:9", patience=0.5)))
    with pytest.raises(FileError, match=r"absent\.json: no such scheduler file"):
        list(map_items(abs, [1, 2], workers=Cluster(str(tmp_path / "absent.json"))))
    with pytest.raises(ConfigError, match="an address like"):
        Cluster("")


def test_workers_of_another_version_are_refused(cluster, monkeypatch):
    from pfungst.runs import cluster as module

    monkeypatch.setattr(module, "library_versions", lambda: {"numpy": "0.1"})
    with pytest.raises(ConfigError, match=r"has .*numpy .*Allowed: the versions of this process"):
        module._require_same_versions(FakeClient(), {"tcp://worker"})


class FakeClient:
    def run(self, function, workers):
        assert workers == ["tcp://worker"]
        return {"tcp://worker": {"numpy": "0.2"}}


def test_a_scheduler_file_is_an_address(cluster, tmp_path):
    file = tmp_path / "scheduler.json"
    file.write_text(
        json.dumps({"address": cluster.scheduler, "type": "Scheduler", "id": "x", "services": {}})
    )
    outcomes = map_items(abs, [-1, -2], workers=Cluster(str(file), patience=20))
    assert [outcome.value for outcome in outcomes] == [1, 2]
