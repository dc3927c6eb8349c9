"""A folder of features: shards, catalog, data set views, locks."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from cutpoint.data import Dataset
from cutpoint.errors import StoreCorrupt, StoreError, UsageError
from cutpoint.spec import FeatureSpec, canonical_json
from cutpoint.store.catalog import Catalog, EngineRecord, Place, Remark, ShardRow
from cutpoint.store.features import Features
from cutpoint.store.shard import (
    TMP_SUFFIX,
    Receipt,
    check_shard,
    corrupt,
    read_header,
    write_durably,
)

VIEW_FORMAT = 1
NETWORKS = "networks"


class FeatureStore:
    """One feature store.

    Parameters
    ----------
    path : path
        A folder. Nothing is made or written until something is stored.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.catalog = Catalog(self.path / "catalog.sqlite")

    # -- reading ---------------------------------------------------------------------------

    def places(self, spec_id: str) -> dict[str, Place]:
        """Return payload digest → place of its features."""
        return self.catalog.places(spec_id) if self.catalog.exists() else {}

    def remarks(self, spec_id: str) -> list[Remark]:
        """Return (payload digest, kind, text) of what earlier runs noticed."""
        return self.catalog.remarks(spec_id) if self.catalog.exists() else []

    def damaged(self, spec_id: str) -> list[str]:
        """Return the names of this spec's shards that are missing or not as committed: I4.

        A shard is damaged, too, if the catalog's rows are not those of its own header.
        """
        if not self.catalog.exists():
            return []
        shards = self.catalog.shards(spec_id)
        wrong = self.what_is_wrong(shards, self.places(spec_id))
        return sorted(wrong)

    def what_is_wrong(
        self, shards: Sequence[ShardRow], places: Mapping[str, Place]
    ) -> dict[str, str]:
        """Return why shards can't be used, by name; those not named are whole.

        Parameters
        ----------
        shards : sequence of ShardRow
            All of one spec.
        places : mapping of payload digest → place
            What the catalog says of all rows of that spec.
        """
        claimed: dict[str, dict[int, str]] = defaultdict(dict)
        for digest, place in places.items():
            claimed[place.shard][place.row] = digest
        found = {row.name: self._damage(row, claimed.pop(row.name, {}), places) for row in shards}
        found |= dict.fromkeys(claimed, "The catalog has its rows only.")
        return {name: what for name, what in found.items() if what}

    def _damage(
        self, row: ShardRow, claimed: Mapping[int, str], places: Mapping[str, Place]
    ) -> str:
        """Return what is wrong with one shard, of which the catalog claims some rows."""
        path = self.shard_path(row.spec_id, row.name)
        try:
            check_shard(path, row.sha256)
            _, digests = read_header(path)
        except StoreCorrupt as error:
            return error.got
        own = dict(enumerate(digests))
        if not claimed.items() <= own.items() or any(d not in places for d in digests):
            return "The catalog's rows are not those of the shard."
        return ""

    def shard_path(self, spec_id: str, name: str) -> Path:
        return self.shard_folder(spec_id) / name

    def shard_folder(self, spec_id: str) -> Path:
        return self.path / "shards" / spec_id

    def views(self) -> list[Path]:
        """Return the data set views, the newest last."""
        found = (self.path / "views").glob("*.json")
        return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))

    def exists(self) -> bool:
        return self.catalog.exists() or any(self.path.glob("shards/*/*.safetensors"))

    def require(self) -> None:
        """Raise `UsageError` unless a store is there."""
        if not self.exists():
            raise UsageError(
                f'The features in "{self.path}" were asked for.',
                "There is no feature store.",
                "A folder made by `cutpoint extract` or `cutpoint fit --store`.",
                f"Make one with:  cutpoint extract DATA BACKBONE -o {self.path}",
            )

    def open(self, view: Path | None = None) -> Features:
        """Return the features of the newest data set, or of `view`."""
        self.require()
        views = self.views()
        if view is None and not views:
            raise UsageError(
                f'The features in "{self.path}" were asked for.',
                "No extraction into this store has ended yet.",
                "A store whose extraction has ended at least once.",
                "Repeat the extraction; what is there already is not computed again.",
            )
        return self.features_of(read_view(view or views[-1]))

    def features_of(self, fields: Mapping[str, Any]) -> Features:
        """Return the features of a data set that is described as a view is."""
        spec = FeatureSpec.from_json(fields["spec"])
        shards = {row.name: row.sha256 for row in self.catalog.shards(spec.fingerprint())}
        return Features(
            spec=spec,
            fields=fields,
            places=self.places(spec.fingerprint()),
            shards=shards,
            folder=self.shard_folder(spec.fingerprint()),
        )

    def network(self, spec_id: str) -> bytes | None:
        """Return the quantised network that gives the features of a spec; None if none is kept.

        Raises
        ------
        StoreCorrupt
            If it is damaged, or not alone.
        """
        found = self.networks(spec_id)
        if len(found) > 1:
            raise StoreCorrupt(
                f'The network in "{found[0].parent}" was to be read.',
                f"{len(found)} are there, of which one gave the features.",
                "That one alone.",
                f"Move the other away, or look with:  cutpoint store verify {self.path}",
            )
        return read_network(found[0]) if found else None

    def networks(self, spec_id: str = "*") -> list[Path]:
        """Return the files of quantised networks, of one spec or of all."""
        return sorted((self.path / NETWORKS).glob(f"{spec_id}/*.safetensors"))

    # -- writing ---------------------------------------------------------------------------

    @contextmanager
    def writing(self, spec: FeatureSpec, on_wait: Callable[[], None]) -> Iterator[None]:
        """Hold the one writer's place for `spec`; `on_wait` is called if another has it: I6.

        The lock is the operating system's and falls with the process, however it ends.
        """
        spec_id = spec.fingerprint()
        lock = self._lock(spec_id, on_wait)
        try:
            self._sweep(spec_id)
            self.catalog.add_spec(spec)
            yield
        finally:
            lock.release()

    def commit(self, receipt: Receipt) -> None:
        self.catalog.commit(receipt)

    def drop_damaged(self, spec_id: str) -> list[str]:
        """Forget damaged shards, so that their payloads are computed again; return their names."""
        names = self.damaged(spec_id)
        if names:
            self.catalog.drop(spec_id, names)
            for name in names:
                self.shard_path(spec_id, name).unlink(missing_ok=True)
        return names

    def save_view(
        self,
        spec: FeatureSpec,
        dataset: Dataset,
        digests: dict[str, str],
        facts: Mapping[str, Any] | None = None,
    ) -> Path:
        """Write which items, with which labels, make up `dataset`; return the file.

        `facts` are further fields, as FORMAT.md names them.
        """
        text = canonical_json({**view_fields(spec, dataset, digests), **(facts or {})})
        name = hashlib.sha256(text.encode()).hexdigest()[:16]
        path = self.path / "views" / f"{name}.json"
        write_durably(path, text.encode(), scratch=self.shard_folder(spec.fingerprint()))
        return path

    def add_network(self, spec_id: str, network: bytes) -> None:
        """Keep the quantised network of a spec; its writer alone may."""
        path = self.path / NETWORKS / spec_id / network_name(network)
        write_durably(path, network, scratch=self.shard_folder(spec_id))

    def add_engine(self, spec_id: str, record: EngineRecord) -> None:
        self.catalog.add_engine(spec_id, record)

    def _lock(self, spec_id: str, on_wait: Callable[[], None]) -> FileLock:
        folder = self.path / "locks"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / f"{spec_id}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                on_wait()
                lock.acquire()
        except OSError as error:
            raise StoreError(
                f'The feature store "{self.path}" was to be written.',
                f"The disk answered: {error.strerror or error}.",
                "A folder this user may write to.",
                "Name another with:  --store FOLDER",
            ) from error
        return lock

    def _sweep(self, spec_id: str) -> None:
        """Remove what killed writers of this spec left half-written, views and networks too."""
        for path in self.shard_folder(spec_id).glob(f"*{TMP_SUFFIX}"):
            path.unlink(missing_ok=True)


def network_name(network: bytes) -> str:
    """Return the file name of a quantised network."""
    return f"{hashlib.sha256(network).hexdigest()[:32]}.safetensors"


def read_network(path: Path) -> bytes:
    """Return a quantised network, or raise `StoreCorrupt` if it is not what its name says: I4."""
    data = path.read_bytes()
    if network_name(data) != path.name:
        raise corrupt(path, f"its sha256 is {network_name(data)[:16]}…, not its name")
    return data


def read_view(path: Path) -> dict[str, Any]:
    """Return a view's fields, or raise `StoreCorrupt` if it is not what its name says: I4."""
    data = path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256[:16] != path.stem:
        raise corrupt(path, f"its sha256 is {sha256[:16]}…, not its name")
    fields: dict[str, Any] = json.loads(data)
    return fields


def view_fields(spec: FeatureSpec, dataset: Dataset, digests: dict[str, str]) -> dict[str, Any]:
    """Return a view as JSON fields: `dataset` without its payloads, with their digests."""
    kept = [item for item in dataset.items if item.key in digests]
    # A field younger than the format: left out of text, as before, so that no view is named anew.
    typed = {} if dataset.label_type == "str" else {"label_type": dataset.label_type}
    return {
        **typed,
        "format": VIEW_FORMAT,
        "spec": spec.to_json(),
        "name": dataset.name,
        "classes": list(dataset.classes),
        "quarantined": [list(row) for row in dataset.quarantined],
        "warnings": list(dataset.warnings),
        "items": [
            [item.key, digests[item.key], item.label, item.group, item.split] for item in kept
        ],
    }
