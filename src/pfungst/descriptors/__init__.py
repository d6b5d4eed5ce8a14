"""Local descriptors of photos with geometry: dense SIFT, colour statistics, a user's own; and PCA."""

from pfungst.descriptors.colour import ColourConfig
from pfungst.descriptors.descriptor import (
    Descriptor,
    Descriptors,
    described,
    descriptor_from_dict,
    descriptor_kind,
    register_descriptor,
)
from pfungst.descriptors.grid import GridDescriptor
from pfungst.descriptors.pca import PCA, fit_pca
from pfungst.descriptors.sift import SiftConfig, dense_sift

__all__ = [
    "PCA",
    "ColourConfig",
    "Descriptor",
    "Descriptors",
    "GridDescriptor",
    "SiftConfig",
    "dense_sift",
    "described",
    "descriptor_from_dict",
    "descriptor_kind",
    "fit_pca",
    "register_descriptor",
]
