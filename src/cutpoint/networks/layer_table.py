"""The layers of a backbone as a table a person can read and a program can search."""

from __future__ import annotations

import difflib
import fnmatch
import html
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby, takewhile
from numbers import Integral
from typing import Any, NoReturn, TypeVar

from cutpoint.base.errors import NoSuchAttribute, TapNotFound, UsageError
from cutpoint.base.text import printable, shortened
from cutpoint.base.tongue import layers_of

MIN_LETTERS = 12  # of a layer's name, where the page is narrow
AUTO, INNER = "auto", "inner"  # what taps are called when nobody names layers
# Parts of kinds, lower case: GELUActivation, ReLU6, BatchNormAct2d's act, SiLU, ONNX' Clip (ReLU6).
_ACTIVATIONS = ("act", "elu", "silu", "swish", "mish", "clip")
_MERGES = ("add", "addv2", "concat", "concatv2", "concatenate")
_REPEATS = ("broadcast_to", "broadcastto", "expand", "repeat", "repeatvector", "tile")
# Kinds that give probabilities; and that hand on what they are given, in another shape or type.
PROBABILITIES = ("logsoftmax", "log_softmax", "sigmoid", "softmax")
HANDS_ON = (
    *("cast", "contiguous", "dequantizelinear", "dropout", "expanddims", "flatten", "identity"),
    *("permute", "quantizelinear", "reshape", "squeeze", "transpose", "unsqueeze", "view"),
)
FEATURES, INPUT, ANSWER = "features", "input", "probabilities"  # what a layer holds
IS_INPUT = "it is the network's input, before anything is computed"
T = TypeVar("T")


class ClassProbabilities(UserWarning):
    """A tap holds what the network's final softmax or sigmoid gives."""


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes
    ----------
    index : int
        Place in execution order, from 0.
    name : str
        As the framework spells it.
    kind : str
        Class of the layer.
    shape : tuple
        Output shape as the framework has it; the batch is ``None``, and so is an axis along which
        items differ in length.
    layout : str
        A letter for each axis of `shape`: ``"NCHW"``, ``"NHWC"``, ``"NTC"`` (tokens), ``"NCT"``,
        ``"NC"``; empty where nobody can tell.
    stride : int or None
        Input pixels per output pixel; None where the output is no map.
    params : int
        Parameters of this layer alone.
    macs : int
        Multiply-accumulates from the input up to and with this layer, for one item.
    tappable : bool
        Whether features can be read here.
    is_block : bool
        Whether the layer is made of further layers.
    holds : {"features", "input", "probabilities"}
        "input": the input itself, or what is made of it by nothing that was learned, such as a
        cast, a one-hot or a mask. "probabilities": what the network's final softmax or sigmoid
        gives. `LayerTable.auto_taps` takes features alone.
    why_no_tap : str
        Why no features can be read here; empty where they can.
    """

    index: int
    name: str
    kind: str
    shape: tuple[int | None, ...]
    stride: int | None
    params: int
    macs: int
    tappable: bool = True
    is_block: bool = False
    layout: str = "NCHW"
    holds: str = FEATURES
    why_no_tap: str = ""

    @property
    def channels(self) -> int | None:
        """Size of the channel axis."""
        return self.shape[self.layout.index("C")] if "C" in self.layout else None

    @property
    def free_axes(self) -> tuple[int, ...]:
        """Axes of `shape`, the batch's not among them, whose size differs from item to item."""
        return tuple(axis for axis, size in enumerate(self.shape) if axis and size is None)

    @property
    def output(self) -> NoReturn:
        """Raise `NoSuchAttribute`: a row of the table has no tensor, as a layer of Keras has."""
        raise NoSuchAttribute(
            f'Layer "{self.name}" has no attribute "output": it is a row of the table of layers.',
            f"It describes a {self.kind} and holds no tensor.",
            "What ends at the layer and a new head can be connected to; or its features.",
            f'Type:  backbone.symbolic("{self.name}")   or   backbone.cut("{self.name}")',
        )

    @property
    def shape_text(self) -> str:
        """Shape without the batch, ``"1280×7×7"``; ``?`` where items differ in length."""
        return "×".join("?" if size is None else str(size) for size in self.shape[1:])


@dataclass(frozen=True)
class LayerTable:
    """Layers in execution order; indexable by name or index, printable.

    Attributes
    ----------
    backbone : str
    rows : tuple of Layer
    input_name : str
        What the network calls its input, where that is no layer.
    remarks : tuple of str
        What is to be known of how items are read; printed below the rows.
    """

    backbone: str
    rows: tuple[Layer, ...]
    input_name: str = ""
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.rows)

    def __getitem__(self, key: str | int) -> Layer:
        return self.by_index(key) if isinstance(key, int) else self.by_name(key)

    def by_index(self, index: int) -> Layer:
        """Return the layer at `index`; negative ones count from the end."""
        if not -len(self.rows) <= index < len(self.rows):
            raise self._not_found(f"layer index {index}", "")
        return self.rows[index]

    def by_name(self, name: str) -> Layer:
        for layer in self.rows:
            if layer.name == name:
                return layer
        raise self._not_found(f'layer "{name}"', name)

    def get(self, name: str | None = None, index: int | None = None) -> Layer:
        """Keras and TF.js meaning: exactly one of `name` and `index`."""
        if (name is None) == (index is None):
            raise UsageError(
                "A layer is named by either a name or an index.",
                f"Got name={name!r} and index={index!r}.",
                "Exactly one of the two says which layer is meant.",
                'Type, for example:  get_layer("conv_head")  or  get_layer(index=-1)',
            )
        return self.by_name(name) if name is not None else self.by_index(index or 0)

    def find(self, pattern: str) -> LayerTable:
        """Return the layers whose name matches the glob `pattern`."""
        rows = tuple(row for row in self.rows if fnmatch.fnmatchcase(row.name, pattern))
        return replace(self, rows=rows)

    def select(self, *taps: str | int) -> tuple[Layer, ...]:
        """Return the tappable layers meant by names, indices or globs, in execution order.

        ``"auto"`` and ``"inner"`` stand for `auto_taps` and `inner_taps`.
        """
        chosen = {layer.index: layer for tap in taps for layer in self._matches(tap)}
        for layer in chosen.values():
            if not layer.tappable:
                raise self._not_tappable(layer)
        return tuple(chosen[index] for index in sorted(chosen))

    def last_tokens(self) -> Layer:
        """Return the last layer with tokens: of a text network its last hidden state.

        Raises
        ------
        TapNotFound
            If no layer gives tokens.
        """
        found = [row for row in self._places() if row.layout == "NTC"]
        if not found:
            raise self._not_found("layer with tokens", "")
        return found[-1]

    def maps(self) -> list[Layer]:
        """Return the tappable layers that give maps; one that only pads shows nothing new."""
        return [row for row in self._places() if "H" in row.layout]

    def auto_taps(self, at_most: int = 12) -> tuple[str, ...]:
        """Return the layers worth comparing when nobody has named any.

        The ends of the outermost blocks that give maps or tokens (``blocks.3``, ``layer2.1``,
        ``encoder.layer.5``), else of all layers that do. Of a network that gives neither, an MLP,
        its blocks or what its layers give after their activation. Evenly thinned to `at_most`, the
        deepest always among them.
        """
        places = self._places() or self._vectors()
        names = self._block_ends(places) or _chain(places)
        if not names:
            usable = [row for row in self.rows if row.tappable]
            names = [row.name for row in usable if row.holds == FEATURES][-1:]
            names = names or [row.name for row in usable][-1:]
        return tuple(_thinned(names, at_most))

    def inner_taps(self, at_most: int = 12) -> tuple[str, ...]:
        """Return the layers within blocks that features can be read at, beside the blocks' ends.

        The outputs of attention (``blocks.3.attn``, ``encoder.layer.5.attention``), and what
        activations give inside blocks: of a transformer's MLP (``blocks.3.mlp.act``), of the
        convolutions of a residual block, of the expansion of an inverted one. At most `at_most`
        of each of the two, evenly thinned, the deepest always among them.

        Raises
        ------
        TapNotFound
            If the network has no blocks, or nothing of this in them.

        Notes
        -----
        A block is a module that computes twice or more and has a like, named with another number.
        Networks whose layers lie side by side have none; there, blocks end where branches are
        added and where a convolution has no activation.
        """
        blocks = self._repeated_blocks()
        inside = self._inside(blocks) if blocks else _between_merges(self._places())
        attention = [row for row in inside if self._is_attention(row)]
        ends = {(row.shape, row.macs) for row in blocks}
        activations = {
            (row.shape, row.macs): row
            for row in inside
            if _is_activation(row) and (row.shape, row.macs) not in ends
        }
        found = _thinned(attention, at_most) + _thinned(list(activations.values()), at_most)
        if not found:
            raise self._no_inner()
        return tuple(row.name for row in sorted(found, key=lambda row: row.index))

    def _repeated_blocks(self) -> list[Layer]:
        """Return modules with maps or tokens that compute twice or more and have a like."""
        found = []
        for row in self._places():
            costs = {each.macs for each in self.rows if each.name.startswith(f"{row.name}.")}
            if row.is_block and len(costs) >= 2:
                found.append(row)
        times = Counter(_numberless(row.name) for row in found)
        return [row for row in found if times[_numberless(row.name)] >= 2]

    def _inside(self, blocks: list[Layer]) -> list[Layer]:
        """Return the places within one of `blocks`."""
        names = tuple(f"{block.name}." for block in blocks)
        return [row for row in self._places() if row.name.startswith(names)]

    def _is_attention(self, row: Layer) -> bool:
        """Say whether a layer is attention, and no part of a larger one that is."""
        above = (each for each in self.rows if row.name.startswith(f"{each.name}."))
        return _names_attention(row) and not any(map(_names_attention, above))

    def _places(self) -> list[Layer]:
        """Return the tappable layers with maps or tokens of features.

        Left out are those that only pad, or say one thing in many places.
        """
        return [
            row
            for row in self.rows
            if row.tappable
            and row.holds == FEATURES
            and (row.stride is not None or "T" in row.layout)
            and "pad" not in row.kind.lower()
            and row.kind.lower() not in _REPEATS
        ]

    def _vectors(self) -> list[Layer]:
        """Return the tappable layers with vectors of features that something was computed for."""
        usable = (row for row in self.rows if row.tappable and row.holds == FEATURES)
        return [row for row in usable if row.layout == "NC" and row.macs]

    def _block_ends(self, places: list[Layer]) -> list[str]:
        """Return the outermost blocks of which two at least are alike; else any two; else none."""
        several: list[str] = []
        for depth in (2, 3, 4):
            blocks = [row for row in places if row.is_block and row.name.count(".") < depth]
            # A block and its last child are one tensor, of equal shape and cost: keep the inner.
            distinct = {(row.shape, row.macs): row for row in reversed(blocks)}
            names = [row.name for row in blocks if row in distinct.values()]
            if len({row.kind for row in distinct.values()}) < len(distinct):
                return names
            several = several or (names if len(names) > 1 else [])
        return several

    def _matches(self, tap: str | int) -> tuple[Layer, ...]:
        if not isinstance(tap, Integral | str) or isinstance(tap, bool):
            raise self._not_found(f"layer {tap!r}", "")
        tap = tap if isinstance(tap, str) else int(tap)
        is_name = any(row.name == tap for row in self.rows)
        if isinstance(tap, str) and not is_name and re.fullmatch(r"-?[0-9]+", tap):
            tap = int(tap)
        if tap in (AUTO, INNER) and not is_name:
            return self.select(*(self.auto_taps() if tap == AUTO else self.inner_taps()))
        if isinstance(tap, int) or is_name or not any(mark in tap for mark in "*?["):
            return (self[tap],)
        found = tuple(layer for layer in self.find(tap) if layer.tappable)
        if not found:
            raise self._not_found(f'layer like "{tap}"', tap)
        return found

    def _not_found(self, asked: str, name: str) -> TapNotFound:
        names = [row.name for row in self.rows] or ["none"]
        if name and name == self.input_name:
            return TapNotFound(
                f'No features can be read at layer "{name}" of backbone {self.backbone}.',
                f"Why: {IS_INPUT}.",
                "The first layers: " + ", ".join(f'"{each}"' for each in names[:3]) + ".",
                f"List them with:  {layers_of(self.backbone)}",
            )
        nearest = difflib.get_close_matches(name, names, n=3, cutoff=0.3) or names[-3:]
        return TapNotFound(
            f"No {asked} in backbone {self.backbone}.",
            f"Layers: {names[0]} … {names[-1]} ({len(names)}).",
            "Nearest: " + ", ".join(f'"{near}"' for near in nearest) + ".",
            f"List them with:  {layers_of(self.backbone)}",
        )

    def _no_inner(self) -> TapNotFound:
        return TapNotFound(
            f'No taps inside the blocks of backbone {self.backbone} ("inner").',
            "It has no blocks with attention or activations in them that can be taps.",
            f"Named layers, or auto: {', '.join(self.auto_taps()[-3:])}, …",
            f"List all layers with:  {layers_of(self.backbone)}",
        )

    def _not_tappable(self, layer: Layer) -> TapNotFound:
        usable = [row for row in self.rows if row.tappable]
        near = difflib.get_close_matches(layer.name, [row.name for row in usable], n=3)
        # Names of inputs are like no others; the next layers are what may have been meant.
        near = near or [row.name for row in usable if row.index > layer.index][:3]
        near = near or [row.name for row in usable][-3:]
        why = layer.why_no_tap or "its output comes from several places or is no plain array"
        return TapNotFound(
            f'No features can be read at layer "{layer.name}" of backbone {self.backbone}.',
            f"Why: {why}.",
            "Nearest: " + ", ".join(f'"{name}"' for name in near) + "."
            if near
            else "It has no layer at which features can be read.",
            f"List them with:  {layers_of(self.backbone)}",
        )

    def to_json(self) -> list[dict[str, Any]]:
        return [asdict(row) for row in self.rows]

    def cells(self) -> list[tuple[str, ...]]:
        """Return the table as text, header first."""
        header = ("index", "name", "kind", "shape", "stride", "params", "MACs", "tap")
        return [header, *(tuple(map(printable, _cells(row))) for row in self.rows)]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self, n_columns: int | None = None) -> list[str]:
        """Return the table as aligned text; long names lose their middle to fit into `n_columns`.

        A layer whose name is not whole can be named by its index.
        """
        cells = self.cells()
        if n_columns is not None:
            cells = _fitted(cells, n_columns)
        widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
        rows = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]
        return [*rows, *self.remarks]

    def _repr_html_(self) -> str:
        header, *rows = ([html.escape(cell) for cell in row] for row in self.cells())
        head = "".join(f"<th>{cell}</th>" for cell in header)
        body = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in rows)
        told = "".join(f"<p>{html.escape(each)}</p>" for each in self.remarks)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{told}"


def _fitted(cells: list[tuple[str, ...]], n_columns: int) -> list[tuple[str, ...]]:
    others = sum(
        max(map(len, each)) + 2 for n, each in enumerate(zip(*cells, strict=True)) if n != 1
    )
    letters = max(MIN_LETTERS, n_columns - others)
    return [(row[0], shortened(row[1], letters), *row[2:]) for row in cells]


def warn_of_probabilities(layers: Sequence[Layer]) -> str:
    """Return what to say of taps that hold the network's own answer; empty if there are none."""
    names = dict.fromkeys(f'"{layer.name}"' for layer in layers if layer.holds == ANSWER)
    if not names:
        return ""
    return (
        f"Features at {', '.join(names)} are class probabilities, the network's answer to its own "
        "question (its final softmax or sigmoid): a layer before tells more of other things"
    )


def end_in_probabilities(rows: Sequence[Layer]) -> list[Layer]:
    """Return `rows` with the last marked, if they come from a softmax or sigmoid alone.

    For networks of one output whose graph is not known: the last layers, of one cost, of which the
    first gives probabilities and the others hand them on or are the blocks around.
    """
    for place in range(len(rows) - 1, -1, -1):
        kind = rows[place].kind.lower()
        if kind in PROBABILITIES:
            ends = (replace(row, holds=ANSWER) for row in rows[place:])
            return [*rows[:place], *ends]
        if not rows[place].is_block and kind not in HANDS_ON:
            break
    return list(rows)


def _chain(places: list[Layer]) -> list[str]:
    """Return the layers of a network without blocks, one for each cost.

    What follows a convolution for free is its normalisation and activation: the last is kept.
    """
    single = [row for row in places if not row.is_block] or places
    distinct = {(row.shape, row.macs): row.name for row in single}
    return [row.name for row in single if row.name in distinct.values()]


def _between_merges(places: list[Layer]) -> list[Layer]:
    """Return what lies between the stem and the last end of a block, of layers side by side.

    Layers of one cost are one computation with what follows it for free. It ends a block if it
    adds branches up, or has no activation. What stands behind the adding is the block's end.
    """
    by_cost = groupby(places, key=lambda row: row.macs)
    steps = [list(rows) for macs, rows in by_cost if macs][1:]  # the first is the stem
    inner: list[Layer] = []
    waiting: list[Layer] = []
    for step in steps:
        branch = list(takewhile(lambda row: not _merges(row), step))
        waiting += branch
        if len(branch) < len(step) or not any(map(_is_activation, step)):
            inner, waiting = inner + waiting, []
    return inner


def _merges(row: Layer) -> bool:
    """Say whether a layer puts branches together; with parameters of its own it adds a bias."""
    return row.kind.lower() in _MERGES and not row.params


def _is_activation(row: Layer) -> bool:
    return not row.is_block and any(part in row.kind.lower() for part in _ACTIVATIONS)


def _names_attention(row: Layer) -> bool:
    return "attention" in row.kind.lower() or "attn" in row.kind.lower()


def _numberless(name: str) -> str:
    return re.sub(r"[0-9]+", "#", name)


def _thinned(found: Sequence[T], at_most: int) -> list[T]:
    """Return at most so many, evenly spread, the last always among them."""
    keep = min(at_most, len(found))
    return [found[(place + 1) * len(found) // keep - 1] for place in range(keep)]


def _cells(row: Layer) -> tuple[str, ...]:
    stride = "–" if row.stride is None else str(row.stride)
    held = {INPUT: "input", ANSWER: "classes"}
    tap = held.get(row.holds, "yes" if row.tappable else "no")
    counts = (human_count(row.params), human_count(row.macs))
    return (str(row.index), row.name, row.kind, row.shape_text, stride, *counts, tap)


def stride_of(side: int, height: int) -> int | None:
    """Return input pixels per output pixel along one axis; None where there is one pixel at most.

    Where the sizes divide, that is their ratio. Where borders were cut off on the way (299 → 73 →
    35), strides are powers of two all the same, and the nearest one is meant.

    Examples
    --------
    >>> [stride_of(299, height) for height in (149, 73, 35, 17, 8)]
    [2, 4, 8, 16, 32]
    >>> [stride_of(224, height) for height in (224, 75, 16, 13, 448, 1)]
    [1, 3, 14, 16, 1, None]
    """
    if height <= 1:
        return None
    if side % height == 0:
        return side // height
    ratio = side / height
    power = round(math.log2(ratio))
    # Within a quarter of an octave; beyond, the stride is no power of two.
    return max(1, 2**power if abs(math.log2(ratio) - power) <= 0.25 else round(ratio))


def human_count(count: float) -> str:
    """Return `count` with three digits and a decimal prefix: ``"4.65 M"``."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(int(count))


def no_symbolic(layer: Layer, what: str) -> UsageError:
    """Return the error of a framework in which no new head can be connected to a layer."""
    return UsageError(
        f'No new head can be connected to layer "{layer.name}".',
        f"The network is {what}.",
        "symbolic() is there for Keras and PyTorch networks; features are, for all.",
        f'Type, for example:  backbone.cut("{layer.name}")',
    )


def no_suffix(backbone: str, what: str) -> UsageError:
    """Return the error of a framework in which nothing is trained."""
    return UsageError(
        f'The network of "{backbone}" can\'t be fine-tuned: it is {what}.',
        "No gradient reaches its weights.",
        "The same network in PyTorch or Keras; or its frozen features, which serve all the same.",
        "Type, for example:  cp.fit(data)",
    )
