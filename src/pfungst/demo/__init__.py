"""The demo: scenes with known flaws, classifiers trained on them, and what their heatmaps give away."""

from pfungst.demo.study import DemoConfig, DemoResult, run_demo

__all__ = ["DemoConfig", "DemoResult", "run_demo"]
