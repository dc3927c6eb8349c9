"""The work of one unit: load → prepare → cut → pool → write its own shard."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from cutpoint.base.contracts import Cut
from cutpoint.base.errors import BadItem, ShapeError
from cutpoint.base.spec import FeatureSpec, Preprocess
from cutpoint.base.stopwatch import lap
from cutpoint.base.tongue import option
from cutpoint.base.types import (
    Array,
    Batch,
    Features,
    Prepared,
    Run,
    blank_batch,
    n_items_of,
    stacked,
)
from cutpoint.features.extraction.plan import CALIBRATION_SIZE, Unit
from cutpoint.features.store.catalog import BAD, NOTE, Remark
from cutpoint.features.store.half_precision import as_stored, beyond
from cutpoint.features.store.ragged import Kept, Ragged, concatenated
from cutpoint.features.store.shard import Receipt, write_shard
from cutpoint.items.kinds import kind_named, prepare_item
from cutpoint.items.reading import Item, digest_payload, read_payload

NONE_FREE: Mapping[str, int] = MappingProxyType({})


@dataclass
class Described:
    """Features of some items, and those that gave none.

    Attributes
    ----------
    places : list of int
        Which of the given items the rows belong to, in order.
    features : dict of tap → array (n_rows, …), or Ragged
    bad : list of (place, reason)
    notes : list of (key, note)
    n_forward : int
        Items that went through the network.
    """

    places: list[int] = field(default_factory=list)
    features: dict[str, Kept] = field(default_factory=dict)
    bad: list[tuple[int, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    n_forward: int = 0

    @property
    def arrays(self) -> Features:
        """The features of taps whose rows are of one length; heads take no others."""
        return {tap: rows for tap, rows in self.features.items() if not isinstance(rows, Ragged)}


@dataclass(frozen=True)
class UnitReceipt:
    """What a unit sends back: small, whatever it wrote.

    Attributes
    ----------
    shard : Receipt or None
        None where no item was good.
    bad, notes : tuple of (key, text)
    remarks : tuple of Remark
        The same by payload, as it is committed with the shard.
    n_forward : int
        Items that went through the network.
    """

    shard: Receipt | None
    bad: tuple[tuple[str, str], ...]
    notes: tuple[tuple[str, str], ...]
    remarks: tuple[Remark, ...]
    n_forward: int


def run_unit(
    unit: Unit,
    spec: FeatureSpec,
    folder: Path,
    engine: str,
    run: Run,
    batch_size: int,
    on_items: Callable[[int], None],
    check: Callable[[], None],
    free: Mapping[str, int] = NONE_FREE,
) -> UnitReceipt:
    """Compute a unit and write its shard, unless `check` raises. Depends on its arguments alone."""
    preprocess, storage = spec.backbone.preprocess, spec.storage
    found = describe(unit.items, preprocess, run, storage, batch_size, unit.digests, on_items, free)
    shard = None
    if found.places:
        check()  # no shard is there for others to find that must not be kept
        digests = [unit.digests[place] for place in found.places]
        shard = write_shard(folder, spec, digests, found.features, engine)
        lap("write")
    bad = tuple((unit.items[place].key, reason) for place, reason in found.bad)
    digest_of = {item.key: d for item, d in zip(unit.items, unit.digests, strict=True)}
    told = [(BAD, bad), (NOTE, found.notes)]
    remarks = tuple((digest_of[key], kind, text) for kind, rows in told for key, text in rows)
    return UnitReceipt(shard, bad, tuple(found.notes), remarks, found.n_forward)


def describe(
    items: Sequence[Item],
    preprocess: Preprocess,
    run: Run,
    storage: str,
    batch_size: int,
    digests: Sequence[str] | None = None,
    on_items: Callable[[int], None] = lambda n: None,
    free: Mapping[str, int] = NONE_FREE,
    at_most: int | None = None,
) -> Described:
    """Return the features of `items`; bad ones are named, never replaced.

    Parameters
    ----------
    items : sequence of Item
    preprocess : Preprocess
    run : callable
        An engine's session.
    storage : {"auto", "fp32", "fp16"}
        As `FeatureSpec.storage`.
    batch_size : int
        Items a forward pass.
    digests : sequence of str, optional
        What the payloads were when the run was planned; an item that differs now is bad.
    on_items : callable
        Told how many items were passed, batch by batch.
    free : mapping of tap → axis
        For taps that are kept whole, the axis of a row along which items differ in length; padding
        is left out of their rows.
    at_most : int, optional
        Items a forward pass, where the kind would take more.
    """
    found = Described()
    parts: list[Mapping[str, Kept]] = []
    for places in _groups(len(items), batch_size, preprocess):
        prepared = dict(_prepared(items, places, preprocess, digests, found))
        pieces = _pieces(prepared, preprocess)
        owners = [place for place, _ in pieces]
        split: list[tuple[list[int], Mapping[str, Kept]]] = []
        for alike in _batches([piece for _, piece in pieces], batch_size, preprocess, at_most):
            batch = stacked([pieces[number][1] for number in alike])
            lap("preprocess")
            rows = _own_lengths(run(batch), free, _valid(batch, preprocess))
            lap("engine")
            found.n_forward += n_items_of(batch)
            if len(pieces) > len(prepared):
                split.append((alike, rows))
            else:
                parts.append(_kept(rows, [owners[number] for number in alike], storage, found))
        if split:
            rows = _averaged(split, pieces, preprocess)
            parts.append(_kept(rows, list(prepared), storage, found))
        on_items(len(places))
    if parts:
        found.features = {tap: _joined([part[tap] for part in parts]) for tap in parts[0]}
        _in_order(found)
    return found


def _groups(n_items: int, batch_size: int, preprocess: Preprocess) -> Iterator[range]:
    """Yield the places of items that are prepared at a time.

    A batch; or all, where items differ in length, so that those alike can be put together.
    """
    is_free = any(None in each.shape for each in preprocess.inputs.values())
    step = max(n_items, 1) if is_free else batch_size
    for start in range(0, n_items, step):
        yield range(start, min(start + step, n_items))


def _pieces(prepared: Mapping[int, Prepared], preprocess: Preprocess) -> list[tuple[int, Prepared]]:
    """Return what the network is given, each with the place of its item."""
    kind = kind_named(preprocess.kind)
    return [
        (place, piece) for place, item in prepared.items() for piece in kind.parts(item, preprocess)
    ]


def _batches(
    pieces: Sequence[Prepared], batch_size: int, preprocess: Preprocess, at_most: int | None
) -> Iterator[list[int]]:
    """Yield the numbers of pieces of equal shapes, so many at a time, short ones first.

    Nothing is padded, so no item's features depend on how long its batch mates are.
    """
    alike: dict[tuple[Any, ...], list[int]] = {}
    for number, piece in enumerate(pieces):
        alike.setdefault(tuple(each.shape for each in piece.values()), []).append(number)
    for shape in sorted(alike):
        numbers = alike[shape]
        step = kind_named(preprocess.kind).n_at_once(pieces[numbers[0]], batch_size)
        step = min(step, at_most or step)
        for start in range(0, len(numbers), step):
            yield numbers[start : start + step]


def _averaged(
    split: Sequence[tuple[list[int], Mapping[str, Kept]]],
    pieces: Sequence[tuple[int, Prepared]],
    preprocess: Preprocess,
) -> dict[str, Kept]:
    """Return the features of items some of which are in several pieces, in order of their places.

    They are means over pieces, each weighted by how many of its places are no padding.
    """
    order = np.argsort(np.concatenate([numbers for numbers, _ in split]))
    weights = np.array([_n_valid(piece, preprocess) for _, piece in pieces], np.float64)
    starts = np.flatnonzero(np.diff([place for place, _ in pieces], prepend=-1))
    shares = weights / np.repeat(np.add.reduceat(weights, starts), np.diff([*starts, len(pieces)]))
    found: dict[str, Kept] = {}
    for tap in split[0][1]:
        parts = [rows[tap] for _, rows in split]
        if any(isinstance(part, Ragged) for part in parts):
            raise _no_one_row(tap)
        rows = _joined(parts)[order]
        weighted = rows * shares.reshape(-1, *[1] * (rows.ndim - 1))
        found[tap] = np.add.reduceat(weighted, starts).astype(np.float32)
    return found


def _n_valid(piece: Prepared, preprocess: Preprocess) -> int:
    mask = next((name for name, each in preprocess.inputs.items() if each.mask_of), None)
    return len(next(iter(piece.values()))) if mask is None else int(piece[mask].sum())


def _no_one_row(tap: str) -> ShapeError:
    return ShapeError(
        f'Tap "{tap}" can\'t be kept whole: some items are read in several windows.',
        "Windows overlap, so there is no one row for each place.",
        "A pool, whose features are averaged over windows; or items that are cut.",
        f"Type, for example:  {option('pool', 'mean')}   or   {option('long', 'truncate')}",
    )


def _in_order(found: Described) -> None:
    """Put rows in the order of the items, whatever batches they came from."""
    order = np.argsort(found.places, kind="stable")
    if (order[:-1] < order[1:]).all():
        return
    found.places = [found.places[row] for row in order]
    found.features = {tap: rows[order] for tap, rows in found.features.items()}


def _valid(batch: Batch, preprocess: Preprocess) -> Array | None:
    """Return which places of each item are no padding, (n_items, n_places); None: all are."""
    masks = (name for name, each in preprocess.inputs.items() if each.mask_of)
    mask = next(masks, None)
    return None if mask is None else batch[mask] != 0


def _own_lengths(rows: Features, free: Mapping[str, int], valid: Array | None) -> dict[str, Kept]:
    """Return the rows of a batch, of taps with a free axis each as long as its item."""
    return {
        tap: Ragged.of_padded(each, free[tap], valid, tap) if tap in free else each
        for tap, each in rows.items()
    }


def _joined(parts: Sequence[Kept]) -> Kept:
    ragged = [part for part in parts if isinstance(part, Ragged)]
    if ragged:
        return concatenated(ragged)
    return np.concatenate(parts)  # type: ignore[arg-type]  # none of them is ragged


def prepare(
    item: Item, preprocess: Preprocess, digest: str | None = None
) -> tuple[Prepared, tuple[str, ...]]:
    """Return (arrays, notes) of an item, of several parts the first; or raise `BadItem`."""
    found, notes = _read(item, preprocess, digest)
    return kind_named(preprocess.kind).parts(found, preprocess)[0], notes


def _read(
    item: Item, preprocess: Preprocess, digest: str | None = None
) -> tuple[Prepared, tuple[str, ...]]:
    payload = read_payload(item)
    if digest is not None and digest_payload(payload, preprocess.kind) != digest:
        raise BadItem("changed while the run was going on: its digest differs from the plan's")
    lap("read")
    name = item.payload.name if isinstance(item.payload, Path) else ""
    return prepare_item(payload, preprocess, name)


def calibration_batch(
    items: Sequence[Item], preprocess: Preprocess, cut: Cut
) -> tuple[Batch, float]:
    """Return the first few items that can be prepared and are alike, and the seconds of one."""
    found: list[Prepared] = []
    start, n_tried = time.perf_counter(), 0
    for item in items:
        n_tried += 1
        try:
            each = prepare(item, preprocess)[0]
        except BadItem:
            continue
        if not found or all(each[name].shape == found[0][name].shape for name in each):
            found.append(each)
        if len(found) == CALIBRATION_SIZE:
            break
    seconds = (time.perf_counter() - start) / max(n_tried, 1)
    # With nothing but bad items, any input will do to set the engine up.
    return stacked(found) if found else blank_batch(cut.inputs, 1), seconds


def refuse_misfit(items: Sequence[Item], preprocess: Preprocess) -> None:
    """Raise `ShapeError` if no item in memory is what the backbone takes.

    One that is not, among others that are, is a bad item; where all are not, the call is wrong.
    Pictures are decoded only where they are computed.
    """
    given = [item.payload for item in items if _is_array(item.payload)]
    if not given or any(_fits(each, preprocess) for each in given):
        return
    wanted, remedy = kind_named(preprocess.kind).wanted(given[0], preprocess)
    raise ShapeError(
        f"Items are {_shown(given[0])}, which this backbone does not take.",
        f"So are all {len(given)} arrays given, or they differ in another way.",
        f"It takes: {wanted}.",
        remedy,
    )


def _is_array(payload: Any) -> bool:
    return isinstance(payload, np.ndarray | Mapping)


def _shown(payload: Any) -> str:
    if isinstance(payload, Mapping):
        named = ", ".join(f"{name}: {each.dtype} {each.shape}" for name, each in payload.items())
        return f"mappings of {named}"
    return f"arrays of {payload.dtype} {payload.shape}"


def _fits(payload: Any, preprocess: Preprocess) -> bool:
    try:
        prepare_item(payload, preprocess, "")
    except BadItem:
        return False
    return True


def _prepared(
    items: Sequence[Item],
    places: Sequence[int],
    preprocess: Preprocess,
    digests: Sequence[str] | None,
    found: Described,
) -> Iterator[tuple[int, Prepared]]:
    for place in places:
        item = items[place]
        try:
            prepared, notes = _read(item, preprocess, digests[place] if digests else None)
        except BadItem as error:
            found.bad.append((place, error.reason))
            continue
        found.notes.extend((item.key, note) for note in notes)
        yield place, prepared


def _kept(
    features: Mapping[str, Kept], places: list[int], storage: str, found: Described
) -> dict[str, Kept]:
    """Return the rows as they are stored, without those that can't be; note the others' places."""
    if not _why_bad(features, storage):  # as nearly always: one look at the batch
        found.places += places
        return {tap: as_stored(tap, rows, storage) for tap, rows in features.items()}
    good = np.ones(len(places), bool)
    for row, place in enumerate(places):
        reason = _why_bad({tap: rows[row : row + 1] for tap, rows in features.items()}, storage)
        if reason:
            good[row] = False
            found.bad.append((place, reason))
        else:
            found.places.append(place)
    return {tap: as_stored(tap, rows[good], storage) for tap, rows in features.items()}


def _why_bad(features: Mapping[str, Kept], storage: str) -> str:
    """Return why features can't be kept; nothing if they can."""
    values = (row.values if isinstance(row, Ragged) else row for row in features.values())
    if not all(np.isfinite(each).all() for each in values):
        return "features that are NaN or infinite"
    return next(filter(None, (beyond(tap, row, storage) for tap, row in features.items())), "")
