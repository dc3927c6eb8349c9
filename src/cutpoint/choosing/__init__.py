"""Which layer and pooling: exact evidence on training rows."""

from cutpoint.choosing.ranking import Candidate, Ranking, rank

__all__ = ["Candidate", "Ranking", "rank"]
