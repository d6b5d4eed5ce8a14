"""What measuring a heatmap costs: Algorithm 1 against encoding, region perturbation against Quantus.

``python benchmarks/evaluation.py`` prints one JSON object; every number is a ratio of processor time (one
thread, median of alternating rounds).

- ``trace_over_encode``: one trace of 10,000 replacements with 100 points of measurement (drawing included)
  over one encoding of that photo (N = 69,000 descriptors, K = 256, D = 80).
- ``trace_over_naive``: the same over encoding all descriptors anew at each of the 100 points.
- ``region_over_quantus``: most relevant first over squares of 16 pixels, the same network, relevance
  and fill for both; null with a reason where Quantus is not installed. The curves are compared
  before anything is timed.
"""

from __future__ import annotations

import argparse
import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from _measure import cpu_times, in_child, print_json, ratio
from numpy.typing import NDArray

TRACE, REGIONS = "trace", "regions"
PATCH = 16


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    descriptors: int
    components: int
    replaced: int
    points: int
    photos: int
    steps: int
    batch: int
    rounds: int
    naive_rounds: int


FULL = Sizes(69_000, 256, 10_000, 100, 4, 25, 8, 7, 1)
TINY = Sizes(3_000, 16, 500, 10, 1, 2, 2, 1, 1)


def photos(count: int) -> list[NDArray[np.uint8]]:
    """Photos that ship inside scikit-image, 500 x 375 pixels or so."""
    import skimage.data
    from PIL import Image

    names = ("astronaut", "coffee", "chelsea", "rocket")[:count]
    decoded = [Image.fromarray(np.asarray(getattr(skimage.data, name)())[..., :3]) for name in names]
    return [np.asarray(picture.resize((500, 375))) for picture in decoded]


def tracer_of(sizes: Sizes) -> tuple[Any, Any, NDArray[np.float32]]:
    """Dense SIFT of photos, a mixture fitted to them, and a classifier of six classes with random weights."""
    from pfungst.descriptors import dense_sift, fit_pca
    from pfungst.fisher.machines import LinearMachines
    from pfungst.fisher.replacement import FisherTracer
    from pfungst.mixture import MixtureConfig, fit_mixture

    found = np.concatenate([dense_sift(photo).values for photo in photos(4)])
    rng = np.random.default_rng(0)
    sample = found[rng.choice(len(found), 40_000, replace=False)]
    pca = fit_pca(sample, 80)
    config = MixtureConfig(n_components=sizes.components, init="random", max_iter=8)
    mixture = fit_mixture(pca.transform(sample), config)
    values = pca.transform(found[rng.choice(len(found), sizes.descriptors, replace=False)])
    weights = rng.normal(0, 0.5, (6, 161 * sizes.components)).astype(np.float32)
    machines = LinearMachines(classes=tuple("012345"), weights=weights, bias=np.zeros(6))
    return FisherTracer(values, mixture, machines), mixture, values


def trace_report(sizes: Sizes) -> dict[str, Any]:
    from pfungst.fisher.encoding import encode, improved

    tracer, mixture, values = tracer_of(sizes)
    order = np.argsort(-tracer.relevance(["0"], rule="epsilon")[0])[: sizes.replaced]
    batch = sizes.replaced // sizes.points

    def trace() -> Any:
        return tracer.replace(order, [tracer.draw(sizes.points, batch, 5)])

    def naive() -> Any:
        changed, drawn = values.copy(), mixture.sample(sizes.replaced, 5)
        scores = []
        for point in range(sizes.points):
            rows = slice(point * batch, (point + 1) * batch)
            changed[order[rows]] = drawn[rows]
            scores.append(improved(encode(changed, mixture).sums) @ tracer._machines.weights.T)
        return np.array(scores)

    end = values.copy()
    end[order] = mixture.sample(sizes.replaced, 5)
    exact = improved(encode(end, mixture, dtype=np.float64).sums) @ tracer._machines.weights.T.astype(
        np.float64
    )
    difference = float(np.abs(trace()[0, -1] - exact).max())
    if difference > 1e-5:
        raise SystemExit(f"the trace is off by {difference}")
    times = cpu_times({"trace": trace, "encode": lambda: encode(values, mixture)}, sizes.rounds)
    slow = cpu_times({"trace": trace, "naive": naive}, sizes.naive_rounds)
    return {
        "trace_over_encode": ratio(times, "trace", "encode"),
        "trace_over_naive": ratio(slow, "trace", "naive"),
        "trace_seconds": min(times["trace"]),
        "trace_difference": difference,
    }


def network() -> Any:
    """EfficientNet-Lite0 with random weights of He's deviation, as a classifier of the contract."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    from pfungst.network.classifier import NetworkClassifier
    from pfungst.network.preprocess import Preprocess

    torch.manual_seed(0)
    module = EfficientNet.from_name("efficientnet-lite0")
    for part in module.modules():
        if isinstance(part, (torch.nn.Conv2d, torch.nn.Linear)):
            torch.nn.init.kaiming_normal_(part.weight)
    settings = Preprocess(input_size=(224, 224), scale=1 / 255, mean=(0.5,) * 3, std=(0.5,) * 3)
    return NetworkClassifier(module, [str(c) for c in range(1000)], settings)


def ours(look: Any, relevance: list[Any], sizes: Sizes) -> Callable[[], Any]:
    from pfungst.evaluation.orders import perturbation_order
    from pfungst.evaluation.regions import RegionTrace, region_relevance, region_scores

    def run() -> NDArray[np.float64]:
        rng = np.random.default_rng(0)
        traces = [
            RegionTrace(
                picture=view,
                order=perturbation_order(region_relevance(heat, PATCH), "morf", rng)[: sizes.steps],
                size=PATCH,
                operator="mean",
                generator=rng,
            )
            for view, heat in zip(look.pictures, relevance, strict=True)
        ]
        start = look.picture_scores[:, 1]
        scores = region_scores(look, [[trace] for trace in traces])
        return np.array([first - found[0][:, 1] for first, found in zip(start, scores, strict=True)])

    return run


def quantus_way(model: Any, views: list[Any], relevance: list[Any], sizes: Sizes) -> Callable[[], Any]:
    import quantus

    stack = np.stack(views)
    colours = np.rint(stack.mean(axis=(1, 2))).astype(np.uint8)  # the fill of our operator "mean"
    values = model.preprocess.values(stack)
    fill = model.preprocess.values(np.broadcast_to(colours[:, None, None], stack.shape).copy())[:, :, 0, 0]
    baseline = np.repeat(fill, PATCH * PATCH, axis=1)

    def replace(arr: Any, indices: Any, **_: Any) -> Any:
        changed = arr.copy()
        changed[np.arange(len(arr))[:, None], indices] = baseline[: len(arr)]
        return changed

    metric = quantus.RegionPerturbation(
        patch_size=PATCH,
        regions_evaluation=sizes.steps,
        order="morf",
        normalise=False,
        perturb_func=replace,
        disable_warnings=True,
        display_progressbar=False,
    )
    heat = np.stack(relevance)[:, None].astype(np.float64)
    targets = np.ones(len(views), dtype=int)

    def run() -> NDArray[np.float64]:
        found = metric(
            model=model.module,
            x_batch=values,
            y_batch=targets,
            a_batch=heat,
            softmax=False,
            channel_first=True,
            batch_size=sizes.batch,
        )
        return np.array(found)

    return run


def region_report(sizes: Sizes) -> dict[str, Any]:
    if importlib.util.find_spec("quantus") is None:
        return {"region_over_quantus": None, "region_reason": "quantus is not installed (extra: bench)"}
    import torch

    from pfungst.contract.look import looking

    warnings.simplefilter("ignore")  # Quantus warns at each call
    torch.set_num_threads(1)
    model = network()
    look = looking(model).look(photos(sizes.photos))
    found = look.explain([["1"]] * sizes.photos, rule="epsilon")
    relevance = [explanation.picture_relevance for (explanation,) in found]
    calls = {
        "ours": ours(look, relevance, sizes),
        "quantus": quantus_way(model, list(look.pictures), relevance, sizes),
    }
    first, second = calls["ours"](), calls["quantus"]()
    difference = float(np.abs(first - second).max() / np.abs(second).max())
    if difference > 1e-4:
        raise SystemExit(f"the curves differ by {difference} of their largest value")
    times = cpu_times(calls, sizes.rounds)
    return {
        "region_over_quantus": ratio(times, "ours", "quantus"),
        "region_difference": difference,
        "quantus_seconds": min(times["quantus"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="small sizes, one round: does it run?")
    parser.add_argument("--child", choices=(TRACE, REGIONS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes = TINY if options.tiny else FULL
    if options.child:
        print_json(trace_report(sizes) if options.child == TRACE else region_report(sizes))
        return
    flag = ["--tiny"] if options.tiny else []
    report: dict[str, Any] = {}
    for part in (TRACE, REGIONS):
        report |= in_child(__file__, ["--child", part, *flag])
    print_json(
        {name: float(f"{value:.3g}") if isinstance(value, float) else value for name, value in report.items()}
    )


if __name__ == "__main__":
    main()
