"""How weights were fed in training, said by name, by a JSON file, or by a spec."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cutpoint.base.errors import UsageError
from cutpoint.base.spec import (
    ArraySpec,
    ArraysSpec,
    Preprocess,
    load_kind,
    parse_json,
    preprocess_from_json,
)
from cutpoint.base.text import a_kind
from cutpoint.base.tongue import either, option
from cutpoint.base.types import InputSpec, Shape, shape_text
from cutpoint.items.kinds.image.recipes import RECIPES, recipe_named


def stated_preprocess(
    given: str | Path | Preprocess | None,
    what: str,
    input_shape: Shape | None = None,
    *,
    side_px: int | None = None,
    only_lists: bool = False,
    dtype: str = "float32",
) -> Preprocess:
    """Return the preprocessing a user stated; nothing is ever guessed.

    Parameters
    ----------
    given : str, PreprocessSpec, ArraySpec or None
        Name of a recipe, or path of a JSON file.
    what : str
        The backbone, for messages.
    input_shape : tuple of int or None, optional
        One item's, channels last, where the network declares it.
    side_px : int, optional
        Side of the squares the weights were trained on, where the source knows it: what a recipe
        without a side gives.
    only_lists : bool
        Whether layers are listed and nothing is fed: the shape is enough then, if it is known.
    dtype : str
        Type of arrays that ``"none"`` feeds.

    Raises
    ------
    UsageError
        If nothing was stated, or it does not fit the network.
    """
    is_array = bool(input_shape) and not may_be_photos(input_shape)
    if given is None and only_lists and (is_array or _whole(input_shape)):
        given = "none"
    if given is None:
        raise unstated(what, input_shape)
    spec: Preprocess
    if given == "none" and input_shape and is_array:
        spec = ArraySpec(input_shape, dtype)
    elif isinstance(given, str) and not given.endswith(".json"):
        whole = _whole(input_shape)
        own = whole[0] if whole and may_be_photos(whole) else side_px
        spec = recipe_named(given, own or 224)
    else:
        spec = _spec_given(given, what)
    if input_shape is not None and not _fits(spec, input_shape):
        raise _misfit(what, spec, input_shape, given)
    return spec


def stated_inputs(
    given: str | Path | Preprocess | None,
    what: str,
    declared: Mapping[str, InputSpec],
    *,
    only_lists: bool = False,
) -> Preprocess:
    """Return the preprocessing of a network that takes several arrays by name.

    Parameters
    ----------
    given, what, only_lists
        As in `stated_preprocess`; ``"none"``: the arrays that it declares are ready as they are.
    declared : mapping of name → InputSpec
        What the network takes, without those that are given constants.

    Raises
    ------
    UsageError
        If nothing was stated, or it does not fit the network.
    """
    if given == "none" or (given is None and only_lists):
        return ArraysSpec(tuple(declared.items()))
    takes = f"It takes {len(declared)} inputs: {inputs_text(declared)}"
    if given is None or (isinstance(given, str) and not given.endswith(".json")):
        wrong = "no recipe is known" if given is None else f'"{given}" is a recipe of photos'
        raise UsageError(
            f'How "{what}" is fed is not stated: {wrong}.',
            f"{takes}.",
            '"none" where arrays by these names are ready as they are; a constant for an input '
            "that carries no data; or a JSON file with their shapes, types and masks.",
            f"Type:  {option('preprocess', 'none')}   or with  "
            f"{option('inputs', {list(declared)[-1]: 'zeros'})}",
        )
    spec = _spec_given(given, what)
    found = spec.inputs
    unlike = [n for n, each in declared.items() if n in found and not each.takes(found[n].shape)]
    if found.keys() != declared.keys() or unlike:
        raise UsageError(
            f'The preprocessing of "{what}" gives {inputs_text(found)}.',
            f"{takes}.",
            "Each of them by its name; or a constant for an input that carries no data.",
            f"Type:  {option('preprocess', 'none')}   or:  {option('inputs', {'NAME': 'zeros'})}",
        )
    return spec


def inputs_text(inputs: Mapping[str, InputSpec]) -> str:
    """Return ``"ids (int64 of shape ?), mask (int64 of shape ?, the mask of ids)"``."""
    return ", ".join(
        f"{name} ({each}{f', the mask of {each.mask_of}' if each.mask_of else ''})"
        for name, each in inputs.items()
    )


def _spec_given(given: Any, what: str) -> Preprocess:
    if isinstance(given, str | Path):
        return read_preprocess(Path(given))
    if hasattr(given, "inputs") and hasattr(given, "kind"):  # of any kind, strangers' too
        spec: Preprocess = given
        return spec
    raise UsageError(
        f'The preprocessing of "{what}" is given as {a_kind(given)}.',
        "That says nothing of how its weights were fed.",
        "The name of a recipe, the path of a JSON file, a PreprocessSpec or an ArraySpec.",
        'Type, for example:  preprocess="imagenet"',
    )


def unstated(what: str, shape: Shape | None) -> UsageError:
    """Return the error that asks how weights were fed, in the words of what the network takes.

    Parameters
    ----------
    shape : tuple of int or None, or None
        One item's, channels last; empty if nothing is known but that it is no photo; None if
        nothing is known at all.
    """
    if may_be_photos(shape):
        own = _whole(shape)
        side = f" The side of {own[0]} pixels is the network's own." if own else ""
        return UsageError(
            f'How the weights of backbone "{what}" were fed in training is not known.',
            "A guess would be silent.",
            f"One of {', '.join(RECIPES)}, or a JSON file (in Python: a PreprocessSpec).{side}",
            f"Type, for example:  {option('preprocess', 'imagenet')}",
        )
    stated = either('preprocess=ArraySpec(shape, "float32")', "--preprocess FILE.json")
    takes = (
        f"It takes arrays of shape {shape_text(shape)}, no square photos"
        if shape
        else "Its weights show no convolution over three colours, so it takes arrays"
    )
    return UsageError(
        f'How the arrays of backbone "{what}" were prepared for training is not known.',
        f"{takes}.",
        '"none" where arrays of the shape it declares are ready as they are; or a JSON file with '
        f"their shape and type:  {_as_json(shape)}",
        f"Type:  {option('preprocess', 'none') if shape else stated}",
    )


def _misfit(what: str, spec: Preprocess, shape: Shape, given: Any) -> UsageError:
    if may_be_photos(shape):
        is_name = isinstance(given, str) and not given.endswith(".json")
        same = given.partition("(")[0] if is_name else "imagenet"
        fitting = "Leave its side out, or state another:  " + option("preprocess", same)
    else:
        fitting = "Arrays that are ready as they are:  " + option("preprocess", "none")
    gives = ", ".join(shape_text(each.shape) for each in spec.inputs.values())
    return UsageError(
        f'The preprocessing of backbone "{what}" gives {gives}.',
        f"The network takes items of shape {shape_text(shape)}.",
        "Preprocessing that gives what the network takes.",
        fitting,
    )


def may_be_photos(shape: Shape | None) -> bool:
    """Say whether items of `shape`, channels last, can be squares of three colours."""
    if shape is None:
        return True
    if len(shape) != 3 or shape[2] != 3:
        return False
    return shape[0] == shape[1] or None in shape[:2]


def _whole(shape: Shape | None) -> tuple[int, ...] | None:
    """Return a shape of which nothing is open; None if something is, or all."""
    sizes = tuple(size for size in shape or () if size is not None)
    return sizes if sizes and shape is not None and len(sizes) == len(shape) else None


def _fits(spec: Preprocess, wanted: Shape) -> bool:
    (array, *more) = spec.inputs.values()
    return not any(not each.mask_of for each in more) and InputSpec(wanted).takes(array.shape)


def _as_json(shape: Shape | None) -> str:
    sizes = ", ".join("?" if size is None else str(size) for size in shape or (None,))
    return f'{{"shape": [{sizes}], "dtype": "float32"}}'


def read_preprocess(path: Path) -> Preprocess:
    """Return the spec in a JSON file: the fields of `PreprocessSpec`, `ArraySpec` or another's."""
    try:
        fields: Any = parse_json(path.read_text())
        is_image = not {"kind", "shape", "inputs"} & fields.keys()
        defaults = {"background": (255, 255, 255)} if is_image else {}
        spec = preprocess_from_json({**defaults, **fields})
        load_kind(spec.kind)
        spec.check()
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            f'The preprocessing in "{path}" can\'t be used.',
            f"It raised {type(error).__name__} {error}.",
            "Fields: resize_px, crop_px, interpolation, mean, std, and if they differ background, "
            "fit, channels, decode; for arrays: shape, dtype, and pad_id of token ids; for several "
            'by name: {"inputs": {NAME: {"shape": …, "dtype": …, "mask_of": …}}}.',
            'An example:  {"resize_px": 256, "crop_px": 224, "interpolation": "bilinear", '
            '"mean": [0, 0, 0], "std": [255, 255, 255]}',
        ) from error
    return spec
