"""Whether a network computes each item of a batch by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from cutpoint.base.types import Array, Batch, InputSpec, n_items_of

ONE_BY_ONE = "so items are run one by one"
_SAME = 1e-4
"""Largest difference, relative to the largest value of that item, which needs no second look."""
_ROUNDING = 0.05
"""How far an item may move when its batch grows, relative to its length: kernels of other batch
sizes add up in another order, and where numbers are rounded to 8 bits a last digit that flips is
1/127. A network that computes with the size of its batch moves items by as much as they are."""


def probe(shape: tuple[int, ...], dtype: str) -> Array:
    """Return three items as unlike as can be: loud, faint, 90 dB fainter.

    A network that measures something over the whole batch shows it by them. None is
    silent: what networks that normalise make of silence is rounding alone.
    """
    random = np.random.default_rng(0)
    if dtype == "int64":  # token ids: 0 and 1 are in every vocabulary
        items = [random.integers(0, 2, shape), np.ones(shape), np.zeros(shape)]
    elif dtype == "uint8":
        items = [random.integers(0, high, shape) for high in (256, 16, 2)]
    else:
        items = [random.normal(0, scale, shape) for scale in (1.0, 1e-2, 3e-5)]
    return np.stack(items).astype(dtype)


def probes(inputs: Mapping[str, InputSpec], free: int) -> Batch:
    """Return a `probe` of each input, its free sizes `free`; all places of masks count."""
    found = {name: probe(each.sized(free), each.dtype) for name, each in inputs.items()}
    return {n: np.ones_like(each) if inputs[n].mask_of else each for n, each in found.items()}


def why_one_by_one(run: Callable[[Batch], Sequence[Array]], items: Batch) -> str:
    """Return why `items` must not be run together; empty if they may.

    Parameters
    ----------
    run : callable
        Batch → arrays of shape ``(n_items, …)``.
    items : batch
        See `probes`.

    Notes
    -----
    Rounding differs from mixing by what an item's numbers depend on. Kernels, and with them the
    order of sums, depend on the size of a batch and an item's place in it: an item among copies of
    itself must give what it gives at the same place among others. A network that mixes items gives
    other numbers there, however small.
    """
    n_items = n_items_of(items)
    each_alone = (run(_rows(items, slice(row, row + 1))) for row in range(n_items))
    alone = [np.concatenate(each) for each in zip(*each_alone, strict=True)]
    try:
        together = run(items)
    except Exception:  # the framework's word on a graph that holds its batch size
        return f"the graph takes one item at a time, {ONE_BY_ONE}"
    if any(one.shape != all_.shape for one, all_ in zip(alone, together, strict=True)):
        return f"the graph takes one item at a time, {ONE_BY_ONE}"
    if _differ(together, alone) <= _SAME:
        return ""
    copies = [run(_rows(items, [row] * n_items)) for row in range(n_items)]
    among_copies = [
        np.stack([copy[tap][place] for place, copy in enumerate(copies)])
        for tap in range(len(alone))
    ]
    if _differ(together, among_copies) > _SAME:
        return f"in this graph an item depends on its batch mates, {ONE_BY_ONE}"
    if _moved(among_copies, alone) > _ROUNDING:
        return f"in this graph an item depends on the size of its batch, {ONE_BY_ONE}"
    return ""


def _rows(items: Batch, rows: slice | list[int]) -> Batch:
    return {name: each[rows] for name, each in items.items()}


def _differ(found: Sequence[Array], truth: Sequence[Array]) -> float:
    """Return the largest difference, relative to the largest value of the same item and tap."""
    return max(
        _distance(one, two, np.inf)
        for pair in zip(found, truth, strict=True)
        for one, two in zip(*pair, strict=True)
    )


def _moved(found: Sequence[Array], truth: Sequence[Array]) -> float:
    """Return how far items moved, relative to their length; of a tap, the item in the middle.

    Not the farthest: of an item that is near silence, normalisation can make rounding large.
    """
    return max(
        float(np.median([_distance(one, two, 2) for one, two in zip(*pair, strict=True)]))
        for pair in zip(found, truth, strict=True)
    )


def _distance(found: Array, truth: Array, order: float) -> float:
    found, truth = (each.astype(np.float64).ravel() for each in (found, truth))
    same = (found == truth) | (np.isnan(found) & np.isnan(truth))
    difference = np.where(same, 0.0, found - truth)
    scale = np.linalg.norm(truth[np.isfinite(truth)], order) if truth.size else 0.0
    return float(np.nan_to_num(np.linalg.norm(difference, order) / max(scale, 1e-30), nan=np.inf))
