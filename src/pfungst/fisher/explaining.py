"""A photo's explanation: relevance from the score to dimensions, descriptors and pixels, with its account."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pfungst.contract.explanation import Explanation, Ledger
from pfungst.fisher.described import DescribedPhoto
from pfungst.fisher.encoding import improved
from pfungst.fisher.machines import LinearMachines
from pfungst.fisher.relevance import (
    descriptor_relevance,
    dimension_relevance,
    pixel_relevance,
    split_bias,
)
from pfungst.fisher.rules import Rule


def explain_photo(
    photo: DescribedPhoto,
    machines: LinearMachines,
    class_names: Sequence[str],
    rule: Rule,
    *,
    image_id: str = "",
    layers: bool = False,
) -> list[Explanation]:
    """Explain several classes of one photo; descriptors and posteriors are shared.

    Parameters
    ----------
    photo : DescribedPhoto
    machines : LinearMachines
    class_names : sequence of str
    rule : Naive, Epsilon or Absolute
    image_id : str
    layers : bool
        Keep R^(3) (``dimensions``), R^(2) (``descriptors``) and their ``areas`` in the explanations.

    Raises
    ------
    ConfigError
        If a class is unknown.
    PfungstError
        If the photo has no descriptor.
    """
    columns = machines.columns(class_names)
    if not columns:
        return []
    descriptors = photo.descriptors
    encoding = photo.encoding(rule.dtype(len(descriptors)))
    phi = improved(encoding.sums)
    spread, separate = split_bias(machines.bias[columns], rule)
    dimensions = dimension_relevance(machines.weights[columns], spread, phi)
    local = descriptor_relevance(descriptors.values, photo.pipeline.mixture, encoding, dimensions, rule)
    explanations = []
    for position, name in enumerate(class_names):
        relevance = np.ascontiguousarray(local.values[:, position])
        pixels = pixel_relevance(relevance, descriptors.areas, descriptors.shape)
        finer = {
            "dimensions": dimensions[position],
            "descriptors": relevance,
            "areas": descriptors.areas,
        }
        score = float(dimensions[position].sum() + separate[position])
        ledger = Ledger(
            score=score,
            pixels=float(pixels.sum()),
            taken={"stabiliser": float(local.absorbed[position]), "bias": float(separate[position])},
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
