"""Local descriptors of photos: dense SIFT with geometry, and their projection by PCA."""

from pfungst.descriptors.pca import PCA, fit_pca
from pfungst.descriptors.sift import Descriptors, SiftConfig, dense_sift

__all__ = ["PCA", "Descriptors", "SiftConfig", "dense_sift", "fit_pca"]
