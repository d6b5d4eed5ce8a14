"""Gaussian mixtures of local descriptors: fitting, posteriors, sampling."""

from pfungst.mixture.fitting import MixtureConfig, fit_mixture
from pfungst.mixture.gaussian import GaussianMixture

__all__ = ["GaussianMixture", "MixtureConfig", "fit_mixture"]
