"""Hostile input: seeded makers of damaged and malicious files, and what runs readers on them."""

from importlib.util import find_spec

from fuzzing.annotations import Coco, Folders, Scenes, Voc
from fuzzing.caffe_files import Caffemodel, Prototxt
from fuzzing.model_folders import Models
from fuzzing.network_files import Exported, HuggingFaceFolders, Onnx
from fuzzing.photo_sets import Lists, Table, Trees, Yolo
from fuzzing.pictures import Images
from fuzzing.records import Attributions, Audits, Journals
from fuzzing.runs import Runs
from fuzzing.target import Case, Target

TARGETS: dict[str, type[Target]] = {
    kind.name: kind
    for kind in (
        Voc, Coco, Yolo, Table, Trees, Lists, Prototxt, Caffemodel, Models, Images, Scenes, Folders, Audits,
        Journals, Runs, Attributions, Exported,
        *([Onnx] if find_spec("onnx") else []), *([HuggingFaceFolders] if find_spec("transformers") else []),
    )
}  # fmt: skip
"""Readers by name; those whose libraries are not installed are left out."""

__all__ = ["TARGETS", "Case", "Target"]
