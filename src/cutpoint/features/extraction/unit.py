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
from cutpoint.base.spec import ArraySpec, FeatureSpec, Preprocess
from cutpoint.base.stopwatch import lap
from cutpoint.base.types import Array, Batch, Features, Run
from cutpoint.features.extraction.plan import CALIBRATION_SIZE, Unit
from cutpoint.features.store.catalog import BAD, NOTE, Remark
from cutpoint.features.store.half_precision import as_stored, beyond
from cutpoint.features.store.ragged import Kept, Ragged, concatenated
from cutpoint.features.store.shard import Receipt, write_shard
from cutpoint.items.preprocess import prepare_item
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
) -> Described:
    """Return the features of `items`; bad ones are named, never replaced.

    Parameters
    ----------
    items : sequence of Item
    preprocess : PreprocessSpec or ArraySpec
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
        Of taps that are kept whole, the axis of a row along which items differ in length; padding
        is left out of their rows.
    """
    found = Described()
    parts: list[Mapping[str, Kept]] = []
    for start in range(0, len(items), batch_size):
        stop = min(start + batch_size, len(items))
        prepared = list(_prepared(items, range(start, stop), preprocess, digests, found))
        if prepared:
            batch = np.stack([image for _, image in prepared])
            places = [place for place, _ in prepared]
            lap("preprocess")
            rows = _own_lengths(run(batch), free, _valid(batch, preprocess))
            lap("engine")
            parts.append(_kept(rows, places, storage, found))
            found.n_forward += len(batch)
        on_items(stop - start)
    if parts:
        found.features = {tap: _joined([part[tap] for part in parts]) for tap in parts[0]}
    return found


def _valid(batch: Batch, preprocess: Preprocess) -> Array | None:
    """Return which places of each item are no padding, (n_items, n_places); None: all are."""
    pad_id = getattr(preprocess, "pad_id", None)
    return None if pad_id is None else batch != pad_id


def _own_lengths(rows: Features, free: Mapping[str, int], valid: Array | None) -> dict[str, Kept]:
    """Return the rows of a batch, of taps with a free axis each as long as its item."""
    return {
        tap: Ragged.of_padded(each, free[tap], valid, tap) if tap in free else each
        for tap, each in rows.items()
    }


def _joined(parts: Sequence[Kept]) -> Kept:
    ragged = [part for part in parts if isinstance(part, Ragged)]
    return concatenated(ragged) if ragged else np.concatenate(parts)  # type: ignore[arg-type]


def prepare(item: Item, preprocess: Preprocess, digest: str | None = None) -> Any:
    """Return (array, notes) of an item, or raise `BadItem`."""
    payload = read_payload(item)
    if digest is not None and digest_payload(payload) != digest:
        raise BadItem("changed while the run was going on: its digest differs from the plan's")
    lap("read")
    name = item.payload.name if isinstance(item.payload, Path) else ""
    return prepare_item(payload, preprocess, name)


def calibration_batch(
    items: Sequence[Item], preprocess: Preprocess, cut: Cut
) -> tuple[Batch, float]:
    """Return the first few items that can be prepared, and the seconds that one takes."""
    prepared: list[Array] = []
    start, n_tried = time.perf_counter(), 0
    for item in items:
        n_tried += 1
        try:
            prepared.append(prepare(item, preprocess)[0])
        except BadItem:
            continue
        if len(prepared) == CALIBRATION_SIZE:
            break
    seconds = (time.perf_counter() - start) / max(n_tried, 1)
    if not prepared:  # nothing but bad items; any input will do to set the engine up
        prepared = [np.zeros(cut.input_shape, cut.input_dtype)]
    return np.stack(prepared), seconds


def refuse_misfit(items: Sequence[Item], preprocess: Preprocess) -> None:
    """Raise `ShapeError` if no array among the items is what the backbone takes.

    One that is not, among others that are, is a bad item; where all are not, the call is wrong.
    """
    arrays = [item.payload for item in items if isinstance(item.payload, np.ndarray)]
    if not arrays or any(_fits(each, preprocess) for each in arrays):
        return
    first = arrays[0]
    if isinstance(preprocess, ArraySpec):
        wanted = f"{preprocess.dtype} of shape {preprocess.shape}"
        remedy = f'Type, for example:  items.astype("{preprocess.dtype}")'
    else:
        wanted = "uint8 of shape (height, width[, 3 or 4]), RGB, 0–255"
        remedy = f"Type, for example:  {_as_images(first)}"
    raise ShapeError(
        f"Items are arrays of {first.dtype} {first.shape}, which this backbone does not take.",
        f"So are all {len(arrays)} arrays given, or they differ in another way.",
        f"It takes: {wanted}.",
        remedy,
    )


def _fits(array: Array, preprocess: Preprocess) -> bool:
    try:
        prepare_item(array, preprocess, "")
    except BadItem:
        return False
    return True


def _as_images(array: Array) -> str:
    """Return what makes uint8 images of a stack of such arrays."""
    text = "images"
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] not in (1, 3, 4):
        text += ".transpose(0, 2, 3, 1)"
    elif array.ndim == 3 and array.shape[2] == 1:
        text += "[..., 0]"
    if array.dtype.kind == "f" and array.size and float(np.nanmax(array)) <= 1:
        return f'(255 * {text}).round().astype("uint8")'
    return text if array.dtype == np.uint8 else f'{text}.astype("uint8")'


def _prepared(
    items: Sequence[Item],
    places: Sequence[int],
    preprocess: Preprocess,
    digests: Sequence[str] | None,
    found: Described,
) -> Iterator[tuple[int, Batch]]:
    for place in places:
        item = items[place]
        try:
            image, notes = prepare(item, preprocess, digests[place] if digests else None)
        except BadItem as error:
            found.bad.append((place, error.reason))
            continue
        found.notes.extend((item.key, note) for note in notes)
        yield place, image


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
