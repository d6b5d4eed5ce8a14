"""How often chance alone would make something recur that much in the photos of one class."""

from __future__ import annotations

RECURS = 0.05
"""Largest probability by chance at which something is said to recur."""
MORE_THAN = 3
"""Photos of the class that carry it, more than so many."""


def chance_of_recurrence(carriers: int, shown: int, elsewhere: int, others: int, tried: int = 1) -> float:
    """Probability that so many of the carriers fall into the class by chance, for the best of several tries.

    ``min(1, t · P(X ≥ k))`` with X hypergeometric: k + m carriers drawn from n + N photos, of which n show
    the class (Fisher's exact test, one-sided), and t candidates looked at (Bonferroni).

    Parameters
    ----------
    carriers, shown : int
        k photos of the class carry it, of n.
    elsewhere, others : int
        m photos without the class carry it, of N.
    tried : int
        Candidates that were looked at to find it.
    """
    from scipy.stats import hypergeom

    if not carriers:
        return 1.0
    tail = float(hypergeom.sf(carriers - 1, shown + others, carriers + elsewhere, shown))
    return min(1.0, max(tried, 1) * tail)


def recurs(carriers: int, chance: float) -> bool:
    """Whether that may be called recurring."""
    return carriers > MORE_THAN and chance <= RECURS
