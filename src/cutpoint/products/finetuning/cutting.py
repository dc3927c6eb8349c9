"""A network cut for training: what lies above, checked; what lies below, stored once a view."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cutpoint.base.contracts import ACTIVATION, Suffix
from cutpoint.base.errors import BadItem, CutNotSeparable, DataError, UsageError
from cutpoint.base.progress import Reporter
from cutpoint.base.spec import FeatureSpec, Preprocess, TapSpec
from cutpoint.base.tongue import option
from cutpoint.base.types import Array, Batch, Prepared, stacked
from cutpoint.features.extraction import ExtractOptions, extract_features
from cutpoint.features.extraction.unit import prepare
from cutpoint.features.store import Features, FeatureStore
from cutpoint.items.kinds import viewed
from cutpoint.items.reading import Dataset, Item
from cutpoint.learning.finetune import (
    Blocks,
    FreshRows,
    Rows,
    StoredRows,
    Unfrozen,
    unfrozen,
)
from cutpoint.networks.backbone import Backbone
from cutpoint.networks.runtimes.threads import one_thread
from cutpoint.products.finetuning.options import FinetuneOptions

TOLERANCE = 1e-5
_N_FRESH = 2**20  # views of photos that are drawn anew; hardly one comes twice


@dataclass(frozen=True)
class CutNetwork:
    """A network in two parts.

    Attributes
    ----------
    backbone : Backbone
        Frozen.
    unfrozen : Unfrozen
    cut : str
        Empty: nothing lies below.
    suffix : Suffix
    below : tuple of TapSpec
        Taps that no training reaches: constants.
    blocks : dict of parameter → block
        In the order from the input up.
    """

    backbone: Backbone
    unfrozen: Unfrozen
    cut: str
    suffix: Suffix
    below: tuple[TapSpec, ...]
    blocks: dict[str, str]

    @property
    def trainable(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.unfrozen.trainable)

    @property
    def n_trainable(self) -> int:
        return sum(each.size for each in self.unfrozen.trainable)

    def stored_taps(self, revision: int) -> tuple[TapSpec, ...]:
        """Return what is extracted below the cut, shallow to deep."""
        table = self.backbone.layers()
        found = {*self.below, TapSpec(self.cut, "none", revision)}
        return tuple(sorted(found, key=lambda tap: (table[tap.layer].index, tap.pool)))


def cut_for(backbone: Backbone, taps: Sequence[TapSpec], options: FinetuneOptions) -> CutNetwork:
    """Return the network cut where nothing that is trained lies below.

    Raises
    ------
    UsageError
        If the framework trains nothing, or nothing is unfrozen that reaches a tap.
    """
    table, trains = backbone.layers(), backbone.trained_by
    network = backbone.held_network()
    end = max((tap.layer for tap in taps), key=lambda layer: table[layer].index)
    known, blocks = trains.parameters(network, table), Blocks(table, table[end].index)
    chosen = unfrozen(options.unfreeze, known, table, end, backbone.spec.id)
    with one_thread():
        cut = trains.crossing(network, backbone.spec, table, chosen.cuts(table, blocks))
        index = table[cut].index if cut else -1
        above = tuple(tap for tap in taps if table[tap.layer].index > index)
        suffix = trains.make_suffix(network, backbone.spec, above, cut, table)
    reached = {each.name for each in suffix.parameters}
    trained = tuple(each for each in chosen.trainable if each.name in reached)
    if not trained:
        raise UsageError(
            f'"{options.unfreeze}" changes nothing that the head sees.',
            f"The features are read at {', '.join(tap.name for tap in taps)}.",
            "Something before the deepest of them.",
            f"Type, for example:  {option('unfreeze', 'last:1')}",
        )
    by_block = {each.name: blocks.of(each.layer) for each in trained}
    below = tuple(tap for tap in taps if tap not in above)
    return CutNetwork(backbone, replace(chosen, trainable=trained), cut, suffix, below, by_block)


def check_cut(made: CutNetwork, items: Sequence[Item]) -> None:
    """Raise `CutNotSeparable` unless both parts give what the whole network gives, on two items."""
    preprocess = made.backbone.spec.preprocess
    batch = _first_batch(items, preprocess)
    if batch is None:
        return
    whole = made.backbone.cut_at(made.suffix.taps)(batch)
    given: dict[str, Array] = dict(batch)
    if made.cut:
        masks = {n: x for n, x in batch.items() if preprocess.inputs[n].mask_of}
        name = f"{made.cut}/none"
        activation = made.backbone.cut_at([TapSpec.from_name(name)])(batch)[name]
        given = {**masks, ACTIVATION: activation}
    with one_thread():
        found = made.suffix(given)
    for name, expected in whole.items():
        error = float(np.abs(found[name] - expected).max() / max(np.abs(expected).max(), 1e-12))
        if not error <= TOLERANCE:
            raise CutNotSeparable(
                f'The network of "{made.backbone.spec.id}" does not survive the cut at '
                f'"{made.cut}".',
                f"{name} differs by {error:.1e} relative from the whole network's, on two items.",
                f"At most {TOLERANCE:g}: a layer whose output is all that passes on.",
                f"Type, for example:  {option('unfreeze', 'last:1')}",
            )


def _first_batch(items: Sequence[Item], preprocess: Preprocess) -> Batch | None:
    found: list[Prepared] = []
    for item in items:
        try:
            each = prepare(item, preprocess)[0]
        except BadItem:
            continue
        if not found or all(each[name].shape == found[0][name].shape for name in each):
            found.append(each)
        if len(found) == 2:
            break
    return stacked(found) if found else None


def rows_of(
    made: CutNetwork,
    dataset: Dataset,
    features: Features,
    options: FinetuneOptions,
    revision: int,
    reporter: Reporter,
) -> tuple[Rows, Array, str]:
    """Return what is trained on, which rows of `features` they are, and what to say of it.

    Each view is extracted by the ready engine and kept in the store under an id of its own.
    """
    if not made.cut:
        return _fresh(made, dataset, features, options)
    _refuse_large(made, dataset, options)
    store = FeatureStore(options.request.store)
    how = replace(options.request.how, is_sample=True)
    taps = made.stored_taps(revision)
    several = []
    for number in range(options.views):
        preprocess = viewed(made.backbone.spec.preprocess, number, options.request.seed)
        seen = made.backbone.fed(preprocess)
        spec = FeatureSpec(seen.spec, taps, "fp32", options.request.storage)
        several.append(_extracted(dataset, seen, spec, store, how, reporter))
    kept = [
        row for row, key in enumerate(features.keys) if all(key in places for _, places in several)
    ]
    if not kept:
        raise DataError(
            f'No item of "{dataset.name}" is left to train on.',
            f"The {options.views} views of one item could not be stored for any.",
            "Items whose activations can be kept.",
            f"Type, for example:  {option('storage', 'fp32')}",
        )
    keys = [features.keys[row] for row in kept]
    views = [_arrays(made, found, np.array([places[k] for k in keys])) for found, places in several]
    masks = tuple(n for n, each in made.backbone.spec.preprocess.inputs.items() if each.mask_of)
    if masks and not isinstance(views[0][ACTIVATION], list):
        views = [{**view, **_masks(masks, dataset, keys, made)} for view in views]
    rows = StoredRows(views, masks)
    said = (
        f"Stored at {made.cut}: {len(keys)} items in {options.views} views, "
        f"{rows.n_bytes / 1e6:.1f} MB"
    )
    return rows, np.array(kept), said


def _extracted(
    dataset: Dataset,
    backbone: Backbone,
    spec: FeatureSpec,
    store: FeatureStore,
    how: ExtractOptions,
    reporter: Reporter,
) -> tuple[Features, dict[str, int]]:
    found = extract_features(dataset, backbone, spec, store, how, reporter).features
    return found, {key: row for row, key in enumerate(found.keys)}


def _arrays(made: CutNetwork, found: Features, rows: Array) -> dict[str, Array | list[Array]]:
    name = f"{made.cut}/none"
    ragged = found.is_ragged(name)
    activation = found.rows(name, rows) if ragged else found.X(name, rows)
    return {ACTIVATION: activation, **{tap.name: found.X(tap.name, rows) for tap in made.below}}


def _masks(
    names: tuple[str, ...], dataset: Dataset, keys: Sequence[str], made: CutNetwork
) -> dict[str, Array]:
    """Return the masks of items of one length, which are no features and so not stored."""
    items = {item.key: item for item in dataset.items}
    each = [prepare(items[key], made.backbone.spec.preprocess)[0] for key in keys]
    return {name: np.stack([one[name] for one in each]) for name in names}


def _fresh(
    made: CutNetwork, dataset: Dataset, features: Features, options: FinetuneOptions
) -> tuple[Rows, Array, str]:
    items = {item.key: item for item in dataset.items}
    ordered = [items[key] for key in features.keys]
    n_views = 1 if options.views == 1 else _N_FRESH
    preprocess = made.backbone.spec.preprocess
    viewed(preprocess, 1 if n_views > 1 else 0, 0)  # refused now, if there are no views
    rows = FreshRows(ordered, preprocess, n_views, options.request.seed)
    said = "Nothing is stored: items are prepared anew in every epoch"
    return rows, np.arange(len(features)), said


def stored_bytes(made: CutNetwork, n_items: int, options: FinetuneOptions) -> int:
    """Return what the activations take, of layers whose size is known; 0 without a cut."""
    if not made.cut:
        return 0
    shape = made.backbone.layers()[made.cut].shape[1:]
    width = 4 if options.request.storage == "fp32" else 2
    return math.prod(size or 32 for size in shape) * width * n_items * options.views


def _refuse_large(made: CutNetwork, dataset: Dataset, options: FinetuneOptions) -> None:
    needed = stored_bytes(made, len(dataset), options)
    if needed > options.store_limit_bytes:
        raise UsageError(
            f"The activations at {made.cut} would take {needed / 1e9:.1f} GB in the store.",
            f"{len(dataset)} items in {options.views} views; the limit is "
            f"{options.store_limit_bytes / 1e9:.1f} GB.",
            "Fewer views, less unfrozen, or a higher limit.",
            f"Type, for example:  {option('views', 1)}",
        )
