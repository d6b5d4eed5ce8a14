"""Layer-wise relevance propagation for any feed-forward PyTorch network, without changing it.

>>> from pfungst.network import lrp
>>> "cvpr2016" in lrp.COMPOSITES
True
"""

from pfungst.network.lrp.composite import COMPOSITES, Composite, composite, register_composite
from pfungst.network.lrp.elementwise import quotient
from pfungst.network.lrp.engine import Recording, relevance
from pfungst.network.lrp.errors import HiddenOperationError, LrpError, UnsupportedOperationError
from pfungst.network.lrp.kernels import Passed
from pfungst.network.lrp.linear import WeightedLayer
from pfungst.network.lrp.plan import Assignment
from pfungst.network.lrp.registry import register_rule
from pfungst.network.lrp.result import LedgerRow, LrpLedger, LrpResult
from pfungst.network.lrp.rules import (
    AlphaBeta,
    Constant,
    Epsilon,
    Flat,
    Gamma,
    Halves,
    Pass,
    Proportional,
    Rule,
    SoftmaxTaylor,
    Taylor,
    WinnerTakesAll,
    WSquare,
    ZBox,
    Zero,
    ZPlus,
)
from pfungst.network.lrp.structure import Shares

__all__ = [
    "COMPOSITES",
    "AlphaBeta",
    "Assignment",
    "Composite",
    "Constant",
    "Epsilon",
    "Flat",
    "Gamma",
    "Halves",
    "HiddenOperationError",
    "LedgerRow",
    "LrpError",
    "LrpLedger",
    "LrpResult",
    "Pass",
    "Passed",
    "Proportional",
    "Recording",
    "Rule",
    "Shares",
    "SoftmaxTaylor",
    "Taylor",
    "UnsupportedOperationError",
    "WSquare",
    "WeightedLayer",
    "WinnerTakesAll",
    "ZBox",
    "ZPlus",
    "Zero",
    "composite",
    "quotient",
    "register_composite",
    "register_rule",
    "relevance",
]
