"""Context: how much each class lives off its surroundings."""

from pfungst.audits.context.measuring import context_row, localisation_row, measure_context

__all__ = ["context_row", "localisation_row", "measure_context"]
