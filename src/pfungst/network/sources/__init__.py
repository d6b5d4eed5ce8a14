"""Where networks come from: torchvision, timm, Hugging Face folders, ONNX and exported programs.

Importing this package fills the list of sources; the libraries themselves load when one of their networks is
opened. :func:`register` adds a source of one's own.
"""

from pfungst.network.sources import hugging_face, timm, torchvision
from pfungst.network.sources.graph import source as graph
from pfungst.network.sources.registry import (
    Opened,
    Request,
    Source,
    build_within,
    find_source,
    is_source,
    register,
    source_named,
    sources,
)

__all__ = [
    "Opened",
    "Request",
    "Source",
    "build_within",
    "find_source",
    "graph",
    "hugging_face",
    "is_source",
    "register",
    "source_named",
    "sources",
    "timm",
    "torchvision",
]
