"""Features as arrays, row by row beside their keys and labels."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cutpoint.base.errors import ShapeError, StoreCorrupt, StoreError, TapNotFound, UsageError
from cutpoint.base.spec import FeatureSpec
from cutpoint.base.text import counted, printable, shortened
from cutpoint.base.tongue import option
from cutpoint.base.types import Array
from cutpoint.features.store.catalog import Places
from cutpoint.features.store.checked import CheckedShard, split
from cutpoint.features.store.half_precision import as_read
from cutpoint.features.store.ragged import Kept, Ragged, concatenated
from cutpoint.features.store.shard import corrupt
from cutpoint.items.reading import Label, as_given
from cutpoint.networks.runtimes.threads import n_cores

_CHECKING = Lock()
SPLITS = ("train", "val", "test")
_UNLIKE = "its rows are unlike the others'"
CHUNK_ROWS = 1024  # some MB of vectors; of maps take fewer


@dataclass(frozen=True, repr=False)
class Features:
    """The features of one data set under one spec.

    Row i of ``X(tap)``, ``keys[i]``, ``labels[i]``, ``groups[i]`` and ``splits[i]`` are the same
    item, in the order of the data set: I5. These arrays are made once and can't be written to.

    A shard is compared with its digest before its first use, and every block of it that is read
    then or later with the block's own, in memory: whatever `X` returns was checked, though the disk
    changes while the features are open: I4.

    Attributes
    ----------
    fields : mapping
        The view, as FORMAT.md names its fields.
    places : Places
        Where each item's row lies.
    folder : Path
        Folder of the shards.
    """

    spec: FeatureSpec
    fields: Mapping[str, Any]
    places: Places
    folder: Path
    _opened: dict[int, CheckedShard] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        taps = shortened(", ".join(self.taps), 60)
        size = f"{counted(len(self), 'item')}, {counted(len(self.taps), 'tap')}"
        shown = f'Features("{self.name}", {size}: {taps}; spec {self.spec.fingerprint()[:12]})'
        return printable(shown)

    @property
    def name(self) -> str:
        return str(self.fields["name"])

    @cached_property
    def taps(self) -> tuple[str, ...]:
        """Names of what was extracted, ``"blocks.6/gap"``."""
        return tuple(tap.name for tap in self.spec.taps)

    @property
    def classes(self) -> tuple[Label, ...]:
        found = (as_given(name, self.label_type) for name in self.fields["classes"])
        return tuple(sorted(found))

    @property
    def label_type(self) -> str:
        """What labels came as, and come back as: "str", "int", "bool" or "float"."""
        return str(self.fields.get("label_type", "str"))

    @cached_property
    def keys(self) -> Array:
        return self._column(0)

    @cached_property
    def digests(self) -> Array:
        return self._column(1)

    @cached_property
    def labels(self) -> Array:
        return _fixed([as_given(row[2], self.label_type) for row in self.fields["items"]])

    @cached_property
    def groups(self) -> Array:
        return self._column(3)

    @cached_property
    def splits(self) -> Array:
        return self._column(4)

    @property
    def quarantined(self) -> tuple[tuple[str, str], ...]:
        return tuple((key, reason) for key, reason in self.fields["quarantined"])

    @property
    def macs(self) -> dict[str, int]:
        """Layer → multiply-accumulates up to there; empty where the view doesn't say."""
        return dict(self.fields.get("macs", {}))

    @property
    def layouts(self) -> dict[str, str]:
        """Tap → layout of its batch, ``"NCHW"``, of each stored map; empty where it isn't known."""
        return dict(self.fields.get("layouts", {}))

    @property
    def counts(self) -> dict[str, Array]:
        """What is counted of each item, in their order: of texts ``n_tokens``, ``truncated`` and
        ``n_unknown``; empty of kinds that count nothing."""
        return {name: np.array(each) for name, each in self.fields.get("counts", {}).items()}

    @property
    def precision_check(self) -> dict[str, Any] | None:
        """What a precision below fp32 cost on training rows; None of fp32, or not known."""
        found: dict[str, Any] | None = self.fields.get("precision_check")
        return found

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self.fields["warnings"])

    def __len__(self) -> int:
        return len(self.fields["items"])

    def rows_of(self, split: str) -> Array:
        """Return the row numbers of a split: ``"train"``, ``"val"``, ``"test"``; they may be none.

        Raises
        ------
        UsageError
            If there is no such split.
        """
        there = sorted(set(self.splits) - {None})
        if split not in (*SPLITS, *there):
            raise UsageError(
                f'There is no split "{split}".',
                f'The splits of "{self.name}": {", ".join(there) or "none"}.',
                f"Splits: {', '.join(SPLITS)}.",
                'Type, for example:  features.rows_of("train")',
            )
        return np.flatnonzero(self.splits == split)

    def group_numbers(self, rows: Array) -> Array | None:
        """Return a number for each row, equal for rows that must be left out together.

        Those are rows of one group and rows of equal bytes: a copy left in would give the answer
        away. None if every row stands alone.
        """
        n_rows = len(rows)
        digests = np.unique(self.digests[rows].astype(str), return_inverse=True)[1]
        names = [f"\0{r}" if g is None else f"g{g}" for r, g in enumerate(self.groups[rows])]
        groups = np.unique(names, return_inverse=True)[1]
        # Rows are tied to their digest and their group; what hangs together is one component.
        ties = np.concatenate([n_rows + digests, 2 * n_rows + groups])
        edges = (np.ones(2 * n_rows), (np.tile(np.arange(n_rows), 2), ties))
        graph = coo_array(edges, shape=(3 * n_rows, 3 * n_rows))
        parts: Array = connected_components(graph, directed=False)[1][:n_rows]
        return None if len(np.unique(parts)) == n_rows else parts

    def X(self, tap: str, rows: Array | None = None) -> Array:  # noqa: N802  scikit-learn's name
        """Return one tap's features.

        Parameters
        ----------
        tap : str
            One of `taps`.
        rows : int array, optional
            Row numbers; all rows if absent.

        Returns
        -------
        X : float32 array of shape (n_rows, n_features)
            Whole maps (pools ``none`` and ``grid``) are (n_rows, …), in the type they are kept in.

        Raises
        ------
        ShapeError
            If the rows differ in length: `rows` gives them.
        """
        found = self._gathered(tap, slice(None) if rows is None else rows, as_one=True)
        assert not isinstance(found, Ragged)
        return as_read(found)

    def rows(self, tap: str, rows: Array | None = None) -> list[Array]:
        """Return one tap's features, each item's its own array: of equal length or not.

        Parameters
        ----------
        tap, rows
            As in `X`.

        Returns
        -------
        rows : list of array
            Each of the shape of the layer's own output, padding left out; float32, of maps and
            tokens the type they are kept in.
        """
        found = self._gathered(tap, slice(None) if rows is None else rows)
        if isinstance(found, Ragged):
            return [as_read(row[None])[0] for row in found.rows()]
        return list(as_read(found))

    def is_ragged(self, tap: str) -> bool:
        """Say whether a tap's rows differ in length; `rows` gives them, `X` can't."""
        self._check_tap(tap)
        known = self.places.shard[self.places.shard >= 0]
        if not len(known):
            return False
        self._open(known[:1].tolist())
        return self._opened[int(known[0])].is_ragged(tap)

    def _check_tap(self, tap: str) -> None:
        if tap not in self.taps:
            raise TapNotFound(
                f'No features of tap "{tap}" in "{self.name}".',
                f"Extracted: {', '.join(self.taps)}.",
                "One of these, or features extracted with that tap.",
                f'Type, for example:  features.X("{self.taps[-1]}")',
            )

    def chunks(
        self, tap: str, rows: Array | None = None, n_rows: int = CHUNK_ROWS
    ) -> Iterator[Array]:
        """Yield one tap's features in parts, of which one at a time is in memory.

        Parameters
        ----------
        tap : str
            One of `taps`.
        rows : int array, optional
            Row numbers; all rows if absent. Their order is kept.
        n_rows : int
            Rows a part.

        Yields
        ------
        X : array of shape (up to n_rows, …), as `X` gives
        """
        wanted = np.arange(len(self))[slice(None) if rows is None else rows]
        for start in range(0, len(wanted), n_rows):
            yield self.X(tap, wanted[start : start + n_rows])

    def _column(self, place: int) -> Array:
        return _fixed([row[place] for row in self.fields["items"]])

    @cached_property
    def _digests(self) -> Array:
        return digest_rows(self.fields)

    def _gathered(self, tap: str, which: Array | slice, as_one: bool = False) -> Kept:
        """Return rows as they are kept; no more is touched than they take.

        Rows that differ in length are refused if they are to be `as_one` array.
        """
        self._check_tap(tap)
        if not isinstance(which, slice) and not len(which):
            which = np.empty(0, np.intp)  # an empty list is one of floats
        shard, row = self.places.shard[which], self.places.row[which]
        digests = self._digests[which]
        order = shard.argsort(kind="stable")
        if not len(order):
            return self._none_of(tap)
        if shard[order[0]] < 0:
            raise self._missing(digests[order[0]])
        ordered = shard[order]
        groups = split(order, ordered[1:] != ordered[:-1])
        numbers = [int(shard[group[0]]) for group in groups]
        self._open(numbers)
        is_ragged = self._opened[numbers[0]].is_ragged(tap)
        if is_ragged and as_one:
            raise self._no_one_array(tap)
        # Beside the whole array only one of its parts is in memory at a time.
        parts = (
            self._read(n, tap, row[g], digests[g]) for n, g in zip(numbers, groups, strict=True)
        )
        if is_ragged:
            return self._in_order(parts, numbers, order)
        out: Array | None = None
        for number, group, stored in zip(numbers, groups, parts, strict=True):
            if isinstance(stored, Ragged):
                raise corrupt(self._opened[number].path, _UNLIKE)
            if out is None:
                out = np.empty((len(order), *stored.shape[1:]), stored.dtype)
            elif stored.shape[1:] != out.shape[1:] or stored.dtype != out.dtype:
                what = f"its rows are {stored.dtype} {stored.shape[1:]}, unlike the others'"
                raise corrupt(self._opened[number].path, what)
            out[group] = stored
        assert out is not None
        return out

    def _none_of(self, tap: str) -> Array:
        """Return no row, of the shape and type that rows have, where there is one to tell it."""
        known = np.flatnonzero(self.places.shard >= 0)[:1]
        if not len(known):
            return np.empty((0, 0), np.float32)
        one = self._gathered(tap, known)
        return np.empty((0, 0), np.float32) if isinstance(one, Ragged) else one[:0]

    def _in_order(self, parts: Iterator[Kept], numbers: list[int], order: Array) -> Ragged:
        """Return ragged rows that were read shard by shard in the order that was asked for."""
        found: list[Ragged] = []
        for number, stored in zip(numbers, parts, strict=True):
            if not isinstance(stored, Ragged) or (found and stored.kind != found[0].kind):
                raise corrupt(self._opened[number].path, _UNLIKE)
            found.append(stored)
        back = np.empty(len(order), np.intp)
        back[order] = np.arange(len(order))
        return concatenated(found)[back]

    def _no_one_array(self, tap: str) -> ShapeError:
        return ShapeError(
            f'The features of tap "{tap}" are no one array: its rows differ in length.',
            "They are whole activations of items that differ in length.",
            "The rows one by one; or a tap that is pooled to one vector per item.",
            f'Type, for example:  features.rows("{tap}")   or extract with:  '
            f"{option('pool', 'gap')}",
        )

    def _open(self, shards: Collection[int]) -> None:
        """Open the shards that are not yet, several at a time: hashing leaves Python's lock.

        Once each, though several threads may ask.
        """
        if all(shard in self._opened for shard in shards):
            return
        with _CHECKING:
            new = [shard for shard in shards if shard not in self._opened]
            with ThreadPoolExecutor(min(len(new), n_cores()) or 1) as pool:
                for shard, opened in zip(new, pool.map(self._checked, new), strict=True):
                    self._opened[shard] = opened

    def _checked(self, shard: int) -> CheckedShard:
        path = self.folder / self.places.names[shard]
        if not self.places.sha256[shard]:
            raise corrupt(path, "the catalog has rows of it, but not the shard")
        return CheckedShard(path, self.places.sha256[shard], self.spec.fingerprint())

    def _read(self, shard: int, tap: str, rows: Array, digests: Array) -> Kept:
        """Return rows of a shard that is open, which must be those of these payloads."""
        opened = self._opened[shard]
        is_there = (rows >= 0) & (rows < len(opened.digests))
        found = opened.digests[np.where(is_there, rows, 0)] if len(opened.digests) else digests
        is_own = is_there & (found == digests).all(axis=1)
        if not is_own.all():
            what = f"its row {rows[is_own.argmin()]} is not what the catalog says"
            raise corrupt(opened.path, what)
        return opened.rows(tap, rows)

    def _missing(self, digest: Array) -> StoreError:
        return StoreError(
            f'The features of an item of "{self.name}" are not in the store.',
            f"The catalog has no row for its payload, {digest.tobytes().hex()[:16]}…",
            "An extraction that has ended since.",
            "Repeat the extraction; only what is missing is computed.",
        )


def _fixed(values: list[Any]) -> Array:
    """Return a column that can't be written to."""
    column = np.array(values, dtype=object)
    column.flags.writeable = False
    return column


def digest_rows(fields: Mapping[str, Any]) -> Array:
    """Return the payload digests of a view's items, uint8 (n_items, 32)."""
    try:
        digests = bytes.fromhex("".join(row[1] for row in fields["items"]))
        return np.frombuffer(digests, np.uint8).reshape(len(fields["items"]), 32)
    except (TypeError, ValueError, LookupError) as error:
        raise StoreCorrupt(
            f'The list of items of "{fields.get("name")}" is not what was written.',
            f"In it: {error}.",
            "Only what was written is used.",
            "Extract again; only what is missing is computed.",
        ) from error
