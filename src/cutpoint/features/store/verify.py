"""Check every byte of a store, mend it, and make its catalog again from the shards."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cutpoint.base.errors import StoreCorrupt, StoreError
from cutpoint.base.files import TMP_SUFFIX, sync_folder, told
from cutpoint.base.spec import FeatureSpec
from cutpoint.features.store.catalog import Catalog
from cutpoint.features.store.shard import read_json, read_receipt, read_spec
from cutpoint.features.store.store import DataSet, FeatureStore, read_view

Lines = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Report:
    """What `verify_store` found.

    Attributes
    ----------
    damaged : pairs of file and what is wrong with it
    unreadable : pairs of file and why it can't be read just now, which is no damage
    orphans : tuple of str
        Whole shards the catalog does not know, left by a run that was killed between writing and
        committing. The next extraction takes them in, and so does `mend_store`.
    remarks : tuple of str
        Sentences about what a rebuilt catalog could not know.
    """

    n_shards: int
    n_rows: int
    n_bytes: int
    damaged: Lines
    unreadable: Lines
    orphans: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        return not self.damaged and not self.unreadable


@dataclass
class _Faults:
    """What is wrong with which file."""

    damaged: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Note what is raised as a fault of the file `name`."""
        try:
            yield
        except StoreError as error:
            self.note(name, error)

    def note(self, name: str, error: StoreError) -> None:
        kind = self.damaged if isinstance(error, StoreCorrupt) else self.unreadable
        kind[name] = error.got


def verify_store(store: FeatureStore) -> Report:
    """Compare shards with digests and rows, views and networks with names. Writes nothing.

    Raises
    ------
    StoreError
        If the catalog itself can't be used.
    """
    faults, orphans, specs = _Faults(), [], {}
    shards = store.catalog.shards() if store.catalog.exists() else []
    if store.catalog.exists():
        store.catalog.check()
        specs = _specs(store, faults)
    elif store.shard_files():
        faults.damaged[store.catalog.path.name] = "It is missing; --rebuild makes it again."
    for spec_id in _spec_ids(store):
        for name, error in store.what_is_wrong(spec_id).items():
            faults.note(f"{spec_id}/{name}", error)
        for path in store.orphans(spec_id):
            with faults.of(f"{spec_id}/{path.name}"):
                read_receipt(path)
                orphans.append(f"{spec_id}/{path.name}")
    for each in store.data_sets():
        path = store.view_path(each.view)
        if not path.exists():
            what = f"The view of data set {each} is gone: extract it again; --rebuild forgets it."
            faults.damaged[path.name] = what
            continue
        with faults.of(path.name):
            _note_lost_items(store, path, faults)
    for spec_id in _int8_specs(store, specs):
        with faults.of(f"networks/{spec_id}"):
            _note_lost_network(store, spec_id, faults)
    return Report(
        n_shards=len(shards),
        n_rows=sum(row.n_rows for row in shards),
        n_bytes=sum(row.n_bytes for row in shards),
        damaged=tuple(faults.damaged.items()),
        unreadable=tuple(faults.unreadable.items()),
        orphans=tuple(orphans),
    )


def _spec_ids(store: FeatureStore) -> list[str]:
    """Return the specs that the catalog or a folder of shards names."""
    known = {row.spec_id for row in store.catalog.shards()} if store.catalog.exists() else set()
    return sorted(known | {path.parent.name for path in store.shard_files()})


def _specs(store: FeatureStore, faults: _Faults) -> dict[str, FeatureSpec]:
    """Return the specs in the catalog, by id; those that are none are noted."""
    found = {}
    for spec_id, text in store.catalog.specs().items():
        with faults.of(store.catalog.path.name):
            found[spec_id] = _spec(store, spec_id, text)
    return found


def _spec(store: FeatureStore, spec_id: str, text: str) -> FeatureSpec:
    """Return the spec in a row of the catalog; raise `StoreCorrupt` if it is not that of its id."""
    path = store.catalog.path
    try:
        spec = read_spec(path, {"spec": read_json(path, text)})
    except StoreCorrupt as error:
        raise store.catalog.damaged(f"spec {spec_id}: {error.got}") from error
    if spec.fingerprint() != spec_id:
        raise store.catalog.damaged(f"under {spec_id} it has the spec {spec.fingerprint()}")
    return spec


def _note_lost_items(store: FeatureStore, path: Path, faults: _Faults) -> None:
    fields = read_view(path)
    places = store.places(FeatureSpec.from_json(fields["spec"]).fingerprint())
    n_lost = sum(item[1] not in places for item in fields["items"])
    if n_lost:
        faults.damaged[path.name] = f"{n_lost} of its items have no features; extract again."


def _int8_specs(store: FeatureStore, specs: dict[str, FeatureSpec]) -> list[str]:
    """Return the ids of specs that have a quantised network, or rows of one."""
    known = {spec_id for spec_id, spec in specs.items() if spec.precision == "int8"}
    return sorted(known | {path.parent.name for path in store.networks()})


def _note_lost_network(store: FeatureStore, spec_id: str, faults: _Faults) -> None:
    if store.network(spec_id) is None and store.places(spec_id):
        what = "Its network is gone: rows can be read; more need a new store."
        faults.damaged[f"networks/{spec_id}"] = what


def describe_store(store: FeatureStore) -> dict[str, Any]:
    """Return what a store holds, in JSON types."""
    store.require()
    specs = []
    known = store.catalog.specs() if store.catalog.exists() else {}
    for spec_id, text in known.items():
        spec = _spec(store, spec_id, text)
        shards = store.catalog.shards(spec_id)
        specs.append(
            {
                "spec_id": spec_id,
                "backbone": spec.backbone.id,
                "taps": [tap.name for tap in spec.taps],
                "precision": spec.precision,
                "decode": spec.backbone.preprocess.decode,
                "storage": spec.storage,
                "n_rows": sum(row.n_rows for row in shards),
                "n_shards": len(shards),
                "n_bytes": sum(row.n_bytes for row in shards),
                "engines": sorted({row.engine for row in shards}),
            }
        )
    views = []
    for path in store.views():
        try:
            fields = read_view(path)
        except StoreCorrupt:
            what = "damaged" if path.exists() else "gone"
            views.append({"view": path.stem, "name": what, "n_items": 0, "n_quarantined": 0})
            continue
        counts = {"n_items": len(fields["items"]), "n_quarantined": len(fields["quarantined"])}
        views.append({"view": path.stem, "name": fields["name"], **counts})
    return {"path": str(store.path), "specs": specs, "views": views}


def mend_store(store: FeatureStore, on_wait: Callable[[], None] = lambda: None) -> list[str]:
    """Do for all specs what each extraction does first for its own; return what was done.

    Raises
    ------
    StoreError
        If the catalog can't be used, or a file can't be read just now.
    """
    said = []
    for spec_id in _spec_ids(store):
        with store.lock(spec_id, on_wait):
            said += store.mend(spec_id)
    return said


def rebuild_catalog(store: FeatureStore, on_wait: Callable[[], None] = lambda: None) -> Report:
    """Make the catalog again from the shards alone: I9. The old one is kept in ``damaged``.

    A shard is named by its digest, so a damaged one is known without the catalog; it is left
    where it is and not entered.

    Raises
    ------
    StoreError
        If a shard can't be read just now, or the disk is full or read-only; the old catalog is
        still in its place then.
    """
    order, remarks = _order(store)
    catalog = store.catalog
    with ExitStack() as held:
        for spec_id in sorted({path.parent.name for path in store.shard_files()}):
            held.enter_context(store.lock(spec_id, on_wait))
        new = Catalog(catalog.path.with_name(f"{catalog.path.name}.{os.getpid()}{TMP_SUFFIX}"))
        try:
            new.fill(_whole_shards(store))
            for each in order:
                new.add_view(each.view, each.name)
            _keep_old(store)
            with told(catalog.path, "written"):
                os.replace(new.path, catalog.path)
                sync_folder(store.path)
        finally:
            for left in (new.path, new.journal):
                left.unlink(missing_ok=True)
    return replace(verify_store(store), remarks=remarks)


def _keep_old(store: FeatureStore) -> None:
    """Keep what is to be replaced under ``damaged``, and the catalog in its place until it is.

    No moment may be without a catalog, nor may a journal be left that SQLite would roll into the
    new one. So copies come first; then the old one is rolled back in place, by SQLite, which
    removes its journal; what is left of a journal then is of no use to any catalog.
    """
    catalog = store.catalog
    for stray in catalog.strays:
        store.move_aside(stray)
    old = [path for path in (catalog.journal, catalog.path) if os.path.lexists(path)]
    for path in old:
        if path.is_symlink() or not path.is_file():  # a folder, or a link, of no use in its place
            store.move_aside(path)
        else:
            store.copy_aside(path)
    if os.path.lexists(catalog.journal):
        if catalog.path.is_file():
            catalog.settle()
        with told(catalog.journal, "written"):
            catalog.journal.unlink(missing_ok=True)
            sync_folder(store.path)


def _order(store: FeatureStore) -> tuple[list[DataSet], tuple[str, ...]]:
    """Return the data sets that are there in the order the catalog to be replaced gives.

    Beside them, what it does not say.
    """
    try:
        known = store.data_sets()
    except StoreError:
        known = store.unnamed_data_sets()
    there = {path.stem for path in (store.path / "views").glob("*.json")}
    order = [each for each in known if each.view in there]
    remarks = [f"The view of data set {each} is gone" for each in known if each not in order]
    n_guessed = sum(not each.is_in_catalog for each in order)
    if len(order) > 1 and n_guessed:
        n_of = f"{n_guessed} of {len(order)}"
        remarks.append(f"The catalog did not name {n_of} data sets: their order is by time of file")
    return order, tuple(remarks)


def _whole_shards(store: FeatureStore) -> Iterator[Any]:
    for path in store.shard_files():
        try:
            yield read_receipt(path)
        except StoreCorrupt:
            continue  # verifying tells it
