"""The finished records of an audit: all that a report shows or a comparison compares, as plain numbers.

An audit is a folder. ``audit.json`` holds an :class:`Audit`; pictures that it names (crops, pairs) lie in
``pictures/``, a name such as ``pictures/tag.png`` (:func:`picture_file`); thumbnails of photos and heatmaps
lie in the arrays of each model's survey (:mod:`pfungst.audits.survey`). Nothing here computes; every float
may be NaN, which is null on disk.
"""

from pfungst.audits.schema.files import (
    AUDIT_FILE,
    PICTURES_FOLDER,
    picture_file,
    survey_folder,
    survey_name,
)
from pfungst.audits.schema.parts import (
    Artefact,
    Cluster,
    ContextRow,
    EditPair,
    EditTest,
    Strategies,
    StrategyPoint,
    Verdict,
)
from pfungst.audits.schema.records import (
    FORMAT,
    FORMAT_VERSION,
    Audit,
    ClassAudit,
    ModelAudit,
    Photo,
    Problem,
)

__all__ = [
    "AUDIT_FILE",
    "FORMAT",
    "FORMAT_VERSION",
    "PICTURES_FOLDER",
    "Artefact",
    "Audit",
    "ClassAudit",
    "Cluster",
    "ContextRow",
    "EditPair",
    "EditTest",
    "ModelAudit",
    "Photo",
    "Problem",
    "Strategies",
    "StrategyPoint",
    "Verdict",
    "picture_file",
    "survey_folder",
    "survey_name",
]
