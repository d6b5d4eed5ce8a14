"""Strategies: groups of heatmaps that are alike."""

from pfungst.audits.strategies.finding import StrategiesConfig, find_strategies

__all__ = ["StrategiesConfig", "find_strategies"]
