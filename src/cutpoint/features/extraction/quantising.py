"""Training items by which a network is quantised or compared, and its quantised form in a store."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from cutpoint.base.contracts import Cut
from cutpoint.base.errors import BadItem, DataError, StoreCorrupt, StoreError
from cutpoint.base.progress import Reporter
from cutpoint.base.spec import FeatureSpec, TapSpec
from cutpoint.base.tongue import option
from cutpoint.base.types import Prepared
from cutpoint.features.extraction.unit import prepare
from cutpoint.features.store import FeatureStore
from cutpoint.features.store.store import NETWORKS, network_name
from cutpoint.items.reading import Dataset, Item, digest_payload, read_payload
from cutpoint.networks.backbone import Backbone
from cutpoint.networks.engines import QuantisedCut, quantise, truncate
from cutpoint.networks.runtimes.threads import one_thread

N_CALIBRATION = 128  # items that set the scales; NNCF's own default is 300


def shuffled_training_items(dataset: Dataset) -> tuple[Item, ...]:
    """Return the training items, all if the data has no splits, in an order drawn by their keys."""
    has_splits = any(item.split is not None for item in dataset.items)
    found = [item for item in dataset.items if not has_splits or item.split == "train"]
    return tuple(sorted(found, key=_rank))


def quantised_spec(
    dataset: Dataset,
    backbone: Backbone,
    spec: FeatureSpec,
    store: FeatureStore,
    reporter: Reporter,
) -> FeatureSpec:
    """Return an int8 spec with its calibration; its network lies in the store then.

    The scales are set by training items alone. Their digest is part of the spec, and its one
    network is kept beside its features: rows of two networks can't meet under one id. So a damaged
    network is made again and taken only if it is the same to the bit; one that is gone, though
    its features are there, is not made again: no name says which it was.

    Raises
    ------
    DataError
        If there is no training item that can be used.
    """
    items, digests = calibration_items(dataset)
    known = "".join(sorted(digests))
    found = replace(spec, calibration=hashlib.sha256(known.encode()).hexdigest())
    spec_id = found.fingerprint()
    with store.writing(found, lambda: reporter.say(f"Waiting: {store.path} has a writer already")):
        if _is_to_be_made(store, spec_id):
            reporter.say(f"Quantise the network by {len(items)} training items")
            arrays = _prepared(items, spec, dataset)
            with one_thread():
                network = quantise(backbone.cut_at(spec.taps), arrays)
            damaged = [path.name for path in store.networks(spec_id)]
            if damaged in ([], [network_name(network)]):  # else `cut_of` says what is wrong
                store.add_network(spec_id, network)
    return found


def cut_of(
    backbone: Backbone,
    spec: FeatureSpec,
    store: FeatureStore,
    taps: Sequence[TapSpec] | None = None,
) -> Cut:
    """Return the cut that gives the features of a spec, or of some of its taps.

    For int8 it is the one network in the store.

    Raises
    ------
    StoreError
        If that network is not there, or damaged.
    """
    chosen = spec.taps if taps is None else tuple(taps)
    network = network_of(spec, store, chosen)
    cut = backbone.cut_at(chosen)
    return QuantisedCut(cut, network) if network else cut


def network_of(spec: FeatureSpec, store: FeatureStore, taps: Sequence[TapSpec]) -> bytes:
    """Return the network of an int8 spec, cut at some of its taps; empty of another precision.

    Raises
    ------
    StoreError
        If it is not in the store, or damaged.
    """
    if spec.precision != "int8":
        return b""
    network = store.network(spec.fingerprint())
    if network is None:
        raise _lost(store, spec.fingerprint())
    places = [spec.taps.index(tap) for tap in taps]
    return network if tuple(taps) == spec.taps else truncate(network, places)


def _is_to_be_made(store: FeatureStore, spec_id: str) -> bool:
    """Return whether a network is to be quantised: the first one, or a damaged one again."""
    files = store.networks(spec_id)
    if len(files) != 1:
        return not files and not store.places(spec_id)
    try:
        return store.network(spec_id) is None
    except StoreCorrupt:
        return True


def _rank(item: Item) -> str:
    return hashlib.sha256(item.key.encode(errors="surrogatepass")).hexdigest()


def calibration_items(dataset: Dataset) -> tuple[list[Item], list[str]]:
    """Return the first training items that can be read, and their payloads' digests."""
    found: list[Item] = []
    digests: list[str] = []
    for item in shuffled_training_items(dataset):
        if len(found) == N_CALIBRATION:
            break
        try:
            digests.append(digest_payload(read_payload(item), dataset.kind))
        except BadItem:
            continue
        found.append(item)
    return found, digests


def _prepared(items: Sequence[Item], spec: FeatureSpec, dataset: Dataset) -> list[Prepared]:
    """Return what of `items` can be prepared."""
    found = []
    for item in items:
        try:
            found.append(prepare(item, spec.backbone.preprocess)[0])
        except BadItem:  # counted where all items are computed
            continue
    if not found:
        raise DataError(
            f'None of {len(items)} training items of "{dataset.name}" can set the scales of int8.',
            f"It has {len(dataset)} items in all.",
            "Items of split train, or data without splits; test items set no scale.",
            f"Leave out {option('precision')}, or look at the splits in the data",
        )
    return found


def _lost(store: FeatureStore, spec_id: str) -> StoreError:
    return StoreError(
        f'"{store.path}" lacks the int8 network of its features.',
        "Another would give other numbers.",
        f"The file that belongs in {store.path / NETWORKS / spec_id}, or a new store.",
        f"Name another with:  {option('store', 'FOLDER')}",
    )
