"""What spreads units over workers. An executor only repeats."""

from cutpoint.features.extraction.executors.local import LocalExecutor

__all__ = ["LocalExecutor"]
