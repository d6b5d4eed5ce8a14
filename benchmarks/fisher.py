"""What Fisher vectors cost: encoding, relevance and expectation-maximisation over the floor of products.

``python benchmarks/fisher.py`` prints one JSON object of ratios of processor time (one thread, medians of
alternating rounds). The floor is the time of the two matrix products that the method cannot do without,
8 N D K floating point operations, measured on the same shapes in chunks of the same length. Relevance is
that of an encoding, whose posteriors it shares; the first class of a photo costs both. Descriptors are
real: dense SIFT of the photos that come with scikit-image, PCA to D = 80, a mixture of K = 256 fitted to
them. Peak memory is that of a process which holds 200,000 descriptors and does one iteration.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _measure import cpu_times, in_child, peak_bytes, print_json, ratio, rounded
from numpy.typing import NDArray

from pfungst.descriptors import dense_sift, fit_pca
from pfungst.fisher.encoding import encode, improved
from pfungst.fisher.relevance import descriptor_relevance, dimension_relevance
from pfungst.fisher.rules import Absolute, Epsilon
from pfungst.mixture import GaussianMixture, MixtureConfig, fit_mixture
from pfungst.mixture.posterior import CHUNK_ROWS, summed_moments

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large the measurement is."""

    components: int
    dims: int
    descriptors: int
    fewer: int
    em_descriptors: int
    repeats: int
    side: int


FULL = Size(
    components=256, dims=80, descriptors=69_000, fewer=15_000, em_descriptors=200_000, repeats=11, side=640
)
TINY = Size(components=8, dims=16, descriptors=3_000, fewer=1_000, em_descriptors=3_000, repeats=2, side=120)


def photos(side: int) -> list[NDArray[np.uint8]]:
    """Photos from scikit-image's package folder, the longer side brought to ``side`` pixels."""
    import skimage.data
    from PIL import Image

    folder = Path(skimage.data.__file__).parent
    pictures = []
    for name in PHOTOS:
        with Image.open(folder / name) as picture:
            scale = side / max(picture.size)
            size = (round(picture.width * scale), round(picture.height * scale))
            pictures.append(np.asarray(picture.convert("RGB").resize(size)))
    return pictures


def prepared(size: Size) -> tuple[NDArray[np.float32], GaussianMixture]:
    """Real descriptors after PCA, shuffled, and a mixture fitted to some of them."""
    values = np.concatenate([dense_sift(photo).values for photo in photos(size.side)])
    projected = fit_pca(values, size.dims).transform(values)
    np.random.default_rng(0).shuffle(projected)
    sample = projected[: max(20 * size.components, 20_000)]
    config = MixtureConfig(n_components=size.components, max_iter=10, init_samples=10_000)
    return projected, fit_mixture(sample, config)


def floor(n_rows: int, size: Size) -> Callable[[], None]:
    """The two products on random numbers: log densities, and sums of moments."""
    generator = np.random.default_rng(0)
    length = min(CHUNK_ROWS, n_rows)
    monomials = generator.random((2 * size.dims, length), dtype=np.float32)
    matrix = generator.random((size.components, 2 * size.dims), dtype=np.float32)
    gamma = generator.random((size.components, length), dtype=np.float32)
    transposed = monomials.T

    def products() -> None:
        for start in range(0, n_rows, length):
            count = min(length, n_rows - start)
            np.matmul(matrix, monomials[:, :count])
            np.matmul(gamma[:, :count], transposed[:count])

    return products


def encoding_ratios(n_rows: int, size: Size) -> dict[str, float]:
    """Encoding, rules, SIFT and a further class, for an image of ``n_rows`` descriptors."""
    values, mixture = prepared(size)
    values = np.resize(values, (n_rows, size.dims))
    photo = photos(size.side)[0][:375, :500]
    generator = np.random.default_rng(1)
    encoding = encode(values, mixture)
    phi = improved(encoding.sums)
    weights, bias = generator.normal(size=(2, phi.size)), generator.normal(size=2)
    dimensions = dimension_relevance(weights, bias, phi)

    def relevance(rule: Epsilon | Absolute, n_classes: int) -> Callable[[], Any]:
        return lambda: descriptor_relevance(values, mixture, encoding, dimensions[:n_classes], rule)

    def from_descriptors(n_classes: int) -> Callable[[], Any]:
        return lambda: descriptor_relevance(
            values, mixture, encode(values, mixture), dimensions[:n_classes], Epsilon()
        )

    times = cpu_times(
        {
            "floor": floor(n_rows, size),
            "encode": lambda: encode(values, mixture),
            "epsilon": relevance(Epsilon(), 1),
            "encode + one": from_descriptors(1),
            "encode + two": from_descriptors(2),
            "absolute": relevance(Absolute(), 1),
            "sift": lambda: dense_sift(photo),
        },
        size.repeats,
    )
    per_descriptor = len(dense_sift(photo)) / n_rows
    return {
        "encode_over_floor": ratio(times, "encode", "floor"),
        "epsilon_over_floor": ratio(times, "epsilon", "floor"),
        "absolute_over_floor": ratio(times, "absolute", "floor"),
        "sift_over_encode": ratio(times, "sift", "encode") / per_descriptor,
        "extra_class_over_first": ratio(times, "encode + two", "encode + one") - 1,
    }


def em_ratios(size: Size) -> dict[str, float]:
    """One iteration of expectation-maximisation over its floor, and over scikit-learn's."""
    values, mixture = prepared(size)
    values = np.resize(values, (size.em_descriptors, size.dims))
    peer = sklearn_mixture(mixture)
    times = cpu_times(
        {
            "floor": floor(len(values), size),
            "ours": lambda: our_iteration(values, mixture),
            "sklearn": lambda: sklearn_iteration(peer, values),
        },
        max(size.repeats // 4, 1),
    )
    return {
        "em_over_floor": ratio(times, "ours", "floor"),
        "em_over_sklearn": ratio(times, "ours", "sklearn"),
    }


def our_iteration(values: NDArray[np.float32], mixture: GaussianMixture) -> None:
    """One expectation and one maximisation step."""
    from pfungst.mixture.fitting import _maximise

    moments, _ = summed_moments(values, mixture.log_joint_matrix())
    _maximise(moments, np.full(values.shape[1], 1e-9), 1.0)


def sklearn_mixture(mixture: GaussianMixture) -> Any:
    """The same mixture as scikit-learn's estimator."""
    from sklearn.mixture import GaussianMixture as Peer

    peer = Peer(mixture.n_components, covariance_type="diag")
    peer.weights_, peer.means_, peer.covariances_ = mixture.weights, mixture.means, mixture.variances
    peer.precisions_cholesky_ = 1 / np.sqrt(mixture.variances)
    return peer


def sklearn_iteration(peer: Any, values: NDArray[np.float32]) -> None:
    """The same two steps of scikit-learn's own loop."""
    _, log_responsibilities = peer._e_step(values)
    peer._m_step(values, log_responsibilities)


def em_peak(which: str, size: Size) -> float:
    """Largest resident memory, in megabytes, of a process that does one iteration."""
    values, mixture = prepared(size)
    values = np.resize(values, (size.em_descriptors, size.dims))
    if which == "ours":
        our_iteration(values, mixture)
    else:
        sklearn_iteration(sklearn_mixture(mixture), values)
    return peak_bytes() / 2**20


def part(name: str, size: Size) -> dict[str, float]:
    """One measurement, in a process of its own."""
    if name == "large":
        return encoding_ratios(size.descriptors, size)
    if name == "small":
        found = encoding_ratios(size.fewer, size)
        return {f"{key}_15k": value for key, value in list(found.items())[:4]}
    if name == "em":
        return em_ratios(size)
    return {{"ours": "em_peak_mb", "peer": "sklearn_peak_mb"}[name]: em_peak(name, size)}


def main() -> None:
    """Run every part in a child process and print all ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tiny", action="store_true", help="a few seconds, to see that it still runs")
    parser.add_argument("--part", help="measure one part in this process")
    arguments = parser.parse_args()
    size = TINY if arguments.tiny else FULL
    if arguments.part:
        print_json(part(arguments.part, size))
        return
    results: dict[str, float] = {}
    for name in ("large", "small", "em", "ours", "peer"):
        results |= in_child(__file__, ["--part", name, *(["--tiny"] if arguments.tiny else [])])
    print_json(rounded(results))


if __name__ == "__main__":
    main()
