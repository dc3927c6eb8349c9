"""What to use and why, and when fine-tuning is worth trying, in two sentences."""

from __future__ import annotations

from cutpoint.learning.choosing.decision import gain_interval
from cutpoint.learning.choosing.ranking import Ranking

FEW_A_CLASS = 20  # items; below, a network has more parameters to spare than anyone can check
NEAR_PERFECT = 0.98


def advise(ranking: Ranking, n_classes: int) -> str:
    """Return two sentences: what to use and why; when fine-tuning is worth trying.

    Parameters
    ----------
    ranking : Ranking
    n_classes : int
        Counted where labels are classes; 0 otherwise.
    """
    return f"{_use(ranking, n_classes)} {_fine_tuning(ranking, n_classes)}"


def _use(ranking: Ranking, n_classes: int) -> str:
    data = f"With {ranking.n_train} items"
    if ranking.kind == "classes":
        data += f" of {n_classes} classes"
    if ranking.tells_nothing:
        return f"{data} no layer is advised: look at the labels first."
    taken, last = ranking.taken, ranking.last
    gain = ranking.gain_over_last()
    if len(ranking.candidates) == 1 or last is None:
        return f"{data}, use {taken.tap}{_cost(ranking)}."
    if gain is None:
        return f"{data}, use {taken.tap}, the last tap."
    unit = "points" if ranking.kind != "values" else "points of R²"
    points = f"{100 * gain.value:+.1f} {unit} over the last tap alone "
    points += f"(95 %: {100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
    if gain.low > 0:
        why = "a sign that they are unlike what the network was trained on"
    elif gain.high < 0:
        why = "less, at a lower cost"
    else:
        why = "no difference these items can show"
    return f"{data}, use {taken.tap}{_cost(ranking)}: {points}, {why}."


def _fine_tuning(ranking: Ranking, n_classes: int) -> str:
    if ranking.tells_nothing:
        return "Fine-tuning can't be judged either, as nothing here is above chance."
    a_class = ranking.n_train / max(n_classes, 1)
    if ranking.kind == "classes" and a_class < FEW_A_CLASS:
        return (
            f"With {a_class:.0f} items a class fine-tuning would mostly learn these by heart: "
            "label more first."
        )
    if ranking.kind == "classes" and ranking.taken.score.low > NEAR_PERFECT:
        return (
            "Fine-tuning has little left to gain here: the frozen features are above "
            f"{ranking.taken.score.low:.3f} already."
        )
    if _is_far(ranking):
        return (
            "Fine-tuning is worth trying, head first and then the network: what helps most lies "
            "before the last tap, so the late layers have something to learn."
        )
    return (
        "Fine-tuning may add a little, head first and then the network, if new items will look "
        "like these; on items that look different it often loses (Kumar et al. 2022)."
    )


def _is_far(ranking: Ranking) -> bool:
    """Say whether another candidate than the last tap is shown to be better."""
    if ranking.last is None or ranking.best is ranking.last:
        return False
    gain = gain_interval(ranking.best, ranking.last, ranking.groups, ranking.is_bounded)
    return gain.low > 0


def _cost(ranking: Ranking) -> str:
    """Return what is saved against the last tap, if anything."""
    taken, last = ranking.taken.macs, ranking.last and ranking.last.macs
    if not taken or not last or taken >= last:
        return ""
    return f" at {100 * taken / last:.0f} % of the last tap's cost"
