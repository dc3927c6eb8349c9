"""Array aliases and the protocols between floors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cutpoint.base.errors import DataError, ShapeError

if TYPE_CHECKING:
    from cutpoint.networks.layer_table import Layer, LayerTable
    from cutpoint.base.spec import BackboneSpec, Preprocess, TapSpec

Array = NDArray[Any]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
UInt8 = NDArray[np.uint8]

Batch = Array
"""One prepared batch, ``(n_items, height, width, 3)`` uint8 RGB for images."""

Features = dict[str, Array]
"""Tap name (``"blocks.6/gap"``) → ``(n_items, …)`` float32."""

Run = Callable[[Batch], Features]
"""Features of one batch. One `Run` belongs to one thread."""


def check_batch(batch: Batch, shape: tuple[int, ...], dtype: str) -> None:
    """Raise `ShapeError` unless `batch` is one item or more of `shape` and `dtype`."""
    if batch.shape[1:] != shape or batch.dtype != dtype or not len(batch):
        raise ShapeError(
            "Features of a batch were asked for.",
            f"It is {batch.dtype} of shape {batch.shape}.",
            f"This cut takes {dtype} of shape (n_items, *{shape}), one item or more.",
            "Prepare items with:  cutpoint.items.preprocess.prepare_item(item, spec.preprocess)",
        )


def check_finite(rows: Array, asked: str) -> None:
    """Raise `DataError` if a row holds NaN or infinity; `asked` is what was to be done."""
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=tuple(range(1, rows.ndim))))
    if len(bad):
        raise DataError(
            asked,
            f"{len(bad)} of {len(rows)} rows hold NaN or infinity, the first in row {bad[0]}.",
            "Finite numbers; what `cutpoint extract` keeps is finite.",
            f"Leave them out with:  X[numpy.isfinite(X).all(axis={tuple(range(1, rows.ndim))})]",
        )


class Cut(Protocol):
    """A truncated network with its pools, frozen.

    Attributes
    ----------
    taps : tuple of TapSpec
    input_shape, input_dtype : tuple of int, str
        Of one item.
    converts_to : tuple of str
        Engines it can be converted for.
    why_native : str
        Why it can't be converted; empty if it can.
    """

    taps: tuple[TapSpec, ...]
    input_shape: tuple[int, ...]
    input_dtype: str
    converts_to: tuple[str, ...]
    why_native: str

    def __call__(self, batch: Batch) -> Features: ...

    def convert(self, engine: str) -> Any:
        """Return the cut in the form `engine` runs; `engine` is one of `converts_to`."""

    def state_sha256(self) -> str:
        """Digest of all weights and statistics the cut holds."""


class Engine(Protocol):
    """What runs a cut."""

    name: str
    is_serial: bool
    """Whether only one forward pass runs at a time, with all threads."""
    batch_size: int
    """Items a forward pass that it is fastest with."""

    def session(self) -> Run:
        """Return a callable for one thread."""


class Framework(Protocol):
    """The one face of each folder in ``frameworks/``.

    Attributes
    ----------
    WHEN_CHANGED : str
        What to type for a backbone that goes on after the network of `backbone` was changed.
    """

    WHEN_CHANGED: str

    def list_layers(self, network: Any, preprocess: Preprocess, name: str) -> LayerTable:
        """Return the layers of `network`, fed as `preprocess` says; `name` is for messages."""

    def make_cut(
        self, network: Any, spec: BackboneSpec, taps: Sequence[TapSpec], table: LayerTable
    ) -> Cut:
        """Return `network` cut at `taps`, which are layers of `table`."""

    def symbolic(self, network: Any, layer: Layer, preprocess: Preprocess, trainable: bool) -> Any:
        """Return what ends at `layer` and a new head can be connected to, frozen or not."""

    def weights_digests(self, network: Any) -> Mapping[str, str]:
        """Return the digest of each weight, statistic and other buffer, and of the structure.

        They are compared within one process alone, and tell any change of the numbers that a pass
        in inference mode gives.
        """
