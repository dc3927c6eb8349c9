"""One way in for every modality."""

from __future__ import annotations

from typing import Any

from cutpoint.base.spec import ArraySpec, Preprocess
from cutpoint.base.types import Array
from cutpoint.items.preprocess.arrays import prepare_array
from cutpoint.items.preprocess.image import prepare_image


def prepare_item(payload: Any, spec: Preprocess, name: str = "") -> tuple[Array, tuple[str, ...]]:
    """Return one item as the backbone expects it, and notes on what was unusual about it.

    Parameters
    ----------
    payload : what `prepare_image` or `prepare_array` takes
    spec : PreprocessSpec or ArraySpec
    name : str
        File name, only compared with what the content says.

    Raises
    ------
    BadItem
        If the payload can't be used whole and safely.
    """
    if isinstance(spec, ArraySpec):
        return prepare_array(payload, spec)
    return prepare_image(payload, spec, name)
