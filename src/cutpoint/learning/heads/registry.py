"""Every head by its name: typed by a person, or read from a file."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from cutpoint.base.errors import PredictorError, UsageError
from cutpoint.base.stages import parameters_of, read_arguments, read_stage, spell
from cutpoint.base.types import Array
from cutpoint.learning.heads.base import Head
from cutpoint.learning.heads.centroid import CentroidHead
from cutpoint.learning.heads.knn import KNNHead
from cutpoint.learning.heads.learned_pools import AttentionPoolHead, EfficientProbe, GeMHead
from cutpoint.learning.heads.logistic import LogisticHead
from cutpoint.learning.heads.mlp import MLPHead
from cutpoint.learning.heads.ridge import RidgeHead
from cutpoint.learning.heads.svm import SVMHead

_CLASSES: tuple[type[Head], ...] = (
    RidgeHead, LogisticHead, SVMHead, KNNHead, CentroidHead, MLPHead,
    GeMHead, AttentionPoolHead, EfficientProbe,
)  # fmt: skip

HEADS: dict[str, type[Head]] = {each.kind: each for each in _CLASSES}
"""Name after ``--head`` and in saved files → class."""


def parse_head(text: str) -> Head:
    """Return the unfitted head that `text` spells.

    Raises
    ------
    UsageError
        If there is no such head, or it takes no such arguments; all heads are listed.

    Examples
    --------
    >>> parse_head("ridge(alphas=10)").alphas
    10
    """
    try:
        name, words = read_stage(text.strip())
        if name not in HEADS:
            raise ValueError(f'there is no head "{name}"{_nearest(name)}')
        return HEADS[name](**dict(read_arguments(name, HEADS[name], words)))
    except ValueError as error:
        raise UsageError(
            f'The head "{text}" was asked for.',
            f"It can't be made: {error}.",
            f"Heads: {', '.join(HEADS)}; their parameters in brackets.",
            'Type, for example:  --head logistic   or   --head "knn(k=20)"',
        ) from error


def spell_head(head: Head) -> str:
    """Return the text that `parse_head` makes the same head of.

    Examples
    --------
    >>> spell_head(parse_head(" ridge( 10 )"))
    'ridge(alphas=10)'
    """
    defaults = parameters_of(type(head))
    given = head.get_params(deep=False)
    changed = [(name, given[name]) for name in defaults if given[name] != defaults[name]]
    return spell(head.kind, tuple(changed))


def head_from_state(fields: Mapping[str, Any], arrays: Mapping[str, Array]) -> Head:
    """Return the fitted head whose `to_state` gave `fields` and `arrays`.

    Raises
    ------
    PredictorError
        If no head is of that kind, or its arrays do not fit together.
    """
    try:
        return HEADS[fields["kind"]].from_state(fields, arrays)
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise PredictorError(
            "A saved head was to be restored.",
            f"It can't be: it lacks or misspells something ({error!r}).",
            "What `to_state` gave.",
            "Fit it again and keep:  head.to_state()",
        ) from error


def _nearest(name: str) -> str:
    found = difflib.get_close_matches(name, HEADS, n=1)
    return f'; nearest: "{found[0]}"' if found else ""
