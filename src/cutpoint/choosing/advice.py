"""What to use and why, and when fine-tuning is worth trying, in two sentences."""

from __future__ import annotations

from cutpoint.choosing.ranking import Ranking
from cutpoint.metrics import paired_bootstrap

FEW_A_CLASS = 20  # items; below, a network has more parameters to spare than anyone can check
NEAR_PERFECT = 0.98


def advise(ranking: Ranking, n_classes: int) -> str:
    """Return two sentences: what to use and why; when fine-tuning is worth trying."""
    return f"{_use(ranking, n_classes)} {_fine_tuning(ranking, n_classes)}"


def _use(ranking: Ranking, n_classes: int) -> str:
    taken, last = ranking.taken, ranking.last
    data = f"With {ranking.n_train} items" + (f" of {n_classes} classes" if n_classes else "")
    if taken is last:
        return (
            f"{data}, use {taken.tap}, the last layer: none that is cheaper can be told from it, "
            "as is usual where data are like what the network was trained on."
        )
    gain = paired_bootstrap(taken.outcomes, last.outcomes)
    points = (
        f"{100 * gain.value:+.1f} points over the last layer alone "
        f"(95 %: {100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
    )
    if gain.low > 0:
        why = "a sign that they are unlike what the network was trained on"
    elif gain.high < 0:
        why = "less, but within one standard error of the best and cheaper"
    else:
        why = "no difference these items can show"
    return f"{data}, use {taken.tap}{_cost(ranking)}: {points}, {why}."


def _fine_tuning(ranking: Ranking, n_classes: int) -> str:
    a_class = ranking.n_train / max(n_classes, 1)
    if ranking.kind == "classes" and ranking.taken.score.high > NEAR_PERFECT:
        return (
            "Fine-tuning has little left to gain here: the interval of the frozen features "
            f"reaches {ranking.taken.score.high:.3f}."
        )
    if a_class < FEW_A_CLASS:
        return (
            f"With {a_class:.0f} items a class fine-tuning would mostly learn these by heart: "
            "label more first."
        )
    if _is_far(ranking):
        return (
            "Fine-tuning is worth trying, head first and then the network: what helps most lies "
            "before the last layer, so the late layers have something to learn."
        )
    return (
        "Fine-tuning may add a little, head first and then the network, if new items will look "
        "like these; on items that look different it often loses (Kumar et al. 2022)."
    )


def _is_far(ranking: Ranking) -> bool:
    """Say whether another candidate than the last layer is better beyond doubt."""
    return paired_bootstrap(ranking.best.outcomes, ranking.last.outcomes).low > 0


def _cost(ranking: Ranking) -> str:
    """Return what is saved against the last layer, if anything."""
    taken, last = ranking.taken.macs, ranking.last.macs
    if not taken or not last or taken >= last:
        return ""
    return f" at {100 * taken / last:.0f} % of the last layer's cost"
