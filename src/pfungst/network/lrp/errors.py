"""What can stop a relevance pass: wrong input, an operation without a rule, a rule in the wrong place."""

from __future__ import annotations

from pfungst.errors import ConfigError


class LrpError(ConfigError):
    """Relevance cannot be propagated as asked."""


class UnsupportedOperationError(LrpError):
    """Relevance reached an operation that has no rule.

    Attributes
    ----------
    operation : str
        The operation, such as ``torch.Tensor.cumsum``.
    module : str
        The module that called it, such as ``blocks.3 (Attention)``.
    """

    def __init__(self, operation: str, module: str, reason: str = "has no rule") -> None:
        self.operation = operation
        self.module = module
        super().__init__(
            f"{operation}, called in {module}, {reason}",
            allowed="the operations listed in docs/lrp.md",
            hint='a fallback as part of the rule\'s name: "suited+gradient" follows its linearisation, '
            '"suited+pass" hands relevance on where shapes allow; the ledger says what such steps took',
        )


class HiddenOperationError(LrpError):
    """Something of the network leaves the recording unseen, so that relevance would be wrong in silence.

    Attributes
    ----------
    operation : str
        The call at which it shows.
    module : str
        The module that made the call.
    """

    def __init__(self, operation: str, module: str, reason: str) -> None:
        self.operation, self.module = operation, module
        super().__init__(
            f"{operation}, called in {module}, {reason}",
            allowed="networks whose numbers go through PyTorch's own functions from input to output",
            hint="this module without torch.jit, torch.compile, NumPy, Python numbers, vmap or operations of "
            "its own",
        )
