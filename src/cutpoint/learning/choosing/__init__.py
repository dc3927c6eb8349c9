"""Which layer and pooling: exact evidence on training rows, honest choice, advice."""

from cutpoint.learning.choosing.advice import advise
from cutpoint.learning.choosing.backbones import (
    BackboneRanking,
    choose_backbones,
    rank_backbones,
)
from cutpoint.learning.choosing.candidate import STRATEGIES, Candidate
from cutpoint.learning.choosing.head2toe_columns import (
    FoldScores,
    Head2ToeFigures,
    Selection,
    Sweep,
    head2toe,
    head2toe_recipe,
    judge_head2toe_in_folds,
)
from cutpoint.learning.choosing.head_choice import (
    AUTO_HEADS,
    HeadChoice,
    compare_heads,
    fit_head,
)
from cutpoint.learning.choosing.hindsight import Hindsight, look_back
from cutpoint.learning.choosing.maps import rank_maps
from cutpoint.learning.choosing.picture import draw
from cutpoint.learning.choosing.precision import (
    PrecisionCheck,
    check_precision,
    extract_checked,
    extract_requested,
)
from cutpoint.learning.choosing.prior import SIMILARITIES, PriorAdvice, prior_advice
from cutpoint.learning.choosing.rank_taps import rank
from cutpoint.learning.choosing.ranking import Ranking
from cutpoint.learning.choosing.ranking_task import (
    ChooseOptions,
    targets_of,
    variance_lines,
    zeros_and_ones,
)
from cutpoint.learning.choosing.speeds import measure_speeds, worth_timing
from cutpoint.learning.choosing.strategies import check_options
from cutpoint.learning.choosing.usual_head import usual_head

__all__ = [
    "AUTO_HEADS",
    "SIMILARITIES",
    "STRATEGIES",
    "BackboneRanking",
    "Candidate",
    "ChooseOptions",
    "FoldScores",
    "Head2ToeFigures",
    "HeadChoice",
    "Hindsight",
    "PrecisionCheck",
    "PriorAdvice",
    "Ranking",
    "Selection",
    "Sweep",
    "advise",
    "check_options",
    "check_precision",
    "choose_backbones",
    "compare_heads",
    "draw",
    "extract_checked",
    "extract_requested",
    "fit_head",
    "head2toe",
    "head2toe_recipe",
    "judge_head2toe_in_folds",
    "look_back",
    "measure_speeds",
    "prior_advice",
    "rank",
    "rank_backbones",
    "rank_maps",
    "targets_of",
    "usual_head",
    "variance_lines",
    "worth_timing",
    "zeros_and_ones",
]
