"""The protocols between wings. They name specs and arrays alone."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from cutpoint.base.types import InputSpec

if TYPE_CHECKING:
    from cutpoint.base.spec import Preprocess, TapSpec
    from cutpoint.base.types import Array, Batch, Features, Prepared, Run

__all__ = [
    "ACTIVATION",
    "Chained",
    "Cut",
    "Defaults",
    "Engine",
    "HeadRule",
    "InGraph",
    "InputSpec",
    "Kind",
    "Parameter",
    "Prior",
    "Suffix",
    "Trainer",
    "Tuning",
]

ACTIVATION = "activation"
"""How a batch of a suffix calls what was read at the cut; masks keep their own names."""


class Cut(Protocol):
    """A truncated network with its pools, frozen.

    Attributes
    ----------
    taps : tuple of TapSpec
    inputs : mapping of name → InputSpec
        What a batch holds, in this order; masks are inputs.
    converts_to : tuple of str
        Engines it can be converted for.
    why_native : str
        Why it can't be converted; empty if it can.
    """

    taps: tuple[TapSpec, ...]
    inputs: Mapping[str, InputSpec]
    converts_to: tuple[str, ...]
    why_native: str

    def __call__(self, batch: Batch | Array) -> Features:
        """Return the features of a batch; of a single input its array will do."""

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


@dataclass(frozen=True)
class Parameter:
    """A weight that training may change.

    Attributes
    ----------
    name : str
        The framework's, unique in the network.
    layer : str
        The layer of the network's table that it is in, the innermost.
    shape : tuple of int
    role : {"", "norm", "query", "value"}
        Scale or shift of a normalisation layer; or projection of an attention.
    """

    name: str
    layer: str
    shape: tuple[int, ...]
    role: str = ""

    @property
    def size(self) -> int:
        return math.prod(self.shape)


class Chained(Protocol):
    """What is done to pooled taps before the linear layer; constant, in any framework's `Ops`."""

    def run(self, features: Mapping[str, Any], ops: Any) -> Any:
        """Return (n_items, n_features) from (n_items, …) by tap name."""


@dataclass(frozen=True)
class Tuning:
    """What is trained above a cut, from which start, and how a step is made.

    Attributes
    ----------
    trainable : tuple of str
        Names of parameters of the suffix; the linear layer is trained always.
    chain : Chained
        Taps → what the linear layer sees.
    W, b : float64 arrays of shape (n_features, n_outputs) and (n_outputs,)
        Where the linear layer starts.
    loss : {"classes", "labels", "values"}
        Cross-entropy; binary cross-entropy a label; mean squared error.
    decay : float
        Weight decay of AdamW, of what has two axes or more; none of the others.
    clip : float
        The gradient of all is shortened to this length.
    smoothing : float, 0–1
        Label smoothing of classes.
    dropout : float, 0–1
        The share of what the linear layer sees that is left out, in training alone.
    pull : float
        Adds ``pull / 2 · ‖w − w₀‖²`` to the loss.
    shares : mapping of name → float
        Shares of the learning rate, for parameters that get less than all of it.
    rank : int
        Above 0 the trainable parameters, which are matrices, change by a product of that rank.
    seed : int
        Draws dropout, and the products' first factors.
    """

    trainable: tuple[str, ...]
    chain: Chained
    W: Array
    b: Array
    loss: str = "classes"
    decay: float = 0.01
    clip: float = 1.0
    smoothing: float = 0.0
    dropout: float = 0.0
    pull: float = 0.0
    shares: Mapping[str, float] = field(default_factory=dict)
    rank: int = 0
    seed: int = 0
    device: str = "cpu"


class Suffix(Protocol):
    """What lies above a cut, on weights of its own that may be trained.

    Attributes
    ----------
    cut : str
        The layer whose output it takes; empty: it is the whole network, on prepared items.
    taps : tuple of TapSpec
        What it gives, pooled.
    parameters : tuple of Parameter
    """

    cut: str
    taps: tuple[TapSpec, ...]
    parameters: tuple[Parameter, ...]

    def __call__(self, batch: Batch) -> Features:
        """Return the taps of a batch that holds `ACTIVATION`, and masks."""

    def trainer(self, tuning: Tuning) -> Trainer:
        """Return what trains a copy of the weights."""


class Trainer(Protocol):
    """A suffix with a linear layer on it, and an optimiser: one step at a time, no more state."""

    def step(
        self, batch: Batch, targets: Array, rate: float, asleep: Collection[str] = ()
    ) -> float:
        """Take one step of AdamW; return the loss before it.

        Nothing is changed where loss or gradient is not finite.

        Parameters
        ----------
        batch : mapping
            `ACTIVATION`, masks, and pooled features of taps that the suffix does not give.
        targets : array
            Numbers of classes, or (n_items, n_outputs).
        rate : float
        asleep : collection of str
            Parameters that stay as they are in this step.
        """

    def scores(self, batch: Batch, weights: Mapping[str, Array] | None = None) -> Array:
        """Return (n_items, n_outputs) float64, without dropout; with other weights if given.

        `weights` are as the method of that name gives them; training goes on from its own.
        """

    def weights(self) -> dict[str, Array]:
        """Return what is trained, merged into the parameters' own shapes; ``head.W``, ``head.b``.

        All are copies.
        """

    def state(self) -> dict[str, Array]:
        """Return all that a later step depends on."""

    def set_state(self, state: Mapping[str, Array]) -> None:
        """Go on from what `state` returned."""

    def gradient_lengths(self) -> dict[str, float]:
        """Return the length of the last step's gradient a parameter, before it was clipped."""


@dataclass(frozen=True)
class InGraph:
    """What the graph does to one input of a prepared batch before the network sees it.

    Constants alone: each framework applies them in its own operations.

    Attributes
    ----------
    layout : str
        ``"NHWC"`` of pictures, which a network with channels first is given turned; empty of
        arrays, whose axes are the network's own.
    order : tuple of int
        Which channels the network sees, of the last axis; empty if as they are.
    mean, std : tuple of float
        The network sees ``(x - mean) / std``, one number a channel; empty if as it is.
    """

    layout: str = ""
    order: tuple[int, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether numbers stay what they are."""
        return not any(self.mean) and all(abs(value - 1) < 1e-9 for value in self.std)

    def __bool__(self) -> bool:
        return bool(self.layout)


@dataclass(frozen=True)
class Prior:
    """Which features are taken until training rows show others to be better.

    Attributes
    ----------
    pool : str
        What the layers are read with.
    n_last : int
        How many of the last layers are fused; 1 is the last layer alone.
    from_rows : float
        Training rows per class from which on it holds, those of one group counted as one; all
        rows where labels are no classes.
    not_beside : str
        A pool beside which it does not hold, as the layers are read with that, too; then it is the
        last layer. Empty where there is none.
    """

    pool: str = "gap"
    n_last: int = 1
    from_rows: float = 0
    not_beside: str = ""


@dataclass(frozen=True)
class HeadRule:
    """A head, and for how many classes and rows it is fitted where none is named.

    Attributes
    ----------
    head : str
        As it is typed, ``"logistic(C=0.1:1:10)"``.
    from_classes : int
        Classes from which on it is.
    to_rows : float
        Training rows per class up to which it is, counted as in `Prior`.
    """

    head: str
    from_classes: int = 0
    to_rows: float = math.inf

    def holds(self, n_classes: int, n_rows: float) -> bool:
        """Say whether it is for so many classes, and rows per class."""
        return n_classes >= self.from_classes and n_rows <= self.to_rows


@dataclass(frozen=True)
class Defaults:
    """What is taken for a kind of item where nobody says otherwise.

    Attributes
    ----------
    backbone : str
        ``"source:name"``; empty where none is known.
    pools : tuple of str
        The candidates: what pool "auto" stands for at layers that they can run at; "auto" itself:
        as the layer is.
    priors : tuple of Prior
        By rising `from_rows`, the first from 0 on. What most tools would use, the last layer, is
        read with the first one's pool.
    n_to_choose : int
        Training rows, those of one group counted as one, below which the prior is taken without a
        choice.
    heads : tuple of HeadRule
        The first that holds is taken; the last is for any.
    floor : str
        The plain method that a result is compared with.
    """

    backbone: str = ""
    pools: tuple[str, ...] = ("auto",)
    priors: tuple[Prior, ...] = (Prior(),)
    # Models that share all but one of fewer rows err alike, and no bound on their differences
    # holds (4 rows of chest X-rays named the first block).
    n_to_choose: int = 20
    heads: tuple[HeadRule, ...] = (HeadRule("ridge"),)
    floor: str = "majority"


class Kind(Protocol):
    """A kind of item: a module with these names, registered under ``cutpoint.kinds``.

    What it does not name it has of `cutpoint.items.kinds.plain`, so that kinds outlast a protocol
    that grows.

    Attributes
    ----------
    NAME : str
        ``"image"``; a backbone says it, and its spec.
    NOUN : str
        What one item is called in messages.
    ITEMS : str
        What an item is in Python, for messages.
    SUFFIXES : collection of str
        Names of files that are items (good or bad) end so, lower case and without the dot; others
        are ignored and counted. ``""``: files without a suffix are items, too.
    COLUMNS : tuple of str
        Columns of a manifest that an item can be in; of those there are, the first. Cells of
        ``path`` and ``image`` name files; those of others are given to `payload_of`.
    BESIDE : tuple of str
        Columns that belong to an item, too, where they are there: then `payload_of` is given a
        mapping of column → cell.
    LINES : collection of str
        Endings, as in `SUFFIXES`, of files in which each line is an item where such a file alone
        is what is described.
    DEFAULTS : Defaults
    COUNTS : tuple of str
        What `counts` counts of each item; empty: nothing.
    """

    NAME: str
    NOUN: str
    ITEMS: str
    SUFFIXES: Collection[str]
    COLUMNS: tuple[str, ...]
    BESIDE: tuple[str, ...]
    LINES: Collection[str]
    DEFAULTS: Defaults
    COUNTS: tuple[str, ...]

    def spec_from_json(self, fields: Mapping[str, Any]) -> Preprocess:
        """Return the preprocessing that `to_json` gave, checked; ValueError if it is none."""

    def payload_of(self, given: Any) -> Any:
        """Return what is kept of an item given in Python or in a cell, None if it is none.

        Not given a path or bytes, which are items of any kind; a str of which the kind says None
        is the path of a file.
        """

    def refuse_one(self, given: Any) -> None:
        """Raise `ShapeError` for one item where several are meant."""

    def digest(self, payload: Any) -> str:
        """Return the sha256 of a payload that is no bytes; equal digests are one item."""

    def prepare_item(
        self, payload: Any, spec: Any, name: str = ""
    ) -> tuple[Prepared, tuple[str, ...]]:
        """Return a prepared item, and notes on what was unusual about it; or raise `BadItem`.

        `payload` is the bytes of a file, or what `payload_of` gave; `name` the file's.
        """

    def parts(self, prepared: Prepared, spec: Any) -> Sequence[Prepared]:
        """Return what the network is given of a prepared item: the item; or parts of it, whose
        features are averaged, each weighted by how many of its places count."""

    def n_at_once(self, item: Prepared, n_usual: int) -> int:
        """Return how many items of the shapes of `item` a batch holds; `n_usual` is what the
        engine is fastest with of pictures. Items of other shapes are in other batches."""

    def adjusted(self, spec: Any, given: Mapping[str, Any]) -> Preprocess:
        """Return `spec` with what a person said of how items are read, by name, or raise
        `UsageError` for what can't be said."""

    def counts(self, payload: Any, spec: Any) -> Mapping[str, int]:
        """Return what is counted of an item beside its features, cheaply; or raise `BadItem`."""

    def told(self, counted: Mapping[str, Sequence[int]], spec: Any) -> Sequence[str]:
        """Return what is to be said, before anything is computed, of the items counted."""

    def remarks(self, spec: Any) -> Sequence[str]:
        """Return what a person who looks at the layers should know of how items are read."""

    def in_graph(self, spec: Any) -> Mapping[str, InGraph]:
        """Return what is done in the graph to inputs; those left out go in as they are."""

    def decoding(self, spec: Any, decode: str) -> Preprocess:
        """Return `spec` with files decoded so, or raise `UsageError`."""

    def decodes_smaller(self, payload: Any, spec: Any) -> bool:
        """Say whether scaled decoding changes this payload."""

    def wanted(self, payload: Any, spec: Any) -> tuple[str, str]:
        """Return what `spec` takes, and what to type for an array that it does not take."""

    def snippet(self, payload: Any, spec: Any) -> str:
        """Return an item in one line of text, for reports; empty if it is nothing to read.

        Raises
        ------
        BadItem
            If the payload can't be read.
        """

    def picture(self, payload: Any, spec: Any) -> str:
        """Return an item as a data URI, for reports; empty if there is nothing to see.

        Raises
        ------
        BadItem
            If the payload can't be read.
        """
