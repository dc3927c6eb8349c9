"""A fitted recipe and its head as steps that can leave Python: all that an export needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import block_diag

from cutpoint.base.types import Array
from cutpoint.learning.heads import Head
from cutpoint.learning.recipe.fitted import FittedRecipe
from cutpoint.learning.shared.steps import (
    NUMPY,
    Affine,
    OfBlocks,
    RowOps,
    Step,
    Steps,
    fold,
    run_steps,
)


@dataclass(frozen=True)
class Chain:
    """What is done to features on their way to a prediction.

    Attributes
    ----------
    taps : tuple of str
        Names of the features taken, in order.
    before : tuple of Steps
        Done to each tap alone; the taps then stand side by side.
    steps : Steps
        Done to the whole.
    """

    taps: tuple[str, ...]
    before: tuple[Steps, ...]
    steps: Steps

    def run(self, features: Mapping[str, Array], ops: RowOps = NUMPY) -> Any:
        """Return (n_items, n_outputs) from features by tap name, (n_items, n_features) each."""
        pairs = zip(self.taps, self.before, strict=True)
        parts = [run_steps(own, features[tap], ops) for tap, own in pairs]
        return run_steps(self.steps, ops.concat(parts, 1) if len(parts) > 1 else parts[0], ops)


def chain_of(recipe: FittedRecipe, head: Head | None = None, is_folded: bool = True) -> Chain:
    """Return the steps of a fitted recipe, and of a head on what it gives.

    Parameters
    ----------
    head : Head, optional
        The chain then gives probabilities of its classes or labels, or its values.
    is_folded : bool, default True
        Whether adjacent affine steps are made one, in float64.

    Raises
    ------
    UsageError
        If a stage or the head can't leave Python; it is named, with the reason.
    """
    before = tuple(_steps_of(chain) for chain in recipe.before)
    how = recipe.recipe.aggregate
    joined: Steps = (OfBlocks(how, len(recipe.taps)),) if how in ("mean", "max") else ()
    closing = () if head is None else (*head.steps(), *head.closing_steps())
    steps = (*joined, *_steps_of(recipe.after), *closing)
    if not is_folded:
        return Chain(recipe.taps, before, steps)
    return _across(Chain(recipe.taps, tuple(map(fold, before)), fold(steps)))


def _steps_of(stages: Any) -> tuple[Step, ...]:
    return tuple(step for stage in stages for step in stage.steps())


def _across(chain: Chain) -> Chain:
    """Return the chain with what is done to each tap folded into what is done to all."""
    each = [own[0] for own in chain.before if len(own) == 1 and isinstance(own[0], Affine)]
    first = chain.steps[0] if chain.steps else None
    if not isinstance(first, Affine) or len(each) < len(chain.taps):
        return chain
    whole = Affine(block_diag([own.W for own in each], "csr"), np.concatenate([o.b for o in each]))
    nothing: Steps = ()
    return Chain(chain.taps, (nothing,) * len(chain.taps), (whole.then(first), *chain.steps[1:]))
