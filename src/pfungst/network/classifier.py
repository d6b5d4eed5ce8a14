"""Any PyTorch network as a classifier of the contract: scores, explanations, a folder on disk."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from copy import copy, deepcopy
from itertools import islice
from pathlib import Path
from typing import Any

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
from pfungst.images.seen import SeenPhotos
from pfungst.network import architectures
from pfungst.network.forward import Forward, squashing
from pfungst.network.look import NetworkLook
from pfungst.network.preprocess import Preprocess
from pfungst.network.views import VIEWS, Views
from pfungst.showing import listed

KIND = "network"
_MODULE_PREFIX = "module."
_TOLD = "left_out"
_PROCESSOR_BATCH = 4  # photos: weights are merged and split once for all of them; EfficientNet-Lite0, a photo
# scored and explained: one by one 580 ms of processor time, by two 505, by four 355 to 415
_ACCELERATOR_BATCH = 32


class NetworkClassifier:
    """A network as a multi-label classifier: class ``c`` is predicted where ``f_c(x) > threshold_c``.

    f(x) is the module's raw output. A sigmoid or softmax at its end is left out, which a warning says once:
    scores, thresholds and heatmaps are those of the raw values before it.

    Parameters
    ----------
    module : torch.nn.Module
        Maps ``(n, n_channels, height, width)`` to ``(n, n_classes)``, or to a tuple or dict with such scores
        (:func:`pfungst.network.outputs.score_tensor`); of two classes it may give a single number, the score
        of the second. It is left as it is: used as it stands if it is in evaluation mode, of ``dtype``
        and on ``device``, and copied if not.
    classes : sequence of str
        Names of the output's columns.
    preprocess : Preprocess
        What the module expects of its input.
    architecture : mapping, optional
        How to build the module again by name (see :mod:`pfungst.network.architectures`). With it a saved
        model loads without code; without it ``load`` is given the module.
    thresholds : (n_classes,) float, optional
        Decision thresholds on the raw scores; default 0, the middle of the hinge loss and of a sigmoid.
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
    seen : SeenPhotos, optional
        The photos that it has learned from; None if that is not known.

    Attributes
    ----------
    left_out : tuple of str
        Functions at the module's end that are left out, such as ``softmax``, the last first.

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
        seen: SeenPhotos | None = None,
    ) -> None:
        self._classes = _checked_classes(classes)
        self._thresholds = _checked_thresholds(thresholds, len(self._classes))
        if views not in VIEWS:
            raise unknown_name("views", str(views), VIEWS)
        self.module = _ready(module, device, dtype)
        self.preprocess = preprocess
        self.architecture = dict(architecture) if architecture is not None else None
        self.decision: Decision = checked_decision(decision)
        self.views: Views = views
        self.device = device
        self.dtype = dtype
        self.info = dict(info or {})
        self.seen = seen
        told = self.info.pop(_TOLD, None)
        self.left_out: tuple[str, ...] = ()
        self.left_out = squashing(self.forward)
        if self.left_out and list(self.left_out) != told:
            warnings.warn(_raw_scores(self.left_out), stacklevel=2)

    @property
    def forward(self) -> Forward:
        """The network in use: from views to raw scores."""
        return Forward(
            module=self.module,
            preprocess=self.preprocess,
            n_classes=len(self._classes),
            device=self.device,
            dtype=self.dtype,
            left_out=self.left_out,
        )

    @property
    def batch_size(self) -> int:
        """How many photos at a time it likes to look at."""
        return _PROCESSOR_BATCH if self.device == "cpu" else _ACCELERATOR_BATCH

    @property
    def has_descriptors(self) -> bool:
        """No."""
        return False

    def look(self, images: Iterable[ImageArray], *, relevance: bool = False) -> NetworkLook:
        """Look at photos; see :class:`~pfungst.network.look.NetworkLook`.

        Parameters
        ----------
        images : iterable of (height, width, 3) uint8
        relevance : bool
            Heatmaps will be asked for: the forward pass that scores the photos then serves them too.
        """
        return NetworkLook(
            self.forward,
            self._classes,
            tuple(images),
            views=self.views,
            batch_size=self.batch_size,
            relevance=relevance,
        )

    def __repr__(self) -> str:
        return (
            f"<NetworkClassifier of {type(self.module).__name__}: {len(self.classes)} classes "
            f"({listed(self.classes)}), views {self.views}, on {self.device}>"
        )

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
        """Scores f(x) of decoded photos, ``(n_images, n_classes)``; one batch is in memory at a time."""
        left = iter(images)
        parts = [np.empty((0, len(self._classes)))]
        while batch := tuple(islice(left, self.batch_size)):
            parts.append(self.look(batch).scores)
        return np.concatenate(parts)

    def predict(self, images: Iterable[ImageArray]) -> NDArray[np.bool_]:
        """Whether each class is predicted, ``(n_images, n_classes)``, by ``decision``."""
        return decided(self.scores(images), self._thresholds, self.decision)

    def explain(
        self, image: ImageArray, class_name: str, *, image_id: str = "", **options: Any
    ) -> Explanation:
        """Relevance of every pixel of ``image`` for the score of ``class_name``.

        ``options`` are those of :meth:`~pfungst.network.look.NetworkLook.explain`, ``rule`` above all.
        """
        look = self.look([image], relevance=True)
        return look.explain([[class_name]], image_ids=[image_id], **options)[0][0]

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
            "left_out": list(self.left_out),
        }
        return write_model_folder(path, ModelFolder(kind=KIND, config=config, arrays=arrays, seen=self.seen))

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
            A module of the class that was saved, if its architecture is not known by name; it is copied, and
            the copy is filled.
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
            own = (
                architectures.build(architecture or {}, empty=True, room=room)
                if module is None
                else deepcopy(module)
            )
            target = own.eval()
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
                info={**(content.config.get("info") or {}), _TOLD: content.config.get("left_out")},
                seen=content.seen,
                device=device,
                dtype=dtype,
            )
        except (PfungstError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ModelError(
                path, f"cannot be rebuilt ({error})", hint="the model's original copy"
            ) from error


def _ready(module: nn.Module, device: str, dtype: torch.dtype) -> nn.Module:
    """The module itself if it is ready for use, else a copy in evaluation mode, of the type and device.

    Raises
    ------
    ConfigError
        If it can be neither moved nor put into evaluation mode.
    """
    if not isinstance(module, nn.Module):
        raise ConfigError(
            f"a network of type {type(module).__name__}",
            allowed="a torch.nn.Module",
            hint="program.module() of a program of torch.export",
        )
    tensors = [item for item in (*module.parameters(), *module.buffers()) if item.is_floating_point()]
    placed = all(item.dtype == dtype and item.device == torch.device(device) for item in tensors)
    if placed and not any(getattr(part, "training", False) for part in module.modules()):
        return module
    try:
        return deepcopy(module).to(device=device, dtype=dtype).eval()
    except Exception as error:  # a module raises what it likes
        reason = str(error).strip().split("\n", 1)[0][:200]
        raise ConfigError(
            f"a module of type {type(module).__name__} that is not in evaluation mode, of {dtype} and on "
            f"{device}, and cannot be copied to be so ({reason})",
            allowed="one that is so already, or can be copied",
            hint="module.eval() and module.to(...) first",
        ) from error


def _raw_scores(left_out: tuple[str, ...]) -> str:
    return (
        f"the network ends in {' after '.join(left_out)}, which is left out: scores, thresholds and heatmaps "
        "are those of the raw values before it (a sigmoid of 0.5 is a raw score of 0)"
    )


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
