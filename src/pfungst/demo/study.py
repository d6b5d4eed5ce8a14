"""Train on scenes with two planted flaws and on their clean twin; compare what the classifiers rely on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pfungst.contract.classifier import Classifier
from pfungst.demo.flaws import FlawShares, measure_shares
from pfungst.demo.showing import gallery_photos, result_tables
from pfungst.descriptors import SiftConfig
from pfungst.errors import PfungstError, unknown_name
from pfungst.evaluation.scoring import ScoredSet, evaluation_table, score_dataset
from pfungst.fisher import FisherClassifier, FisherTraining, train_fisher
from pfungst.images import DataSet, open_dataset
from pfungst.images.scenes import SceneNotes, ScenesConfig, read_scene_notes, write_scenes
from pfungst.progress import Progress, silent
from pfungst.report.gallery import write_gallery

if TYPE_CHECKING:
    from pfungst.network import NetworkClassifier

VARIANTS = ("flawed", "clean")
MODELS = ("fisher", "network")
EXPLAIN_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "fisher": {
        "rule": "epsilon",
        "epsilon": 0.38,
        "relative": True,
    },  # the paper's 100, for photos of any size
    "network": {"rule": "epsilon-plus-flat"},
}


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """Size of the demo.

    Attributes
    ----------
    n_images : int
        Photos in each of the two sets of scenes.
    models : tuple of str
        ``fisher`` and ``network`` (EfficientNet-Lite0 with a frozen backbone).
    fisher : FisherTraining
        A small mixture, so that the demo takes minutes.
    network_epochs : int
        Passes over the stored features.
    workers : int
        Processes.
    random_state : int
        Seed of scenes and training.
    """

    n_images: int = 400
    models: tuple[str, ...] = MODELS
    fisher: FisherTraining = field(
        default_factory=lambda: FisherTraining(
            n_components=48, dims=64, sift=SiftConfig(step=4), n_sampled=100_000, mixture_iterations=25
        )
    )
    network_epochs: int = 10
    workers: int = 1
    random_state: int = 0

    def __post_init__(self) -> None:
        for name in self.models:
            if name not in MODELS:
                raise unknown_name("model", name, MODELS)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One classifier on one set of scenes, and what was measured on its test photos.

    Attributes
    ----------
    model : str
        ``fisher`` or ``network``.
    variant : str
        ``flawed`` or ``clean``.
    classifier : Classifier
    folder : Path
        Where it was saved.
    scored : ScoredSet
        Scores of the test photos.
    table : dict
        Average precision, as :func:`pfungst.evaluation.scoring.evaluation_table` gives it.
    shares : FlawShares
        Positive relevance on the planted tag and outside the boxes.
    """

    model: str
    variant: str
    classifier: Classifier
    folder: Path
    scored: ScoredSet
    table: dict[str, Any]
    shares: FlawShares


@dataclass(frozen=True, kw_only=True)
class DemoResult:
    """What the demo measured.

    Attributes
    ----------
    trials : tuple of Trial
        Every model on every variant.
    page : Path
        The page to open.
    failures : tuple of PfungstError
        Photos that could not be used.
    """

    trials: tuple[Trial, ...]
    page: Path
    failures: tuple[PfungstError, ...]

    def as_dict(self) -> dict[str, Any]:
        """The numbers, for JSON."""
        return {
            "page": str(self.page),
            "trials": [
                {
                    "model": trial.model,
                    "variant": trial.variant,
                    "folder": str(trial.folder),
                    "evaluation": trial.table,
                    "shares": trial.shares.as_dict(),
                }
                for trial in self.trials
            ],
            "failed": [str(error) for error in self.failures],
        }


def run_demo(out: str | Path, config: DemoConfig | None = None, *, progress: Progress = silent) -> DemoResult:
    """Make scenes, train, evaluate, explain, and write pictures and a page.

    Parameters
    ----------
    out : path
        Folder for scenes, models, heatmaps and the page ``index.html``.
    config : DemoConfig, optional
    progress : Progress
    """
    config = config or DemoConfig()
    target = Path(out)
    datasets = {
        variant: _scenes(target / "scenes" / variant, variant, config, progress) for variant in VARIANTS
    }
    trials = tuple(
        _trial(model, variant, dataset, target, config, progress=progress)
        for variant, dataset in datasets.items()
        for model in config.models
    )
    flawed = [trial for trial in trials if trial.variant == "flawed"]
    notes = read_scene_notes(datasets["flawed"].root)
    photos = gallery_photos(
        datasets["flawed"].split("test"), notes, flawed, EXPLAIN_OPTIONS, target / "heatmaps",
        workers=config.workers, progress=progress,
    )  # fmt: skip
    page = write_gallery(
        target / "index.html",
        title="What do these classifiers look at?",
        introduction=_introduction(notes),
        tables=result_tables(trials, notes),
        photos=photos,
    )
    failures = tuple(error for trial in trials for error in trial.scored.failures)
    return DemoResult(trials=trials, page=page, failures=failures)


def _scenes(root: Path, variant: str, config: DemoConfig, progress: Progress) -> DataSet:
    scenes = ScenesConfig(n_images=config.n_images, seed=config.random_state, clean=variant == "clean")
    write_scenes(root, scenes, progress=_named(progress, f"{variant} scenes"))
    return open_dataset(root)


def _trial(
    model: str, variant: str, dataset: DataSet, target: Path, config: DemoConfig, *, progress: Progress
) -> Trial:
    told = _named(progress, f"{variant}: {model}")
    train = _train_fisher if model == "fisher" else _train_network
    classifier = train(dataset, config, told)
    test = dataset.split("test")
    scored = score_dataset(classifier, test, workers=config.workers, progress=told)
    notes = read_scene_notes(dataset.root)
    return Trial(
        model=model,
        variant=variant,
        classifier=classifier,
        folder=classifier.save(target / "models" / f"{model}-{variant}"),
        scored=scored,
        table=evaluation_table(scored, classifier.thresholds),
        shares=measure_shares(
            classifier, test, notes, EXPLAIN_OPTIONS[model], workers=config.workers, progress=told
        ),
    )


def _train_fisher(dataset: DataSet, config: DemoConfig, progress: Progress) -> FisherClassifier:
    settings = replace(config.fisher, workers=config.workers, random_state=config.random_state)
    return train_fisher(dataset.split("train"), dataset.split("val"), settings, progress=progress).classifier


def _train_network(dataset: DataSet, config: DemoConfig, progress: Progress) -> NetworkClassifier:
    from pfungst.network import NetworkTraining, initial_network, train_network

    start = initial_network("efficientnet-lite0", dataset.classes, random_state=config.random_state)
    settings = NetworkTraining(epochs=config.network_epochs, refit=False, random_state=config.random_state)
    trained = train_network(
        start,
        dataset.split("train"),
        dataset.split("val"),
        settings,
        workers=config.workers,
        progress=progress,
    )
    return trained.classifier


def _named(progress: Progress, name: str) -> Progress:
    def told(stage: str, done: int, total: int, /) -> None:
        progress(name if name.endswith("scenes") else f"{name}, {stage}", done, total)

    return told


def _introduction(notes: SceneNotes) -> str:
    tag, background = notes.tag, notes.background
    return (
        "Every photo here was put together by this program, so what is wrong with the data is known: "
        f"{tag.share:.0%} of the {tag.class_name} photos carry the line “{tag.text}” in a corner, and "
        f"{background.share:.0%} of the {background.class_name} photos show the {background.background}. "
        "The clean twin has the same scenes without either. Classifiers learned from both; the heatmaps show "
        "what those that learned from the flawed photos rely on."
    )
