"""How high a rate may be: raised step by step until the loss explodes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cutpoint.base.contracts import Trainer
from cutpoint.base.types import Array
from cutpoint.learning.finetune.loop import Plan, order_of
from cutpoint.learning.finetune.rows import Rows

LOWEST, HIGHEST = 1e-6, 1.0
_EXPLODED = 4.0
"""Times the least loss so far, as fastai's finder stops."""
_SMOOTHING = 0.8


@dataclass(frozen=True)
class RateCurve:
    """Rates and the smoothed loss at each.

    Attributes
    ----------
    rates, losses : tuple of float
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def suggested(self) -> float:
        """A tenth of the rate with the least loss: there it still falls."""
        return self.rates[int(np.argmin(self.losses))] / 10

    def __str__(self) -> str:
        return (
            f"{len(self.rates)} rates from {self.rates[0]:.1e} to {self.rates[-1]:.1e}, least loss "
            f"{min(self.losses):.4f}; suggested: {self.suggested:.1e}"
        )


def find_rate(
    trainer: Trainer,
    rows: Rows,
    places: Array,
    targets: Array,
    batch_size: int = 32,
    n_steps: int = 60,
    seed: int = 0,
) -> RateCurve:
    """Raise the rate from step to step; the trainer is used up by it.

    Notes
    -----
    It sees losses of training alone, so what it suggests is a place to begin: `search` judges by
    rows left out.
    """
    plan = Plan(0.0, 1, batch_size, seed)
    rates, losses = [], []
    smooth = best = math.nan
    for step in range(n_steps):
        order, views = order_of(plan, step, len(places), rows.n_views)
        rate = LOWEST * (HIGHEST / LOWEST) ** (step / max(1, n_steps - 1))
        batch = rows.batch(places[order[:batch_size]], views[:batch_size])
        loss = trainer.step(batch, targets[order[:batch_size]], rate)
        smooth = loss if math.isnan(smooth) else _SMOOTHING * smooth + (1 - _SMOOTHING) * loss
        if not math.isfinite(smooth) or smooth > _EXPLODED * best:
            break
        best = smooth if math.isnan(best) else min(best, smooth)
        rates.append(rate)
        losses.append(smooth)
    return RateCurve(tuple(rates), tuple(losses))
