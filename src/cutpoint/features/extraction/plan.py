"""What a run will do, before it does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cutpoint.features.store.catalog import EngineRecord
from cutpoint.items.reading import Item

UNIT_SIZE = 128  # items a shard, at most: a few MB on disk, and little lost in a kill
MIN_UNIT_SIZE = 32  # fewer, and writing shards shows (10 ms each where a disk must sync)
MIN_UNITS = 16  # of a data set that has the items: the last ones are shared among the workers
CALIBRATION_SIZE = 8  # items an engine is compared and timed on


@dataclass(frozen=True)
class Unit:
    """The work that makes one shard: items with their payload digests, in key order."""

    items: tuple[Item, ...]
    digests: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """A run, sized.

    Attributes
    ----------
    n_items : int
        Items with a readable payload.
    n_stored : int
        Those of them whose features are in the store already.
    units : tuple of Unit
        The rest, each payload once.
    disk_bytes, ram_bytes : int
        What the new shards take; what the workers hold at a time, the network not counted.
    seconds : float
        Estimate from the calibration batch.
    told : tuple of str
        What is to be known of the items before they are computed.
    """

    n_items: int
    n_stored: int
    units: tuple[Unit, ...]
    disk_bytes: int = 0
    ram_bytes: int = 0
    seconds: float = 0.0
    told: tuple[str, ...] = ()

    @property
    def n_to_compute(self) -> int:
        return sum(len(unit.items) for unit in self.units)

    def __str__(self) -> str:
        if not self.units:
            return f"Plan: {self.n_items} items, all stored already; nothing to compute"
        return (
            f"Plan: {self.n_items} items, {self.n_stored} stored, {self.n_to_compute} to compute; "
            f"{human_bytes(self.disk_bytes)} on disk, {human_bytes(self.ram_bytes)} of RAM, "
            f"about {human_seconds(self.seconds)}"
        )


def make_units(
    items: Sequence[Item], digests: Mapping[str, str], stored: set[str]
) -> tuple[Unit, ...]:
    """Return units for the payloads that are not `stored`, in key order, each payload once.

    Parameters
    ----------
    items : sequence of Item
    digests : mapping of key → payload digest; items without one are passed over
    stored : set of payload digests
    """
    seen = set(stored)
    todo = []
    for item in items:
        digest = digests.get(item.key)
        if digest is not None and digest not in seen:
            seen.add(digest)
            todo.append((item, digest))
    # By all items, not by those to do: a shard that was lost is made again with the same bytes.
    size = min(UNIT_SIZE, max(MIN_UNIT_SIZE, len(items) // MIN_UNITS))
    chunks = [todo[start : start + size] for start in range(0, len(todo), size)]
    return tuple(
        Unit(tuple(item for item, _ in chunk), tuple(digest for _, digest in chunk))
        for chunk in chunks
    )


def size_plan(
    n_items: int,
    units: tuple[Unit, ...],
    record: EngineRecord,
    n_workers: int,
    n_engines: int,
    batch_bytes: int,
) -> Plan:
    """Return the plan with its bytes and seconds.

    Parameters
    ----------
    record : EngineRecord
        What the calibration batch took.
    n_workers, n_engines : int
        Threads that decode; forward passes that run at a time.
    batch_bytes : int
        Bytes of one prepared batch.
    """
    n_todo = sum(len(unit.items) for unit in units)
    n_held = n_workers * min(UNIT_SIZE, n_todo)
    # A unit is held as rows, as one array per tap, and as the bytes of its shard.
    ram_bytes = 3 * n_held * record.row_bytes + n_workers * 2 * batch_bytes
    seconds = n_todo * (record.engine_s / n_engines + record.prepare_s / n_workers)
    disk_bytes = n_todo * (record.row_bytes + 32)
    return Plan(n_items, n_items - n_todo, units, disk_bytes, ram_bytes, seconds)


def human_bytes(count: float) -> str:
    """Return ``"3.2 MB"``."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{int(count)} B"


def human_seconds(seconds: float) -> str:
    """Return ``"4 s"``, ``"2 min 5 s"`` or ``"1 h 3 min"``."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
