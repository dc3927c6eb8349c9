"""How far scaled decoding moves the features of the photos at hand; too far is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from cutpoint.base.contracts import Engine
from cutpoint.base.errors import BadItem, UsageError
from cutpoint.base.progress import Reporter
from cutpoint.base.spec import Preprocess
from cutpoint.base.stopwatch import lap
from cutpoint.base.tongue import option
from cutpoint.base.types import Prepared, stacked
from cutpoint.features.extraction.plan import CALIBRATION_SIZE, Unit
from cutpoint.features.extraction.unit import prepare
from cutpoint.items.kinds import kind_named
from cutpoint.items.reading import Item, read_payload
from cutpoint.networks.engines import compare

MIN_COSINE = 0.99
"""Smallest of any photo and tap. Seen on EfficientNet-Lite0: 0.997 and more at each size tried,
docs/benchmarks/decoding.md; with one decoded pixel for each the network sees, 0.978."""
N_LOOKED_AT = 128  # items whose headers are read first to find large photos


def check_drift(
    units: Sequence[Unit], spec: Preprocess, make_engine: Callable[[], Engine], reporter: Reporter
) -> None:
    """Say how near features of scaled photos are to those of the same photos decoded exactly.

    Parameters
    ----------
    units : sequence of Unit
        What is to be computed; a few large photos are taken from all over it.
    spec : Preprocess
        With exact decoding nothing is done.
    make_engine : callable
        Gives one that computes in fp32; called if there is a large photo.

    Raises
    ------
    UsageError
        If the smallest cosine is below `MIN_COSINE`.
    """
    if spec.decode == "exact":
        return
    scaled, exact = _both_ways(_large_items(units, spec), spec)
    if not scaled:
        reporter.say("Scaled decoding: no photo is large enough; all are left exact")
        return
    run = make_engine().session()
    cosine = compare(run(stacked(scaled)), run(stacked(exact))).cosine
    lap("drift")
    told = f"smallest cosine {cosine:.4f} of {len(scaled)} large photos"
    reporter.say(f"Scaled decoding against exact: {told}")
    if cosine < MIN_COSINE:
        raise UsageError(
            f"Features drift when large photos are decoded at a reduced scale: {told}.",
            f"Cosines below {MIN_COSINE} are refused.",
            "Exact decoding, or taps that depend less on fine detail.",
            f"Type:  {option('decode', 'exact')}",
        )


def _large_items(units: Sequence[Unit], spec: Preprocess) -> list[Item]:
    """Return up to `CALIBRATION_SIZE` items that are decoded smaller, evenly spread.

    If none of those looked at is, all are, until one is found.
    """
    items = [item for unit in units for item in unit.items]
    found = [item for item in _spread(items, N_LOOKED_AT) if _is_large(item, spec)]
    if not found:
        found = list(islice((item for item in items if _is_large(item, spec)), 1))
    return _spread(found, CALIBRATION_SIZE)


def _spread(items: Sequence[Item], count: int) -> list[Item]:
    """Return `count` items at most, evenly spread."""
    count = min(count, len(items))
    return [items[place * len(items) // count] for place in range(count)]


def _is_large(item: Item, spec: Preprocess) -> bool:
    try:
        return kind_named(spec.kind).decodes_smaller(read_payload(item), spec)
    except BadItem:
        return False


def _both_ways(items: Sequence[Item], spec: Preprocess) -> tuple[list[Prepared], list[Prepared]]:
    """Return the good ones of `items`, decoded scaled and exactly."""
    scaled, exact = [], []
    exactly = kind_named(spec.kind).decoding(spec, "exact")
    for item in items:
        try:
            smaller = prepare(item, spec)[0]
            whole = prepare(item, exactly)[0]
        except BadItem:
            continue
        scaled.append(smaller)
        exact.append(whole)
    return scaled, exact
