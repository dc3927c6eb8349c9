"""What to say of an array that does not fit; there is nothing to look at."""

from __future__ import annotations

from typing import Any

from cutpoint.base.spec import ArraySpec, ArraysSpec


def wanted(payload: Any, spec: ArraySpec | ArraysSpec) -> tuple[str, str]:
    """Return what `spec` takes, and what to type."""
    if isinstance(spec, ArraysSpec):
        named = ", ".join(f"{name}: {each}" for name, each in spec.named)
        names = ", ".join(f'"{name}": …' for name, each in spec.named if not each.mask_of)
        return f"mappings of {named}", f"Type, for example:  items=[{{{names}}}, …]"
    remedy = f'Type, for example:  items.astype("{spec.dtype}")'
    shape = getattr(payload, "shape", None)
    if shape == ():
        remedy = "Type, for one item:  items[None]"
    elif shape is not None and not spec.inputs["array"].takes(shape):
        remedy = "Compare with:  items[0].shape"
    return f"{spec.dtype} of shape {spec.shape}", remedy
