"""How many threads frameworks compute in."""

from __future__ import annotations

from typing import Any

from threadpoolctl import threadpool_limits


def one_thread() -> Any:
    """Return a context in which frameworks compute in one thread.

    For the few small passes that list, cut and convert a network: several threads gain nothing
    there, and wait for each other in loops where the machine is busy. Seen so with PyTorch on two
    cores shared by six: 5.6 s of processor time for a cut that takes 0.2 s in one thread.
    """
    return threadpool_limits(1)
