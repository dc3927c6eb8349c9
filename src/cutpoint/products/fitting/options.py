"""What a fit tries, as it was typed; and how it is typed again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cutpoint.base.errors import UsageError
from cutpoint.base.text import a_kind
from cutpoint.base.tongue import either, option
from cutpoint.features.extraction.request import DEFAULT_POOLS, Request, several
from cutpoint.items.reading import AUTO as AUTO_KIND
from cutpoint.items.reading import KINDS, Columns, check_kind
from cutpoint.learning.choosing import AUTO_HEADS, ChooseOptions, check_options
from cutpoint.learning.heads import (
    HEADS,
    HEADS_OF,
    Head,
    RidgeHead,
    find_protocol,
    parse_head,
    spell_head,
)
from cutpoint.learning.heads.protocol_run import check_for_predictor
from cutpoint.learning.recipe import Recipe, as_recipe
from cutpoint.learning.recipe.taps import refuse_named_twice
from cutpoint.networks.backbone import Backbone
from cutpoint.networks.layer_table import AUTO

DEFAULT_STRATEGIES = ("single", "fused")
AUTO_HEAD = "auto"


@dataclass(frozen=True)
class FitOptions:
    """What to try and where to keep it; fields as in `cutpoint.fit`.

    Attributes
    ----------
    heads : tuple of str or Head
        As they were named; which heads they are depends on what labels are. None: the one that
        the kind of item has for so many classes and rows.
    kind : {"auto", "classes", "labels", "values"}
        What labels are, as it was said.
    target : str
        What they were taken for; empty until the data is read.
    unlabelled : str
        Where more items without labels are, as it was typed; empty if there are none.
    columns : Columns
        How a manifest is read.
    splits : str
        The file that splits were read from; empty if there is none.
    """

    request: Request = field(default_factory=Request)
    allow_group_overlap: bool = False
    recipe: Recipe = field(default_factory=Recipe)
    heads: tuple[str | Head, ...] = ()
    strategies: tuple[str, ...] = DEFAULT_STRATEGIES
    protocol: str = ""
    kind: str = AUTO_KIND
    target: str = ""
    unlabelled: str = ""
    columns: Columns = field(default_factory=Columns)
    splits: str = ""

    @classmethod
    def of(
        cls,
        request: Request,
        recipe: str | Recipe = "",
        strategy: str | Sequence[str] = DEFAULT_STRATEGIES,
        head: str | Head | Sequence[str | Head] | None = None,
        protocol: str = "",
        kind: str = AUTO_KIND,
        *,
        allow_group_overlap: bool = False,
        unlabelled: str = "",
        columns: Columns | None = None,
        splits: str = "",
    ) -> FitOptions:
        """Return the options that a person typed, in Python or in a command line."""
        return cls(
            request=request,
            allow_group_overlap=allow_group_overlap,
            recipe=as_recipe(recipe),
            heads=_heads(head),
            strategies=several(strategy),
            protocol=protocol,
            kind=kind,
            unlabelled=unlabelled,
            columns=columns or Columns(),
            splits=splits,
        )

    @property
    def choice(self) -> ChooseOptions:
        """How the layer and the pooling are chosen."""
        kind = self.target or self.kind
        return ChooseOptions(recipe=self.recipe, strategies=self.strategies, kind=kind)

    @property
    def candidates(self) -> tuple[Head, ...]:
        """The heads named, unfitted; where the target is not known yet, of one they can all be.

        Where none is named ridge stands for what takes its place, which takes vectors, too.
        """
        if self.heads == (AUTO_HEAD,):
            names = AUTO_HEADS[self.target or "classes"]
            return tuple(parse_head(each, self.target or "classes") for each in names)
        return tuple(
            parse_head(each, self.target or self._first_target(each))
            if isinstance(each, str)
            else each
            for each in self.heads or (RidgeHead.kind,)
        )

    def _first_target(self, text: str) -> str:
        """Return what a head can tell that is not said: classes, if it can."""
        if self.kind != AUTO_KIND:
            return self.kind
        name = text.partition("(")[0].strip()
        return next((kind for kind in KINDS if name in HEADS_OF[kind]), "classes")

    def resolved(self, target: str) -> FitOptions:
        """Return the options for what labels were taken for; checked anew."""
        return replace(self, target=target)

    def __post_init__(self) -> None:
        """Raise `UsageError` for what no run can serve, before there is one."""
        check_kind(self.kind)
        refuse_named_twice(self.recipe, self.request.taps, self.request.pools)
        check_options(self.choice)
        self._check_heads()
        if not self.protocol:
            return
        if (self.target or self.kind) not in (AUTO_KIND, "classes"):
            raise UsageError(
                f'Protocol "{self.protocol}" can\'t tell {self.target or self.kind}.',
                "Protocols are published for heads of classes.",
                "A head, or one class an item.",
                "Leave out protocol",
            )
        if self.heads:
            raise UsageError(
                f'Protocol "{self.protocol}" does not go with head {", ".join(self.head_texts)}.',
                "A protocol says itself which head is fitted, and how.",
                "One of the two.",
                f"Type, for example:  {option('protocol', self.protocol)}",
            )
        check_for_predictor(find_protocol(self.protocol), self.recipe.aggregate)

    def _check_heads(self) -> None:
        heads = self.candidates
        for head in heads:
            self._check_head(head)
        texts = [spell_head(head) for head in heads]
        twice = next((text for text in texts if texts.count(text) > 1), "")
        maps = next((head.kind for head in heads if head.takes == "maps"), "")
        if not heads or twice or (maps and len(heads) > 1):
            named = ", ".join(texts) or "none"
            raise UsageError(
                f"The heads {named} can't be compared.",
                f"{twice} is there twice."
                if twice
                else f"{maps} trains on stored maps, others on vectors."
                if maps
                else "There is none.",
                "One head, several of vectors, or auto.",
                "Type, for example:  " + either("head=['ridge', 'knn']", "--head ridge --head knn"),
            )

    def _check_head(self, head: Any) -> None:
        if not isinstance(head, Head):
            raise UsageError(
                f"The head is {a_kind(head)}, and heads are cutpoint's own.",
                "Others can't be calibrated on rows left out, nor saved without pickle.",
                f"Heads: {', '.join(HEADS)}; or fit your own on features.X(tap).",
                f"Type, for example:  {option('head', 'svm')}",
            )
        head.check_parameters()
        told = self.target or self.kind
        if told not in (AUTO_KIND, head.target):
            raise UsageError(
                f"The head {type(head).__name__} tells {head.target}, and labels are {told}.",
                "What it is fitted to is not what there is.",
                f"Heads of {told}: {', '.join(HEADS_OF[told])}.",
                f'Type, for example:  head="ridge"   or   {option("kind", head.target)}',
            )
        if head.takes == "maps" and self.strategies != DEFAULT_STRATEGIES:
            raise UsageError(
                f"The head {head.kind} leaves strategies nothing to choose.",
                "It trains on one stored map, so no taps are put together.",
                "A head that takes vectors, or no strategy.",
                "Leave out strategy",
            )

    @property
    def head_texts(self) -> list[str]:
        """How the heads are typed; those named, not those that "auto" stands for."""
        if self.heads == (AUTO_HEAD,):
            return [AUTO_HEAD]
        return [spell_head(head) for head in self.candidates]

    @property
    def head_text(self) -> str:
        """How head or protocol is typed; several heads with commas."""
        return self.protocol or ", ".join(self.head_texts)

    def command(self, data: str, backbone: Backbone, output: Path) -> str:
        """Return what repeats the run: a command line, or Python where none can say it."""
        if not (Path(data).exists() and backbone.can_be_typed):
            given = repr(data) if Path(data).exists() else f"<{data}>"
            words = [given, repr(str(output)), backbone.load_call]
            words += [f"{key}={value!r}" for key, _, value in self._said()]
            return f"cp.fit({', '.join(words)})"
        words = ["cutpoint", "fit", data, "-o", str(output), *backbone.load_words]
        for _, word, value in self._said():
            values = value if isinstance(value, list) else [value]
            words += [word] if value is True else [w for v in values for w in (word, str(v))]
        return shlex.join(words)

    def _said(self) -> list[tuple[str, str, Any]]:
        """Return what differs from the defaults, as (Python's word, the command line's, value)."""
        asked = self.request
        taps = [asked.taps] if isinstance(asked.taps, str) else list(asked.taps)
        texts = self.head_texts
        head: tuple[str, str, Any, Any] = ("protocol", "--protocol", self.protocol, None)
        if not self.protocol:
            head = ("head", "--head", texts[0] if len(texts) == 1 else texts, None)
        chosen = [
            ("taps", "--tap", taps, [AUTO]),
            ("pool", "--pool", list(asked.pools), list(DEFAULT_POOLS)),
            ("recipe", "--recipe", str(self.recipe), ""),
            head,
            ("kind", "--kind", self.kind, AUTO_KIND),
            ("unlabelled", "--unlabelled", self.unlabelled, ""),
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
        chosen += [("splits", "--splits", self.splits, "")]
        for name, value in self.columns.said().items():
            chosen.append((name, f"--{name.replace('_', '-')}", value, ""))
        return [(key, word, value) for key, word, value, default in chosen if value != default]


def _heads(given: str | Head | Sequence[str | Head] | None) -> tuple[str | Head, ...]:
    if given is None:
        return ()
    if isinstance(given, Sequence) and not isinstance(given, str):
        if not given:
            raise UsageError(
                "There is no head in an empty list.",
                "Something is fitted on the features.",
                "One head, several, or none named, for that of the kind of item.",
                "Type, for example:  " + either("head='ridge'", "--head ridge"),
            )
        return tuple(given)
    return (given,)  # what is no head is refused where heads are checked
