"""Score a predictor on labelled items it has not learned from."""

from cutpoint.products.evaluation.evaluation import (
    SPLITS,
    Evaluation,
    check_split,
    evaluate_predictor,
    make_evaluation,
)
from cutpoint.products.evaluation.verdicts import Verdict

__all__ = [
    "SPLITS",
    "Evaluation",
    "Verdict",
    "check_split",
    "evaluate_predictor",
    "make_evaluation",
]
