"""What inputs that carry no data are given: zeros, ones, or a number."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from cutpoint.base.errors import UsageError
from cutpoint.base.spec import Constants
from cutpoint.base.text import a_kind
from cutpoint.base.tongue import option
from cutpoint.base.types import Array, InputSpec, Shape, shape_text

Value = str | int | float
_FILLED = re.compile(r"(zeros|ones)(?:\((\d+(?:,\d+)*)\))?")
_MOST_VALUES = 2**26  # of one constant: 256 MiB of float32, far beyond any state that is carried
_WORDS = "zeros, ones, either with a shape as in zeros(2,1,128), or a number"


def read_constants(given: Mapping[str, Value] | None) -> Constants:
    """Return constants in their one spelling, ordered by name.

    Raises
    ------
    UsageError
        If a value is no constant.
    """
    if given is not None and not isinstance(given, Mapping):
        raise UsageError(
            f"inputs is {a_kind(given)}, which gives no input its constant.",
            "The name of an input stands before its constant.",
            f"A dict of name → constant: {_WORDS}.",
            "Type, for example:  inputs={'state': 'zeros'}",
        )
    return tuple(
        sorted((str(name), _spelled(name, value)) for name, value in (given or {}).items())
    )


def _spelled(name: str, value: Any) -> Value:
    if isinstance(value, bool | np.bool_):
        return int(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating) and np.isfinite(value):
        return float(value)
    if isinstance(value, str):
        text = value.replace(" ", "")
        filled = _FILLED.fullmatch(text)
        if filled and math.prod(map(int, (filled[2] or "1").split(","))) > _MOST_VALUES:
            raise _no_constant(name, value, f"It would hold more than {_MOST_VALUES:,} values")
        if filled:
            return text
        number = _number(text)
        if number is not None:
            return number
    raise _no_constant(name, value, "That is no constant")


def _no_constant(name: str, value: Any, why: str) -> UsageError:
    return UsageError(
        f'The input "{name}" can\'t be given {value!r}.',
        f"{why}.",
        f"Constants: {_WORDS}.",
        f"Type, for example:  {option('inputs', {name: 'zeros'})}",
    )


def _number(text: str) -> int | float | None:
    for kind in (int, float):
        try:
            found = kind(text)
        except ValueError:
            continue
        return found if np.isfinite(found) else None
    return None


def constant_array(name: str, value: Value, shape: Shape, dtype: str) -> Array:
    """Return a constant as an array.

    Parameters
    ----------
    name : str
        The input's.
    value : str or number
        As `read_constants` spells it.
    shape : tuple of int or None
        The whole array's, as the network declares it; what is free is 1, unless `value` says the
        shape. Empty where it is not declared.
    dtype : str

    Raises
    ------
    UsageError
        If the network declares another shape than `value` says, or its type can't hold the number.
    """
    filled = _FILLED.fullmatch(value) if isinstance(value, str) else None
    number = value if filled is None else float(filled[1] == "ones")
    said = filled[2] if filled is not None else None
    sizes = tuple(map(int, said.split(","))) if said else tuple(size or 1 for size in shape)
    if said and shape and not InputSpec(shape).takes(sizes):
        raise _no_constant(name, value, f"The network takes {shape_text(shape)} there")
    if not _holds(dtype, number):
        raise _no_constant(name, value, f"The network takes {np.dtype(dtype)} there")
    return np.full(sizes, number, dtype)


def _holds(dtype: str, number: Any) -> bool:
    """Say whether a type holds a number: floats near it, whole numbers and bools itself."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            found = np.array(number).astype(dtype)
    except OverflowError:
        return False
    is_float = np.issubdtype(found.dtype, np.floating)
    return bool(np.isfinite(found) if is_float else found == number)


def data_inputs(declared: Mapping[str, Any], constants: Constants, what: str) -> dict[str, Any]:
    """Return the inputs that carry data: those without a constant.

    Raises
    ------
    UsageError
        If a constant is for no input, or none is left that carries data.
    """
    given = dict(constants)
    strange = [name for name in given if name not in declared]
    left = {name: each for name, each in declared.items() if name not in given}
    if not strange and left:
        return left
    wrong = (
        f'"{strange[0]}" is no input of "{what}".'
        if strange
        else (f'All inputs of "{what}" are given constants, so none carries data.')
    )
    raise UsageError(
        wrong,
        f"Its inputs: {_listed(declared)}.",
        "A constant for an input that carries no data; at least one that does.",
        f"Leave out {strange[0] if strange else next(iter(declared))}",
    )


def _listed(declared: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} ({each})" for name, each in declared.items()) or "none"


def with_masks(declared: Mapping[str, InputSpec]) -> dict[str, InputSpec]:
    """Return inputs with masks told by their names, as transformers and KerasHub call them.

    An ``attention_mask`` or ``padding_mask`` of whole numbers or bools is the mask of the first
    input that is none and is as long.
    """
    data = {n: each for n, each in declared.items() if not _is_mask_name(n, declared)}
    found = {}
    for name, each in declared.items():
        of = next((n for n, d in data.items() if d.shape[: len(each.shape)] == each.shape), "")
        is_mask = name not in data and each.dtype != "float32" and of
        found[name] = InputSpec(each.shape, each.dtype, of) if is_mask else each
    return found


def _is_mask_name(name: str, declared: Collection[str]) -> bool:
    last = re.split(r"[/.:]", name)[-1]
    return len(declared) > 1 and bool(re.search(r"(attention|padding|input)_mask", last))
