"""Arrays that are ready as they are: only checked."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from cutpoint.base.errors import BadItem
from cutpoint.base.spec import ArraySpec, ArraysSpec
from cutpoint.base.stopwatch import lap
from cutpoint.base.text import a_kind
from cutpoint.base.types import Array, InputSpec, Prepared, with_made_masks


def prepare_item(
    payload: Any, spec: ArraySpec | ArraysSpec, name: str = ""
) -> tuple[Prepared, tuple[str, ...]]:
    """Return the arrays of one item as the backbone expects them, and no notes.

    Parameters
    ----------
    payload : array, or mapping of name → array; or the bytes of an ``.npy`` or ``.npz`` file
        Numbers that convert to the spec's type without loss of kind. A mask that is left out is
        all ones; of ids with padding it is made of them.

    Raises
    ------
    BadItem
        If a shape or kind differs, a value is NaN or infinite, or names differ.
    """
    given = _read(payload) if isinstance(payload, bytes) else payload
    if isinstance(spec, ArraySpec):
        found: Prepared = {"array": _checked(_only(given), spec.inputs["array"])}
        found = with_made_masks(found, spec.inputs)
    else:
        found = _named(given, spec.inputs)
    lap("preprocess")
    return found, ()


def _read(data: bytes) -> Any:
    try:
        found = np.load(io.BytesIO(data), allow_pickle=False)
        return found if isinstance(found, np.ndarray) else {name: found[name] for name in found}
    except Exception as error:  # a broken file provokes whatever zip or NumPy did not foresee
        is_archive = data.startswith((b"\x93NUMPY", b"PK"))
        why = f": {str(error)[:100]}" if is_archive else ""  # else NumPy takes it for a pickle
        raise BadItem(f"not an .npy file or .npz of plain numbers{why}") from error


def _only(given: Any) -> Any:
    """Return the one array of an ``.npz`` or a mapping."""
    if isinstance(given, Mapping):
        if len(given) != 1:
            raise BadItem(f"{len(given)} arrays ({', '.join(given)}) where one is expected")
        return next(iter(given.values()))
    return given


def _named(given: Any, inputs: Mapping[str, InputSpec]) -> dict[str, Array]:
    if not isinstance(given, Mapping):
        raise BadItem(f"{a_kind(given)} where arrays by name are: {', '.join(inputs)}")
    needed = {name for name, each in inputs.items() if not each.mask_of}
    if not needed <= given.keys() <= inputs.keys():
        raise BadItem(f"arrays {', '.join(given) or 'none'}; expected {', '.join(inputs)}")
    checked = {name: _checked(given[name], inputs[name], f"{name}: ") for name in given}
    found = dict(with_made_masks(checked, inputs))
    for name, each in inputs.items():
        if name not in found:  # every place counts
            found[name] = np.ones(found[each.mask_of].shape[: len(each.shape)], each.dtype)
        elif each.mask_of and not _masks(found[name], found[each.mask_of]):
            raise BadItem(f"{name} of shape {found[name].shape} is no mask of {each.mask_of}")
    return {name: found[name] for name in inputs}


def _masks(mask: Array, data: Array) -> bool:
    """Say whether a mask has 0 or 1 for each place of the data, and one 1 at least."""
    is_shaped = mask.shape == data.shape[: mask.ndim]
    return bool(is_shaped and np.isin(mask, (0, 1)).all() and mask.any())


def _checked(payload: Any, wanted: InputSpec, what: str = "") -> Array:
    if not isinstance(payload, np.ndarray):
        kind = type(payload).__name__
        raise BadItem(f"{what}a {kind} where an array {wanted.shape} is expected")
    if not wanted.takes(payload.shape) or not np.can_cast(payload.dtype, wanted.dtype, "same_kind"):
        expected = f"expected {wanted.dtype} {wanted.shape}"
        raise BadItem(f"{what}array of {payload.dtype} {payload.shape}; {expected}")
    if 0 in payload.shape:
        raise BadItem(f"{what}array of {payload.shape} holds nothing")
    values: Array = payload.astype(wanted.dtype)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise BadItem(f"{what}values that are NaN or infinite")
    return values
