"""A pretrained network used as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from cutpoint.layer_table import Layer, LayerTable
from cutpoint.pooling import canonical_pool
from cutpoint.spec import BackboneSpec, FeatureSpec, TapSpec
from cutpoint.types import Cut, Framework

AUTO = "auto"


class Backbone:
    """A network, where its weights come from, and how it is fed.

    Parameters
    ----------
    spec : BackboneSpec
    build : callable
        Returns the network with its weights loaded. Called when first needed, once.
    framework : callable
        Returns the framework that lists and cuts it, such as ``cutpoint.frameworks.torch``.
    """

    def __init__(
        self, spec: BackboneSpec, build: Callable[[], Any], framework: Callable[[], Framework]
    ) -> None:
        self.spec = spec
        self._build = build
        self._load_framework = framework

    def __repr__(self) -> str:
        return f'Backbone("{self.spec.id}", {self.spec.modality})'

    @cached_property
    def network(self) -> Any:
        """The framework's own object, weights loaded."""
        return self._build()

    @cached_property
    def _framework(self) -> Framework:
        return self._load_framework()

    @cached_property
    def _table(self) -> LayerTable:
        shape = self.spec.preprocess.array_shape
        return self._framework.list_layers(self.network, shape, self.spec.id)

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

    def cut(self, *taps: str | int, pool: str | Sequence[str] = "gap") -> Cut:
        """Return the network truncated after the deepest tap, pools inside.

        Parameters
        ----------
        *taps : str or int
            Names, indices, or globs such as ``"blocks.[56].*"``. Without any, `auto_taps`.
        pool : str or sequence of str
            ``gap``, ``gmp``, ``gem``, ``gem(p)`` or ``none``; several give several features a tap.
        """
        chosen = self.tap_specs(taps or AUTO, (pool,) if isinstance(pool, str) else pool)
        return self.cut_at(chosen)

    def cut_at(self, taps: Sequence[TapSpec]) -> Cut:
        """Return the network cut at exact taps."""
        for tap in taps:
            self._table.select(tap.layer)
        return self._framework.make_cut(self.network, self.spec, taps)

    def tap_specs(
        self, taps: Sequence[str | int] | str, pools: Sequence[str]
    ) -> tuple[TapSpec, ...]:
        """Return every chosen layer with every pool, in execution order."""
        if taps == AUTO:
            taps = self._table.auto_taps()
        layers = self._table.select(*([taps] if isinstance(taps, str) else taps))
        spelled = sorted({canonical_pool(pool) for pool in pools})  # order is no part of a spec
        return tuple(TapSpec(layer.name, pool) for layer in layers for pool in spelled)

    def feature_spec(
        self, taps: Sequence[str | int] | str = AUTO, pools: Sequence[str] = ("gap",)
    ) -> FeatureSpec:
        """Return the spec of what `cutpoint.extract` would compute."""
        return FeatureSpec(self.spec, self.tap_specs(taps, pools))
