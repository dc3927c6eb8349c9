"""The one loop in which a PyTorch module is trained: rounds of batches, a falling rate, an end.

What is learned from, in which order and by which loss are the caller's: the loop asks for batches,
gives each to the loss, and steps. PyTorch's own generator is left as it was.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from threadpoolctl import threadpool_limits

from cutpoint.networks.runtimes.torch import import_torch

Batches = Callable[[], Iterable[Any]]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast.

    Attributes
    ----------
    n_rounds : int
        At most; a round is one call for batches, such as a pass over all rows.
    rate : float
        Learning rate of AdamW; it falls to zero as half a cosine over the rounds.
    decay : float
        Weight decay, where a group of weights names none.
    patience : int
        Rounds without a smaller held loss before it ends; unused without one.
    seed : int
        For what the module itself draws: dropout.
    n_threads : int, optional
        PyTorch computes in so many; as many as it would, by default.
    """

    n_rounds: int
    rate: float
    decay: float = 0.0
    patience: int = 0
    seed: int = 0
    n_threads: int | None = None

    def rate_at(self, done: int) -> float:
        """Return the share of `rate` after so many rounds, 1 to 0."""
        return (1 + math.cos(math.pi * done / self.n_rounds)) / 2


@dataclass(frozen=True)
class Trained:
    """What training tells.

    Attributes
    ----------
    last : float
        Loss of the last batch.
    held : tuple of float
        Loss of what was held back, after each round; empty without.
    """

    last: float
    held: tuple[float, ...] = ()


def train(
    module: Any,
    batches: Batches,
    loss: Callable[[Any], Any],
    schedule: Schedule,
    held_loss: Callable[[], float] | None = None,
    groups: Iterable[dict[str, Any]] | None = None,
) -> Trained:
    """Train `module` in place.

    Parameters
    ----------
    module : torch.nn.Module
    batches : callable
        Called once a round for the batches of it.
    loss : callable
        One batch → a tensor of one number.
    held_loss : callable, optional
        Called after each round, `module` in evaluation. With it the module ends with the weights
        of the smallest, and no later than `patience` rounds after it.
    groups : iterable of dict, optional
        As optimisers of PyTorch take parameters, each with its own ``lr`` or ``weight_decay``; all
        of `module` by default.
    """
    torch = import_torch("A head trained by PyTorch")
    given = [{"params": list(module.parameters())}] if groups is None else list(groups)
    optimiser = torch.optim.AdamW(given, lr=schedule.rate, weight_decay=schedule.decay)
    rates = [group["lr"] for group in optimiser.param_groups]
    best = _Best(module, held_loss, schedule.patience)
    last = math.nan
    torch.get_num_threads()  # the first call of a thread sets its count, and would undo ours
    with own_lots(schedule.seed), threadpool_limits(schedule.n_threads, "openmp"):
        for done in range(schedule.n_rounds):
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * schedule.rate_at(done)
            last = _one_round(module, optimiser, batches, loss)
            if best.is_over():
                break
    best.restore()
    return Trained(last, tuple(best.losses))


@contextmanager
def own_lots(seed: int) -> Iterator[None]:
    """Draw from `seed` alone, and leave PyTorch's own generator as it was."""
    torch = import_torch("A head trained by PyTorch")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _one_round(module: Any, optimiser: Any, batches: Batches, loss: Callable[[Any], Any]) -> float:
    """Step once a batch; return the last loss."""
    module.train()
    found = None
    for batch in batches():
        found = loss(batch)
        optimiser.zero_grad()
        found.backward()
        optimiser.step()
    return math.nan if found is None else float(found.detach())


class _Best:
    """The weights of the smallest held loss so far, and when to give up hope of better ones."""

    def __init__(self, module: Any, held_loss: Callable[[], float] | None, patience: int) -> None:
        self.module, self.held_loss, self.patience = module, held_loss, patience
        self.losses: list[float] = []
        self.weights = None if held_loss is None else copy.deepcopy(module.state_dict())

    def is_over(self) -> bool:
        """Judge the module after a round; say whether training ends here."""
        if self.held_loss is None:
            return False
        self.module.eval()
        self.losses.append(self.held_loss())
        best = self.losses.index(min(self.losses))
        if self.losses[-1] == self.losses[best]:
            self.weights = copy.deepcopy(self.module.state_dict())
            return False
        return len(self.losses) - 1 - best >= self.patience

    def restore(self) -> None:
        if self.weights is not None:
            self.module.load_state_dict(self.weights)
