"""Which architectures are explained, and whether the account closes and the numbers are right.

``python benchmarks/architectures.py`` prints one JSON object: for each library how many networks were tried,
work, are refused (with the reason) or are wrong; the worst residual of the ledger, the worst relative
difference from AttnLRP by modified gradients (``_oracle.py``), and the worst difference of the recorded pass,
replayed on other photos, from the network. All with random weights in double precision; the residual in
single precision is ``worst_residual_single``.

A network is wrong where one of these is above its limit. Each has a process of its own with limits of
memory and time; ``--results FILE`` keeps what was found and goes on from there.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from _measure import ONE_THREAD, print_json
from _oracle import gradient_times_input
from _zoo import build, names, photos
from torch import Tensor, nn

from pfungst.errors import PfungstError
from pfungst.network import lrp
from pfungst.network.lrp.nested import differentiable, flat
from pfungst.network.lrp.tape import record

LIBRARIES = ("torchvision", "timm", "transformers")
LIMITS = {"residual": 1e-9, "oracle": 1e-8, "replay": 1e-8, "residual_single": 1e-3}
ZERO = lrp.composite("attnlrp").extended(
    name="zero",
    types={
        **dict.fromkeys(
            ("convolution", "linear", "sum", "affine", "avg_pool", "norm", "contraction", "squash"),
            lrp.Epsilon(epsilon=0.0),
        ),
        "multiplication": lrp.Halves(epsilon=0.0),
    },
)


def examined(library: str, name: str) -> dict[str, Any]:
    """One network's figures, or why there are none."""
    start = time.process_time()
    module, size = build(library, name)
    inputs = photos(2, size).double()
    with torch.no_grad():
        targets = module(inputs).argmax(1)
    found: dict[str, Any] = {"size": size, "parameters": sum(item.numel() for item in module.parameters())}
    try:
        with double_throughout():
            result = lrp.relevance(module, inputs, targets, composite=ZERO)
            found["replay"] = replayed(module, inputs, photos(2, size, seed=7).double())
            wanted = gradient_times_input(module, inputs, targets)
    except PfungstError as error:
        return {**found, "outcome": "refused", "reason": str(error).splitlines()[0]}
    found["residual"] = residual(result)
    found["oracle"] = difference(result.relevance, wanted)
    single = lrp.relevance(module.float(), inputs.float(), targets)
    found["residual_single"] = residual(single)
    found["composite"] = single.composite
    found["causes"] = {
        key: float((item / result.scores).abs().max()) for key, item in result.ledger.taken.items()
    }
    found["seconds"] = time.process_time() - start
    wrong = [key for key, limit in LIMITS.items() if not found[key] <= limit]
    return {**found, "outcome": "wrong" if wrong else "works", "reason": ", ".join(wrong)}


@contextmanager
def double_throughout() -> Iterator[None]:
    """Keep double precision where a network casts to single by ``x.float()``: its rounding is not ours."""
    single = Tensor.float

    def kept(x: Tensor, *args: Any, **options: Any) -> Tensor:
        return x if x.dtype == torch.float64 else single(x, *args, **options)

    Tensor.float = kept  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        del Tensor.float  # type: ignore[misc]


def residual(result: lrp.LrpResult) -> float:
    """Of the ledger, relative to the largest of its amounts."""
    ledger = result.ledger
    amounts = [ledger.sent.abs(), ledger.arrived.abs(), *(item.abs() for item in ledger.taken.values())]
    return float((ledger.residual.abs() / torch.stack(amounts).amax(dim=0)).max())


def difference(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).abs().max() / wanted.abs().max())


def replayed(module: nn.Module, inputs: Tensor, others: Tensor) -> float:
    """Difference between the recorded calls on other photos and the module on them."""
    with torch.no_grad():
        tape = record(module, inputs)
        values = {id(tape.input): others}
        for node in tape.nodes:
            made = node.call(*(values[id(value)] for value in node.inputs))
            tensors = [item for item in flat(made) if differentiable(item)]
            values.update(zip(map(id, node.outputs), tensors, strict=True))
        return difference(values[id(tape.output)], module(others))


def in_child(library: str, name: str, *, memory: float, seconds: float) -> dict[str, Any]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--child", library, name, "--memory", str(memory)]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **ONE_THREAD},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"outcome": "failed", "reason": f"took more than {seconds:g} s"}
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return {"outcome": "failed", "reason": lines[-1] if lines else f"exit code {done.returncode}"}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def known(path: Path | None) -> dict[tuple[str, str], dict[str, Any]]:
    """What an earlier run found."""
    if path is None or not path.is_file():
        return {}
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return {(row["library"], row["name"]): row for row in rows}


def collected(options: argparse.Namespace) -> list[dict[str, Any]]:
    results = Path(options.results) if options.results else None
    done = known(results)
    rows = []
    for library in options.libraries.split(","):
        for name in names(library, tiny=options.tiny):
            if options.only and name not in options.only.split(","):
                continue
            if (library, name) not in done:
                found = in_child(library, name, memory=options.memory, seconds=options.seconds)
                done[library, name] = {"library": library, "name": name, **found}
                if results is not None:
                    with results.open("a") as file:
                        file.write(json.dumps(done[library, name]) + "\n")
            row = done[library, name]
            print(f"{library} {name}: {row['outcome']} {row.get('reason', '')}", file=sys.stderr)
            rows.append(row)
    return rows


def report(rows: list[dict[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for library in LIBRARIES:
        mine = [row for row in rows if row["library"] == library]
        counts = {outcome: sum(row["outcome"] == outcome for row in mine) for outcome in ("works", "wrong")}
        refused = {row["name"]: row["reason"] for row in mine if row["outcome"] in {"refused", "failed"}}
        content[library] = {
            "tried": len(mine), "works": counts["works"], "refused": len(refused), "wrong": counts["wrong"],
        }  # fmt: skip
        if not mine:
            content[library]["skipped"] = f"{library} is not installed"
        content.setdefault("reasons", {}).update(refused)
        content.setdefault("wrong", {}).update(
            {row["name"]: row["reason"] for row in mine if row["outcome"] == "wrong"}
        )
    for key, figure in (
        ("worst_residual", "residual"), ("worst_oracle_error", "oracle"), ("worst_replay", "replay"),
        ("worst_residual_single", "residual_single"),
    ):  # fmt: skip
        content[key] = max(
            (row[figure] for row in rows if row["outcome"] in {"works", "wrong"}), default=None
        )
    return content


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="one small network of each library: does it run?")
    parser.add_argument("--libraries", default=",".join(LIBRARIES))
    parser.add_argument("--only", help="names, comma-separated")
    parser.add_argument("--results", help="a file of results, one a line, to write and to go on from")
    parser.add_argument("--memory", type=float, default=16.0, help="GiB a network may take")
    parser.add_argument("--seconds", type=float, default=900.0, help="that a network may take")
    parser.add_argument("--child", nargs=2, metavar=("LIBRARY", "NAME"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.child:
        limit = int(options.memory * 2**30)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        print(json.dumps(examined(*options.child)))
    else:
        print_json(report(collected(options)))


if __name__ == "__main__":
    main()
