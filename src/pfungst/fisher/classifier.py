"""The Fisher-vector classifier: photo → descriptors → Fisher vector → scores, and back to pixels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfungst.contract.classifier import ImageArray
from pfungst.contract.explanation import Explanation
from pfungst.contract.storage import (
    ModelFolder,
    checked_classes,
    read_model_folder,
    require_arrays,
    write_model_folder,
)
from pfungst.descriptors import PCA, Descriptor, descriptor_from_dict
from pfungst.errors import ConfigError, ModelError
from pfungst.fisher.look import FisherLook
from pfungst.fisher.machines import LinearMachines
from pfungst.fisher.pipeline import PIPELINE_ARRAYS, FisherPipeline
from pfungst.mixture import GaussianMixture
from pfungst.showing import listed

KIND = "fisher"
_LARGEST, _SMALLEST_VARIANCE = 1e9, 1e-12
_CLASSIFIER_ARRAYS = ("weights", "bias", "thresholds")


class FisherClassifier:
    """One-against-rest linear classifier on improved Fisher vectors; a ``pfungst.contract.look.Looking``.

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
        self.machines = LinearMachines(
            classes=tuple(classes),
            weights=np.asarray(weights, dtype=np.float32),
            bias=np.asarray(bias, dtype=np.float64),
        )
        self.training = dict(training or {})
        self._thresholds = np.zeros(len(classes)) if thresholds is None else np.asarray(thresholds, float)

    def __repr__(self) -> str:
        return (
            f"<FisherClassifier: {len(self.classes)} classes ({listed(self.classes)}), "
            f"{self.pipeline.n_dimensions} dimensions>"
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of score columns."""
        return self.machines.classes

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """Decision threshold of each class (equal error rate on validation photos)."""
        return self._thresholds

    @property
    def weights(self) -> NDArray[np.float32]:
        """w, ``(C, V)`` float32."""
        return self.machines.weights

    @property
    def bias(self) -> NDArray[np.float64]:
        """b, ``(C,)``."""
        return self.machines.bias

    @property
    def batch_size(self) -> int:
        """One photo at a time: they share nothing."""
        return 1

    @property
    def has_descriptors(self) -> bool:
        """Yes."""
        return True

    def look(self, images: Iterable[ImageArray], *, relevance: bool = False) -> FisherLook:
        """Look at photos: scores, heatmaps, edits and traces of each share its descriptors."""
        del relevance
        return FisherLook(self, tuple(images), pipeline=self.pipeline, machines=self.machines)

    def scores(self, images: Iterable[ImageArray]) -> NDArray[np.float64]:
        """f(x), ``(n_images, n_classes)``; images are taken one at a time."""
        rows = [self.look([image]).scores for image in images]
        return np.concatenate([np.empty((0, len(self.classes))), *rows])

    def predict(self, images: Iterable[ImageArray]) -> NDArray[np.bool_]:
        """Which classes each image is said to show, ``(n_images, n_classes)`` bool."""
        return self.scores(images) > self.thresholds

    def explain(
        self, image: ImageArray, class_name: str, *, image_id: str = "", **options: Any
    ) -> Explanation:
        """Relevance of every pixel for the score of one class.

        Parameters
        ----------
        image : (height, width, 3) uint8
        class_name : str
        image_id : str
        **options
            ``rule``, a Rule or its name: ``naive``, ``epsilon`` (the default, ε = 100), ``absolute``, or what
            ``str(rule)`` writes, such as ``epsilon=0.38*sqrt(L)``. ``epsilon``, ``relative`` and ``absorbed``
            of the ε rule (:class:`pfungst.fisher.rules.Epsilon`); ``bias="separate"`` keeps b out of R^(3).
            ``layers=True`` keeps R^(3) (``dimensions``), R^(2) (``descriptors``) and their ``areas``.

        Raises
        ------
        ConfigError
            If the class, the rule or an option is unknown.
        """
        return self.look([image]).explain([[class_name]], image_ids=[image_id], **options)[0][0]

    def save(self, path: str | Path) -> Path:
        """Write the model folder (safetensors + JSON)."""
        arrays = self.pipeline.arrays() | {
            "weights": self.weights,
            "bias": self.bias,
            "thresholds": self.thresholds,
        }
        config = {
            "classes": list(self.classes),
            "descriptor": self.pipeline.descriptor.as_dict(),
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
        require_arrays(path, folder.arrays, PIPELINE_ARRAYS + _CLASSIFIER_ARRAYS)
        try:
            return cls._from_folder(folder)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, ConfigError) as error:
            raise ModelError(
                path, f"is not a consistent Fisher-vector model ({error})", hint="the model's original copy"
            ) from error

    @classmethod
    def _from_folder(cls, folder: ModelFolder) -> FisherClassifier:
        config = folder.config
        arrays = {name: np.asarray(array, dtype=np.float64) for name, array in folder.arrays.items()}
        _check_range(arrays)
        pipeline = FisherPipeline(
            descriptor=_descriptor(config),
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


def _descriptor(config: Mapping[str, Any]) -> Descriptor:
    """Which descriptor a model folder states; before there were several it was SIFT."""
    settings = config["descriptor"] if "descriptor" in config else {"name": "sift", **config["sift"]}
    return descriptor_from_dict(settings)


def _check_range(arrays: Mapping[str, NDArray[np.float64]]) -> None:
    """Numbers whose squares and quotients stay finite in float32; fitted ones are nowhere near the limits."""
    for name in PIPELINE_ARRAYS:
        if np.abs(arrays[name]).max(initial=0.0) > _LARGEST:
            raise ValueError(f"{name} holds numbers beyond {_LARGEST:g}")
    if arrays["mixture_variances"].min(initial=1.0) < _SMALLEST_VARIANCE:
        raise ValueError(f"mixture_variances holds numbers below {_SMALLEST_VARIANCE:g}")
