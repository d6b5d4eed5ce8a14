"""One-against-rest support vector machines on a Gram matrix: n images are far fewer than V dimensions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pfungst.errors import ConfigError

_BLOCK_ROWS = 1024


@dataclass(frozen=True, kw_only=True)
class DualMachines:
    """C machines ``f_c(x) = b_c + Σ_i α_ci y_ci k(x_i, x)`` in their dual form.

    Attributes
    ----------
    dual_coefficients : (C, n) float64
        α_i y_i of each training image; 0 for images that are no support vectors (or difficult).
    bias : (C,) float64
        b.
    """

    dual_coefficients: NDArray[np.float64]
    bias: NDArray[np.float64]

    def scores(self, kernel: NDArray[np.float64]) -> NDArray[np.float64]:
        """f for m images from their kernel ``(m, n)`` with the training images: ``(m, C)``."""
        return kernel @ self.dual_coefficients.T + self.bias

    def primal(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        """w = Σ_i α_i y_i Φ(x_i), ``(C, V)``, from the training images' ``(n, V)``, memory-mapped or not."""
        weights = np.zeros((len(self.dual_coefficients), vectors.shape[1]))
        for start in range(0, len(vectors), _BLOCK_ROWS):
            rows = slice(start, start + _BLOCK_ROWS)
            weights += self.dual_coefficients[:, rows] @ np.asarray(vectors[rows], dtype=np.float64)
        return weights


def gram_matrix(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Φ Φᵀ, ``(n, n)`` float64, in blocks of rows (``vectors`` may be memory-mapped)."""
    n_images = len(vectors)
    gram = np.empty((n_images, n_images))
    for start in range(0, n_images, _BLOCK_ROWS):
        left = slice(start, min(start + _BLOCK_ROWS, n_images))
        block = np.asarray(vectors[left])
        for other in range(0, start + 1, _BLOCK_ROWS):
            right = slice(other, min(other + _BLOCK_ROWS, n_images))
            product = block @ np.asarray(vectors[right]).T
            gram[left, right] = product
            gram[right, left] = product.T
    return gram


def train_machines(
    gram: NDArray[np.float64], labels: NDArray[np.integer], c: float, classes: tuple[str, ...]
) -> DualMachines:
    """Train one machine a class on a precomputed kernel.

    Parameters
    ----------
    gram : (n, n) float64
        Kernel of the training images.
    labels : (n, C) int
        +1, −1, or 0 for difficult: such an image is left out for that class.
    c : float
        Weight of the hinge loss.
    classes : tuple of str
        For error messages.

    Raises
    ------
    ConfigError
        If a class has fewer than two positive or two negative images.
    """
    from sklearn.svm import SVC

    dual = np.zeros((labels.shape[1], len(gram)))
    bias = np.zeros(labels.shape[1])
    for column, name in enumerate(classes):
        kept = np.flatnonzero(labels[:, column])
        signs = labels[kept, column]
        require_both(signs, name)
        machine = SVC(C=c, kernel="precomputed").fit(gram[np.ix_(kept, kept)], signs)
        dual[column, kept[machine.support_]] = machine.dual_coef_[0]
        bias[column] = machine.intercept_[0]
    return DualMachines(dual_coefficients=dual, bias=bias)


def require_both(signs: NDArray[np.integer], class_name: str) -> None:
    """Refuse a class that shows too few positive or negative training images to learn from."""
    positives, negatives = int(np.sum(signs > 0)), int(np.sum(signs < 0))
    if min(positives, negatives) < 2:
        raise ConfigError(
            f"class {class_name!r} has {positives} positive and {negatives} negative training images",
            allowed="at least 2 of each",
            hint="more photos of it, another split, or --classes without it",
        )
