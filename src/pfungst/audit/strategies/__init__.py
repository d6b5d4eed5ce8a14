"""Strategies: groups of heatmaps that are alike."""

from pfungst.audit.strategies.finding import StrategiesConfig, find_strategies

__all__ = ["StrategiesConfig", "find_strategies"]
