"""Hostile input: seeded makers of damaged and malicious files, and what runs readers on them."""

from fuzzing.annotations import Coco, Folders, Scenes, Voc
from fuzzing.caffe_files import Caffemodel, Prototxt
from fuzzing.model_folders import Models
from fuzzing.pictures import Images
from fuzzing.records import Attributions, Audits, Journals
from fuzzing.runs import Runs
from fuzzing.target import Case, Target

TARGETS: dict[str, type[Target]] = {
    kind.name: kind
    for kind in (
        Voc, Coco, Prototxt, Caffemodel, Models, Images, Scenes, Folders, Audits, Journals, Runs,
        Attributions,
    )
}  # fmt: skip

__all__ = ["TARGETS", "Case", "Target"]
