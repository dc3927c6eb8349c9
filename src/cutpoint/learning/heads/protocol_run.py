"""Follow a protocol: draw rows, choose on training rows, fit, score the test rows once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.base.tongue import arguments, either
from cutpoint.base.types import Array
from cutpoint.learning.heads.base import Head
from cutpoint.learning.heads.knn import KNNHead
from cutpoint.learning.heads.logistic import LogisticHead
from cutpoint.learning.heads.protocols import Protocol, find_protocol
from cutpoint.learning.heads.softmax_regression import SoftmaxRegression, Solution
from cutpoint.learning.metrics import Interval, wilson
from cutpoint.learning.shared.folds import units_of


@dataclass(frozen=True)
class ProtocolResult:
    """What a protocol found.

    Attributes
    ----------
    name : str
    accuracy : Interval
        On the test rows; Wilson, 95 %: how sure so many test rows make it. Of several draws, around
        their mean.
    draws : tuple of float
        Accuracy of each draw of training rows; their spread is how much the draw matters.
    chosen : tuple of dict
        What each draw chose, by name.
    """

    name: str
    accuracy: Interval
    draws: tuple[float, ...]
    chosen: tuple[dict[str, Any], ...]

    @property
    def deviation(self) -> float:
        """Standard deviation over draws; 0 for one."""
        return float(np.std(self.draws, ddof=1)) if len(self.draws) > 1 else 0.0


def run_protocol(
    name: str,
    X_train: Any,
    y_train: Any,
    X_test: Any,
    y_test: Any,
    seed: int | None = None,
    groups: Any = None,
) -> ProtocolResult:
    """Fit as a protocol says and score the test rows; they have no part in any choice.

    Parameters
    ----------
    name : str
        One of `PROTOCOLS`.
    X_train, X_test : arrays of shape (n_items, n_features)
    y_train, y_test : arrays of shape (n_items,)
        Class labels.
    seed : int, optional
        Draws rows; the source's own by default.
    groups : array of shape (n_train,), optional
        Rows of one group are on one side of every draw.

    Raises
    ------
    UsageError
        If there is no such protocol, all are listed; if it needs more than one matrix, or its rows
        leave nothing to learn from or to choose on.
    ShapeError
        If there are not as many labels, or groups, as rows.
    """
    protocol = find_protocol(name)
    _check_for_matrix(protocol)
    X_train, y_train = np.asarray(X_train), np.asarray(y_train)
    X_test, y_test = np.asarray(X_test), np.asarray(y_test)
    _check_pairs("train", X_train, y_train)
    _check_pairs("test", X_test, y_test)
    if groups is not None and np.shape(groups) != (len(X_train),):
        raise _no_pairs("X_train", X_train.shape, "groups", np.shape(groups))
    accuracies, chosen = [], []
    for rows in _draws(protocol, y_train, protocol.seed if seed is None else seed):
        theirs = None if groups is None else np.asarray(groups)[rows]
        head = fit_protocol(name, X_train[rows], y_train[rows], seed, theirs)
        accuracies.append(float((head.predict(X_test) == y_test).mean()))
        chosen.append(head.chosen)
    n_right = round(float(np.mean(accuracies)) * len(y_test))
    interval = wilson(n_right, len(y_test))
    accuracy = Interval(float(np.mean(accuracies)), interval.low, interval.high)
    return ProtocolResult(name, accuracy, tuple(accuracies), tuple(chosen))


def fit_protocol(
    name: str, X: Array, y: Array, seed: int | None = None, groups: Any = None
) -> Head:
    """Return the head that a protocol chooses and fits on training rows, all of them or one draw.

    Parameters and errors are those of `run_protocol`.
    """
    protocol = find_protocol(name)
    if protocol.head == "knn":
        return KNNHead().fit(X, y, groups)  # its own candidates, as far as there are rows
    if protocol.search == "own":
        return LogisticHead().fit(X, y, groups)
    if protocol.search == "none":
        return LogisticHead(protocol.candidates[0]).fit(X, y, groups)
    y = np.asarray(y)
    learn, judge = validation_rows(
        protocol, len(X), protocol.seed if seed is None else seed, groups
    )
    _check_rows(protocol, y, learn, judge)
    score = _validation_score(protocol, X, y, learn, judge)
    search = peak if protocol.search == "peak" else best
    C = protocol.candidates[search(score, len(protocol.candidates))]
    rows = np.sort(np.concatenate([learn, judge]))
    theirs = None if groups is None else np.asarray(groups)[rows]
    return LogisticHead(C).fit(X[rows], y[rows], theirs)


def _check_pairs(part: str, X: Array, y: Array) -> None:
    """Raise `ShapeError` unless there is a row, of features, for each label, and one at least."""
    if X.ndim != 2 or not len(X) or y.shape != (len(X),):
        raise _no_pairs(f"X_{part}", X.shape, f"y_{part}", y.shape)


def _no_pairs(
    rows: str, shape: tuple[int, ...], column: str, length: tuple[int, ...]
) -> ShapeError:
    return ShapeError(
        f"{rows} and {column} don't go together: their shapes are {shape} and {length}.",
        "Which belongs to which can't be told apart.",
        "Rows of shape (n_items, n_features), one or more, and n_items values in their order.",
        f"Compare:  {rows}.shape, {column}.shape",
    )


def check_for_predictor(protocol: Protocol, aggregate: str) -> None:
    """Raise `UsageError` unless it fits a predictor, of a recipe with that aggregate."""
    if protocol.n_draws > 1:
        raise UsageError(
            f'The protocol "{protocol.name}" makes no predictor.',
            f"It judges features by {protocol.n_draws} small heads and leaves no one head.",
            "A protocol that fits one; or its score alone.",
            either("Type:  ", "There is no command for it; in Python:  ")
            + f'cutpoint.heads.run_protocol("{protocol.name}", X, y, X_test, y_test)',
        )
    if protocol.stage and protocol.stage != aggregate:
        raise UsageError(
            f'The protocol "{protocol.name}" needs a recipe with "{protocol.stage}".',
            f'This recipe makes taps one by "{aggregate or "nothing"}".',
            f'A recipe with "{protocol.stage}".',
            f"Type, for example:  {_typed(protocol)}",
        )


def _check_for_matrix(protocol: Protocol) -> None:
    """Raise `UsageError` if the protocol is of several taps, which one matrix can't be."""
    if protocol.stage:
        raise UsageError(
            f'The protocol "{protocol.name}" can\'t score one matrix.',
            f'It learns its recipe\'s "{protocol.stage}", for which it needs each tap by itself.',
            "A predictor, fitted from the items.",
            f'Type:  cutpoint.fit("photos/", "m", {_typed(protocol)})',
        )


def _typed(protocol: Protocol) -> str:
    return arguments(recipe=f"gap | {protocol.stage}", protocol=protocol.name)


def _check_rows(protocol: Protocol, y: Array, learn: Array, judge: Array) -> None:
    """Raise `UsageError` unless there are two classes to learn, and rows to choose on."""
    n_classes = len(np.unique(y[learn]))
    if n_classes < 2 or not len(judge):
        raise UsageError(
            f'The protocol "{protocol.name}" has too few rows to learn from or to choose on.',
            f"Of {len(y)} rows it would learn from {len(learn)}, of {n_classes} classes, and "
            f"choose on {len(judge)}.",
            "Rows of two classes to learn from and some to choose on, in two groups or more.",
            "Look at them with:  numpy.unique(y)  and  numpy.unique(groups)",
        )


def validation_rows(
    protocol: Protocol, n_items: int, seed: int, groups: Any = None
) -> tuple[Array, Array]:
    """Return training rows to learn from and training rows to choose on, groups whole."""
    units = units_of(n_items, groups)
    order = list(range(int(units.max()) + 1))
    np.random.RandomState(seed).shuffle(order)  # the generator of the sources
    place = np.argsort(order)[units]
    if not protocol.n_learn:
        n_held = int(np.floor(protocol.held_share * len(order)))
        judged = place < max(n_held, 1)
        return np.flatnonzero(~judged), np.flatnonzero(judged)
    shuffled = np.argsort(place, kind="stable")
    mark = max(min(int(0.9 * n_items), n_items - protocol.n_validate), n_items // 2)
    judge = shuffled[mark : mark + protocol.n_validate]
    learn = shuffled[: min(protocol.n_learn, mark)]
    return np.sort(learn[~np.isin(units[learn], units[judge])]), np.sort(judge)


def best(score: Callable[[int], float], n_candidates: int) -> int:
    """Return the candidate with the best score; the first of equals."""
    return int(np.argmax([score(place) for place in range(n_candidates)]))


def peak(score: Callable[[int], float], n_candidates: int) -> int:
    """Return the peak: seven coarse candidates, then 8, 4, 2 and 1 steps to its sides.

    The first of equals, from left to right; at most 15 scores are asked for.
    """
    known: dict[int, float] = {}

    def first_best(places: list[int]) -> int:
        known.update({place: score(place) for place in places if place not in known})
        return max(places, key=lambda place: known[place])

    found = first_best(list(range(0, n_candidates, (n_candidates - 1) // 6)))
    for step in (8, 4, 2, 1):
        found = first_best([max(found - step, 0), found, min(found + step, n_candidates - 1)])
    return found


def _validation_score(
    protocol: Protocol, X: Array, y: Array, learn: Array, judge: Array
) -> Callable[[int], float]:
    """Return the accuracy on validation rows of one candidate after the other."""
    X, truth = LogisticHead()._rows_to_fit(X, y)
    # Turned into the axes of all training rows, which changes no distance and so no solution.
    regression = SoftmaxRegression(X, truth, int(truth.max()) + 1)
    last: list[Solution | None] = [None]

    def score(place: int) -> float:
        last[0] = found = regression.fit(protocol.candidates[place], learn, last[0])
        return float((found.scores(regression.Z[judge]).argmax(axis=1) == truth[judge]).mean())

    return score


def _draws(protocol: Protocol, y: Array, seed: int) -> Iterator[Array]:
    """Yield training rows: all of them, or so many per class from an order shuffled ever again."""
    order = list(range(len(y)))
    for _ in range(protocol.n_draws):
        if not protocol.per_class:
            yield np.array(order)
            continue
        np.random.RandomState(seed).shuffle(order)
        labels = y[order]
        kept = [np.flatnonzero(labels == name)[: protocol.per_class] for name in np.unique(y)]
        yield np.array(order)[np.sort(np.concatenate(kept))]
