"""What methods that need no network would have scored on the same items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cutpoint.base.types import Array
from cutpoint.items.kinds import defaults_of
from cutpoint.items.reading import Item
from cutpoint.items.reading.targets import number_in
from cutpoint.learning.choosing import zeros_and_ones
from cutpoint.learning.floors import Floor, find_floor
from cutpoint.learning.metrics import Interval, score_labels
from cutpoint.products.evaluation.verdicts import judge_items
from cutpoint.products.predictor import Predictor

NAME = "majority"  # reads no item, so it costs nothing


def floor_line(predictor: Predictor, train: Sequence[Item], test: Sequence[Item]) -> str:
    """Return how floors score on `test`, fitted on `train`: the plainest, and the kind's own.

    A kind's own that takes minutes is left out, and so is what has no answer for several labels an
    item. Empty if there is none.
    """
    own = defaults_of(predictor.backbone.kind).floor
    names = [NAME, *([own] if own != NAME and find_floor(own).IS_QUICK else [])]
    said = [_said(find_floor(name), predictor, train, test) for name in names]
    found = "; ".join(each for each in said if each)
    return f"Floor, {found}" if found else ""


def _said(floor: Floor, predictor: Predictor, train: Sequence[Item], test: Sequence[Item]) -> str:
    if predictor.target == "labels" and floor.IS_BLIND:
        return ""
    try:
        name, found = _SCORES[predictor.target](
            floor.make(predictor.target), predictor, train, test
        )
    except ValueError as error:  # no word in any text, as of emoji alone
        return f"{floor.SAYS}: none ({error})"
    return f"{floor.SAYS}: {name} {format(found.value, '.3f') if floor.IS_BLIND else found}"


def _of_classes(
    made: Any, predictor: Predictor, train: Sequence[Item], test: Sequence[Item]
) -> tuple[str, Interval]:
    made.fit(train, [str(item.label) for item in train])
    order = [list(made.classes_).index(str(name)) for name in predictor.classes]
    return _judged(predictor, test, made.predict_proba(test)[:, order])


def _of_values(
    made: Any, predictor: Predictor, train: Sequence[Item], test: Sequence[Item]
) -> tuple[str, Interval]:
    made.fit(train, [number_in(item.label) for item in train])
    return _judged(predictor, test, np.reshape(made.predict(test), (-1, 1)))


def _of_labels(
    made: Any, predictor: Predictor, train: Sequence[Item], test: Sequence[Item]
) -> tuple[str, Interval]:
    """Score labels that are given or not; thresholds of a head are for its own probabilities."""
    names = predictor.labels
    learned, truth = (
        zeros_and_ones([item.label for item in each], names) for each in (train, test)
    )
    given = np.asarray(made.fit(train, learned).predict(test), np.float64)
    name, found, _ = score_labels(given, truth == 1, np.full(len(names), 0.5), names).headline
    return name, found


def _judged(predictor: Predictor, test: Sequence[Item], outputs: Array) -> tuple[str, Interval]:
    name, found, _ = judge_items(predictor, test, outputs)[0].headline
    return name, found


_SCORES = {"classes": _of_classes, "labels": _of_labels, "values": _of_values}
