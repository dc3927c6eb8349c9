"""Graphs are frozen: they take no gradients to their weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from cutpoint.base.spec import BackboneSpec, TapSpec
from cutpoint.base.types import Array
from cutpoint.networks.layer_table import LayerTable, no_suffix

WHAT = "a frozen TensorFlow graph"


def parameters(network: Any, table: LayerTable) -> NoReturn:
    """Raise `UsageError`: a frozen graph takes no gradients to its weights."""
    raise no_suffix(table.backbone, WHAT)


def make_suffix(
    network: Any, spec: BackboneSpec, taps: Sequence[TapSpec], cut: str, table: LayerTable
) -> NoReturn:
    """Raise `UsageError`, as `parameters`."""
    raise no_suffix(table.backbone, WHAT)


def crossing(network: Any, spec: BackboneSpec, table: LayerTable, cuts: Iterable[str]) -> NoReturn:
    """Raise `UsageError`, as `parameters`."""
    raise no_suffix(table.backbone, WHAT)


def with_weights(network: Any, weights: Mapping[str, Array]) -> NoReturn:
    """Raise `UsageError`, as `parameters`."""
    raise no_suffix("this network", WHAT)


def training_device() -> NoReturn:
    """Raise `UsageError`, as `parameters`."""
    raise no_suffix("this network", WHAT)
