"""What a method that needs no network would have scored on the same items."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cutpoint.items.reading import Item
from cutpoint.items.reading.targets import number_in
from cutpoint.learning.floors import find_floor
from cutpoint.products.evaluation.verdicts import judge_items
from cutpoint.products.predictor import Predictor

NAME = "majority"  # reads no item, so it costs nothing; a kind's own is for `compare`


def floor_line(predictor: Predictor, train: Sequence[Item], test: Sequence[Item]) -> str:
    """Return how the floor scores on `test`, fitted on `train`; empty for several labels an item.

    Thresholds of labels come from rows left out of a head, which a floor does not have.
    """
    if predictor.target == "labels":
        return ""
    floor = find_floor(NAME)
    made = floor.make(predictor.target)
    if predictor.target == "values":
        made.fit(train, [number_in(item.label) for item in train])
        outputs = np.reshape(made.predict(test), (-1, 1))
    else:
        made.fit(train, [str(item.label) for item in train])
        order = [list(made.classes_).index(str(name)) for name in predictor.classes]
        outputs = made.predict_proba(test)[:, order]
    name, found, _ = judge_items(predictor, test, outputs)[0].headline
    return f"Floor, {floor.SAYS}: {name} {found.value:.3f}"
