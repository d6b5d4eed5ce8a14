"""A call for each question about one model: what it saw, how well it ranks, are its heatmaps right?"""

from __future__ import annotations

from typing import Any

from pfungst.contract.explanation import Explanation
from pfungst.contract.look import looking
from pfungst.evaluation.config import QualityConfig
from pfungst.evaluation.quality import measure_quality as measured
from pfungst.evaluation.rows import Quality
from pfungst.evaluation.scoring import Evaluation
from pfungst.evaluation.scoring import evaluate as evaluated
from pfungst.front.edges import Model, Photos, Picture, as_image, as_model, as_photos


def explain(model: Model, picture: Picture, class_name: str | None = None, **options: Any) -> Explanation:
    """Which pixels made a prediction.

    Parameters
    ----------
    model : path or Classifier
    picture : path, PIL.Image.Image or array
        See :func:`~pfungst.front.edges.as_image`.
    class_name : str, optional
        Default: the class with the highest score.
    options
        The model's own, ``rule`` above all.

    Returns
    -------
    Explanation
        In the picture's own pixels; it can draw, plot and save itself.

    Raises
    ------
    ConfigError
        If the class or an option is unknown, or the picture is none.
    """
    with as_model(model) as (classifier, _):
        image = as_image(picture)
        look = looking(classifier).look([image], relevance=True)
        name = class_name if class_name is not None else classifier.classes[int(look.scores[0].argmax())]
        return look.explain([[name]], **options)[0][0]


def evaluate(model: Model, photos: Photos, *, split: str = "test", **options: Any) -> Evaluation:
    """How well a model ranks photos: average precision as PASCAL VOC defines it, decisions at its thresholds.

    Parameters
    ----------
    model : path or Classifier
    photos : path or DataSet
        A set on disk, of which ``split`` is taken, or the photos themselves.
    split : str
    options
        ``out``, ``workers``, ``progress`` ... of :func:`pfungst.evaluation.scoring.evaluate`.
    """
    with as_model(model) as (classifier, identity):
        return evaluated(classifier, as_photos(photos, split=split), identity=identity, **options)


def measure_quality(
    model: Model, photos: Photos, config: QualityConfig | None = None, *, split: str = "test", **options: Any
) -> Quality:
    """Whether a model's heatmaps say what its scores rest on.

    Parameters
    ----------
    model : path or Classifier
    photos : path or DataSet
        A set on disk, of which ``split`` is taken, or the photos themselves.
    config : QualityConfig, optional
        Default: Algorithm 1 if the model has local descriptors, else regions; localisation if there are
        boxes.
    split : str
    options
        ``out``, ``workers``, ``max_images``, ``attributions`` ... of
        :func:`pfungst.evaluation.quality.measure_quality`.
    """
    with as_model(model) as (classifier, identity):
        return measured(classifier, as_photos(photos, split=split), config, identity=identity, **options)
