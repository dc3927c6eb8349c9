"""What is taken until the training rows show something better: the prior, one value a kind."""

from __future__ import annotations

from cutpoint.base.spec import TapSpec
from cutpoint.learning.choosing.ranking_task import Task

N_LAST_FUSED = {"image": 2}
"""Modality → of how many of the last layers the averages are fused, each centred and with one
scale of its own. Measured on photos, 2 to 40 items a class: the last two are +0.7 points above the
last alone on the mean of 36 cells and −0.5 at worst, where all of nine lose up to 19. What is not
named here has the last tap as its prior."""
POOL = "gap"


def prior_taps(task: Task) -> tuple[str, ...]:
    """Return the taps of the prior, shallow to deep; one or none of them: it is the last tap.

    Tokens of a transformer, which are also read at their class token, have the last tap.
    """
    pools = {TapSpec.from_name(tap).pool for tap in task.taps}
    wanted = N_LAST_FUSED.get(task.features.spec.backbone.modality, 1)
    averaged = [tap for tap in task.taps if TapSpec.from_name(tap).pool == POOL]
    if "cls" in pools or wanted < 2 or len(averaged) < wanted:
        return ()
    averaged.sort(key=lambda tap: task.depths[TapSpec.from_name(tap).layer])
    return tuple(averaged[-wanted:])
