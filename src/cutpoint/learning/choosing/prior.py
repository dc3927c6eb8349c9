"""What is known before anything is measured: advice by likeness of task and number of items."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

from cutpoint.base.errors import UsageError
from cutpoint.base.tongue import either, option

SIMILARITIES = ("near", "far", "unknown")
SMALL, LARGE = 1_000, 10_000
"""Items; VTAB-1k's size, and ten times that."""


@dataclass(frozen=True)
class Source:
    """Where a piece of advice comes from, and the figure that carries it."""

    who: str
    says: str


@dataclass(frozen=True)
class PriorAdvice:
    """Advice before measuring.

    Attributes
    ----------
    n_items, n_classes : int
    similarity : {"near", "far", "unknown"}
        How like the task is to what the network was trained on.
    advice : tuple of str
    sources : tuple of Source
    """

    n_items: int
    n_classes: int
    similarity: str
    advice: tuple[str, ...]
    sources: tuple[Source, ...]

    def to_json(self) -> dict[str, Any]:
        sources = [{"who": each.who, "says": each.says} for each in self.sources]
        return {
            "n_items": self.n_items,
            "n_classes": self.n_classes,
            "similarity": self.similarity,
            "advice": list(self.advice),
            "sources": sources,
        }

    def __str__(self) -> str:
        head = (
            f"{self.n_items} items, {self.n_classes} classes; likeness to the network's own task: "
            f"{self.similarity}. Nothing was measured."
        )
        lines = textwrap.wrap(head, 98)
        for advice in self.advice:
            lines += textwrap.wrap(f"- {advice}", 98, subsequent_indent="  ")
        for source in self.sources:
            lines += textwrap.wrap(f"[{source.who}] {source.says}", 98, subsequent_indent="  ")
        typed = either("cutpoint.choose(data)", "cutpoint choose DATA")
        return "\n".join([*lines, f"Measure it with:  {typed}"])


KORNBLITH = Source(
    "Kornblith et al. 2019",
    "over 16 networks and 12 data sets, accuracy on ImageNet and accuracy of a linear head on the "
    "frozen last layer correlate with r = .99; label smoothing and dropout hurt that layer.",
)
EVCI = Source(
    "Evci et al. 2022 (Head2Toe)",
    "features picked from all layers match fine-tuning on average, at a hundredth of its cost in "
    "training and storage.",
)
KUMAR = Source(
    "Kumar et al. 2022 (LP-FT)",
    "over ten shifts fine-tuning gains 2 % on items like the training ones and loses 7 % on "
    "others, against a linear head; head first, then network: +1 % and +10 % against fine-tuning.",
)
VTAB = Source(
    "VTAB, Zhai et al. 2019",
    "a fine-tuned ResNet-50 reaches 66.4 on average with 1,000 items a task, 89.7 with all.",
)
PYTHIA = Source(
    "layer curves of Pythia-410M on 32 MTEB tasks",
    "the last layer is best in none; layer 17 of 24 is 6.5 points better on average.",
)


def prior_advice(n_items: int, n_classes: int, similarity: str = "unknown") -> PriorAdvice:
    """Return what is known for so many items of a task so like the network's own.

    Raises
    ------
    UsageError
        If `similarity` is none of `SIMILARITIES`.
    """
    if similarity not in SIMILARITIES:
        raise UsageError(
            f'No similarity "{similarity}".',
            "It says how like the task is to the network's own.",
            f"Words: {', '.join(SIMILARITIES)}.",
            f"Type, for example:  {option('similarity', 'far')}",
        )
    layers = _LAYERS[similarity]
    tuning = _tuning(n_items, similarity)
    sources = {"near": (KORNBLITH,), "far": (EVCI, PYTHIA), "unknown": (KORNBLITH, EVCI)}
    found = dict.fromkeys([*sources[similarity], KUMAR, *((VTAB,) if n_items >= SMALL else ())])
    return PriorAdvice(n_items, n_classes, similarity, (layers, tuning), tuple(found))


_LAYERS = {
    "near": "Start with the last layers, averaged; a better network helps more than another layer.",
    "far": "Look at all depths and at layers fused: the last layers have been made for other "
    "classes. What the middle ones see is more general.",
    "unknown": "Compare all depths: where the task is like the network's own the last layers "
    "serve best, where it is not, earlier ones or several fused.",
}


def _tuning(n_items: int, similarity: str) -> str:
    if n_items < SMALL:
        return (
            "Keep the network frozen: below a thousand items a light head on the right features "
            "is as good as fine-tuning, cheaper, and safer on items that look different."
        )
    if n_items < LARGE or similarity == "near":
        return (
            "Frozen features first; then head-first fine-tuning, if the measured gap between "
            "layers says that late ones have something to learn."
        )
    return (
        "With this many items of another kind, expect fine-tuning to win; keep the frozen head "
        "as the figure to beat."
    )
