"""What spreads units over workers. An executor only repeats."""

from cutpoint.extract.executors.local import LocalExecutor

__all__ = ["LocalExecutor"]
