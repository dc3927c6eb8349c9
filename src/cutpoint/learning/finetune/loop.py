"""The loop: epochs of batches, whose order and views follow from seed and epoch alone.

Nothing is drawn from anybody's global generator, and nothing depends on how many batches were drawn
before, so that a run goes on from any step as if it had never stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from cutpoint.base.contracts import Trainer
from cutpoint.base.types import Array, Float64
from cutpoint.learning.finetune.checkpoint import Checkpoint
from cutpoint.learning.finetune.rows import Rows

WARM_UP = 0.1
_EXPLODES = 10.0
"""A gradient this many times the usual length is reported."""
HEAD_BLOCK = "head"


@dataclass(frozen=True)
class Plan:
    """How long and how fast.

    Attributes
    ----------
    rate : float
        The highest; it rises over the first tenth of the steps and falls to zero as a cosine.
    n_epochs : int
        Over which it falls.
    batch_size : int
    seed : int
        Draws order and views.
    until : int, optional
        Epochs that are run, of `n_epochs`; all by default.
    schedule : {"", "gradual"}
        "gradual": one block more is trained each epoch, from the top down.
    """

    rate: float
    n_epochs: int
    batch_size: int = 32
    seed: int = 0
    until: int | None = None
    schedule: str = ""

    @property
    def n_run(self) -> int:
        return self.n_epochs if self.until is None else min(self.until, self.n_epochs)

    def rate_at(self, step: int, n_steps: int) -> float:
        """Return the rate of a step, of so many in `n_epochs`."""
        warm = max(1, round(WARM_UP * n_steps))
        if step < warm:
            return self.rate * (step + 1) / warm
        return self.rate * (1 + math.cos(math.pi * (step - warm) / max(1, n_steps - warm))) / 2


@dataclass(frozen=True)
class Epoch:
    """What an epoch showed.

    Attributes
    ----------
    loss : float
        Mean over its batches, as they were met.
    held : float
        That of rows left out; NaN without.
    gradients : dict of block → length of the last step's gradient, before it was clipped
    changes : dict of block → ‖w − w₀‖ / ‖w₀‖
    """

    loss: float
    held: float
    gradients: dict[str, float]
    changes: dict[str, float]


@dataclass
class Ran:
    """What a run gave.

    Attributes
    ----------
    epochs : list of Epoch
    is_finite : bool
        Whether it ended; otherwise a loss or gradient was no number, and it was stopped there.
    kept : dict of name → array
        What `after` returned, stacked by epoch.
    """

    epochs: list[Epoch] = field(default_factory=list)
    is_finite: bool = True
    kept: dict[str, list[Array]] = field(default_factory=dict)

    def warnings(self) -> list[str]:
        """Return what in the gradients should make one look."""
        found = []
        for block in self.epochs[-1].gradients if self.epochs else ():
            lengths = [epoch.gradients[block] for epoch in self.epochs if block in epoch.gradients]
            usual = float(np.median(lengths))
            if max(lengths) == 0:
                found.append(f"no gradient reached {block}: it was not trained")
            elif max(lengths) > _EXPLODES * max(usual, 1e-12):
                found.append(
                    f"the gradient of {block} grew to {max(lengths):.3g}, {usual:.3g} usual"
                )
        return found

    def to_json(self) -> list[dict[str, Any]]:
        return [asdict(epoch) for epoch in self.epochs]


After = Callable[[Trainer, int], tuple[float, Mapping[str, Array]]]
"""After an epoch: the loss of rows left out, and what is kept of it."""


def nothing_held(trainer: Trainer, epoch: int) -> tuple[float, Mapping[str, Array]]:
    return math.nan, {}


def order_of(plan: Plan, epoch: int, n_rows: int, n_views: int) -> tuple[Array, Array]:
    """Return the order of an epoch's rows, and the view of each."""
    random = np.random.default_rng([plan.seed, epoch])
    order = random.permutation(n_rows)
    return order, random.integers(n_views, size=n_rows)


def run(
    trainer: Trainer,
    rows: Rows,
    places: Array,
    targets: Array,
    plan: Plan,
    blocks: Mapping[str, str],
    after: After = nothing_held,
    checkpoint: Checkpoint | None = None,
    advance: Callable[[int], None] = lambda n: None,
) -> Ran:
    """Train, from where the checkpoint stands or from the start.

    Parameters
    ----------
    places : int array
        Which of `rows` are learned from.
    targets : array
        What `places` are to be, in their order.
    blocks : mapping of parameter → block
        In the order from the input up.
    after : callable
        Called after each epoch.
    advance : callable
        Told how many rows were passed.
    """
    kept = checkpoint or Checkpoint(None)
    start = {name: each.copy() for name, each in trainer.weights().items()}
    ran, first, step, losses = _resumed(trainer, kept)
    n_batches = math.ceil(len(places) / plan.batch_size)
    for epoch in range(first, plan.n_run if ran.is_finite else 0):
        order, views = order_of(plan, epoch, len(places), rows.n_views)
        asleep = _asleep(plan, epoch, blocks)
        while step < n_batches:
            which = slice(step * plan.batch_size, (step + 1) * plan.batch_size)
            rate = plan.rate_at(epoch * n_batches + step, plan.n_epochs * n_batches)
            batch = rows.batch(places[order[which]], views[which])
            loss = trainer.step(batch, targets[order[which]], rate, asleep)
            if not math.isfinite(loss):
                ran.is_finite = False
                _keep(kept, ran, trainer, epoch, step, losses)
                return ran
            losses.append(loss)
            step += 1
            advance(len(order[which]))
            if kept.is_due and step < n_batches:
                _keep(kept, ran, trainer, epoch, step, losses)
        held, found = after(trainer, epoch)
        gradients = _by_block(trainer.gradient_lengths(), blocks)
        changes = _changes(start, trainer.weights(), blocks)
        ran.epochs.append(Epoch(float(np.mean(losses)), held, gradients, changes))
        for name, each in found.items():
            ran.kept.setdefault(name, []).append(each)
        step, losses = 0, []
        if kept.is_due or epoch + 1 == plan.n_run:
            _keep(kept, ran, trainer, epoch + 1, 0, losses)
    return ran


def _keep(
    kept: Checkpoint, ran: Ran, trainer: Trainer, epoch: int, step: int, losses: list[float]
) -> None:
    if kept.path is None:
        return
    fields = {"epoch": epoch, "step": step, "losses": losses, "is_finite": ran.is_finite}
    fields["epochs"] = ran.to_json()
    arrays = {f"trainer.{name}": each for name, each in trainer.state().items()}
    for name, several in ran.kept.items():
        arrays[f"kept.{name}"] = np.stack(several)
    kept.write(fields, arrays)


def _resumed(trainer: Trainer, kept: Checkpoint) -> tuple[Ran, int, int, list[float]]:
    """Return what has been run, the epoch and step to go on with, and the epoch's losses."""
    found = kept.read()
    if found is None:
        return Ran(), 0, 0, []
    fields, arrays = found
    trainer.set_state(_part(arrays, "trainer."))
    epochs = [Epoch(**each) for each in fields["epochs"]]
    several = {name: list(each) for name, each in _part(arrays, "kept.").items()}
    ran = Ran(epochs, fields["is_finite"], several)
    return ran, fields["epoch"], fields["step"], list(fields["losses"])


def _part(arrays: Mapping[str, Array], start: str) -> dict[str, Array]:
    return {n.removeprefix(start): each for n, each in arrays.items() if n.startswith(start)}


def _asleep(plan: Plan, epoch: int, blocks: Mapping[str, str]) -> Collection[str]:
    """Return the parameters that are not trained yet."""
    if plan.schedule != "gradual":
        return ()
    in_order = list(dict.fromkeys(blocks.values()))
    awake = set(in_order[-1 - epoch :]) if epoch < len(in_order) else set(in_order)
    return frozenset(name for name, block in blocks.items() if block not in awake)


def _by_block(lengths: Mapping[str, float], blocks: Mapping[str, str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, length in lengths.items():
        block = blocks.get(name, HEAD_BLOCK)
        found[block] = math.hypot(found.get(block, 0.0), length)
    return found


def _changes(
    start: Mapping[str, Array], now: Mapping[str, Array], blocks: Mapping[str, str]
) -> dict[str, float]:
    moved = {n: float(np.linalg.norm(now[n] - was)) for n, was in start.items()}
    was = {name: float(np.linalg.norm(each)) for name, each in start.items()}
    far, long = _by_block(moved, blocks), _by_block(was, blocks)
    return {block: each / max(long[block], 1e-12) for block, each in far.items()}


def scores_of(
    trainer: Trainer,
    rows: Rows,
    places: Array,
    weights: Mapping[str, Array] | None = None,
    batch_size: int = 64,
) -> Float64:
    """Return the scores of rows in their plain view, (n_places, n_outputs)."""
    parts = []
    for first in range(0, len(places), batch_size):
        which = places[first : first + batch_size]
        batch = rows.batch(which, np.zeros(len(which), int))
        parts.append(trainer.scores(batch, weights))
    return np.concatenate(parts)


def between(start: Mapping[str, Array], end: Mapping[str, Array], alpha: float) -> dict[str, Array]:
    """Return weights on the way from start to end: 0 is the start, 1 the end.

    References
    ----------
    Wortsman et al., "Robust fine-tuning of zero-shot models", 2021.
    """
    if alpha == 1:
        return dict(end)
    return {
        name: np.asarray(was + np.float32(alpha) * (end[name] - was), was.dtype)
        for name, was in start.items()
    }


def steps_in(n_rows: int, plans: Sequence[Plan]) -> int:
    """Return how many rows so many plans pass."""
    return sum(n_rows * plan.n_run for plan in plans)
