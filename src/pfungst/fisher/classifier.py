"""The Fisher-vector classifier: photo → descriptors → Fisher vector → scores, and back to pixels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import ImageArray
from pfungst.contract.explanation import Explanation, Ledger
from pfungst.contract.perturbation import Edit, edited_photos
from pfungst.contract.storage import (
    ModelFolder,
    checked_classes,
    read_model_folder,
    require_arrays,
    write_model_folder,
)
from pfungst.descriptors import PCA, Descriptors, SiftConfig, dense_sift
from pfungst.descriptors.sift import DESCRIPTOR_SIZE
from pfungst.errors import ConfigError, ModelError, unknown_name
from pfungst.fisher.edits import sums_along_edits
from pfungst.fisher.encoding import Encoding, encode, improved
from pfungst.fisher.relevance import descriptor_relevance, dimension_relevance, pixel_relevance
from pfungst.fisher.replacement import FisherTracer
from pfungst.fisher.rules import Naive, Rule, parse_rule
from pfungst.mixture import GaussianMixture

KIND = "fisher"
_PIPELINE_ARRAYS = (
    "pca_mean",
    "pca_components",
    "pca_explained_variance",
    "mixture_weights",
    "mixture_means",
    "mixture_variances",
)
_LARGEST, _SMALLEST_VARIANCE = 1e9, 1e-12
_CLASSIFIER_ARRAYS = ("weights", "bias", "thresholds")


@dataclass(frozen=True, kw_only=True)
class FisherPipeline:
    """Photo → descriptors after PCA → Fisher vector.

    Attributes
    ----------
    sift : SiftConfig
    pca : PCA
    mixture : GaussianMixture
    """

    sift: SiftConfig
    pca: PCA
    mixture: GaussianMixture

    def __post_init__(self) -> None:
        if self.pca.n_inputs != DESCRIPTOR_SIZE or self.pca.n_components != self.mixture.dimension:
            raise ConfigError(
                f"a PCA from {self.pca.n_inputs} to {self.pca.n_components} dimensions before a mixture of "
                f"{self.mixture.dimension}",
                allowed=f"from {DESCRIPTOR_SIZE} to the mixture's dimension",
            )

    @property
    def n_dimensions(self) -> int:
        """V = (1 + 2D)K."""
        return (1 + 2 * self.mixture.dimension) * self.mixture.n_components

    def describe(self, image: ImageArray) -> Descriptors:
        """Dense SIFT projected by PCA, with geometry."""
        return dense_sift(image, self.sift).transformed(self.pca.transform)

    def encode(
        self, descriptors: Descriptors, *, dtype: type[np.float32] | type[np.float64] = np.float32
    ) -> Encoding:
        """Sums of the Fisher mapping over the descriptors."""
        return encode(descriptors.values, self.mixture, dtype=dtype)

    def vector(self, image: ImageArray) -> NDArray[np.float32]:
        """Improved Fisher vector Φ(x) of a photo, ``(V,)`` float32."""
        return improved(self.encode(self.describe(image)).sums).astype(np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything fitted, by name."""
        pca, mixture = self.pca, self.mixture
        values = (
            pca.mean,
            pca.components,
            pca.explained_variance,
            mixture.weights,
            mixture.means,
            mixture.variances,
        )
        return dict(zip(_PIPELINE_ARRAYS, values, strict=True))


class FisherClassifier:
    """One-against-rest linear classifier on improved Fisher vectors; a ``pfungst.contract.Classifier``.

    ``f_c(x) = b_c + w_cᵀ Φ(x)``; class c is predicted where ``f_c(x) > thresholds[c]``.

    Parameters
    ----------
    pipeline : FisherPipeline
        From photo to Fisher vector.
    classes : sequence of str
        Class names.
    weights : (C, V) float
        w.
    bias : (C,) float
        b.
    thresholds : (C,) float, optional
        Decision thresholds; default 0.
    training : mapping, optional
        How it was trained, for the record (plain JSON).
    """

    def __init__(
        self,
        pipeline: FisherPipeline,
        classes: Sequence[str],
        weights: NDArray[np.floating],
        bias: NDArray[np.floating],
        *,
        thresholds: NDArray[np.floating] | None = None,
        training: dict[str, Any] | None = None,
    ) -> None:
        expected = (len(classes), pipeline.n_dimensions)
        if weights.shape != expected or bias.shape != expected[:1]:
            raise ConfigError(
                f"classifier weights of shape {weights.shape}, bias of shape {bias.shape}",
                allowed=f"{expected} and {expected[:1]} for these classes and this mixture",
            )
        if thresholds is not None and np.shape(thresholds) != expected[:1]:
            raise ConfigError(f"thresholds of shape {np.shape(thresholds)}", allowed=str(expected[:1]))
        self.pipeline = pipeline
        self.weights = np.asarray(weights, dtype=np.float32)
        self.bias = np.asarray(bias, dtype=np.float64)
        self.training = dict(training or {})
        self._classes = tuple(classes)
        self._thresholds = np.zeros(len(classes)) if thresholds is None else np.asarray(thresholds, float)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of score columns."""
        return self._classes

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """Decision threshold of each class (equal error rate on validation photos)."""
        return self._thresholds

    def scores(self, images: Iterable[ImageArray]) -> NDArray[np.float64]:
        """f(x), ``(n_images, n_classes)``; images are taken one at a time."""
        rows = [self.scores_of_vector(self.pipeline.vector(image)) for image in images]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.classes))

    def scores_of_vector(self, phi: NDArray[np.floating]) -> NDArray[np.float64]:
        """f from Φ(x): ``(..., V)`` → ``(..., C)``; float64 sums of float32 weights."""
        scores: NDArray[np.float64] = (
            np.asarray(phi, np.float64) @ self.weights.T.astype(np.float64) + self.bias
        )
        return scores

    def predict(self, images: Iterable[ImageArray]) -> NDArray[np.bool_]:
        """Which classes each image is said to show, ``(n_images, n_classes)`` bool."""
        return self.scores(images) > self.thresholds

    def explain(
        self, image: ImageArray, class_name: str, *, image_id: str = "", **options: Any
    ) -> Explanation:
        """Relevance of every pixel for one class; see :meth:`explain_many`."""
        return self.explain_many(image, [class_name], image_id=image_id, **options)[0]

    def explain_many(
        self,
        image: ImageArray,
        class_names: Sequence[str],
        *,
        image_id: str = "",
        rule: str | Rule = "epsilon",
        epsilon: float | None = None,
        relative: bool | None = None,
        absorbed: str | None = None,
        layers: bool = False,
    ) -> list[Explanation]:
        """Explain several classes of one photo; descriptors and posteriors are computed once.

        Parameters
        ----------
        image : (height, width, 3) uint8
        class_names : sequence of str
        image_id : str
        rule : str or Rule
            ``naive``, ``epsilon`` (the default, ε = 100), ``absolute``, or what ``str(rule)`` writes, such as
            ``epsilon=0.38*sqrt(L)``.
        epsilon, relative, absorbed
            Of the ε rule; see :class:`pfungst.fisher.rules.Epsilon`.
        layers : bool
            Keep R^(3) (``dimensions``), R^(2) (``descriptors``) and their ``areas`` in the explanation.

        Raises
        ------
        ConfigError
            If a class, the rule or an option is unknown.
        """
        chosen = parse_rule(rule, epsilon=epsilon, relative=relative, absorbed=absorbed)
        return self.explain_descriptors(
            self.pipeline.describe(image), class_names, chosen, image_id=image_id, layers=layers
        )

    def explain_descriptors(
        self,
        descriptors: Descriptors,
        class_names: Sequence[str],
        rule: Rule,
        *,
        image_id: str = "",
        layers: bool = False,
    ) -> list[Explanation]:
        """Explain from descriptors that were computed before (after PCA)."""
        columns = [self._column(name) for name in class_names]
        dtype = np.float64 if isinstance(rule, Naive) else np.float32
        encoding = self.pipeline.encode(descriptors, dtype=dtype)
        dimensions = dimension_relevance(self.weights[columns], self.bias[columns], improved(encoding.sums))
        local = descriptor_relevance(descriptors.values, self.pipeline.mixture, encoding, dimensions, rule)
        explanations = []
        for position, name in enumerate(class_names):
            pixels = pixel_relevance(local.values[:, position], descriptors.areas, descriptors.shape)
            score = float(dimensions[position].sum())
            finer = {
                "dimensions": dimensions[position],
                "descriptors": local.values[:, position],
                "areas": descriptors.areas,
            }
            ledger = Ledger(
                score=score,
                pixels=float(pixels.sum()),
                taken={"stabiliser": float(local.absorbed[position])},
                spread={
                    "empty": float(local.spread_empty[position]),
                    "stabiliser": float(local.spread_absorbed[position]),
                },
            )
            explanations.append(
                Explanation(
                    image_id=image_id,
                    class_name=name,
                    score=score,
                    rule=str(rule),
                    relevance=pixels,
                    ledger=ledger,
                    layers=finer if layers else {},
                )
            )
        return explanations

    def descriptor_tracer(self, image: ImageArray) -> FisherTracer:
        """The photo's descriptors, ready to be replaced by draws from the mixture (Algorithm 1)."""
        values = self.pipeline.describe(image).values
        return FisherTracer(values, self.pipeline.mixture, self.weights, self.bias, self.classes)

    def perturbed_scores(self, image: ImageArray, steps: Sequence[Sequence[Edit]]) -> NDArray[np.float64]:
        """Scores of the photo and after each step of edits, ``(len(steps) + 1, n_classes)``.

        Only descriptors that see an edit are taken and encoded again; edits accumulate. The scores are those
        of the edited photos as wholes. Photos that are reduced in size first are scored as wholes.
        """
        pipeline = self.pipeline
        tallest = pipeline.sift.max_height
        if tallest is not None and image.shape[0] > tallest:
            return self.scores(edited_photos(image, steps))
        chain = sums_along_edits(image, steps, sift=pipeline.sift, pca=pipeline.pca, mixture=pipeline.mixture)
        return np.stack([self.scores_of_vector(improved(sums)) for sums in chain])

    def _column(self, class_name: str) -> int:
        if class_name not in self.classes:
            raise unknown_name("class", class_name, self.classes)
        return self.classes.index(class_name)

    def save(self, path: str | Path) -> Path:
        """Write the model folder (safetensors + JSON)."""
        arrays = self.pipeline.arrays() | {
            "weights": self.weights,
            "bias": self.bias,
            "thresholds": self.thresholds,
        }
        config = {
            "classes": list(self.classes),
            "sift": asdict(self.pipeline.sift),
            "mixture_history": list(self.pipeline.mixture.history),
            "training": self.training,
        }
        return write_model_folder(path, ModelFolder(kind=KIND, config=config, arrays=arrays))

    @classmethod
    def load(cls, path: str | Path) -> FisherClassifier:
        """Read a model folder.

        Raises
        ------
        ModelError
            If it is missing, damaged, newer than this library, of another kind, or holds NaN.
        """
        folder = read_model_folder(path, kind=KIND)
        require_arrays(path, folder.arrays, _PIPELINE_ARRAYS + _CLASSIFIER_ARRAYS)
        try:
            return cls._from_folder(folder)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, ConfigError) as error:
            raise ModelError(
                path, f"is not a consistent Fisher-vector model ({error})", hint="the model's original copy"
            ) from error

    @classmethod
    def _from_folder(cls, folder: ModelFolder) -> FisherClassifier:
        config = folder.config
        sift = dict(config["sift"])
        sift["bin_sizes"] = tuple(sift["bin_sizes"])
        arrays = {name: np.asarray(array, dtype=np.float64) for name, array in folder.arrays.items()}
        _check_range(arrays)
        pipeline = FisherPipeline(
            sift=SiftConfig(**sift),
            pca=PCA(
                mean=arrays["pca_mean"],
                components=arrays["pca_components"],
                explained_variance=arrays["pca_explained_variance"],
            ),
            mixture=GaussianMixture(
                weights=arrays["mixture_weights"],
                means=arrays["mixture_means"],
                variances=arrays["mixture_variances"],
                history=tuple(config.get("mixture_history", ())),
            ),
        )
        return cls(
            pipeline,
            checked_classes(config["classes"]),
            arrays["weights"],
            arrays["bias"],
            thresholds=arrays["thresholds"],
            training=config.get("training"),
        )


def _check_range(arrays: Mapping[str, NDArray[np.float64]]) -> None:
    """Numbers whose squares and quotients stay finite in float32; fitted ones are nowhere near the limits."""
    for name in _PIPELINE_ARRAYS:
        if np.abs(arrays[name]).max(initial=0.0) > _LARGEST:
            raise ValueError(f"{name} holds numbers beyond {_LARGEST:g}")
    if arrays["mixture_variances"].min(initial=1.0) < _SMALLEST_VARIANCE:
        raise ValueError(f"mixture_variances holds numbers below {_SMALLEST_VARIANCE:g}")
