"""Which layer and pooling, or which features of all of them: exact evidence on training rows."""

from cutpoint.choosing.columns import (
    FoldScores,
    Head2ToeFigures,
    Selection,
    Sweep,
    head2toe,
    head2toe_recipe,
    judge_head2toe_in_folds,
)
from cutpoint.choosing.maps import rank_maps
from cutpoint.choosing.ranking import Candidate, Ranking, rank

__all__ = [
    "Candidate",
    "FoldScores",
    "Head2ToeFigures",
    "Ranking",
    "Selection",
    "Sweep",
    "head2toe",
    "head2toe_recipe",
    "judge_head2toe_in_folds",
    "rank",
    "rank_maps",
]
