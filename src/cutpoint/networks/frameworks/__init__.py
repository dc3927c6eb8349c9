"""What a network is and how it is listed, cut and converted; one folder a framework."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from cutpoint.base.contracts import Cut, Parameter, Suffix
    from cutpoint.base.spec import BackboneSpec, Constants, Preprocess, TapSpec
    from cutpoint.base.types import Array
    from cutpoint.networks.layer_table import Layer, LayerTable


class Trains(Protocol):
    """The module ``suffix`` of a framework whose networks can be trained further."""

    def parameters(self, network: Any, table: LayerTable) -> tuple[Parameter, ...]:
        """Return what may be trained; raise `UsageError` where this network has nothing."""

    def make_suffix(
        self,
        network: Any,
        spec: BackboneSpec,
        taps: Sequence[TapSpec],
        cut: str,
        table: LayerTable,
    ) -> Suffix:
        """Return what lies above `cut`, up to the deepest of `taps`; empty: all of it."""

    def crossing(
        self, network: Any, spec: BackboneSpec, table: LayerTable, cuts: Iterable[str]
    ) -> str:
        """Return the first of `cuts` whose output is all that passes on; empty if none is so."""

    def training_device(self) -> str:
        """Return what is trained on where nobody says."""

    def with_weights(self, network: Any, weights: Mapping[str, Array]) -> Any:
        """Return a copy of `network` in which the parameters of these names are other."""


class Framework(Protocol):
    """The one face of each folder in ``frameworks/``.

    Attributes
    ----------
    WHEN_CHANGED : str
        What to type for a backbone that goes on after the network of `backbone` was changed.
    """

    WHEN_CHANGED: str

    @property
    def trained_by(self) -> Trains | str:
        """What cuts its networks in two and trains the upper part.

        Where nothing does, what they are: ``"an ONNX graph"``.
        """

    def list_layers(
        self, network: Any, preprocess: Preprocess, name: str, constants: Constants
    ) -> LayerTable:
        """Return the layers of `network`, fed as `preprocess` says; `name` is for messages.

        `constants` are what inputs that carry no data are given, where the source has not put
        them into the network.
        """

    def make_cut(
        self, network: Any, spec: BackboneSpec, taps: Sequence[TapSpec], table: LayerTable
    ) -> Cut:
        """Return `network` cut at `taps`, which are layers of `table`."""

    def symbolic(
        self,
        network: Any,
        layer: Layer,
        preprocess: Preprocess,
        trainable: bool,
        constants: Constants,
    ) -> Any:
        """Return what ends at `layer` and a new head can be connected to, frozen or not."""

    def weights_digests(self, network: Any) -> Mapping[str, str]:
        """Return the digest of each weight, statistic and other buffer, and of the structure.

        They are compared within one process alone, and tell any change of the numbers that a pass
        in inference mode gives.
        """
