"""What a fit tries, as it was typed; and how it is typed again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cutpoint.base.errors import UsageError
from cutpoint.features.extraction.request import DEFAULT_POOLS, Request, several
from cutpoint.learning.choosing import ChooseOptions, check_options
from cutpoint.learning.heads import HEADS, RidgeHead, find_protocol, parse_head, spell_head
from cutpoint.learning.heads import Classifier as Head
from cutpoint.learning.heads.protocol_run import check_for_predictor
from cutpoint.learning.recipe import Recipe, as_recipe
from cutpoint.learning.recipe.taps import refuse_named_twice
from cutpoint.networks.backbone import Backbone
from cutpoint.networks.layer_table import AUTO

DEFAULT_STRATEGIES = ("single", "fused")


@dataclass(frozen=True)
class FitOptions:
    """What to try and where to keep it; fields as in `cutpoint.fit`."""

    request: Request = field(default_factory=Request)
    allow_group_overlap: bool = False
    recipe: Recipe = field(default_factory=Recipe)
    head: Head = field(default_factory=RidgeHead)
    strategies: tuple[str, ...] = DEFAULT_STRATEGIES
    protocol: str = ""

    @classmethod
    def of(
        cls,
        request: Request,
        recipe: str | Recipe = "",
        strategy: str | Sequence[str] = DEFAULT_STRATEGIES,
        head: str | Head = "ridge",
        protocol: str = "",
        *,
        allow_group_overlap: bool = False,
    ) -> FitOptions:
        """Return the options that a person typed, in Python or in a command line."""
        return cls(
            request=request,
            allow_group_overlap=allow_group_overlap,
            recipe=as_recipe(recipe),
            head=parse_head(head) if isinstance(head, str) else head,
            strategies=several(strategy),
            protocol=protocol,
        )

    @property
    def choice(self) -> ChooseOptions:
        """How the layer and the pooling are chosen."""
        return ChooseOptions(recipe=self.recipe, strategies=self.strategies)

    def __post_init__(self) -> None:
        """Raise `UsageError` for what no run can serve, before there is one."""
        refuse_named_twice(self.recipe, self.request.taps, self.request.pools)
        check_options(self.choice)
        self._check_head()
        if not self.protocol:
            return
        if spell_head(self.head) != RidgeHead.kind:
            raise UsageError(
                f'Protocol "{self.protocol}" and head "{spell_head(self.head)}" were asked for.',
                "A protocol says itself which head is fitted, and how.",
                "One of the two.",
                f"Type, for example:  --protocol {self.protocol}",
            )
        check_for_predictor(find_protocol(self.protocol), self.recipe.aggregate)

    def _check_head(self) -> None:
        if not isinstance(self.head, Head):
            raise UsageError(
                f"The head is a {type(self.head).__name__}, and heads are cutpoint's own.",
                "Others can't be calibrated on rows left out, nor saved without pickle.",
                f"Heads: {', '.join(HEADS)}; or fit your own on features.X(tap).",
                'Type, for example:  head="svm"   or   --head "knn(k=20)"',
            )
        self.head.check_parameters()
        if self.head.takes == "maps" and self.strategies != DEFAULT_STRATEGIES:
            raise UsageError(
                f"The head {self.head.kind} was asked for, with strategies.",
                "It trains on one stored map, so no taps are put together.",
                "A head that takes vectors, or no strategy.",
                "Leave out strategy",
            )

    @property
    def head_words(self) -> tuple[str, str]:
        """How head or protocol is typed."""
        if self.protocol:
            return "--protocol", self.protocol
        return "--head", spell_head(self.head)

    def command(self, data: str, backbone: Backbone, output: Path) -> str:
        """Return what repeats the run: a command line, or Python where none can say it."""
        if not (Path(data).exists() and backbone.can_be_typed):
            given = repr(data) if Path(data).exists() else f"<{data}>"
            words = [given, repr(str(output)), backbone.load_call]
            words += [f"{key}={value!r}" for key, _, value in self._said()]
            return f"cp.fit({', '.join(words)})"
        words = ["cutpoint", "fit", data, "-o", str(output), *backbone.load_words]
        for _, option, value in self._said():
            values = value if isinstance(value, list) else [value]
            words += [option] if value is True else [w for v in values for w in (option, str(v))]
        return shlex.join(words)

    def _said(self) -> list[tuple[str, str, Any]]:
        """Return what differs from the defaults, as (Python's word, the command line's, value)."""
        asked = self.request
        taps = [asked.taps] if isinstance(asked.taps, str) else list(asked.taps)
        option, head = self.head_words
        chosen = [
            ("taps", "--tap", taps, [AUTO]),
            ("pool", "--pool", list(asked.pools), list(DEFAULT_POOLS)),
            ("recipe", "--recipe", str(self.recipe), ""),
            (option.removeprefix("--"), option, head, None),
            ("storage", "--storage", asked.storage, AUTO),
            ("strategy", "--strategy", list(self.strategies), list(DEFAULT_STRATEGIES)),
            ("precision", "--precision", asked.precision, "fp32"),
            ("store", "--store", str(asked.store), ""),
            ("seed", "--seed", asked.seed, None),
            ("max_bad", "--max-bad", asked.how.max_bad, None),
            ("engine", "--engine", asked.how.engine, None),
            ("allow_group_overlap", "--allow-group-overlap", self.allow_group_overlap, False),
            ("follow_links", "--follow-links", asked.follow_links, False),
        ]
        return [(key, word, value) for key, word, value, default in chosen if value != default]
