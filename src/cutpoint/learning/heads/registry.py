"""Every head by its name: typed by a person, or read from a file."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, overload

from cutpoint.base.arguments import check_choice
from cutpoint.base.errors import PredictorError, UsageError
from cutpoint.base.stages import parameters_of, read_arguments, read_stage, spell
from cutpoint.base.tongue import option
from cutpoint.base.types import Array
from cutpoint.learning.heads.base import Head
from cutpoint.learning.heads.centroid import CentroidHead
from cutpoint.learning.heads.classes import Classifier
from cutpoint.learning.heads.knn import KNNHead, KNNRegressor
from cutpoint.learning.heads.labels import Labeller
from cutpoint.learning.heads.learned_pools import AttentionPoolHead, EfficientProbe, GeMHead
from cutpoint.learning.heads.linear import GIVEN
from cutpoint.learning.heads.logistic import LogisticHead
from cutpoint.learning.heads.mlp import MLPHead, MLPRegressor
from cutpoint.learning.heads.ridge import RidgeHead, RidgeLabeller, RidgeRegressor
from cutpoint.learning.heads.svm import SVMHead, SVMRegressor
from cutpoint.learning.heads.values import Regressor

_CLASSIFIERS: tuple[type[Classifier], ...] = (
    RidgeHead, LogisticHead, SVMHead, KNNHead, CentroidHead, MLPHead,
    GeMHead, AttentionPoolHead, EfficientProbe,
)  # fmt: skip
_LABELLERS: tuple[type[Labeller], ...] = (RidgeLabeller,)
_REGRESSORS: tuple[type[Regressor], ...] = (
    RidgeRegressor, SVMRegressor, KNNRegressor, MLPRegressor
)  # fmt: skip

HEADS: dict[str, type[Classifier]] = {each.kind: each for each in _CLASSIFIERS}
"""Heads of classes: name as `head` and in saved files → class."""

HEADS_OF: dict[str, Mapping[str, type[Head]]] = {
    "classes": HEADS,
    "labels": {each.kind: each for each in _LABELLERS},
    "values": {each.kind: each for each in _REGRESSORS},
}
"""What is to be predicted → its heads by the same names."""


@overload
def parse_head(text: str) -> Classifier: ...
@overload
def parse_head(text: str, target: str) -> Head: ...
def parse_head(text: str, target: str = "classes") -> Head:
    """Return the unfitted head that `text` spells.

    Parameters
    ----------
    target : {"classes", "labels", "values"}
        What it is to tell of a row.

    Raises
    ------
    UsageError
        If there is no such head, or it takes no such arguments; all heads are listed.

    Examples
    --------
    >>> parse_head("ridge(alphas=10)").alphas
    10
    """
    check_choice("target", target, tuple(HEADS_OF), "values")
    heads = HEADS_OF[target]
    try:
        name, words = read_stage(text.strip())
        if name not in heads:
            raise ValueError(_no_such(name, target))
        return heads[name](**dict(read_arguments(name, heads[name], words)))
    except ValueError as error:
        raise UsageError(
            f'The head "{text}" can\'t be made: {error}.',
            f"It was to predict {target}.",
            f"Heads: {', '.join(heads)}; their parameters in brackets.",
            f"Type, for example:  {option('head', 'ridge')}   or   "
            f"{option('head', 'ridge(alphas=10)')}",
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


@overload
def head_from_state(fields: Mapping[str, Any], arrays: Mapping[str, Array]) -> Classifier: ...
@overload
def head_from_state(
    fields: Mapping[str, Any], arrays: Mapping[str, Array], target: str | None
) -> Head: ...
def head_from_state(
    fields: Mapping[str, Any], arrays: Mapping[str, Array], target: str | None = "classes"
) -> Head:
    """Return the fitted head whose `to_state` gave `fields` and `arrays`.

    Parameters
    ----------
    target : {"classes", "labels", "values"} or None
        What it must predict; None: whatever it predicts.

    Raises
    ------
    PredictorError
        If no head is of that kind, or its arrays do not fit together.
    """
    try:
        found = fields.get("target", "classes")
        if target not in (None, found):
            raise ValueError(f"it predicts {found}, not {target}")
        known = {**HEADS_OF[found], GIVEN[found].kind: GIVEN[found]}
        head: Head = known[fields["kind"]].from_state(fields, arrays)
        return head
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise PredictorError(
            "A saved head can't be restored.",
            f"It lacks or misspells something ({error!r}).",
            "What `to_state` gave.",
            "Fit it again and keep:  head.to_state()",
        ) from error


def _no_such(name: str, target: str) -> str:
    if name in HEADS and target != "classes":
        return f'the head "{name}" predicts classes, not {target}'
    found = difflib.get_close_matches(name, HEADS_OF[target], n=1)
    return f'there is no head "{name}"' + (f'; nearest: "{found[0]}"' if found else "")
