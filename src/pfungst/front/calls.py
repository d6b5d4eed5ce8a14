"""A call for each question about one model: what it saw, how well it ranks, are its heatmaps right?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pfungst.contract.explanation import Explanation
from pfungst.contract.look import looking
from pfungst.evaluation.config import QualityConfig
from pfungst.evaluation.quality import measure_quality as measured
from pfungst.evaluation.rows import Quality
from pfungst.evaluation.scoring import Evaluation
from pfungst.evaluation.scoring import evaluate as evaluated
from pfungst.front.edges import Model, Photos, Picture, as_image, as_model, new_photos


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


def evaluate(
    model: Model,
    photos: Photos,
    *,
    split: str = "test",
    format: str | None = None,  # noqa: A002 - as open_dataset
    images: str | Path | None = None,
    include_seen: bool = False,
    random_state: int = 0,
    **options: Any,
) -> Evaluation:
    """How well a model ranks photos: average precision as PASCAL VOC defines it, decisions at its thresholds.

    Parameters
    ----------
    model : path or Classifier
    photos : path or DataSet
        A set on disk, of which ``split`` is taken, or the photos themselves.
    split : str
    format : str, optional
        The layout of a set on disk, where it is not recognised.
    images : path, optional
        The folder of its photos, where they do not lie beside the annotation file.
    include_seen : bool
        Keep photos that the model has learned from; they are left out otherwise, and counted.
    random_state : int
        Seed by which a set without splits is dealt out.
    options
        ``classes``, ``out``, ``workers``, ``progress`` ... of :func:`pfungst.evaluation.scoring.evaluate`.
    """
    with as_model(model) as (classifier, identity):
        data = new_photos(
            photos, {_title(model): classifier}, include_seen=include_seen,
            split=split, format=format, images=images, random_state=random_state,
        )  # fmt: skip
        return evaluated(classifier, data, identity=identity, **options)


def measure_quality(
    model: Model,
    photos: Photos,
    config: QualityConfig | None = None,
    *,
    split: str = "test",
    format: str | None = None,  # noqa: A002 - as open_dataset
    images: str | Path | None = None,
    include_seen: bool = False,
    **options: Any,
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
    format : str, optional
        The layout of a set on disk, where it is not recognised.
    images : path, optional
        The folder of its photos, where they do not lie beside the annotation file.
    include_seen : bool
        Keep photos that the model has learned from; they are left out otherwise, and counted.
    options
        ``out``, ``workers``, ``max_images``, ``attributions`` ... of
        :func:`pfungst.evaluation.quality.measure_quality`.
    """
    with as_model(model) as (classifier, identity):
        data = new_photos(
            photos, {_title(model): classifier}, include_seen=include_seen,
            split=split, format=format, images=images,
            random_state=0 if config is None else config.random_state,
        )  # fmt: skip
        return measured(classifier, data, config, identity=identity, **options)


def _title(model: Model) -> str:
    """What a model is called in sentences."""
    return Path(model).name if isinstance(model, (str, Path)) else "the model"
