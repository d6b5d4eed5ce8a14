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
            hint='fallback="gradient" (its linearisation, ε-stabilised) or fallback="pass" (same shapes)',
        )
