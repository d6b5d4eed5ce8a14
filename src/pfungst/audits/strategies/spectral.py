r"""Spectral clustering of the rows of a matrix: graph, normalised Laplacian, eigengap, clusters, a plane.

With x_i the rows, the affinity joins neighbours, ``W_ij = max(a_ij, a_ji)`` (union) or ``min`` (mutual),
with ``a_ij = 1`` where x_j is one of the k nearest rows to x_i. With ``D = diag(Σ_j W_ij)`` the normalised
Laplacian is ``L = I − D^(−1/2) W D^(−1/2)``; its smallest eigenvalues 0 = λ_1 ≤ λ_2 ≤ … stay near zero for as
many as there are clusters, and their eigenvectors, rows normalised, are the embedding that k-means divides.

References
----------
Ng, Jordan, Weiss 2001; von Luxburg 2007; Lapuschkin et al. 2019 (spectral relevance analysis).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Affinity = Literal["union", "mutual"]
_DENSE = 600
"""Up to so many rows all eigenvalues cost less than a few by iteration."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Spectrum:
    """Smallest eigenvalues of the normalised Laplacian, ascending ``(m,)``, and eigenvectors ``(n, m)``."""

    values: NDArray[np.float64]
    vectors: NDArray[np.float64]


def default_neighbours(n_rows: int) -> int:
    """k = max(5, ⌈2 ln n⌉): in the order of ln n, below which a graph of one family falls apart by chance."""
    return max(5, int(np.ceil(2 * np.log(max(n_rows, 1)))))


def neighbour_affinity(
    rows: NDArray[np.floating], n_neighbours: int, kind: Affinity = "union"
) -> csr_array[Any, Any]:
    """Symmetric k-nearest-neighbour graph of the rows, Euclidean, ``(n, n)`` sparse of 0 and 1.

    No row is its own neighbour; of fewer than ``n_neighbours`` other rows all are neighbours.
    """
    from sklearn.neighbors import NearestNeighbors

    n_rows = len(rows)
    k = min(n_neighbours, n_rows - 1)
    if k < 1:
        return csr_array((n_rows, n_rows), dtype=np.float64)
    found = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(rows)
    directed = csr_array(found.kneighbors_graph(mode="connectivity"), dtype=np.float64)
    either = directed.maximum(directed.T) if kind == "union" else directed.minimum(directed.T)
    return csr_array(either)


def smallest_eigenpairs(affinity: csr_array[Any, Any], n_pairs: int, *, random_state: int = 0) -> Spectrum:
    """The ``n_pairs`` smallest eigenvalues of the normalised Laplacian and their eigenvectors.

    L is solved in each connected component on its own: λ = 0 is then simple, which iteration needs, and comes
    exactly once for each component. A row without neighbours is a component with λ = 0.

    Parameters
    ----------
    affinity : (n, n) sparse
        Symmetric, not negative.
    n_pairs : int
        At most n are returned.
    random_state : int
        Of the start vector, for components too large to be solved at once.
    """
    from scipy.sparse.csgraph import connected_components

    n_rows = affinity.shape[0]
    n_parts, part_of = connected_components(affinity, directed=False)
    values: list[float] = []
    vectors: list[NDArray[np.float64]] = []
    for part in range(n_parts):
        members = np.flatnonzero(part_of == part)
        block = affinity[members][:, members]
        found = _component_eigenpairs(block, min(n_pairs, len(members)), random_state)
        values.extend(found.values)
        for column in found.vectors.T:
            whole = np.zeros(n_rows)
            whole[members] = column
            vectors.append(whole)
        if len(values) > 4 * n_pairs + n_parts:  # keep memory bounded where there are many components
            values, vectors = _smallest(values, vectors, n_pairs)
    values, vectors = _smallest(values, vectors, n_pairs)
    return Spectrum(values=np.array(values), vectors=np.stack(vectors, axis=1))


def _smallest(
    values: list[float], vectors: list[NDArray[np.float64]], n_pairs: int
) -> tuple[list[float], list[NDArray[np.float64]]]:
    kept = np.argsort(values, kind="stable")[:n_pairs]
    return [values[i] for i in kept], [vectors[i] for i in kept]


def _component_eigenpairs(block: csr_array[Any, Any], n_pairs: int, random_state: int) -> Spectrum:
    """Of one connected graph; λ_1 = 0 with eigenvector D^(1/2) 1 is known."""
    from scipy.linalg import eigh
    from scipy.sparse.linalg import eigsh

    root = np.sqrt(np.asarray(block.sum(axis=1), dtype=np.float64).ravel())
    if len(root) == 1:
        return Spectrum(values=np.zeros(1), vectors=np.ones((1, 1)))
    scaled = block.multiply(1 / root[:, None]).multiply(1 / root[None, :]).tocsr()
    if len(root) <= max(_DENSE, 2 * n_pairs):
        similarity = scaled.toarray()
        largest = [len(root) - n_pairs, len(root) - 1]
        found, vectors = eigh(similarity, subset_by_index=largest)
    else:
        start = np.random.default_rng(random_state).random(len(root))
        found, vectors = eigsh(scaled, k=n_pairs, which="LA", v0=start, tol=1e-8, ncv=max(60, 4 * n_pairs))
    order = np.argsort(-found, kind="stable")
    values = np.maximum(1 - found[order], 0.0)
    values[0] = 0.0
    return Spectrum(values=values, vectors=_fixed_signs(vectors[:, order]))


def _fixed_signs(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Eigenvectors whose largest entry is positive, so that no library's choice of sign shows."""
    peaks = vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])]
    fixed: NDArray[np.float64] = vectors * np.where(peaks < 0, -1.0, 1.0)
    return fixed


def eigengap(values: NDArray[np.float64], max_clusters: int) -> tuple[int, float]:
    """The number of clusters c with the largest gap λ_(c+1) − λ_c, and that gap; the smallest c at a tie.

    Where more than ``max_clusters`` eigenvalues are zero, there are more components than may be told apart:
    the answer is ``max_clusters``, with its gap of zero.
    """
    gaps = np.diff(values[: max_clusters + 1])
    if gaps.size == 0:
        return 1, float("nan")
    if gaps.size == max_clusters and values[max_clusters] <= 0:
        return max_clusters, 0.0
    best = int(np.argmax(np.round(gaps, 12)))
    return best + 1, float(gaps[best])


def embedded(spectrum: Spectrum, n_dimensions: int) -> NDArray[np.float64]:
    """The first eigenvectors, each row divided by its length; a row of zeros stays."""
    rows = spectrum.vectors[:, :n_dimensions]
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.float64] = np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)
    return unit


def cluster_labels(spectrum: Spectrum, n_clusters: int, *, random_state: int = 0) -> NDArray[np.intp]:
    """k-means on the row-normalised embedding; clusters are numbered by size, largest first, ``(n,)``."""
    from sklearn.cluster import KMeans

    rows = embedded(spectrum, n_clusters)
    distinct = len(np.unique(np.round(rows, 9), axis=0))
    fitted = KMeans(min(n_clusters, distinct), n_init=10, random_state=random_state).fit(rows)
    return by_size(fitted.labels_)


def by_size(labels: NDArray[np.integer]) -> NDArray[np.intp]:
    """Labels renumbered from 0, the largest cluster first; of equal ones the one that comes first."""
    names, first, counts = np.unique(labels, return_index=True, return_counts=True)
    rank = {names[i]: position for position, i in enumerate(np.lexsort((first, -counts)))}
    return np.array([rank[label] for label in labels], dtype=np.intp)


def plane(spectrum: Spectrum, *, perplexity: float = 30.0, random_state: int = 0) -> NDArray[np.float64]:
    """Places for the eye, ``(n, 2)``: t-SNE of all given eigenvectors, rows normalised.

    The perplexity is at most a third of the other rows. Fewer than ten rows are laid out by the second and
    third eigenvector, since neighbourhoods say nothing there.
    """
    n_rows = len(spectrum.vectors)
    start = np.zeros((n_rows, 2))
    width = min(2, spectrum.vectors.shape[1] - 1)
    start[:, :width] = spectrum.vectors[:, 1 : 1 + width]
    if n_rows < 10:
        return start
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    spread = start.std(axis=0)
    scaled = np.divide(start, spread, out=np.zeros_like(start), where=spread > 0) * 1e-4
    jitter = np.random.default_rng(random_state).normal(scale=1e-6, size=start.shape)  # duplicates part
    with threadpool_limits(limits=1):  # sums in a fixed order, whatever the machine
        tsne = TSNE(
            perplexity=min(perplexity, (n_rows - 1) / 3),
            init=(scaled + jitter).astype(np.float32),
            random_state=random_state,
        )
        places = tsne.fit_transform(embedded(spectrum, spectrum.vectors.shape[1]).astype(np.float32))
    return np.asarray(places, dtype=np.float64)
