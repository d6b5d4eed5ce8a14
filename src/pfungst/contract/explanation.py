"""What an explanation is: pixel relevance, finer layers, and an account of all of f(x)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pfungst.errors import ConfigError
from pfungst.writing import write_whole, write_with

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL.Image import Image


INPUT_LAYER = "input"
"""The layer of an :class:`Explanation` with the relevance of the model's own input."""
LEAST_SHARE = 0.1
"""A heatmap of less than this share of the score says so (:attr:`Ledger.caveat`)."""
_LARGEST_GAP = 0.01
"""Of the largest amount: from there on an account does not close."""
_CAUSES = {
    "bias": "fixed numbers inside the model (biases)",
    "constant": "fixed inputs inside the model (constants)",
    "stabiliser": "the damping of the rule (stabiliser)",
    "zero": "parts of the model whose inputs come to nothing (zero)",
    "linearisation": "steps that are only approximated (linearisation)",
    "padding": "the margin that was added around the photo (padding)",
}
SHOWN = 640
"""Most pixels of a side of a picture in a notebook."""


def share_of_threshold(pixels: float, score: float) -> float:
    """The share of a decision threshold that pixels bear: that of f(x) which they hold, from 0 to 1.

    A rule that hands most of f(x) to biases leaves the pixels a small part of it. The whole threshold laid on
    them would drown what they tell.

    Parameters
    ----------
    pixels : float
        Sum of the pixels' relevance.
    score : float
        f(x); where it is 0, the share is 1.

    Examples
    --------
    >>> share_of_threshold(0.002, 2.0), share_of_threshold(2.0, 2.0), share_of_threshold(-1.0, 2.0)
    (0.001, 1.0, 0.0)
    """
    return min(max(pixels / score, 0.0), 1.0) if score else 1.0


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """Where the score went: ``score = pixels + sum(taken.values()) + residual``.

    Attributes
    ----------
    score : float
        f(x), the relevance that was sent out.
    pixels : float
        Σ_p R_p, what reached the pixels.
    taken : mapping of str to float
        What was absorbed (negative: generated) on the way, by cause: ``stabiliser``, ``bias`` ...
    spread : mapping of str to float
        The part of ``pixels`` that was spread evenly for want of a better place, by cause: ``empty``
        components, an absorbed ``stabiliser`` share. Already counted in ``pixels``.
    """

    score: float
    pixels: float
    taken: Mapping[str, float] = field(default_factory=dict)
    spread: Mapping[str, float] = field(default_factory=dict)

    @property
    def residual(self) -> float:
        """What the account cannot place: rounding errors only, if all is well."""
        return self.score - self.pixels - sum(self.taken.values())

    @property
    def reached(self) -> float:
        """The share of f(x) that reached the pixels; 1 where f(x) is 0 and nothing can be said."""
        return (self.pixels + self.taken.get("threshold", 0.0)) / self.score if self.score else 1.0

    @property
    def closes(self) -> bool:
        """Whether all of f(x) is accounted for, up to rounding."""
        largest = max(map(abs, (self.score, self.pixels, *self.taken.values())))
        return abs(self.residual) <= _LARGEST_GAP * largest

    @property
    def is_partial(self) -> bool:
        """Whether less than :data:`LEAST_SHARE` of f(x) reached the pixels and the rest is accounted for."""
        return self.closes and abs(self.reached) < LEAST_SHARE

    @property
    def caveat(self) -> str:
        """What has to be known to read the heatmap, in plain words; empty if there is nothing."""
        if not self.closes:
            return (
                f"the account does not close: {self.residual:+.3g} of the score {self.score:+.3g} went "
                "nowhere, so do not rely on this heatmap"
            )
        if not self.is_partial:
            return ""
        taken = {cause: amount for cause, amount in self.taken.items() if cause != "threshold"}
        most = max(taken, key=lambda cause: abs(taken[cause]), default="")
        return (
            f"only {100 * abs(self.reached):.1f} % of the score reached the photo, most went to "
            f"{_CAUSES.get(most, most)}: colours show where the model looked, not how much it mattered"
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return {
            "score": self.score,
            "pixels": self.pixels,
            "taken": dict(self.taken),
            "spread": dict(self.spread),
            "residual": self.residual,
        }


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The relevance of one image's pixels for one class's score.

    Attributes
    ----------
    image_id : str
        Which image.
    class_name : str
        Which class.
    score : float
        f(x); the decision threshold is the classifier's.
    rule : str
        The decomposition in words that name its parameters, such as ``epsilon=100``.
    relevance : (height, width) float64
        R^(1) in the coordinates of the ORIGINAL image; positive supports the class.
    ledger : Ledger
        What reached the pixels and what took the rest.
    layers : mapping of str to array
        Finer layers where they exist: ``dimensions`` R^(3), ``descriptors`` R^(2) with their geometry,
        ``input`` a network's input channels.
    """

    image_id: str
    class_name: str
    score: float
    rule: str
    relevance: NDArray[np.float64]
    ledger: Ledger
    layers: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def picture_relevance(self) -> NDArray[np.float64]:
        """Relevance in the pixels of the model's own input: the layer ``input``, summed over its channels.

        Without that layer the input is the photo, and so is this :attr:`relevance`.
        """
        layer = np.asarray(self.layers.get(INPUT_LAYER, self.relevance), dtype=np.float64)
        summed: NDArray[np.float64] = layer.sum(axis=0) if layer.ndim == 3 else layer
        return summed

    @property
    def caveat(self) -> str:
        """What has to be known to read this heatmap, in plain words; empty if there is nothing."""
        return self.ledger.caveat

    def from_threshold(self, threshold: float) -> Explanation:
        """The relevance of f(x) − threshold, which is positive exactly where the class is predicted.

        With relevance ``R_p`` of f(x) over n pixels, ``R_p − s t / n``: every pixel bears the same part of
        the threshold t. The share s of f(x) that reached the pixels (:func:`share_of_threshold`) is the share
        of t that they bear; the rest of t belongs to what took the rest of f(x). So the sum is s (f(x) − t);
        pixels that hold more than f(x) bear t as a whole.
        The ledger keeps f(x) and says what the threshold took; finer layers stay those of f(x).

        Parameters
        ----------
        threshold : float
            The classifier's, for this class.

        Raises
        ------
        ConfigError
            If it is not finite, or was taken off already.
        """
        taken = dict(self.ledger.taken)
        if not np.isfinite(threshold) or "threshold" in taken:
            raise ConfigError(
                f"a threshold of {threshold} to take off an explanation"
                f"{' that one was taken off' if 'threshold' in taken else ''}",
                allowed="a finite threshold, once",
            )
        borne = threshold * share_of_threshold(self.ledger.pixels, self.score)
        ledger = replace(
            self.ledger, pixels=self.ledger.pixels - borne, taken={**taken, "threshold": float(borne)}
        )
        return replace(self, relevance=self.relevance - borne / self.relevance.size, ledger=ledger)

    def __repr__(self) -> str:
        height, width = self.relevance.shape
        photo = f"{self.image_id!r}, " if self.image_id else ""
        return (
            f"<Explanation of {photo}class {self.class_name!r}: f(x) = {self.score:+.3f}, rule {self.rule}, "
            f"{height} x {width} pixels{'; ' + self.caveat if self.caveat else ''}>"
        )

    def _repr_png_(self) -> bytes:
        """The labelled heatmap in a notebook, at most :data:`SHOWN` pixels wide and high."""
        picture = self.draw()
        picture.thumbnail((SHOWN, SHOWN))
        stream = io.BytesIO()
        picture.save(stream, format="PNG")
        return stream.getvalue()

    def plot(self, ax: Axes | None = None, image: NDArray[np.uint8] | None = None) -> Axes:
        """Draw the heatmap into axes of matplotlib; over the photo in grey if that is given.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Default: new ones.
        image : (height, width, 3) uint8, optional

        Returns
        -------
        matplotlib.axes.Axes
        """
        from pfungst.contract.heatmap import overlay

        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.subplots()[1]
        ax.imshow(self.heatmap() if image is None else overlay(image, self.relevance))
        ax.set_title("\n".join([f"{self.class_name}: f(x) = {self.score:+.2f}", *wrap(self.caveat, 60)]))
        ax.set_axis_off()
        return ax

    def heatmap(self) -> NDArray[np.uint8]:
        """RGB ``(height, width, 3)``: red supports, blue contradicts, white is zero; scaled by max |R|."""
        from pfungst.contract.heatmap import colours, scaled

        return colours(scaled(self.relevance))

    def draw(self, image: NDArray[np.uint8] | None = None) -> Image:
        """A labelled picture: photo, heatmap and overlay side by side (heatmap alone without ``image``)."""
        from pfungst.contract.heatmap import labelled_picture

        words = f"{self.class_name} | f(x) = {self.score:+.3f} | rule {self.rule}"
        caption = " | ".join(part for part in (self.image_id, words, self.caveat) if part)
        return labelled_picture(self.relevance, caption, image)

    def save(self, path: str | Path, image: NDArray[np.uint8] | None = None) -> Path:
        """Write ``draw(image)`` as PNG."""
        picture = self.draw(image)
        return write_with(path, lambda stream: picture.save(stream, format="PNG"))

    def save_arrays(self, path: str | Path) -> Path:
        """Write relevance and all layers as one safetensors file with the numbers as its metadata."""
        import json

        from safetensors.numpy import save

        arrays = {"relevance": self.relevance, **self.layers}
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        content = save(contiguous, metadata={"explanation": json.dumps(self.as_dict())})
        return write_whole(path, content)

    def as_dict(self) -> dict[str, Any]:
        """The numbers without the arrays, for JSON."""
        height, width = self.relevance.shape
        return {
            "image": self.image_id,
            "class": self.class_name,
            "score": self.score,
            "rule": self.rule,
            "caveat": self.caveat,
            "height": height,
            "width": width,
            "ledger": self.ledger.as_dict(),
        }
