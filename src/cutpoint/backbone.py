"""A pretrained network used as it is."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from cutpoint.arguments import check_choice
from cutpoint.errors import TapNotFound, UsageError, WeightsError
from cutpoint.layer_table import AUTO, Layer, LayerTable
from cutpoint.pooling import pools_of
from cutpoint.runtimes.threads import one_thread
from cutpoint.spec import (
    DECODES,
    PRECISIONS,
    ArraySpec,
    BackboneSpec,
    FeatureSpec,
    Preprocess,
    PreprocessSpec,
    TapSpec,
)
from cutpoint.text import printable
from cutpoint.types import Array, Batch, Cut, Framework

STORAGES = (AUTO, "fp32", "fp16")


@dataclass(frozen=True)
class LoadOptions:
    """What a user says beside a backbone's name; every source is given it.

    Attributes
    ----------
    preprocess : str, PreprocessSpec, ArraySpec or None
        How the weights were fed in training: a recipe's name, a JSON file, a spec. Goes before
        what the source knows; where it knows nothing, it is required.
    trust_weights : bool
        Whether formats that can run code may be loaded.
    build : callable or None
        Returns the network a state dict belongs to.
    """

    preprocess: str | Preprocess | None = None
    trust_weights: bool = False
    build: Callable[[], Any] | None = None


class Backbone:
    """A network, where its weights come from, and how it is fed.

    Parameters
    ----------
    spec : BackboneSpec
    build : callable
        Returns the network with its weights loaded. Called when first needed, once.
    framework : callable
        Returns the framework that lists and cuts it, such as ``cutpoint.frameworks.torch``.
    load_name : str, optional
        What to type to load it again, where that is more than ``source:name``: a path.
    current_sha256 : callable, optional
        Returns the digest of the weights as they are now, where others can change them.
    source_accuracy : float, optional
        ImageNet top-1 accuracy, 0–1, where the weights state it.
    """

    def __init__(
        self,
        spec: BackboneSpec,
        build: Callable[[], Any],
        framework: Callable[[], Framework],
        load_name: str = "",
        current_sha256: Callable[[], str] | None = None,
        source_accuracy: float | None = None,
    ) -> None:
        self.spec = spec
        self.source_accuracy = source_accuracy
        self.load_name = load_name or spec.id
        self._build = build
        self._load_framework = framework
        self._current_sha256 = current_sha256

    def __repr__(self) -> str:
        return f'Backbone("{self.spec.id}", {self.spec.modality})'

    def decoding(self, decode: str) -> Backbone:
        """Return the same backbone, fed with photos that are decoded so.

        Parameters
        ----------
        decode : {"exact", "scaled"}
            See `PreprocessSpec.decode`.

        Raises
        ------
        UsageError
            If there is no such way to decode, or its items are no photos.
        """
        preprocess = self.spec.preprocess
        check_choice("decode", decode, DECODES, "scaled")
        if not isinstance(preprocess, PreprocessSpec):
            raise UsageError(
                f'Photos decoded "{decode}" were asked for.',
                f"Items of backbone {self.spec.id} are arrays; nothing is decoded.",
                "A backbone of images.",
                "Leave --decode away",
            )
        found = copy.copy(self)
        found.spec = replace(self.spec, preprocess=replace(preprocess, decode=decode))
        return found

    @cached_property
    def network(self) -> Any:
        """The framework's own object, weights loaded."""
        return self._build()

    @cached_property
    def _framework(self) -> Framework:
        return self._load_framework()

    @cached_property
    def _table(self) -> LayerTable:
        network, framework = self.network, self._framework
        with one_thread():
            return framework.list_layers(network, self.spec.preprocess, self.load_name)

    def layers(self) -> LayerTable:
        """Return all layers: index, name, kind, shape, stride, parameters, MACs to here."""
        return self._table

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return one layer, by name or by index (negative ones count from the end).

        Raises
        ------
        UsageError
            If both or neither are given.
        TapNotFound
            If there is no such layer; the nearest names are listed.
        """
        return self._table.get(name, index)

    def cut(self, *taps: str | int, pool: str | Sequence[str] = "auto") -> Cut:
        """Return the network truncated after the deepest tap, pools inside.

        Parameters
        ----------
        *taps : str or int
            Names, indices, or globs such as ``"blocks.[56].*"``; ``"auto"``, what is taken without
            any, and ``"inner"``: see `LayerTable.auto_taps` and `LayerTable.inner_taps`.
        pool : str or sequence of str
            ``gap``, ``gmp``, ``gem(p)``, ``cls``, ``gram``, ``none`` and others; several give
            several features a tap. ``auto`` is gap and gmp for maps, cls and gap for tokens.
        """
        chosen = self.tap_specs(taps or AUTO, (pool,) if isinstance(pool, str) else pool)
        return self.cut_at(chosen)

    def cut_at(self, taps: Sequence[TapSpec]) -> Cut:
        """Return the network cut at exact taps."""
        self._refuse_changed()
        self._refuse_padding()
        for tap in taps:
            (layer,) = self._table.select(tap.layer)
            pools_of(layer, tap.pool)
        with one_thread():
            return self._framework.make_cut(self.network, self.spec, taps, self._table)

    def symbolic(self, tap: str | int) -> Any:
        """Return what ends at `tap` and a new head can be connected to.

        In Keras a ``keras.KerasTensor`` of the network's own graph, in PyTorch an ``nn.Module``
        that takes what the network takes and returns the activation; both share the network's
        weights, so that training the whole reaches them.

        Raises
        ------
        UsageError
            If the framework is neither.
        """
        layers = self._table.select(tap)
        if len(layers) != 1:
            raise TapNotFound(
                f'One layer "{tap}" of backbone {self.spec.id} was asked for.',
                f"{len(layers)} layers match.",
                "A name or an index.",
                f'Type, for example:  backbone.symbolic("{layers[-1].name}")',
            )
        (layer,) = layers
        return self._framework.symbolic(self.network, layer, self.spec.preprocess)

    def pyramid(self, strides: Sequence[int] = (4, 8, 16, 32)) -> Pyramid:
        """Return the deepest map of each stride, as feature pyramids take them.

        Raises
        ------
        TapNotFound
            If the network has no map of a stride; those it has are listed.
        """
        found = {row.stride: row for row in self._table.maps() if row.stride is not None}
        for stride in strides or (0,):
            if stride not in found:
                raise TapNotFound(
                    f"A map of stride {stride} of backbone {self.spec.id} was asked for.",
                    "It has none.",
                    f"Strides: {', '.join(map(str, sorted(found)))}.",
                    f"Type, for example:  backbone.pyramid(strides={tuple(sorted(found))})",
                )
        levels = tuple(found[stride] for stride in strides)
        names = sorted({level.name for level in levels}, key=lambda name: self._table[name].index)
        return Pyramid(levels, self.cut_at([TapSpec(name, "none") for name in names]))

    def tap_specs(
        self, taps: Sequence[str | int] | str, pools: Sequence[str]
    ) -> tuple[TapSpec, ...]:
        """Return every chosen layer with every pool, in execution order."""
        layers = self._table.select(*([taps] if isinstance(taps, str | int) else taps))
        if not layers or not pools:
            raise UsageError(
                f"Taps of backbone {self.spec.id} were asked for.",
                f"Got {len(layers)} layers and {len(pools)} pools.",
                "One layer and one pool at least.",
                'Type, for example:  backbone.cut(-1, pool="gap")',
            )
        return tuple(
            TapSpec(layer.name, pool)
            for layer in layers
            # Sorted, as the order in which pools are named is no part of a spec.
            for pool in sorted({each for text in pools for each in pools_of(layer, text)})
        )

    def feature_spec(
        self,
        taps: Sequence[str | int] | str = AUTO,
        pools: Sequence[str] = (AUTO,),
        storage: str = AUTO,
        precision: str = "fp32",
    ) -> FeatureSpec:
        """Return the spec of what `cutpoint.extract` would compute.

        Parameters
        ----------
        taps, pools
            As in `tap_specs`.
        precision : {"fp32", "bf16", "fp16", "int8"}
            What the network computes in. The spec of int8 is completed by the data it is run on.

        Raises
        ------
        UsageError
            If features can't be stored so, or there is no such precision.
        WeightsError
            If the network was changed since it was loaded.
        """
        check_choice("storage", storage, STORAGES, "fp32")
        check_choice("precision", precision, PRECISIONS, "bf16")
        self._refuse_changed()
        return FeatureSpec(self.spec, self.tap_specs(taps, pools), precision, storage)

    def _refuse_padding(self) -> None:
        """Raise `UsageError` if items are padded and cuts of this framework would count that."""
        preprocess = self.spec.preprocess
        pad_id = preprocess.pad_id if isinstance(preprocess, ArraySpec) else None
        if pad_id is not None and not getattr(self._framework, "MASKS_PADDING", False):
            raise UsageError(
                f'A cut of backbone "{self.spec.id}" was asked for, without padding (id {pad_id}).',
                "Its framework's networks are given no attention mask.",
                "A network of PyTorch; or all tokens counted, as pad_id=None says.",
                f'To count all:  preprocess=ArraySpec({preprocess.array_shape}, "int64")',
            )

    def _refuse_changed(self) -> None:
        """Raise `WeightsError` if the spec no longer tells the network's weights."""
        if self._current_sha256 and self._current_sha256() != self.spec.weights_sha256:
            raise WeightsError(
                f'Features of backbone "{self.spec.id}" were asked for.',
                "Its network was changed after it was loaded, by training or otherwise.",
                "A backbone of the network as it is now: features are kept by its weights' digest.",
                "Load it anew with:  backbone = cp.load(network, preprocess=…)",
            )


@dataclass(frozen=True)
class Pyramid:
    """Maps of falling resolution from one pass.

    Attributes
    ----------
    levels : tuple of Layer
        One a stride, in the order asked for; each knows its stride, channels and layout.
    cut : Cut
        Gives all of them.
    """

    levels: tuple[Layer, ...]
    cut: Cut

    @property
    def channels(self) -> tuple[int | None, ...]:
        return tuple(level.channels for level in self.levels)

    @property
    def strides(self) -> tuple[int | None, ...]:
        return tuple(level.stride for level in self.levels)

    def __call__(self, batch: Batch) -> list[Array]:
        """Return the maps of a prepared batch, each ``(n_items, …)`` in its level's layout."""
        found = self.cut(batch)
        return [found[f"{level.name}/none"] for level in self.levels]

    def __str__(self) -> str:
        return "\n".join(
            f"stride {row.stride:>3}  {row.shape_text:<12}  {row.layout}  {printable(row.name)}"
            for row in self.levels
        )
