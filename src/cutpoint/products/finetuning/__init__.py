"""From a frozen predictor to one whose network was trained further, if that serves."""

from cutpoint.products.finetuning.options import VIEWS, FinetuneOptions
from cutpoint.products.finetuning.run import run_finetune

__all__ = ["VIEWS", "FinetuneOptions", "run_finetune"]
