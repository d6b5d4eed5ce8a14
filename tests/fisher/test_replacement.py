import numpy as np
import pytest

from pfungst.errors import ConfigError, PfungstError
from pfungst.evaluation.replacement import ReplacementConfig, replacement_scores
from pfungst.fisher.machines import LinearMachines
from pfungst.fisher.replacement import FisherTracer
from pfungst.mixture import GaussianMixture

K, D, N, C = 12, 7, 3000, 3
BATCH, STEPS = 20, 100
CLASSES = ("cat", "dog", "cow")


@pytest.fixture(scope="module")
def parts():
    rng = np.random.default_rng(3)
    mixture = GaussianMixture(
        weights=rng.dirichlet(np.full(K, 2.0)),
        means=rng.normal(0, 1.5, (K, D)),
        variances=rng.uniform(0.2, 2.0, (K, D)),
    )
    values = (mixture.sample(N, 1) * 0.8 + rng.normal(0.3, 0.4, (N, D))).astype(np.float32)
    weights = rng.normal(0, 0.5, (C, (1 + 2 * D) * K)).astype(np.float32)
    return values, mixture, weights, np.array([0.3, -0.2, 0.1])


def traced(values, mixture, weights, bias):
    return FisherTracer(values, mixture, LinearMachines(classes=CLASSES, weights=weights, bias=bias))


@pytest.fixture(scope="module")
def tracer(parts):
    return traced(*parts)


def score_twin(values, mixture, weights, bias):
    """f(x) written out from METHOD section 1, descriptor by descriptor in float64."""
    deviation = np.sqrt(mixture.variances)
    total = np.zeros((1 + 2 * D) * K)
    for row in values.astype(np.float64):
        z = (row - mixture.means) / deviation
        log_density = np.log(mixture.weights) - np.log(deviation).sum(axis=1) - 0.5 * (z**2).sum(axis=1)
        gamma = np.exp(log_density - log_density.max())
        gamma /= gamma.sum()
        zeroth = (gamma - mixture.weights) / np.sqrt(mixture.weights)
        first = gamma[:, None] * z / np.sqrt(mixture.weights)[:, None]
        second = gamma[:, None] * (z**2 - 1) / np.sqrt(2 * mixture.weights)[:, None]
        total += np.concatenate([zeroth, first.ravel(), second.ravel()])
    raw = total / len(values)
    signed = np.sign(raw) * np.sqrt(np.abs(raw))
    return weights.astype(np.float64) @ (signed / np.linalg.norm(signed)) + bias


def test_trace_equals_exact_recomputation(parts, tracer):
    values, mixture, weights, bias = parts
    order = np.random.default_rng(0).permutation(N)[: BATCH * STEPS]
    draws = [tracer.draw(STEPS, BATCH, seed) for seed in (5, 6)]
    found = tracer.replace(order, draws)
    assert found.shape == (2, STEPS, C)
    for repetition, seed in enumerate((5, 6)):
        drawn = mixture.sample(STEPS * BATCH, seed)
        for step in (1, 2, 37, STEPS):
            changed = values.copy()
            changed[order[: step * BATCH]] = drawn[: step * BATCH]
            exact = score_twin(changed, mixture, weights, bias)
            assert found[repetition, step - 1] == pytest.approx(exact, abs=1e-5)
    assert np.abs(found[:, -1] - tracer.scores).max() > 0.01  # it did move


def test_scores_of_the_untouched_photo(parts, tracer):
    assert tracer.scores == pytest.approx(score_twin(*parts), abs=1e-5)
    assert tracer.n_descriptors == N


@pytest.mark.parametrize("batch", [1, 7, 100, 2500])
def test_any_size_of_batch(parts, tracer, batch):
    values, mixture, weights, bias = parts
    steps = min(3000 // batch, 3)
    order = np.random.default_rng(1).permutation(N)[: batch * steps]
    found = tracer.replace(order, [tracer.draw(steps, batch, 9)])
    changed = values.copy()
    changed[order] = mixture.sample(steps * batch, 9)
    assert found[0, -1] == pytest.approx(score_twin(changed, mixture, weights, bias), abs=1e-5)


@pytest.mark.parametrize("rule", ["naive", "epsilon=10", "absolute"])
def test_relevance_is_that_of_the_rule(parts, tracer, rule):
    found = tracer.relevance(("dog", "cat"), rule=rule)
    assert found.shape == (2, N)
    if rule != "epsilon=10":  # the stabiliser absorbs some
        assert found.sum(axis=1) == pytest.approx(tracer.scores[[1, 0]], rel=1e-4)
    with pytest.raises(ConfigError, match="unknown class 'owl'"):
        tracer.relevance(("owl",), rule=rule)


def test_removing_what_supports_lowers_the_score(tracer):
    relevance = tracer.relevance(("cat",), rule="epsilon=30")[0]
    orders = {
        "morf": (np.argsort(-relevance),),
        "lerf": (np.argsort(relevance),),
        "random": tuple(np.random.default_rng(seed).permutation(N) for seed in range(2)),
    }
    config = ReplacementConfig(n_replaced=1000, batch_size=50, repetitions=2)
    generators = [np.random.default_rng(seed) for seed in (20, 21)]
    found = replacement_scores(tracer, orders, tuple(generators), config)
    assert {name: values.shape for name, values in found.items()} == dict.fromkeys(orders, (2, 20, C))
    drop = {name: tracer.scores[0] - values[:, :, 0].mean() for name, values in found.items()}
    assert drop["morf"] > drop["random"] > drop["lerf"]


def test_photos_with_few_descriptors(parts):
    values, mixture, weights, bias = parts
    config = ReplacementConfig(n_replaced=1000, batch_size=100, repetitions=1)
    small = traced(values[:250], mixture, weights, bias)
    found = replacement_scores(small, {"random": (np.arange(250),)}, (np.random.default_rng(0),), config)
    assert found["random"].shape == (1, 2, C)  # two whole batches
    tiny = traced(values[:99], mixture, weights, bias)
    with pytest.raises(PfungstError, match=r"99 descriptors\. Allowed: at least 100"):
        replacement_scores(tiny, {"random": (np.arange(99),)}, (np.random.default_rng(0),), config)


def test_orders_and_draws_must_fit(tracer):
    draws = [tracer.draw(3, 10, 0)]
    with pytest.raises(ConfigError, match="25 of 3000 descriptors replaced in 3 batches"):
        tracer.replace(np.arange(25), draws)
    with pytest.raises(ConfigError, match="n_replaced = 50"):
        ReplacementConfig(n_replaced=50, batch_size=100)
