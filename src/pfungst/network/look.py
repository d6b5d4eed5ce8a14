"""One look of a network at a batch of photos: scores, heatmaps and edited photos from shared passes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pfungst.contract.classifier import ImageArray
from pfungst.contract.explanation import Explanation, Ledger
from pfungst.contract.look import Chain, Trace, without_descriptors
from pfungst.errors import ConfigError, unknown_name
from pfungst.network.edits import EditedPhoto, EditedPicture, Scored, ViewQueue, lined_up
from pfungst.network.forward import Forward
from pfungst.network.lrp import Composite, LrpResult, Recording
from pfungst.network.outputs import class_scores
from pfungst.network.views import ViewPlan, Views

DEFAULT_RULE = "suited"


class NetworkLook:
    """The :class:`~pfungst.contract.look.Look` of a network.

    Parameters
    ----------
    forward : Forward
        The network.
    classes : tuple of str
        Names of its scores.
    images : tuple of (height, width, 3) uint8
        The photos.
    views : {"center", "sliding"}
        What scores look at.
    batch_size : int
        Photos explained at a time.
    relevance : bool
        Record the forward pass that scores the centre views, so that it serves explanations too. Of more
        photos than a batch nothing is recorded ahead, since a recording holds every activation.
    """

    def __init__(
        self,
        forward: Forward,
        classes: tuple[str, ...],
        images: tuple[ImageArray, ...],
        *,
        views: Views,
        batch_size: int,
        relevance: bool,
    ) -> None:
        self.images = images
        self._forward, self._classes, self._views = forward, classes, views
        self._batch_size = batch_size
        self._ahead = relevance and 0 < len(images) <= batch_size

    @cached_property
    def _plans(self) -> tuple[ViewPlan, ...]:
        return tuple(ViewPlan.center(image, self._forward.preprocess) for image in self.images)

    @cached_property
    def pictures(self) -> tuple[ImageArray, ...]:
        """The centre views that heatmaps explain, ``(height, width, 3)`` uint8, before values are scaled."""
        return tuple(
            plan.cut(plan.placement.draw(image))[0]
            for plan, image in zip(self._plans, self.images, strict=True)
        )

    @cached_property
    def _recorded(self) -> Recording:
        return self._forward.record(np.stack(self.pictures))

    @cached_property
    def picture_scores(self) -> NDArray[np.float64]:
        """f of the centre views, ``(n_images, n_classes)``."""
        if not self.images:
            return np.empty((0, len(self._classes)))
        if self._ahead:
            return self._forward.columns(self._recorded.outputs)
        return self._forward.scores(np.stack(self.pictures))

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        """f(x), ``(n_images, n_classes)``: of the centre view, or the mean over windows."""
        if self._views == "center":
            return self.picture_scores
        means = [rows.mean(axis=0) for rows in self._window_scores]
        return np.array(means, dtype=np.float64).reshape(len(means), len(self._classes))

    @cached_property
    def _window_scores(self) -> tuple[NDArray[np.float64], ...]:
        """Scores of each window of each photo."""
        found = []
        for image in self.images:
            plan = ViewPlan.sliding(image, self._forward.preprocess)
            found.append(self._forward.scores(plan.cut(plan.placement.draw(image))))
        return tuple(found)

    def explain(
        self,
        class_names: Sequence[Sequence[str]],
        *,
        image_ids: Sequence[str] = (),
        rule: str | Composite = DEFAULT_RULE,
        **options: Any,
    ) -> list[list[Explanation]]:
        """Explain classes of each photo's centre view by layer-wise relevance propagation.

        The classes of a photo share a forward pass, or two. The relevance of the input is summed over its
        channels and handed back through crop and resize to the photo's pixels; what lies on padding around
        the photo is in the ledger as ``padding`` (see :mod:`pfungst.network.views`).

        Parameters
        ----------
        class_names : sequence of sequences of str
            For each photo the scores to explain; may be empty.
        image_ids : sequence of str
            For captions and files.
        rule : str or Composite
            A composite of :mod:`pfungst.network.lrp` or its name; ``cvpr2016`` has the settings of the paper.
            By default ``epsilon-plus-flat``, or ``attnlrp`` for a network with norms, softmax or products of
            signals inside; the explanation's ``rule`` names it.

        Returns
        -------
        list of lists of Explanation
            ``layers["input"]`` is the relevance of the network's input channels.

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
        columns = [[class_index(self._classes, name) for name in names] for names in class_names]
        ids = image_ids or [""] * len(self.images)
        found: list[list[Explanation]] = [[] for _ in columns]
        for photos, part, recording in self._passes(columns):
            wanted = [columns[photo][part] for photo in photos]
            result, signs = _propagated(self._forward, recording, wanted, rule)
            for row, photo in enumerate(photos):
                found[photo] += [
                    self._explanation(photo, column, result, (row, place), signs[row][place], ids[photo])
                    for place, column in enumerate(wanted[row])
                ]
        return found

    def _passes(self, columns: Sequence[Sequence[int]]) -> Iterator[tuple[list[int], slice, Recording]]:
        """Recorded passes of batches of photos, and which of each photo's classes are explained by them.

        A pass goes back as often as the photo with the most classes needs, for all of its photos. So photos
        of as many classes go together; and where all are in one pass that has been recorded already, those
        with more than one class may get a pass of their own for the others.
        """
        counts = [len(some) for some in columns]
        wanted = sorted((photo for photo, count in enumerate(counts) if count), key=counts.__getitem__)
        everything = slice(None)
        if wanted and self._ahead:
            more = [photo for photo in wanted if counts[photo] > 1]
            apart = _pays_apart(counts, len(more))
            yield list(range(len(self.images))), slice(1) if apart else everything, self._recorded
            wanted, everything = (more, slice(1, None)) if apart else ([], everything)
        for start in range(0, len(wanted), self._batch_size):
            photos = wanted[start : start + self._batch_size]
            views = np.stack([self.pictures[photo] for photo in photos])
            yield photos, everything, self._forward.record(views)

    def _explanation(  # noqa: PLR0917 - private, one caller
        self, photo: int, column: int, result: LrpResult, at: tuple[int, int], sign: float, image_id: str
    ) -> Explanation:
        channels = sign * result.relevance[at].double().cpu().numpy()
        pixels = self._plans[photo].relevance_to_photo(channels.sum(axis=0))
        account = result.ledger.sample(*at)
        taken = {cause: sign * amount for cause, amount in account.taken.items()}
        if self._plans[photo].placement.is_padded:
            taken["padding"] = float(channels.sum() - pixels.sum())
        return Explanation(
            image_id=image_id,
            class_name=self._classes[column],
            score=sign * float(result.scores[at]),
            rule=result.composite,
            relevance=pixels,
            ledger=Ledger(score=sign * account.score, pixels=float(pixels.sum()), taken=taken),
            layers={"input": channels},
        )

    def after(
        self, chains: Sequence[Sequence[Chain]], *, in_picture: bool = False
    ) -> list[list[NDArray[np.float64]]]:
        """Scores of edited photos: views that an edit changes are scored anew, packed into full batches.

        Parameters
        ----------
        chains : sequence of sequences of Chain
            For each photo its chains.
        in_picture : bool
            Edits and scores are those of :attr:`pictures`.

        Returns
        -------
        list of lists of (n_steps, n_classes) float64
        """
        queue = ViewQueue(self._forward)
        steps = []
        for photo, group in enumerate(chains):
            start = None if in_picture else self._edited(photo)
            steps.append(
                [
                    lined_up(
                        EditedPicture(self.pictures[photo]) if start is None else start.copy(), chain, queue
                    )
                    for chain in group
                ]
            )
        queue.flush()
        return [
            [self._means(photo, chain, in_picture=in_picture) for chain in group]
            for photo, group in enumerate(steps)
        ]

    def _edited(self, photo: int) -> EditedPhoto:
        image = self.images[photo]
        sliding = self._views == "sliding"
        plan = ViewPlan.sliding(image, self._forward.preprocess) if sliding else self._plans[photo]
        return EditedPhoto(image, plan)

    def _means(
        self, photo: int, steps: Sequence[Sequence[Scored | None]], *, in_picture: bool
    ) -> NDArray[np.float64]:
        """Of each step the mean over its views; an unchanged view has the scores of the untouched photo."""

        def row(place: Scored | None, view: int) -> NDArray[np.float64]:
            if place is not None and place.row is not None:
                return place.row
            untouched = self.picture_scores if center else self._window_scores[photo]
            scores: NDArray[np.float64] = untouched[photo if center else view]
            return scores

        center = in_picture or self._views == "center"
        means = [np.mean([row(place, view) for view, place in enumerate(places)], axis=0) for places in steps]
        return np.array(means, dtype=np.float64).reshape(len(means), len(self._classes))

    def on_photo(self, relevance: NDArray[np.floating], *, photo: int = 0) -> NDArray[np.float64]:
        """Relevance of the centre view's pixels handed to the photo's pixels; that of padding is left out.

        Raises
        ------
        ConfigError
            If the relevance has another shape than the view.
        """
        shape = self._plans[photo].size
        if relevance.shape != shape:
            raise ConfigError(f"relevance of shape {relevance.shape}", allowed=f"the picture's {shape}")
        return self._plans[photo].relevance_to_photo(relevance)

    def trace(self, *, photo: int = 0) -> Trace:
        """There is none.

        Raises
        ------
        ConfigError
            Always.
        """
        raise without_descriptors()


def class_index(classes: tuple[str, ...], name: str) -> int:
    """The column of a class.

    Raises
    ------
    ConfigError
        If the model does not know it.
    """
    if name not in classes:
        raise unknown_name("class", name, classes)
    return classes.index(name)


def _pays_apart(counts: Sequence[int], n_more: int) -> bool:
    """Whether photos with more classes than one are better passed again; that costs half a way back."""
    width = max(counts)
    return len(counts) * width > len(counts) + n_more * (width - 1 + 0.5)


def _propagated(
    forward: Forward, recording: Recording, columns: Sequence[Sequence[int]], rule: str | Composite
) -> tuple[LrpResult, list[list[float]]]:
    """Relevance of some scores of each photo, and the sign that each of them has in the module's output.

    Photos with fewer classes than others have the first output as well, which nobody reads.
    """
    n_outputs = class_scores(recording.outputs).shape[1]
    pairs = [[forward.target(column, n_outputs) for column in some] for some in columns]
    width = max(map(len, pairs))
    targets = [[target for target, _ in some] + [0] * (width - len(some)) for some in pairs]
    low, high = (torch.from_numpy(bound).to(recording.outputs) for bound in forward.preprocess.value_range())
    result = recording.relevance(targets, composite=rule, input_bounds=(low, high))
    return result, [[sign for _, sign in some] for some in pairs]
