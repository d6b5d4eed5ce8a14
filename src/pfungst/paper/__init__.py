"""The paper's whole experiment by one call, on PASCAL VOC 2007 or any folder in its layout."""

from pfungst.paper.config import PaperConfig
from pfungst.paper.experiment import PaperResult, run_paper

__all__ = ["PaperConfig", "PaperResult", "run_paper"]
