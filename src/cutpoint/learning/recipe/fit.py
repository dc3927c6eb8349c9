"""A recipe fitted on training rows alone."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from threading import Lock

import numpy as np

from cutpoint.base.errors import FewerThanAsked, ShapeError
from cutpoint.base.spec import TapSpec
from cutpoint.base.tongue import option
from cutpoint.base.types import Array
from cutpoint.features.store import Features
from cutpoint.learning.heads import LearnedPoolHead
from cutpoint.learning.recipe.fitted import FittedRecipe, leak
from cutpoint.learning.recipe.rows import Rows, joined
from cutpoint.learning.recipe.spelling import Fitter, Recipe, Stage
from cutpoint.learning.recipe.widths import OF_ONE_WIDTH, check_widths
from cutpoint.learning.transforms.base import Mixed
from cutpoint.learning.transforms.select import Selector
from cutpoint.networks.pooling import SignedActivationWarning, keeps_space

# A recipe is fitted for each tap and fold, and one line is enough. Python's own "once" forgets
# what was said whenever a filter changes, as catching warnings does.
_ONCE = (FewerThanAsked, SignedActivationWarning)
_said: set[str] = set()

# Catching warnings changes the whole process, and candidates are fitted in several threads.
_CATCHING = Lock()

STREAM_BYTES = 512 * 2**20
"""A larger matrix is not held in memory, as long as the stages can do without."""


def fit_recipe(
    recipe: Recipe,
    features: Features,
    taps: Sequence[str],
    rows: Array,
    at_most_bytes: int = STREAM_BYTES,
) -> tuple[FittedRecipe, Array]:
    """Fit every stage on training rows; return the fitted recipe and their matrix.

    Parameters
    ----------
    rows : int array
        Row numbers of `features`.
    at_most_bytes : int
        A matrix larger than this is read from the store in chunks, one pass a stage that learns;
        PCA, z-score and what learns nothing can do so, the others read all rows after all.

    Raises
    ------
    LeakageError
        If one of the rows is of the test split.
    UsageError
        If taps that are to become one would have different widths, or a pool that learns is given
        what is no map; before anything is fitted, as far as can be told.
    """
    tests = rows[features.splits[rows] == "test"]
    if len(tests):
        raise leak(features, tests, "can't be learned from: they are of the test split")
    layouts = {tap: layout_of(features, tap) if recipe.pools_maps else "NC" for tap in taps}
    if recipe.pools_maps or recipe.aggregate in OF_ONE_WIDTH:
        axes = {tap: layout.index("C") for tap, layout in layouts.items()}
        widths = {tap: features.X(tap, rows[:1]).shape[axis] for tap, axis in axes.items()}
        check_widths(recipe, widths, len(rows))
    y = features.labels[rows].astype(str)
    groups = features.group_numbers(rows) if recipe.pools_maps else None
    parts, before = [], []
    for tap in taps:
        part = Rows.of_tap(features, tap, rows, at_most_bytes)
        part, transforms = _through(recipe.before, part, y, (), groups, layouts[tap])
        before.append(transforms)
        parts.append(part)
    blocks = tuple(part.width for part in parts)
    whole = joined(recipe.aggregate, parts, taps)
    whole, after = _through(recipe.after, whole, y, blocks, groups, layouts[taps[0]])
    learned = frozenset() if recipe.is_stateless else frozenset(map(str, features.digests[rows]))
    return FittedRecipe(recipe, tuple(taps), tuple(before), after, learned), whole.read()


def layout_of(features: Features, tap: str) -> str:
    """Return the layout of a stored map, ``"NCHW"``.

    Raises
    ------
    ShapeError
        If the tap is none, an older release stored it without, or its rows differ in length.
    """
    if features.is_ragged(tap):
        raise ShapeError(
            f'A pool that learns can\'t be fitted on tap "{tap}": its rows differ in length.',
            "They are whole activations of items that differ in length.",
            "Maps of one size, as the pool grid(n) keeps of maps and of time; or a pool that "
            "does not learn.",
            f"Extract again, with:  {option('pool', 'grid(4)')}   or:  {option('pool', 'gap')}",
        )
    layout = features.layouts.get(tap, "")
    if not layout:
        is_map = keeps_space(TapSpec.from_name(tap).pool)
        raise ShapeError(
            f'A pool that learns can\'t be fitted on tap "{tap}".',
            "Its layout is not known: an earlier release stored it."
            if is_map
            else "It holds vectors, pooled already.",
            "Stored maps or tokens: the pools grid(n) and none.",
            f"Extract again, with:  {option('pool', 'grid(4)')}   (what is stored is not computed "
            "again)",
        )
    return layout


def _through(
    stages: Sequence[Stage],
    rows: Rows,
    y: Array,
    blocks: tuple[int, ...],
    groups: Array | None,
    layout: str,
) -> tuple[Rows, tuple[Fitter, ...]]:
    """Fit stages one after the other.

    `blocks` are the widths of the taps side by side; `layout` is that of a stored map.
    """
    fitted = []
    for stage in stages:
        width = rows.width
        blocks = blocks if sum(blocks) == width else (width,)
        transform = stage.make(blocks, layout)
        _fit(rows, transform, y, stage, groups)
        blocks = _widths_after(transform, blocks)
        rows = rows.through(transform)
        fitted.append(transform)
    return rows, tuple(fitted)


def _fit(rows: Rows, transform: Fitter, y: Array, stage: Stage, groups: Array | None) -> None:
    """Fit a transform; warn of fewer columns than it names in the same words for all taps."""
    with _CATCHING, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FewerThanAsked)
        rows.fit(transform, y, groups)
    for each in caught:
        what = str(each.message)
        if issubclass(each.category, FewerThanAsked):
            what = f'"{stage}" asks for more than some taps or rows have; what they have is taken.'
        if not issubclass(each.category, _ONCE):
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
        elif what not in _said:
            _said.add(what)
            warnings.warn(what, each.category, stacklevel=4)


def _widths_after(transform: Fitter, widths: tuple[int, ...]) -> tuple[int, ...]:
    """Return how many columns of each tap a transform left; none where it mixed them.

    Taps without any are gone.
    """
    if isinstance(transform, Mixed | LearnedPoolHead):
        return ()
    if not isinstance(transform, Selector):
        return widths
    taps = np.repeat(np.arange(len(widths)), widths)[transform.get_support()]
    return tuple(int(count) for count in np.unique(taps, return_counts=True)[1])
