"""What is taken until the training rows show something better: the prior, one value a kind."""

from __future__ import annotations

from cutpoint.base.spec import TapSpec
from cutpoint.items.kinds import defaults_of
from cutpoint.learning.choosing.ranking_task import Task

POOL = "gap"


def prior_taps(task: Task) -> tuple[str, ...]:
    """Return the taps of the prior, shallow to deep; one or none of them: it is the last tap.

    Tokens of a transformer, which are also read at their class token, have the last tap.
    """
    pools = {TapSpec.from_name(tap).pool for tap in task.taps}
    wanted = defaults_of(task.features.spec.backbone.modality).n_last_fused
    averaged = [tap for tap in task.taps if TapSpec.from_name(tap).pool == POOL]
    if "cls" in pools or wanted < 2 or len(averaged) < wanted:
        return ()
    averaged.sort(key=lambda tap: task.depths[TapSpec.from_name(tap).layer])
    return tuple(averaged[-wanted:])
