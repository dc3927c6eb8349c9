"""What is taken until the training rows show something better: as the kind of item says."""

from __future__ import annotations

from cutpoint.base.contracts import Defaults, Prior
from cutpoint.base.spec import TapSpec
from cutpoint.items.kinds import defaults_of
from cutpoint.learning.choosing.ranking_task import Task


def kind_defaults(task: Task) -> Defaults:
    """Return what is taken for the kind of item that the features are of."""
    return defaults_of(task.features.spec.backbone.modality)


def prior_of(task: Task) -> Prior:
    """Return the prior for so many rows per class."""
    holding = (each for each in kind_defaults(task).priors if each.from_rows <= task.rows_per_class)
    return tuple(holding)[-1]


def prior_taps(task: Task) -> tuple[str, ...]:
    """Return the taps of the prior, shallow to deep; none: it is the last tap."""
    prior = prior_of(task)
    taps = sorted(map(TapSpec.from_name, task.taps), key=lambda tap: task.depths[tap.layer])
    found = [tap.name for tap in taps if tap.pool == prior.pool]
    is_there = len(found) >= prior.n_last and (prior.n_last > 1 or found[-1] in _deepest(task))
    if not is_there or prior.not_beside in {tap.pool for tap in taps}:
        return ()
    return tuple(found[-prior.n_last :])


def _deepest(task: Task) -> list[str]:
    """Return the taps of the deepest layer."""
    layers = {tap: task.depths[TapSpec.from_name(tap).layer] for tap in task.taps}
    return [tap for tap, depth in layers.items() if depth == max(layers.values())]
