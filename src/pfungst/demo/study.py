"""Train on scenes with two planted flaws, and audit the models; likewise on their clean twin, to compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pfungst.audits import ArtefactConfig, AuditConfig, Subject, audit_models
from pfungst.audits.comparing import Comparison, compare_audits
from pfungst.audits.schema import Audit
from pfungst.contract.seen import unseen
from pfungst.contract.storage import model_identity
from pfungst.demo.scenes import ScenesConfig, write_scenes
from pfungst.descriptors import SiftConfig
from pfungst.errors import Failure, unknown_name
from pfungst.evaluation.config import RegionConfig
from pfungst.evaluation.replacement import ReplacementConfig
from pfungst.evaluation.statistics import BootstrapConfig
from pfungst.fisher import FisherClassifier, FisherTraining, train_fisher
from pfungst.images import DataSet, open_dataset
from pfungst.progress import Progress, named, silent
from pfungst.report.audit_page import write_report
from pfungst.report.comparison_page import write_comparison
from pfungst.runs.executor import Workers

if TYPE_CHECKING:
    from pfungst.network import NetworkClassifier

FLAWED, CLEAN = "flawed", "clean"
MODELS = ("fisher", "network")
TITLES: Mapping[str, str] = {"fisher": "Fisher vectors", "network": "EfficientNet-Lite0"}
RULES: Mapping[str, str] = {
    "fisher": "epsilon=0.38*sqrt(L)",  # the paper's 100, for photos of any size
    "network": "epsilon-plus-flat",
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
        A small mixture, so that the demo takes minutes, not hours.
    network_epochs : int
        Passes over the stored features.
    audit : AuditConfig
        Heatmap quality on fewer photos than by default, and fewer tests of suspects.
    twin : bool
        Also learn from the clean twin of the scenes, audit those models, and compare the two audits.
    random_state : int
        Seed of scenes and training.
    """

    n_images: int = 400
    models: tuple[str, ...] = MODELS
    fisher: FisherTraining = field(
        default_factory=lambda: FisherTraining(
            n_components=48, dims=64, descriptor=SiftConfig(step=4), n_sampled=100_000, mixture_iterations=25
        )
    )
    network_epochs: int = 10
    audit: AuditConfig = field(
        default_factory=lambda: AuditConfig(
            quality_images=16,
            replacement=ReplacementConfig(n_replaced=4_000, repetitions=2),
            regions=RegionConfig(size=16, steps=15, per_step=4, operators=("mean",), repetitions=1),
            artefacts=ArtefactConfig(max_photos=40, max_suspects=2, insertions=16),
        )
    )
    twin: bool = False
    random_state: int = 0

    def __post_init__(self) -> None:
        for name in self.models:
            if name not in MODELS:
                raise unknown_name("model", name, MODELS)


@dataclass(frozen=True, kw_only=True)
class DemoResult:
    """What the demo found.

    Attributes
    ----------
    audits : dict of str to Audit
        ``flawed``, and ``clean`` where the twin was asked for.
    pages : dict of str to Path
        Their reports.
    comparison : Comparison or None
        From the flawed to the clean set.
    comparison_page : Path or None
    """

    audits: dict[str, Audit]
    pages: dict[str, Path]
    comparison: Comparison | None = None
    comparison_page: Path | None = None

    @property
    def page(self) -> Path:
        """The report to open: that of the flawed photos."""
        return self.pages[FLAWED]

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Photos that could not be used."""
        return tuple(failure for audit in self.audits.values() for failure in audit.failures)


def run_demo(
    out: str | Path,
    config: DemoConfig | None = None,
    *,
    workers: Workers = 1,
    progress: Progress = silent,
) -> DemoResult:
    """Make scenes, train on them, audit the models, and write reports.

    Parameters
    ----------
    out : path
        Folder for scenes, models and audits.
    config : DemoConfig, optional
    workers : int or Cluster
        Processes, or a Dask cluster whose workers see ``out``.
    progress : Progress
    """
    config = config or DemoConfig()
    target = Path(out)
    run = _Run(target=target, config=config, workers=workers, progress=progress)
    audits, pages = {}, {}
    for variant in (FLAWED, CLEAN) if config.twin else (FLAWED,):
        audits[variant] = run.audited(variant)
        pages[variant] = write_report(audit_folder(target, variant))
    if not config.twin:
        return DemoResult(audits=audits, pages=pages)
    comparison = compare_audits(
        audit_folder(target, FLAWED),
        audit_folder(target, CLEAN),
        bootstrap=BootstrapConfig(random_state=config.random_state),
    )
    return DemoResult(
        audits=audits,
        pages=pages,
        comparison=comparison,
        comparison_page=write_comparison(comparison, target),
    )


def audit_folder(target: Path, variant: str) -> Path:
    """Where the audit of one set of scenes is."""
    return target / ("audit" if variant == FLAWED else f"audit-{variant}")


@dataclass(frozen=True, kw_only=True)
class _Run:
    """What all parts of one demo share."""

    target: Path
    config: DemoConfig
    workers: Workers
    progress: Progress

    def audited(self, variant: str) -> Audit:
        """Scenes of one kind, models that learn from them, and the audit of these on the test photos."""
        dataset = self._scenes(variant)
        told = named(self.progress, variant)
        subjects = [self._subject(model, variant, dataset, told) for model in self.config.models]
        return audit_models(
            subjects,
            unseen(dataset.split("test"), {subject.name: subject.classifier for subject in subjects}),
            audit_folder(self.target, variant),
            replace(self.config.audit, random_state=self.config.random_state),
            split="test",
            title=f"What do these classifiers look at? ({variant} scenes)",
            workers=self.workers,
            progress=told,
        )

    def _scenes(self, variant: str) -> DataSet:
        root = self.target / "scenes" / variant
        settings = ScenesConfig(
            n_images=self.config.n_images, seed=self.config.random_state, clean=variant == CLEAN
        )
        told = named(self.progress, variant)
        write_scenes(root, settings, progress=lambda _, done, total: told("scenes", done, total))
        return open_dataset(root)

    def _subject(self, model: str, variant: str, dataset: DataSet, told: Progress) -> Subject:
        train = self._train_fisher if model == "fisher" else self._train_network
        classifier = train(dataset, named(told, TITLES[model]))
        folder = classifier.save(self.target / "models" / f"{model}-{variant}")
        return Subject(
            name=TITLES[model],
            classifier=classifier,
            kind=model,
            rule=RULES[model],
            identity=model_identity(folder, classifier),
        )

    def _train_fisher(self, dataset: DataSet, told: Progress) -> FisherClassifier:
        trained = train_fisher(
            dataset.split("train"),
            dataset.split("val"),
            replace(self.config.fisher, random_state=self.config.random_state),
            workers=self.workers,
            progress=told,
        )
        return trained.classifier

    def _train_network(self, dataset: DataSet, told: Progress) -> NetworkClassifier:
        from pfungst.network import NetworkTraining, initial_network, train_network

        seed = self.config.random_state
        trained = train_network(
            initial_network("efficientnet-lite0", dataset.classes, random_state=seed),
            dataset.split("train"),
            dataset.split("val"),
            NetworkTraining(epochs=self.config.network_epochs, refit=False, random_state=seed),
            workers=self.workers,
            progress=told,
        )
        return trained.classifier
