"""Check every byte of a store, and make its catalog again from the shards."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutpoint.errors import StoreCorrupt, StoreError
from cutpoint.spec import FeatureSpec
from cutpoint.store.shard import Receipt, read_header
from cutpoint.store.store import DataSet, FeatureStore, read_view


@dataclass(frozen=True)
class Report:
    """What `verify_store` found.

    `damaged` pairs a shard with what is wrong; `orphans` are whole files the catalog does not
    know: left by a run killed between writing and committing, and harmless. `remarks` are
    sentences about what a rebuilt catalog could not know.
    """

    n_shards: int
    n_rows: int
    n_bytes: int
    damaged: tuple[tuple[str, str], ...]
    orphans: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        return not self.damaged


def verify_store(store: FeatureStore) -> Report:
    """Compare shards with digests and rows, views and networks with names. Writes nothing."""
    shards = store.catalog.shards() if store.catalog.exists() else []
    damaged = []
    if _shard_files(store) and not store.catalog.exists():
        damaged.append((store.catalog.path.name, "It is missing; --rebuild makes it again."))
    for spec_id in sorted({row.spec_id for row in shards}):
        own = [row for row in shards if row.spec_id == spec_id]
        wrong = store.what_is_wrong(own, store.places(spec_id))
        damaged += [(f"{spec_id}/{name}", what) for name, what in wrong.items()]
    damaged += [(path.name, w) for path in store.views() if (w := _view_damage(store, path))]
    quantised = _int8_specs(store)
    damaged += [(f"networks/{s}", w) for s in quantised if (w := _network_damage(store, s))]
    known = {f"{row.spec_id}/{row.name}" for row in shards}
    present = {f"{path.parent.name}/{path.name}" for path in _shard_files(store)}
    return Report(
        n_shards=len(shards),
        n_rows=sum(row.n_rows for row in shards),
        n_bytes=sum(row.n_bytes for row in shards),
        damaged=tuple(damaged),
        orphans=tuple(sorted(present - known)),
    )


def _view_damage(store: FeatureStore, path: Path) -> str:
    try:
        fields = read_view(path)
    except StoreCorrupt as error:
        return error.got
    places = store.places(FeatureSpec.from_json(fields["spec"]).fingerprint())
    n_lost = sum(item[1] not in places for item in fields["items"])
    return f"{n_lost} of its items have no features; extract again." if n_lost else ""


def _int8_specs(store: FeatureStore) -> list[str]:
    """Return the ids of specs that have a quantised network, or rows of one."""
    texts = store.catalog.specs() if store.catalog.exists() else {}
    specs = {spec_id: FeatureSpec.from_json(json.loads(text)) for spec_id, text in texts.items()}
    known = {spec_id for spec_id, spec in specs.items() if spec.precision == "int8"}
    return sorted(known | {path.parent.name for path in store.networks()})


def _network_damage(store: FeatureStore, spec_id: str) -> str:
    try:
        is_gone = store.network(spec_id) is None and bool(store.places(spec_id))
    except StoreCorrupt as error:
        return error.got
    return "Its network is gone: rows can be read; more need a new store." if is_gone else ""


def describe_store(store: FeatureStore) -> dict[str, Any]:
    """Return what a store holds, in JSON types."""
    store.require()
    specs = []
    for spec_id, text in store.catalog.specs().items():
        spec = FeatureSpec.from_json(json.loads(text))
        shards = store.catalog.shards(spec_id)
        specs.append(
            {
                "spec_id": spec_id,
                "backbone": spec.backbone.id,
                "taps": [tap.name for tap in spec.taps],
                "precision": spec.precision,
                "decode": getattr(spec.backbone.preprocess, "decode", "exact"),
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


def rebuild_catalog(store: FeatureStore) -> Report:
    """Make the catalog again from the shards alone: I9. The old one is kept as ``*.old``.

    A shard is named by its digest, so a damaged one is known without the catalog; it is left
    where it is and not entered.
    """
    order, remarks = _order(store)
    old = store.catalog.path
    if old.exists():
        old.replace(old.with_suffix(".sqlite.old"))
    damaged = []
    for path in _shard_files(store):
        try:
            spec, receipt = _receipt(path)
        except StoreCorrupt as error:
            damaged.append((f"{path.parent.name}/{path.name}", error.got))
            continue
        store.catalog.add_spec(spec)
        store.catalog.commit(receipt)
    for each in order:
        store.catalog.add_view(each.view, each.name)
    report = verify_store(store)
    found = tuple(damaged) + report.damaged
    return Report(report.n_shards, report.n_rows, report.n_bytes, found, (), remarks)


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


def _shard_files(store: FeatureStore) -> list[Path]:
    return sorted((store.path / "shards").glob("*/*.safetensors"))


def _receipt(path: Path) -> tuple[FeatureSpec, Receipt]:
    data = path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    if path.stem != sha256[:32]:
        raise StoreCorrupt("", f"its sha256 is {sha256[:16]}…, not its name", "", "")
    header, digests = read_header(path)
    spec = FeatureSpec.from_json(header["spec"])
    name, engine = path.name, header["engine"]
    return spec, Receipt(spec.fingerprint(), name, sha256, len(data), digests, engine)
