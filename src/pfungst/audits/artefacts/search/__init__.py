"""Finding marks that recur: relevance proposes, recurrence selects."""
