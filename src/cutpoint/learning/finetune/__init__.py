"""Training from the cut: what is unfrozen, where it starts, the loop, the search over settings."""

from cutpoint.learning.finetune.blocks import Blocks
from cutpoint.learning.finetune.checkpoint import EVERY_S, Checkpoint, key_of
from cutpoint.learning.finetune.find_rate import RateCurve, find_rate
from cutpoint.learning.finetune.fresh import FreshRows
from cutpoint.learning.finetune.loop import Epoch, Plan, Ran, between, order_of, run, scores_of
from cutpoint.learning.finetune.losses import LOSSES, SAID
from cutpoint.learning.finetune.rows import Rows, StoredRows, padded
from cutpoint.learning.finetune.search import (
    ALPHAS,
    RATES,
    Fold,
    Searched,
    Setting,
    epochs_for,
    folds_for,
    search,
)
from cutpoint.learning.finetune.start import BESIDE, Start, TapScales, is_linear, start_of
from cutpoint.learning.finetune.unfreeze import Unfreeze, Unfrozen, parse_unfreeze, unfrozen

__all__ = [
    "ALPHAS",
    "BESIDE",
    "EVERY_S",
    "LOSSES",
    "RATES",
    "SAID",
    "Blocks",
    "Checkpoint",
    "Epoch",
    "Fold",
    "FreshRows",
    "Plan",
    "Ran",
    "RateCurve",
    "Rows",
    "Searched",
    "Setting",
    "Start",
    "StoredRows",
    "TapScales",
    "Unfreeze",
    "Unfrozen",
    "between",
    "epochs_for",
    "find_rate",
    "folds_for",
    "is_linear",
    "key_of",
    "order_of",
    "padded",
    "parse_unfreeze",
    "run",
    "scores_of",
    "search",
    "start_of",
    "unfrozen",
]
