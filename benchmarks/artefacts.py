"""Does the search for artefacts find what was planted, and is it silent where nothing was?

``python benchmarks/artefacts.py`` prints one JSON object. Marks of every kind that can be planted (text
tag, date stamp, sticker, border, watermark, code, film strip, letter, ruler; and of the whole photo JPEG
blocks, a cast, grey, blur, noise, a vignette) are drawn into 10 to 40 % of the training and test photos of
one class each; three of the six classes of a set of photos get one, the other three stay clean. A model is
trained on the marked photos, and its test photos are searched. Networks see photos as the command line has
it: reduced, padded, and cropped at the centre.

- ``planted``: classes with a mark, over all sets and models.
- ``used_by_model``: of them those of which the model makes use: on test photos that carry the mark its
  score is higher than on the same photos without it (lower end of the 95 % interval of the mean above
  zero).
- ``found``: of these the ones whose top suspect covers the mark (intersection over union of 0.3 or more, or
  60 % of the mark) in most test photos that carry it, or is a property of whole photos where that was
  planted; ``proved``: those of them that are proved.
- ``verdict_right``, ``verdicts``: of the planted marks that are the top suspect, those whose verdict fits
  the truth, which is the effect of the real mark. Used and at the bar: proved. Used and below it: read,
  unclear or proved. Not used: anything but proved.
- ``insertion_over_real``: of the used ones that are found and tested, the median of what the stamp does to
  photos without the class over what the real mark does to such photos.
- ``clean_classes``, ``false_alarms``: classes without a mark, and those in which an artefact is reported.
- ``context_classes``, ``context_false_alarms``: classes of scenes, whose grounds tell nothing, that were
  tested by filling in their objects, and those that are said to live off their surroundings.
- ``kinds``: the same for each kind; its clean classes are those of the sets in which it was planted.
- ``cases``: every class of every set and model.

Photos: generated scenes; with ``--voc FOLDER`` (or the environment variable ``PFUNGST_VOC``) also real
ones.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from _measure import print_json
from numpy.typing import NDArray

from pfungst.audits.artefacts import ArtefactConfig, find_artefacts
from pfungst.audits.context.measuring import context_row
from pfungst.audits.schema import Artefact
from pfungst.audits.survey import KEPT_PIXELS, SurveyConfig, survey
from pfungst.contract.classifier import Classifier
from pfungst.contract.ranking import equal_error_thresholds
from pfungst.demo.scenes.planting import KINDS, Plant, Planted, plant
from pfungst.evaluation.orders import generator_for
from pfungst.evaluation.statistics import mean_over_images
from pfungst.images import DataSet, Record, decode, open_dataset
from pfungst.images.rectangles import Region, mask_of

SCENES, REAL = "scenes", 32
SHARES = (0.4, 0.3, 0.2, 0.4, 0.1)
VOC_CLASSES = ("person", "horse", "sheep", "cow", "dog", "cat")
EXPLAIN: Mapping[str, Mapping[str, Any]] = {
    "fisher": {"rule": "epsilon", "epsilon": 0.38, "relative": True},
    "network": {"rule": "epsilon-plus-flat"},
}
Trainer = Callable[[DataSet], Classifier]


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    scenes: int
    side: int
    sets: int
    per_set: int
    components: int
    sampled: int
    step: int
    search: ArtefactConfig = field(default_factory=lambda: ArtefactConfig(pairs=0))
    first: int = 0


FULL = Sizes(600, 320, 5, 3, 48, 100_000, 4)
TINY = Sizes(60, 160, 1, 1, 8, 10_000, 6, ArtefactConfig(pairs=0, max_patches=24, insertions=6))


def fisher_trainer(sizes: Sizes) -> Trainer:
    """Fisher vectors with a small mixture."""
    from pfungst.descriptors import SiftConfig
    from pfungst.fisher import FisherTraining, train_fisher

    settings = FisherTraining(
        n_components=sizes.components,
        dims=min(64, sizes.components),
        descriptor=SiftConfig(step=sizes.step),
        n_sampled=sizes.sampled,
        mixture_iterations=25,
    )

    def train(data: DataSet) -> Classifier:
        return train_fisher(data.split("train"), data.split("val"), settings).classifier

    return train


def network_trainer(classes: Sequence[str]) -> Trainer:
    """EfficientNet-Lite0 with a new last layer: linear SVMs on features of the default view.

    Features are kept by file, so only photos with a mark are embedded again.
    """
    import torch
    from sklearn.svm import LinearSVC

    from pfungst.network import NetworkClassifier, initial_network
    from pfungst.network.training.backbone import Backbone
    from pfungst.network.training.initial import find_head

    torch.set_num_threads(1)
    start = initial_network("efficientnet-lite0", classes)
    network = NetworkClassifier(start.module, classes, start.preprocess, architecture=start.architecture)
    backbone = Backbone(network.module, network.preprocess)
    kept: dict[Path, NDArray[np.float32]] = {}

    def features(record: Record) -> NDArray[np.float32]:
        if record.path not in kept:
            kept[record.path] = backbone.features(network.look([decode(record.path)]).pictures[0][None])[0]
        return kept[record.path]

    def train(data: DataSet) -> Classifier:
        parts = {name: data.split(name) for name in ("train", "val")}
        values = {name: np.stack([features(record) for record in part]) for name, part in parts.items()}
        scale = float(np.sqrt(np.square(values["train"]).sum(axis=1).mean()))
        labels = parts["train"].labels()
        rows = []
        for column in labels.T:
            usable = column != 0
            machine = LinearSVC(C=10.0, random_state=0, max_iter=20_000)
            machine.fit(values["train"][usable] / scale, column[usable])
            rows.append(np.append(machine.coef_[0] / scale, machine.intercept_[0]))
        weights = np.array(rows, dtype=np.float32)
        trained = initial_network(network, classes)
        layer = find_head(trained.module, trained.preprocess).layer
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weights[:, :-1]).reshape(layer.weight.shape))
            layer.bias.copy_(torch.from_numpy(weights[:, -1]))
        scores = values["val"] @ weights[:, :-1].T + weights[:, -1]
        thresholds = equal_error_thresholds(parts["val"].labels(), scores)
        return trained.with_thresholds(np.nan_to_num(thresholds))

    return train


def plants_of(classes: Sequence[str], number: int, count: int) -> dict[str, Plant]:
    """The marks of one set: kinds, shares and classes in turns."""
    kinds = list(KINDS)
    chosen = {}
    for index in range(count):
        turn = number * count + index
        name = classes[(2 * turn + turn // len(classes)) % len(classes)]
        while name in chosen:
            name = classes[(classes.index(name) + 1) % len(classes)]
        chosen[name] = Plant(kind=kinds[turn % len(kinds)], share=SHARES[(turn + turn // 5) % len(SHARES)])
    return chosen


def measured(  # noqa: PLR0917 - a script
    data: DataSet,
    trainers: Mapping[str, Trainer],
    sizes: Sizes,
    folder: Path,
    workers: int,
    tell: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Every class of every set and model."""
    cases = []
    for number in range(sizes.first, sizes.first + sizes.sets):
        plants = plants_of(data.classes, number, sizes.per_set)
        planted = plant(data, plants, folder / f"set{number}", random_state=number)
        for model, trainer in trainers.items():
            classifier = trainer(planted.data)
            found, dependent = searched(classifier, planted.data.split("test"), model, sizes, workers)
            for name in data.classes:
                case: dict[str, Any] = {"set": f"{data.name} {number}", "model": model, "class": name}
                case |= judged(classifier, data, planted, name, plants.get(name), found[name])
                case["dependent"] = dependent[name] if data.name == SCENES else None
                cases.append(case)
                tell(str(case))
    return cases


def searched(
    classifier: Classifier, test: DataSet, model: str, sizes: Sizes, workers: int
) -> tuple[Mapping[str, tuple[Artefact, ...]], Mapping[str, bool | None]]:
    """Suspects by class; whether each is said to live off its surroundings, None where not tested."""
    config = SurveyConfig(options=EXPLAIN[model], errors=False, kept_pixels=KEPT_PIXELS)
    seen = survey(classifier, test, config, workers=workers)
    rows = {name: context_row(seen, name) for name in seen.classes}
    dependent = {name: row.dependent if row.kept_beyond_chance else None for name, row in rows.items()}
    return find_artefacts(classifier, seen, sizes.search, workers=workers).by_class, dependent


def judged(  # noqa: PLR0917 - a script
    classifier: Classifier,
    clean: DataSet,
    planted: Planted,
    name: str,
    item: Plant | None,
    artefacts: Sequence[Artefact],
) -> dict[str, Any]:
    """One class: what was planted, whether the model uses it, what was found."""
    alarms = [artefact for artefact in artefacts if artefact.proved]
    case: dict[str, Any] = {
        "kind": None,
        "suspects": [described(artefact) for artefact in artefacts],
        "alarms": len(alarms),
    }
    if item is None:
        return case
    places = {
        record.id: planted.places[name][record.id]
        for record in planted.data.split("test")
        if record.id in planted.places[name]
    }
    use = mark_use(classifier, clean, planted.data, name, places)
    covered = bool(artefacts) and covers(artefacts[0], places, planted.data)
    case |= {"kind": item.kind, "share": item.share, "photos": len(places), "use": use}
    case |= {"used": use is not None and use[1] > 0, "found": bool(covered)}
    case["covering"] = [covers(artefact, places, planted.data) for artefact in artefacts]
    case["proved"] = covered and artefacts[0].proved
    if covered:
        case |= {"verdict": artefacts[0].verdict, "right": fits(artefacts[0], use)}
        case["insertion_over_real"] = over_real(artefacts[0], real_rise(classifier, clean, name, item.kind))
    return case


def fits(artefact: Artefact, use: tuple[float, float, float] | None) -> bool:
    """Whether a verdict fits the measured effect of the real mark."""
    if use is None or not use[1] > 0:
        return artefact.verdict != "proved"
    allowed = {"proved"} if use[0] >= artefact.bar else {"read", "unclear", "proved"}
    return artefact.verdict in allowed


def real_rise(classifier: Classifier, clean: DataSet, name: str, kind: str) -> float:
    """Mean rise of the score when the real mark is drawn into test photos without the class."""
    column = classifier.classes.index(name)
    rises = []
    for record in [record for record in clean.split("test") if record.label(name) < 0][:REAL]:
        image = decode(record.path)
        occupied = mask_of(record.known_boxes_of(name), image.shape[0], image.shape[1])
        drawn, _ = KINDS[kind](image, occupied, generator_for(0, name, record.id, kind))
        before, after = classifier.scores([image, drawn])[:, column]
        rises.append(after - before)
    return float(np.mean(rises)) if rises else float("nan")


def over_real(artefact: Artefact, real: float) -> float | None:
    """What the stamp does over what the real mark does; None where that is next to nothing."""
    done = artefact.insertion
    if done is None or done.change is None or not real > 0:
        return None
    return float(done.change.mean / real)


def described(artefact: Artefact) -> str:
    """A suspect in one line."""
    effects = f"removal {artefact.effect}, insertion {artefact.insertion_effect}"
    return f"{artefact.kind}, {artefact.where}: {artefact.verdict}, {effects}"


def mark_use(
    classifier: Classifier, clean: DataSet, marked: DataSet, name: str, ids: Mapping[str, Any]
) -> tuple[float, float, float] | None:
    """Mean fall of the score when the mark is taken back, with its interval."""
    if not ids:
        return None
    column = classifier.classes.index(name)
    scores = [
        np.array([classifier.scores([decode(record.path)])[0, column] for record in data if record.id in ids])
        for data in (marked, clean)
    ]
    estimate = mean_over_images([record.id for record in clean if record.id in ids], scores[0] - scores[1])
    return estimate.mean, estimate.low, estimate.high


def covers(artefact: Artefact, places: Mapping[str, tuple[Region, ...]], data: DataSet) -> bool:
    """Whether a suspect lies on the mark in most of the photos that carry it.

    A property of whole photos covers what was planted into all of the photo.
    """
    hits = 0
    if artefact.kind == "photo" or any(_is_whole(record, places) for record in data):
        return artefact.kind == "photo" and any(_is_whole(record, places) for record in data)
    for record in data:
        if record.id in places and record.id in artefact.boxes:
            hits += bool(_overlaps(artefact, record, places[record.id]))
    return 2 * hits > len(places)


def _is_whole(record: Record, places: Mapping[str, tuple[Region, ...]]) -> bool:
    regions = places.get(record.id, ())
    return len(regions) == 1 and regions[0].shape == decode(record.path).shape[:2]


def _overlaps(artefact: Artefact, record: Record, regions: Sequence[Region]) -> bool:
    size = decode(record.path).shape[:2]
    truth, suspect = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    for region in regions:
        truth[region.top : region.bottom, region.left : region.right] = True
    left, top, right, bottom = (int(edge) for edge in artefact.boxes[record.id])
    suspect[top:bottom, left:right] = True
    if artefact.hollow:  # its box is what lies within
        suspect = ~suspect
    common = float((truth & suspect).sum())
    return bool(common / (truth | suspect).sum() >= 0.3 or common / truth.sum() >= 0.6)


def counted(cases: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The counts of the report."""
    planted = [case for case in cases if case["kind"]]
    used = [case for case in planted if case["used"]]
    clean = [case for case in cases if not case["kind"]]
    told = [case for case in planted if "right" in case]
    ratios = [case["insertion_over_real"] for case in used if case.get("insertion_over_real") is not None]
    tested = [case for case in cases if case["dependent"] is not None]
    return {
        "planted": len(planted),
        "used_by_model": len(used),
        "found": sum(case["found"] for case in used),
        "proved": sum(case["proved"] for case in used),
        "clean_classes": len(clean),
        "false_alarms": sum(case["alarms"] > 0 for case in clean),
        "verdicts": len(told),
        "verdict_right": sum(case["right"] for case in told),
        "insertion_over_real": float(np.median(ratios)) if ratios else None,
        "context_classes": len(tested),
        "context_false_alarms": sum(case["dependent"] for case in tested),
    }


def report(cases: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The whole report: all cases together, and by kind."""
    kinds = {}
    for kind in KINDS:
        groups = {(case["set"], case["model"]) for case in cases if case["kind"] == kind}
        of_kind = [case for case in cases if (case["set"], case["model"]) in groups]
        kinds[kind] = counted([case for case in of_kind if case["kind"] in (kind, None)])
    return {**counted(cases), "kinds": kinds, "cases": list(cases)}


def scenes(sizes: Sizes, folder: Path) -> DataSet:
    """Generated scenes without flaws."""
    from pfungst.demo.scenes import ScenesConfig, write_scenes

    write_scenes(folder, ScenesConfig(n_images=sizes.scenes, size=sizes.side, clean=True))
    return replace(open_dataset(folder), name=SCENES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="a quick run that shows that it works")
    parser.add_argument("--voc", default=os.environ.get("PFUNGST_VOC"), help="photos in VOC layout")
    parser.add_argument("--models", default="fisher,network", help="of fisher, network")
    parser.add_argument("--sets", type=int, help="sets of marked photos, of each source")
    parser.add_argument("--first-set", type=int, default=0, help="number of the first, to go on from")
    parser.add_argument("--no-scenes", action="store_true", help="real photos alone")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--verbose", action="store_true", help="each case as it is done, on standard error")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    sizes = TINY if arguments.tiny else FULL
    sizes = replace(sizes, sets=arguments.sets or sizes.sets, first=arguments.first_set)
    models = ("fisher",) if arguments.tiny else tuple(arguments.models.split(","))

    def tell(text: str) -> None:
        if arguments.verbose:
            import sys

            print(text, file=sys.stderr, flush=True)

    cases: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not arguments.no_scenes:
            data = scenes(sizes, folder / "scenes")
            trainers = {
                model: fisher_trainer(sizes) if model == "fisher" else network_trainer(data.classes)
                for model in models
            }
            cases += measured(data, trainers, sizes, folder / "marked", arguments.workers, tell)
        if arguments.voc and not arguments.tiny:
            real = open_dataset(arguments.voc).select(VOC_CLASSES)
            trainer = {"network": network_trainer(VOC_CLASSES)}
            cases += measured(real, trainer, sizes, folder / "real", arguments.workers, tell)
    print_json(report(cases))


if __name__ == "__main__":
    main()
