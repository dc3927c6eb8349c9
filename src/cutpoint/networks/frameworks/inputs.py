"""What the frameworks share about inputs: which is which, free sizes, masks of taps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.base.spec import Preprocess
from cutpoint.base.tongue import option
from cutpoint.base.types import InputSpec, Shape
from cutpoint.items.kinds import in_graph
from cutpoint.networks.layer_table import Layer

FREE, OTHER = 32, 48
"""Sizes that stand for a free one while a network is listed; what differs between them is free."""


def fed_by(inputs: Mapping[str, InputSpec], names: Sequence[str], what: str) -> dict[str, str]:
    """Return, for each of a network's inputs, the name it has in a batch.

    They are called alike; or there is one that is no mask on either side.

    Raises
    ------
    UsageError
        If the network lacks one, or has one more.
    """
    masks = {name for name, each in inputs.items() if each.mask_of}
    data = [name for name in inputs if name not in masks]
    own = [name for name in names if name not in masks]
    if set(names) == set(inputs):
        return {name: name for name in names}
    if len(data) == len(own) == 1 and masks <= set(names):
        return {name: name if name in masks else data[0] for name in names}
    lacks = [name for name in inputs if name not in names and not (name in data and len(own) == 1)]
    told = f"it has no input {', '.join(lacks)}" if lacks else "it takes others, too"
    padding = " No attention mask reaches it, so padding would count." if masks - set(names) else ""
    raise UsageError(
        f'The network of "{what}" can\'t be fed {", ".join(inputs)}: {told}.{padding}',
        f"It takes: {', '.join(names) or 'nothing'}.",
        "Preprocessing that gives each of them; or all tokens counted, without pad_id.",
        f"Type, for example:  {option('preprocess', 'none')}",
    )


def is_free(preprocess: Preprocess) -> bool:
    """Say whether any input's size differs from batch to batch."""
    return any(None in each.shape for each in preprocess.inputs.values())


def free_shape(one: Sequence[int | None], other: Sequence[int | None]) -> Shape:
    """Return a shape whose sizes are None where they differ between two inputs."""
    if len(one) != len(other):
        return tuple(one)
    pairs = zip(one, other, strict=True)
    return tuple(size if size == again else None for size, again in pairs)


def picture_sides(preprocess: Preprocess) -> tuple[int, int] | None:
    """Return height and width of the pictures a network is fed; None if it is fed others."""
    ways = in_graph(preprocess)
    for name, each in preprocess.inputs.items():
        if "H" in ways[name].layout:
            height, width = (each.shape[ways[name].layout.index(side) - 1] for side in "HW")
            return int(height or 0), int(width or 0)
    return None


def first_shape(preprocess: Preprocess) -> tuple[int, ...]:
    """Return the shape of the first input, with `FREE` for what is free."""
    return next(iter(preprocess.inputs.values())).sized(FREE)


def mask_of_tap(layer: Layer, inputs: Mapping[str, InputSpec]) -> str:
    """Return the input that says which of a tap's tokens count; empty if nothing does.

    Raises
    ------
    ShapeError
        If there is one, and the tap has other tokens than it tells apart.
    """
    masks = [name for name, each in inputs.items() if each.mask_of]
    if not masks or "T" not in layer.layout:
        return ""
    n_tokens = layer.shape[layer.layout.index("T")]
    found = [name for name in masks if inputs[name].shape[:1] == (n_tokens,)]
    if not found:
        (n_ids,) = inputs[masks[0]].shape[:1]
        raise ShapeError(
            f'Which tokens of layer "{layer.name}" are padding is not known.',
            f"It gives {n_tokens or '?'} tokens for {n_ids or '?'} places of the input.",
            "A layer with one token a place, or all tokens counted.",
            f'To count all:  cp.load(…, preprocess=ArraySpec(({n_ids},), "int64"))',
        )
    return found[0]
