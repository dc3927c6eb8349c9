"""Several backbones on one task, in one table, beside a ranking that never saw the task."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from cutpoint.base.errors import DataError, UsageError
from cutpoint.base.progress import Reporter
from cutpoint.base.text import printable
from cutpoint.base.tongue import option
from cutpoint.features.extraction.quantising import cut_of
from cutpoint.features.extraction.request import Request
from cutpoint.features.store import Features, FeatureStore
from cutpoint.items.reading import Dataset, has_splits, labelled, settle_kind
from cutpoint.learning.choosing.decision import MARGIN, Decision, decide
from cutpoint.learning.choosing.precision import extract_requested
from cutpoint.learning.choosing.rank_taps import rank
from cutpoint.learning.choosing.ranking import Ranking
from cutpoint.learning.choosing.ranking_task import ChooseOptions, targets_of
from cutpoint.learning.choosing.speeds import measure_speeds, worth_timing
from cutpoint.learning.recipe.taps import check_recipe, recipe_taps
from cutpoint.networks.backbone import Backbone
from cutpoint.networks.layer_table import human_count

_BECAUSE = {
    "only": "",
    "prior": ", as none is shown to be better, or as good and cheaper",
    "better": ", shown to err less than what the static figure says",
    "cheaper": f", cheaper and shown to score no more than {100 * MARGIN:g} point below",
}


@dataclass(frozen=True)
class Entry:
    """One backbone's ranking.

    Attributes
    ----------
    backbone : str
    ranking : Ranking
    features : Features
        What it ranks.
    static : float
        What is known of it without the task: accuracy on what it was trained on, where its weights
        state that; else its cost.
    n_params : int
    """

    backbone: str
    ranking: Ranking
    features: Features = field(repr=False)
    static: float
    n_params: int


@dataclass(frozen=True)
class BackboneRanking:
    """Backbones, the best first by the squared error of their own choice on rows left out.

    Attributes
    ----------
    entries : tuple of Entry
    static_is : str
        What the static column holds, ``"ImageNet top-1"`` or ``"parameters"``.
    """

    entries: tuple[Entry, ...]
    static_is: str

    @cached_property
    def decision(self) -> Decision:
        """Which of the backbones' own choices; the prior is that of the best static figure."""
        first = self.entries[0].ranking
        prior = max(self.entries, key=lambda each: each.static).ranking.taken
        chosen = [each.ranking.taken for each in self.entries]
        return decide(chosen, prior, first.groups, first.unit, first.is_bounded)

    @property
    def taken(self) -> Entry:
        """That of the best static figure, unless the rows show a reason to leave it."""
        return next(e for e in self.entries if e.ranking.taken is self.decision.taken)

    @property
    def agreement(self) -> float | None:
        """Kendall's τ of the static order and this one; None for fewer than three, or all alike."""
        if len(self.entries) < 3:
            return None
        errors = [-each.ranking.taken.error for each in self.entries]
        found = float(kendalltau(errors, [each.static for each in self.entries]).statistic)
        return found if np.isfinite(found) else None

    def lines(self) -> list[str]:
        """Return the table as aligned text; ``→`` marks what is taken."""
        rows = [("", "backbone", "cut", "MACs", f"{self._metric} [95 %]", self.static_is, "place")]
        order = sorted(self.entries, key=lambda each: -each.static)
        for each in self.entries:
            taken = each.ranking.taken
            static = human_count(each.static) if each.static > 1 else f"{each.static:.3f}"
            macs = "–" if taken.macs is None else human_count(taken.macs)
            mark = "→" if each is self.taken else ""
            place = str(order.index(each) + 1)
            names = printable(each.backbone), printable(taken.tap)
            rows.append((mark, *names, macs, str(taken.score), static, place))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]

    def verdict(self) -> str:
        """Say which is taken, and how far the static ranking would have led."""
        if all(each.ranking.tells_nothing for each in self.entries):
            return self.entries[0].ranking.headline()
        taken = self.taken
        said = f"Taken: {taken.backbone} at {taken.ranking.taken.tap}{_BECAUSE[self.decision.why]}"
        static = max(self.entries, key=lambda each: each.static)
        said += f". By {self.static_is} alone it would have been {static.backbone}"
        if self.agreement is not None:
            said += f" (τ of the two orders {self.agreement:.2f})"
        return f"{said}."

    def __str__(self) -> str:
        return "\n".join([*self.lines(), *textwrap.wrap(printable(self.verdict()), 98)])

    @property
    def _metric(self) -> str:
        first = self.entries[0].ranking
        return f"{first.how} {first.metric}"

    def to_json(self) -> dict[str, Any]:
        return {
            "backbones": [
                {
                    "backbone": each.backbone,
                    "static": each.static,
                    "n_params": each.n_params,
                    "ranking": each.ranking.to_json(),
                }
                for each in self.entries
            ],
            "static_is": self.static_is,
            "taken": self.taken.backbone,
            "why": self.decision.why,
            "agreement": self.agreement,
        }


def choose_backbones(
    dataset: Dataset,
    backbones: Sequence[Backbone],
    request: Request,
    options: ChooseOptions,
    reporter: Reporter,
) -> BackboneRanking:
    """Extract what `request` says with each backbone, rank its layers, and time the best cuts.

    Raises
    ------
    DataError
        If the backbones lose different items, so that their rows can't be compared.
    """
    _refuse_twice(backbones)
    kind = settle_kind(dataset, options.kind, reporter.say)
    options = replace(options, kind=kind)
    _refuse_untold(dataset, kind)
    found = [_measured(dataset, each, request, options, reporter) for each in backbones]
    return rank_backbones(found)


def _refuse_twice(backbones: Sequence[Backbone]) -> None:
    """Raise `UsageError` if a backbone, fed alike, is to be compared with itself."""
    specs = [each.spec for each in backbones]
    twice = next((spec for spec in specs if specs.count(spec) > 1), None)
    if twice is not None:
        raise UsageError(
            f'The backbone "{twice.id}" is there twice.',
            "It can't be compared with itself.",
            "Each once.",
            f"Leave out {option('backbones', twice.id)}",
        )


def _refuse_untold(dataset: Dataset, kind: str) -> None:
    """Raise `DataError` now if the training items' labels can't be told as `kind` says."""
    known = labelled(dataset)
    items = known.only("train").items if has_splits(known) else known.items
    targets_of(dataset.name, np.array([item.label for item in items], object), kind)


def _measured(
    dataset: Dataset,
    backbone: Backbone,
    request: Request,
    options: ChooseOptions,
    reporter: Reporter,
) -> tuple[Backbone, Ranking, Features]:
    asked = recipe_taps(backbone, options.recipe, request)
    check_recipe(options.recipe, asked.spec(backbone), backbone.layers())
    features = extract_requested(dataset, backbone, asked, reporter, options.kind).features
    ranking = rank(features, reporter, options)
    speeds = measure_speeds(
        partial(cut_of, backbone, features.spec, FeatureStore(asked.store)),
        worth_timing(ranking),
        features.spec,
        dataset.items,
        asked.how.engine,
        reporter,
    )
    return backbone, replace(ranking, items_per_s=speeds), features


def rank_backbones(found: Sequence[tuple[Backbone, Ranking, Features]]) -> BackboneRanking:
    """Return backbones ranked by what their own choice of layer scores on the same rows.

    Parameters
    ----------
    found : sequence of (Backbone, Ranking, Features)
        Rankings of the same training rows.

    Raises
    ------
    DataError
        If they are of different numbers of rows.

    Notes
    -----
    The static column is a baseline to beat: on a published table of fine-tuned networks a ranking
    that never saw the task was closer to the truth than every transferability score
    (docs/scores.md).
    """
    counts = {ranking.n_train for _, ranking, _ in found}
    if len(counts) > 1:
        raise DataError(
            f"These {len(found)} backbones can't be compared.",
            f"Their features are of different items: {', '.join(map(str, sorted(counts)))} rows.",
            "The same training rows for all; a bad item of one must be left out of all.",
            "Look at bad_rows.csv in the store, and leave those files out.",
        )
    sizes = [sum(row.params for row in each.layers() if not row.is_block) for each, *_ in found]
    known = [each.source_accuracy for each, *_ in found]
    has_all = all(value is not None for value in known)
    static = [float(value or 0) for value in known] if has_all else [float(size) for size in sizes]
    entries = [
        Entry(backbone.spec.id, ranking, features, value, size)
        for (backbone, ranking, features), value, size in zip(found, static, sizes, strict=True)
    ]
    entries.sort(key=lambda each: each.ranking.taken.error)
    return BackboneRanking(tuple(entries), "ImageNet top-1" if has_all else "parameters")
