"""Any PyTorch network as a classifier of the contract: scores, explanations, a folder on disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pfungst.contract.classifier import ImageArray
from pfungst.contract.deciding import Decision, checked_decision, decided
from pfungst.contract.explanation import Explanation
from pfungst.contract.storage import (
    ModelFolder,
    checked_classes,
    read_model_folder,
    require_arrays,
    write_model_folder,
)
from pfungst.errors import ConfigError, ModelError, PfungstError, unknown_name
from pfungst.network import architectures
from pfungst.network.outputs import ScoresOf, class_scores
from pfungst.network.preprocess import Preprocess
from pfungst.network.views import VIEWS, Views, center_offset, center_view, place, sliding_views

if TYPE_CHECKING:
    from pfungst.network.lrp import Composite

KIND = "network"
DEFAULT_RULE = "epsilon-plus-flat"
_MODULE_PREFIX = "module."
_FORWARD_BATCH = 8
_PROCESSOR_BATCH = 4  # activations of more views leave the cache: EfficientNet-Lite0 31 ms a view, with 8 41


class NetworkClassifier:
    """A network as a multi-label classifier: class ``c`` is predicted where ``f_c(x) > threshold_c``.

    f(x) is the module's raw output; a softmax, if there is to be one, does not belong into the module.

    Parameters
    ----------
    module : torch.nn.Module
        Maps ``(n, 3, height, width)`` to ``(n, n_classes)``. It is taken over: moved to ``device`` and
        ``dtype`` and put into evaluation mode.
    classes : sequence of str
        Names of the output's columns.
    preprocess : Preprocess
        What the module expects of its input.
    architecture : mapping, optional
        How to build the module again by name (see :mod:`pfungst.network.architectures`). With it a saved
        model loads without code; without it ``load`` is given the module.
    thresholds : (n_classes,) float, optional
        Decision thresholds; default 0, the middle of the hinge loss.
    decision : {"thresholds", "highest"}
        What is predicted: every class above its threshold, or the class with the highest score alone, as
        for a network trained with a softmax.
    views : {"center", "sliding"}
        What ``scores`` looks at: the centre crop that ``explain`` explains, or the mean over windows with
        stride 20 on the photo with its shortest side ``preprocess.resize_length``.
    device : str
        Where the module runs.
    dtype : torch.dtype
        Floating type of weights and input.
    info : mapping, optional
        Plain JSON on the model's origin, saved with it.

    Raises
    ------
    ConfigError
        If the arguments do not fit each other.

    Examples
    --------
    >>> from torch import nn
    >>> module = nn.Sequential(nn.Conv2d(3, 2, 5), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> model = NetworkClassifier(module, ["cat", "dog"], Preprocess(input_size=(64, 64), resize_length=72))
    >>> photo = np.full((40, 60, 3), 128, dtype=np.uint8)
    >>> model.scores([photo]).shape
    (1, 2)
    """

    def __init__(
        self,
        module: nn.Module,
        classes: Sequence[str],
        preprocess: Preprocess,
        *,
        architecture: Mapping[str, Any] | None = None,
        thresholds: NDArray[np.float64] | Sequence[float] | None = None,
        decision: Decision = "thresholds",
        views: Views = "center",
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        info: Mapping[str, Any] | None = None,
    ) -> None:
        self._classes = _checked_classes(classes)
        self._thresholds = _checked_thresholds(thresholds, len(self._classes))
        if views not in VIEWS:
            raise unknown_name("views", str(views), VIEWS)
        self.module = module.to(device=device, dtype=dtype).eval()
        self.preprocess = preprocess
        self.architecture = dict(architecture) if architecture is not None else None
        self.decision: Decision = checked_decision(decision)
        self.views: Views = views
        self.device = device
        self.dtype = dtype
        self.info = dict(info or {})

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the columns of ``scores``."""
        return self._classes

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """Decision threshold of each class, ``(n_classes,)``."""
        return self._thresholds

    def with_views(self, views: Views) -> NetworkClassifier:
        """The same network (weights shared) that scores by other views."""
        if views not in VIEWS:
            raise unknown_name("views", str(views), VIEWS)
        other = copy(self)
        other.views = views
        return other

    def with_thresholds(self, thresholds: NDArray[np.float64] | Sequence[float]) -> NetworkClassifier:
        """The same network (weights shared) with other decision thresholds."""
        other = copy(self)
        other._thresholds = _checked_thresholds(thresholds, len(self._classes))
        return other

    def scores(self, images: Iterable[ImageArray]) -> NDArray[np.float64]:
        """Scores f(x) of decoded photos, ``(n_images, n_classes)``; one photo is in memory at a time."""
        rows = [self._score(image) for image in images]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self._classes))

    def predict(self, images: Iterable[ImageArray]) -> NDArray[np.bool_]:
        """Whether each class is predicted, ``(n_images, n_classes)``, by ``decision``."""
        return decided(self.scores(images), self._thresholds, self.decision)

    def _score(self, image: ImageArray) -> NDArray[np.float64]:
        if self.views == "sliding":
            crops = sliding_views(image, self.preprocess)
        else:
            crops = center_view(image, self.preprocess)[0][None]
        mean: NDArray[np.float64] = self.crop_scores(crops).mean(axis=0)
        return mean

    def crop_scores(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Scores of crops ``(n, height, width, 3)`` uint8 of the input's size, ``(n, n_classes)``."""
        parts = []
        with torch.inference_mode():
            for start in range(0, len(crops), _FORWARD_BATCH):
                output = self._output(self.inputs(crops[start : start + _FORWARD_BATCH]))
                parts.append(self._checked_output(output).double().cpu().numpy())
        return np.concatenate(parts)

    def input_view(self, image: ImageArray) -> ImageArray:
        """The centre view that heatmaps explain, ``(height, width, 3)`` uint8, before values are scaled."""
        view: ImageArray = center_view(image, self.preprocess)[0]
        return view

    def view_scores(self, views: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Scores of a batch of centre views, ``(n, n_classes)``; one forward pass, on a processor one for 4.

        It runs with channels last, in which convolutions are faster; a module that cannot (it reshapes by
        ``view``) runs in PyTorch's own layout.
        """
        size = _PROCESSOR_BATCH if self.device == "cpu" else max(len(views), 1)
        return np.concatenate([self._part(views[i : i + size]) for i in range(0, len(views), size)])

    def _part(self, views: NDArray[np.uint8]) -> NDArray[np.float64]:
        inputs = self.inputs(views)
        with torch.inference_mode():
            try:
                output = self.module(inputs.contiguous(memory_format=torch.channels_last))
            except RuntimeError:
                output = self._output(inputs)
        return self._checked_output(output).double().cpu().numpy()

    def view_to_image(
        self, relevance: NDArray[np.floating], image_shape: tuple[int, int]
    ) -> NDArray[np.float64]:
        """Relevance of the centre view's pixels handed to a photo's pixels; the sum is conserved."""
        settings = self.preprocess
        placement = place(*image_shape, settings)
        offset = center_offset(placement.canvas, settings.input_size, settings.resize)
        return placement.relevance_to_photo(relevance, offset)

    def inputs(self, crops: NDArray[np.uint8]) -> Tensor:
        """Crops as the module's input, ``(n, 3, height, width)``, on its device."""
        values = torch.from_numpy(self.preprocess.values(crops))
        return values.to(device=self.device, dtype=self.dtype)

    def _output(self, inputs: Tensor) -> Any:
        """What the module makes of an input; a model folder may state one that it cannot take."""
        try:
            return self.module(inputs)
        except RuntimeError as error:
            reason = str(error).strip().split("\n", 1)[0][:200]
            raise ConfigError(
                f"the network fails on an input of shape {tuple(inputs.shape)} ({reason})",
                allowed="the input that its layers were made for",
                hint="the model's original copy, or another input_size",
            ) from error

    def _checked_output(self, output: Any) -> Tensor:
        scores = class_scores(output)
        if tuple(scores.shape[1:]) not in self._output_shapes:
            raise ConfigError(
                f"the network's output is {tuple(scores.shape)} for {len(self._classes)} classes",
                allowed="a tensor (n, n_classes)",
                hint="nn.Flatten() at its end, or class names that match its outputs",
            )
        return scores.flatten(1)

    @cached_property
    def scoring_module(self) -> nn.Module:
        """The module, with a step after it that picks the scores if its answer is a structure."""
        with torch.inference_mode():
            size = (1, self.preprocess.n_channels, *self.preprocess.input_size)
            answer = self._output(torch.zeros(size, device=self.device, dtype=self.dtype))
        plain = isinstance(answer, Tensor) and answer.dim() > 1
        return self.module if plain else ScoresOf(self.module).eval()

    @property
    def _output_shapes(self) -> tuple[tuple[int, ...], ...]:
        n_classes = len(self._classes)
        return (n_classes,), (n_classes, 1, 1)  # the latter: Caffe nets that end in pooling

    def explain(
        self, image: ImageArray, class_name: str, *, image_id: str = "", **options: Any
    ) -> Explanation:
        """Relevance of every pixel of ``image`` for the score of ``class_name``; see ``explain_many``."""
        return self.explain_many(image, [class_name], image_id=image_id, **options)[0]

    def explain_many(
        self,
        image: ImageArray,
        class_names: Sequence[str],
        *,
        image_id: str = "",
        rule: str | Composite = DEFAULT_RULE,
        **options: Any,
    ) -> list[Explanation]:
        """Explain several classes of one photo by layer-wise relevance propagation.

        The score is that of the centre view (``preprocess.resize``, one centre crop). The relevance of the
        input is summed over its channels and handed back through crop, padding and resize to the photo's
        pixels; the sum is conserved (see :mod:`pfungst.network.views`).

        Parameters
        ----------
        image : (height, width, 3) uint8
            The decoded photo.
        class_names : sequence of str
            Which scores to explain.
        image_id : str
            For captions and files.
        rule : str or Composite
            A composite of :mod:`pfungst.network.lrp` or its name; ``cvpr2016`` has the settings of the paper.

        Returns
        -------
        list of Explanation
            One a class; ``layers["input"]`` is the relevance of the network's input channels.

        Raises
        ------
        ConfigError
            If a class, rule or option is unknown, or the network has an operation without a rule.
        """
        if options:
            raise ConfigError(
                f"{', '.join(options)} cannot be set for the explanation of a network",
                allowed="rule",
                hint="a composite of pfungst.network.lrp with its own parameters, from Python",
            )
        from pfungst.network.explaining import explain_classes

        return explain_classes(self, image, class_names, image_id=image_id, rule=rule)

    def class_index(self, class_name: str) -> int:
        """The column of a class.

        Raises
        ------
        ConfigError
            If the model does not know it.
        """
        if class_name not in self._classes:
            raise unknown_name("class", class_name, self._classes)
        return self._classes.index(class_name)

    def save(self, path: str | Path) -> Path:
        """Write a model folder of kind ``network``: weights as safetensors, the rest as JSON.

        Raises
        ------
        ModelError
            If a weight is NaN or infinite, or the folder is not a model's.
        """
        arrays = {_MODULE_PREFIX + name: _array(value) for name, value in self.module.state_dict().items()}
        arrays["thresholds"] = self._thresholds
        if self.preprocess.mean_image is not None:
            arrays["mean_image"] = np.asarray(self.preprocess.mean_image, dtype=np.float32)
        config = {
            "architecture": self.architecture,
            "classes": list(self._classes),
            "preprocess": self.preprocess.as_dict(),
            "decision": self.decision,
            "views": self.views,
            "info": self.info,
        }
        return write_model_folder(path, ModelFolder(kind=KIND, config=config, arrays=arrays))

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        module: nn.Module | None = None,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> NetworkClassifier:
        """Read what ``save`` wrote.

        Parameters
        ----------
        path : path
            The model folder.
        module : torch.nn.Module, optional
            The module to fill, if the model was saved without an architecture that is known by name.
        device, dtype
            As for the class.

        Raises
        ------
        ModelError
            If the folder is damaged, of another kind, or its weights do not fit the module.
        """
        content = read_model_folder(path, kind=KIND)
        require_arrays(path, content.arrays, ["thresholds"])
        architecture = content.config.get("architecture")
        if module is None and not isinstance(architecture, dict):
            raise ModelError(
                path,
                "holds the weights of a network whose architecture is not known by name",
                hint="NetworkClassifier.load(path, module=your_module) from Python",
            )
        try:
            checked_classes(content.config["classes"])
            room = sum(array.size for array in content.arrays.values())
            target = (
                module
                if module is not None
                else architectures.build(architecture or {}, empty=True, room=room)
            )
            _fill(target, content.arrays)
            preprocess = Preprocess.from_dict(
                content.config["preprocess"], mean_image=content.arrays.get("mean_image")
            )
            return cls(
                target,
                content.config["classes"],
                preprocess,
                architecture=architecture,
                thresholds=content.arrays["thresholds"],
                decision=content.config.get("decision", "thresholds"),
                views=content.config.get("views", "center"),
                info=content.config.get("info"),
                device=device,
                dtype=dtype,
            )
        except (PfungstError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ModelError(
                path, f"cannot be rebuilt ({error})", hint="the model's original copy"
            ) from error


def _fill(module: nn.Module, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Set a module's parameters and buffers, all of them and no others."""
    state = {
        name.removeprefix(_MODULE_PREFIX): torch.from_numpy(np.array(value))
        for name, value in arrays.items()
        if name.startswith(_MODULE_PREFIX)
    }
    expected = module.state_dict()
    state = {
        name: value.to(expected[name].dtype) if name in expected else value for name, value in state.items()
    }
    empty = any(value.is_meta for value in expected.values())
    try:
        module.load_state_dict(state, assign=empty)
    except RuntimeError as error:
        reason = "; ".join(line.strip() for line in str(error).splitlines()[1:4])
        raise ValueError(f"its weights do not fit the network: {reason}") from error


def _array(value: Tensor) -> NDArray[Any]:
    """A tensor as an array; types that NumPy lacks become float32."""
    plain = value.detach().cpu()
    narrow = plain.is_floating_point() and plain.dtype not in {torch.float16, torch.float32, torch.float64}
    array: NDArray[Any] = (plain.float() if narrow else plain).numpy()
    return array


def _checked_classes(classes: Sequence[str]) -> tuple[str, ...]:
    names = tuple(classes) if not isinstance(classes, str) else ()
    if not names or len(set(names)) != len(names) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"classes {classes!r}", allowed="distinct names, at least one")
    return names


def _checked_thresholds(
    thresholds: NDArray[np.float64] | Sequence[float] | None, n_classes: int
) -> NDArray[np.float64]:
    values = np.zeros(n_classes) if thresholds is None else np.array(thresholds, dtype=np.float64)
    if values.shape != (n_classes,) or np.isnan(values).any():
        raise ConfigError(
            f"thresholds {np.array2string(values)} for {n_classes} classes", allowed="one number a class"
        )
    values.flags.writeable = False
    return values
