"""The protocols between wings. They name specs and arrays alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from cutpoint.base.spec import TapSpec
    from cutpoint.base.types import Batch, Features, Run


class Cut(Protocol):
    """A truncated network with its pools, frozen.

    Attributes
    ----------
    taps : tuple of TapSpec
    input_shape, input_dtype : tuple of int, str
        One item's, without the axis of the batch.
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
