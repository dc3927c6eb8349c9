"""Features as arrays, row by row beside their keys and labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cutpoint.data import Label, as_given
from cutpoint.errors import StoreError, TapNotFound
from cutpoint.runtimes.threads import n_cores
from cutpoint.spec import FeatureSpec
from cutpoint.store.catalog import Place
from cutpoint.store.halves import as_read
from cutpoint.store.shard import check_shard, corrupt, read_header, read_rows
from cutpoint.types import Array

_CHECKING = Lock()
CHUNK_ROWS = 1024  # some MB of vectors; of maps take fewer


@dataclass(frozen=True)
class Features:
    """The features of one data set under one spec.

    Row i of ``X(tap)``, ``keys[i]``, ``labels[i]``, ``groups[i]`` and ``splits[i]`` are the same
    item, in the order of the data set: I5. Shards are checked against their digest before their
    first use: I4.
    """

    spec: FeatureSpec
    fields: Mapping[str, Any]
    places: Mapping[str, Place]
    shards: Mapping[str, str]
    folder: Path
    _checked: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.fields["name"])

    @property
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

    @property
    def keys(self) -> Array:
        return self._column(0)

    @property
    def digests(self) -> Array:
        return self._column(1)

    @property
    def labels(self) -> Array:
        found = self._column(2)
        found[:] = [as_given(text, self.label_type) for text in found]
        return found

    @property
    def groups(self) -> Array:
        return self._column(3)

    @property
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
        """Return the row numbers of a split."""
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
        """
        if tap not in self.taps:
            raise TapNotFound(
                f'Features of tap "{tap}" were asked for.',
                "They were not extracted.",
                f"Extracted: {', '.join(self.taps)}.",
                f'Type, for example:  features.X("{self.taps[-1]}")',
            )
        digests = self.digests if rows is None else self.digests[rows]
        by_shard: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for row, digest in enumerate(digests):
            place = self._place(digest)
            by_shard[place.shard].append((row, place.row))
        self._check(by_shard)
        out: Array | None = None
        for shard, pairs in by_shard.items():
            stored, known = self._read(shard, tap)
            for row, source_row in pairs:
                if source_row >= len(known) or known[source_row] != digests[row]:
                    what = f"its row {source_row} is not what the catalog says"
                    raise corrupt(self.folder / shard, what)
            if out is None:
                out = np.empty((len(digests), *stored.shape[1:]), stored.dtype)
            to, source = np.array(pairs).T
            out[to] = stored[source]
        if out is None:
            return np.empty((0, 0), np.float32)
        return as_read(out)

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
        wanted = np.arange(len(self)) if rows is None else rows
        for start in range(0, len(wanted), n_rows):
            yield self.X(tap, wanted[start : start + n_rows])

    def _column(self, place: int) -> Array:
        return np.array([row[place] for row in self.fields["items"]], dtype=object)

    def _place(self, digest: str) -> Place:
        try:
            return self.places[digest]
        except KeyError as error:
            raise StoreError(
                f'The features of payload {digest[:16]}… of "{self.name}" were asked for.',
                "The catalog has no row for it.",
                "An extraction that has ended since.",
                "Repeat the extraction; only what is missing is computed.",
            ) from error

    def _read(self, shard: str, tap: str) -> tuple[Array, tuple[str, ...]]:
        """Return a tap of a shard, and the payload digests of its rows."""
        path = self.folder / shard
        return read_rows(path, self.spec.fingerprint(), tap), self._checked[shard]

    def _check(self, shards: Collection[str]) -> None:
        """Check the shards that were not yet, several at a time: digests leave Python's lock.

        Once each, though several threads may ask.
        """
        if all(shard in self._checked for shard in shards):
            return
        with _CHECKING:
            self._check_new([shard for shard in shards if shard not in self._checked])

    def _check_new(self, new: list[str]) -> None:
        with ThreadPoolExecutor(min(len(new), n_cores()) or 1) as pool:
            for shard, digests in zip(new, pool.map(self._checked_digests, new), strict=True):
                self._checked[shard] = digests

    def _checked_digests(self, shard: str) -> tuple[str, ...]:
        path = self.folder / shard
        if shard not in self.shards:
            raise corrupt(path, "the catalog has rows of it, but not the shard")
        check_shard(path, self.shards[shard])
        return read_header(path)[1]
