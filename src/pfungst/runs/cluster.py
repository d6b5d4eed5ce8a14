"""A crew of workers on a Dask cluster; needs the extra ``dask``."""

from __future__ import annotations

import contextlib
import pickle
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import CancelledError, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary

from pfungst.errors import ConfigError, FileError, PfungstError
from pfungst.runs.crew import Answer, Crew, attempt, cannot_travel
from pfungst.runs.machine import machine_kind
from pfungst.runs.manifest import library_versions

_one_at_a_time = threading.Lock()
_tasks: dict[str, Callable[[Any], Any]] = {}
_RECOUNT_SECONDS = 30.0


@dataclass(frozen=True)
class Cluster:
    """A Dask cluster to work on: pass it wherever a number of workers is taken.

    Its workers must have the same versions of this library and of those it computes with, and see the same
    files under the same names. One thread a worker is best: a worker takes one photo at a time in any case.

    Attributes
    ----------
    scheduler : str
        An address such as ``tcp://host:8786``, or the path of a scheduler file.
    patience : float
        Seconds to wait for the scheduler to answer and for a first worker.

    Raises
    ------
    ConfigError
        If ``scheduler`` is empty or ``patience`` is not positive.

    Examples
    --------
    ::

        score_dataset(classifier, dataset, workers=Cluster("tcp://head:8786"))
    """

    scheduler: str
    patience: float = 60.0

    def __post_init__(self) -> None:
        if not self.scheduler or self.patience <= 0:
            raise ConfigError(
                f"scheduler {self.scheduler!r}, patience = {self.patience}",
                allowed="an address like tcp://host:8786 or a scheduler file, and a positive time",
            )

    @property
    def fixed(self) -> None:
        """Its workers come and go."""

    def machines(self) -> list[str]:
        """The kinds of its workers' machines, as they are now."""
        client = self.connect()
        try:
            return sorted(set(client.run(machine_kind).values()))
        finally:
            client.close()

    def crew(self, task: Callable[[Any], Any], name: Callable[[Any], str], n_items: int | None) -> Crew:
        """The cluster's workers."""
        del n_items
        return DaskWorkers(task, name, cluster=self)

    def connect(self) -> Any:
        """A ``distributed.Client`` of the cluster, which has a worker.

        Raises
        ------
        ConfigError
            If ``distributed`` is not installed, or workers have other versions.
        FileError
            If there is no such scheduler file.
        PfungstError
            If no scheduler answers, or it has no workers.
        """
        client = self._client()
        try:
            client.wait_for_workers(1, timeout=self.patience)
            _require_same_versions(client, set(client.nthreads()))
        except TimeoutError as error:
            client.close()
            raise PfungstError(
                f"the Dask scheduler {self.scheduler} has no workers after {self.patience:g} s",
                hint=f"dask worker {self.scheduler} --nthreads 1",
            ) from error
        except BaseException:
            client.close()
            raise
        return client

    def _client(self) -> Any:
        try:
            from distributed import Client
        except ImportError as error:
            raise ConfigError(
                "a Dask cluster needs the package distributed", hint="pip install 'pfungst[dask]'"
            ) from error
        place = {"address": self.scheduler}
        if "://" not in self.scheduler:
            if not Path(self.scheduler).is_file():
                raise FileError(
                    self.scheduler,
                    "no such scheduler file",
                    allowed="a file of `dask scheduler --scheduler-file`, or an address like tcp://host:8786",
                )
            place = {"scheduler_file": self.scheduler}
        try:
            return Client(**place, timeout=self.patience, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise PfungstError(
                f"no Dask scheduler answers at {self.scheduler} ({error})", hint="dask scheduler --port 8786"
            ) from error


def _require_same_versions(client: Any, workers: Collection[str]) -> None:
    """Refuse workers whose numbers could differ from ours."""
    if not workers:
        return
    ours = library_versions()
    try:
        found = client.run(library_versions, workers=list(workers))
    except ImportError as error:
        raise ConfigError(
            f"the workers cannot load this library ({error})", hint="pip install 'pfungst[dask]' for them"
        ) from error
    for worker, theirs in found.items():
        differing = [
            f"{name} {theirs.get(name, 'is missing')}, not {ours.get(name, 'installed here')}"
            for name in sorted(ours.keys() | theirs.keys())
            if ours.get(name) != theirs.get(name)
        ]
        if differing:
            raise ConfigError(
                f"the Dask worker {worker} has {'; '.join(differing)}", allowed="the versions of this process"
            )


class DaskWorkers(Crew):
    """Workers of a cluster, by the executor interface of its client.

    The task is sent to every worker once, before the first item. An item whose workers died as often as the
    scheduler allows (``distributed.scheduler.allowed-failures``) is tried once more.
    """

    def __init__(self, task: Callable[[Any], Any], name: Callable[[Any], str], *, cluster: Cluster) -> None:
        super().__init__(name)
        self._cluster, self._task = cluster, (uuid4().hex, _pickled(task))
        self._client = cluster.connect()
        self._executor = self._client.get_executor(pure=False)
        self._counted, self._size = 0.0, 1
        self._checked: set[str] = set()
        self._sent: Any = None
        self._needs: WeakKeyDictionary[Future[Answer], Any] = WeakKeyDictionary()

    def _send(self) -> None:
        """To all workers that there are; later ones get it from them with their first item."""
        self._sent = self._client.scatter([self._task], broadcast=True, hash=False)[0]

    @property
    def in_flight(self) -> int:
        """Four items for each worker; workers may come and go."""
        if time.monotonic() - self._counted > _RECOUNT_SECONDS:
            with self._reachable():
                workers = set(self._client.nthreads())
            _require_same_versions(self._client, workers - self._checked)
            self._checked |= workers
            self._size = max(len(workers), 1)
            self._counted = time.monotonic()
        return 4 * self._size

    def submit(self, item: Any) -> Future[Answer]:
        """Hand out an item."""
        with self._reachable():
            if self._sent is None:
                self._send()
            future: Future[Answer] = self._executor.submit(_run, self._sent, item)
        self._needs[future] = self._sent
        return future

    def is_lost(self, future: Future[Answer]) -> bool:
        """Wait for the future; whether the workers that had it, or all that had the task, died."""
        from distributed import KilledWorker

        if not self._answered(future):
            return True
        error = CancelledError() if future.cancelled() else future.exception()
        return isinstance(error, (KilledWorker, CancelledError))

    def _answered(self, future: Future[Answer]) -> bool:
        """Wait, but not for a task that is lost, nor for a cluster without scheduler or workers."""
        alive = time.monotonic()
        while not wait([future], timeout=1.0).done:
            with self._reachable():
                if self._needs[future].status in ("lost", "cancelled"):
                    return False
                if self._client.nthreads():
                    alive = time.monotonic()
            if time.monotonic() - alive > self._cluster.patience:
                raise PfungstError(
                    f"the Dask cluster {self._cluster.scheduler} has had no workers for "
                    f"{self._cluster.patience:g} s",
                    hint="new workers, then the same command again: what is finished is kept",
                )
        return True

    def again(self, item: Any) -> Answer | None:
        """Try the item once more, with the task sent anew if it was lost with its workers."""
        if self._sent is not None and self._sent.status != "finished":
            self._sent = None
        future = self.submit(item)
        return None if self.is_lost(future) else future.result()

    def stop(self, *, at_once: bool) -> None:
        """Close the connection; the scheduler forgets what is still under way."""
        self._client.close(timeout=1 if at_once else 30)

    @contextlib.contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
            if self._client.status == "running":
                return
            problem = f"the connection is {self._client.status}"
        except (OSError, CancelledError, RuntimeError, TimeoutError) as error:
            problem = str(error)
        raise PfungstError(
            f"the Dask scheduler {self._cluster.scheduler} went away ({problem})",
            hint="a running scheduler, then the same command again: what is finished is kept",
        )


def _pickled(task: Callable[[Any], Any]) -> bytes:
    import cloudpickle  # a part of distributed: it also packs what is defined in a script or notebook

    try:
        packed: bytes = cloudpickle.dumps(task)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise cannot_travel(error) from error
    return packed


def _run(sent: tuple[str, bytes], item: Any) -> Answer:
    """On a worker: one photo at a time, since threads of linear algebra are counted by the process."""
    with _one_at_a_time:
        return attempt(_unpacked(*sent), item)


def _unpacked(token: str, packed: bytes) -> Callable[[Any], Any]:
    """The task, unpacked when this process sees it first; it keeps the latest one."""
    if token not in _tasks:
        _tasks.clear()
        try:
            _tasks[token] = pickle.loads(packed)
        except Exception as error:  # whatever it is, it must reach the user
            raise cannot_travel(repr(error)) from error
    return _tasks[token]
