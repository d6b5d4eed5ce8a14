"""From the relevance of a network's input to an explanation in the photo's own pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from pfungst.contract.classifier import ImageArray
from pfungst.contract.explanation import Explanation, Ledger
from pfungst.network.lrp import Composite, LrpResult, relevance
from pfungst.network.views import center_view

if TYPE_CHECKING:
    from pfungst.network.classifier import NetworkClassifier


def explain_classes(
    classifier: NetworkClassifier,
    image: ImageArray,
    class_names: Sequence[str],
    *,
    image_id: str,
    rule: str | Composite,
) -> list[Explanation]:
    """Explain several scores of one photo's centre view; one forward pass serves them all.

    ``NetworkClassifier.explain_many`` describes parameters and result.
    """
    columns = [classifier.class_index(name) for name in class_names]
    if not columns:
        return []
    crop, placement, offset = center_view(image, classifier.preprocess)
    result = _propagated(classifier, crop, columns, rule)
    explanations = []
    for position, name in enumerate(class_names):
        channels = result.relevance[0, position].double().cpu().numpy()
        pixels = placement.relevance_to_photo(channels.sum(axis=0), offset)
        explanations.append(
            Explanation(
                image_id=image_id,
                class_name=name,
                score=float(result.scores[0, position]),
                rule=result.composite,
                relevance=pixels,
                ledger=_ledger(result, position, pixels),
                layers={"input": channels},
            )
        )
    return explanations


def _propagated(
    classifier: NetworkClassifier, crop: NDArray[np.uint8], columns: list[int], rule: str | Composite
) -> LrpResult:
    inputs = classifier.inputs(crop[None])
    low, high = (
        torch.from_numpy(bound).to(inputs.device, inputs.dtype)
        for bound in classifier.preprocess.value_range()
    )
    return relevance(classifier.scoring_module, inputs, [columns], composite=rule, input_bounds=(low, high))


def _ledger(result: LrpResult, position: int, pixels: NDArray[np.float64]) -> Ledger:
    account = result.ledger.sample(0, position)
    return Ledger(score=account.score, pixels=float(pixels.sum()), taken=account.taken)
