"""The whole way from items to a predictor that has been scored once."""

from cutpoint.products.fitting.options import DEFAULT_STRATEGIES, FitOptions
from cutpoint.products.fitting.outputs import REPORT, SPLITS, FitResult, check_output
from cutpoint.products.fitting.run import run_fit

__all__ = [
    "DEFAULT_STRATEGIES",
    "REPORT",
    "SPLITS",
    "FitOptions",
    "FitResult",
    "check_output",
    "run_fit",
]
