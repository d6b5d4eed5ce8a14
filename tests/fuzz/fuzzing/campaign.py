"""Runs many cases of a format in a process of its own, with limits, and counts how they ended."""

from __future__ import annotations

import faulthandler
import mmap
import os
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuzzing import TARGETS
from fuzzing.target import Target

ADDRESS_SPACE = 4 * 2**30
SECONDS = 10.0  # of processor time; asleep, a case may take as long as PATIENCE
PATIENCE = 120.0
MEMORY = 2**30  # a photo of the most pixels that are accepted takes 0.7 GB
_MOST_FINDINGS, _WARM_UP = 200, 60
_STATE = struct.Struct(
    "<qqqqqdq"
)  # next case, accepted, refused, exceptions, largest growth, slowest, its case


@dataclass(kw_only=True)
class Outcome:
    """How the cases of one format ended.

    Attributes
    ----------
    crashes, hangs, exceptions, memory : int
        Cases that killed the process, took more than ``SECONDS`` of processor time, raised something
        outside the family of errors, or made the process grow by more than ``MEMORY``.
    largest_growth : int
        Bytes by which one case raised the peak of resident memory.
    slowest : float
        Processor seconds of the slowest case.
    """

    format: str
    seed: int
    first: int
    cases: int = 0
    accepted: int = 0
    refused: int = 0
    exceptions: int = 0
    crashes: int = 0
    hangs: int = 0
    memory: int = 0
    largest_growth: int = 0
    slowest: float = 0.0
    slowest_case: int = -1
    seconds: float = 0.0
    findings: list[dict[str, Any]] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Nothing went wrong."""
        return not (self.exceptions or self.crashes or self.hangs or self.memory)


def campaign(name: str, *, cases: int, seed: int = 0, first: int = 0, keep: Path | None = None) -> Outcome:
    """Run the cases ``first … first + cases − 1``; those that went wrong are written to ``keep``.

    A child process runs them in one go; if it dies or hangs, that case is noted and a new child goes on
    with the next one.
    """
    outcome = Outcome(format=name, seed=seed, first=first)
    state = mmap.mmap(-1, 4096)
    started, position, stop = time.monotonic(), first, first + cases
    scratch = Path(tempfile.mkdtemp(prefix="hostile-", dir=_memory_disk()))
    try:
        while position < stop:
            state[: _STATE.size] = _STATE.pack(position, 0, 0, 0, 0, 0.0, -1)
            findings = scratch / "findings"
            child = os.fork()
            if child == 0:
                _child(lambda: TARGETS[name](_fresh(scratch / "work")), state, seed, stop, findings)
            reason = _wait(child, state)
            position = _collect(outcome, state, findings)
            if reason:
                _note(outcome, reason, position)
                position += 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    outcome.cases, outcome.seconds = stop - first, time.monotonic() - started
    if keep is not None:
        _keep(outcome, keep)
    return outcome


def _memory_disk() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _child(make: Callable[[], Target], state: mmap.mmap, seed: int, stop: int, findings: Path) -> None:
    """Never returns. Decoders write to standard error, which says nothing here."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        faulthandler.disable()  # a crash is counted; where it happened is found by running the case alone
        warnings.simplefilter("error")
        target = make()
        for index in range(-_WARM_UP, 0):  # loads libraries, so that they count as nobody's time or memory
            _run_one(target, seed, index)
        used = _virtual_bytes()
        resource.setrlimit(resource.RLIMIT_AS, (used + ADDRESS_SPACE,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _run_all(target, state, seed, stop, findings)
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        sys.stdout.flush()
        os._exit(1)
    os._exit(0)


def _virtual_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as stream:
        return int(stream.read().split()[0]) * resource.getpagesize()


def _run_all(target: Target, state: mmap.mmap, seed: int, stop: int, findings: Path) -> None:
    index, accepted, refused, exceptions, growth, slowest, slowest_case = _STATE.unpack_from(state)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    while index < stop:
        began = time.process_time()
        ended, problem = _run_one(target, seed, index)
        taken = time.process_time() - began
        accepted += ended is True
        refused += ended is False
        exceptions += problem is not None
        now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        growth, peak = max(growth, (now - peak) * 1024), now
        if taken > slowest:
            slowest, slowest_case = taken, index
        if problem is not None and exceptions <= _MOST_FINDINGS:
            with findings.open("a", encoding="utf-8") as stream:
                stream.write(f"{index}\t{problem}\n")
        index += 1
        _STATE.pack_into(state, 0, index, accepted, refused, exceptions, growth, slowest, slowest_case)


def _run_one(target: Target, seed: int, index: int) -> tuple[bool | None, str | None]:
    try:
        return target.accepts(target.case(seed, index)), None
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [
            frame for frame in frames if "pfungst" in frame.filename or "fuzzing" in frame.filename
        ] or frames
        where = f"{Path(own[-1].filename).name}:{own[-1].lineno}"
        return None, f"{type(error).__name__} at {where}: {str(error)[:200]!r}"


def _processor_seconds(child: int) -> float:
    with open(f"/proc/{child}/stat", encoding="ascii", errors="replace") as stream:
        fields = stream.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _wait(child: int, state: mmap.mmap) -> str:
    """Why the child ended before it was done; empty if it was. Libraries may load before its first case."""
    first = _STATE.unpack_from(state)[0]
    seen, since, used = -1, time.monotonic(), 0.0
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if os.WIFSIGNALED(status):
                return f"crash: signal {os.WTERMSIG(status)}"
            return "crash: the child gave up" if os.WEXITSTATUS(status) else ""
        index = _STATE.unpack_from(state)[0]
        loading = index == first
        if index != seen:
            seen, since, used = index, time.monotonic(), _processor_seconds(child)
        elif _processor_seconds(child) - used > SECONDS + loading * 60 or time.monotonic() - since > PATIENCE:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return f"hang: more than {SECONDS:.0f} s"
        time.sleep(0.02)


def _collect(outcome: Outcome, state: mmap.mmap, findings: Path) -> int:
    index, accepted, refused, exceptions, growth, slowest, slowest_case = _STATE.unpack_from(state)
    outcome.accepted += accepted
    outcome.refused += refused
    outcome.exceptions += exceptions
    outcome.largest_growth = max(outcome.largest_growth, growth)
    outcome.memory += growth > MEMORY
    if slowest > outcome.slowest:
        outcome.slowest, outcome.slowest_case = slowest, slowest_case
    if findings.exists():
        for line in findings.read_text(encoding="utf-8").splitlines():
            number, _, problem = line.partition("\t")
            outcome.findings.append({"case": int(number), "problem": problem})
        findings.unlink()
    return int(index)


def _note(outcome: Outcome, reason: str, index: int) -> None:
    outcome.crashes += reason.startswith("crash")
    outcome.hangs += reason.startswith("hang")
    outcome.findings.append({"case": index, "problem": reason})


def _keep(outcome: Outcome, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        target = TARGETS[outcome.format](Path(scratch))
        for finding in outcome.findings:
            place = folder / outcome.format / str(finding["case"])
            place.mkdir(parents=True, exist_ok=True)
            Target.write(place, target.case(outcome.seed, finding["case"]))
