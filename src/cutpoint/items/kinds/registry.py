"""Which kind of item a backbone reads, and what that kind does: one way in for all kinds."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any, cast

from cutpoint.base.contracts import Defaults, InGraph, Kind
from cutpoint.base.errors import ModalityError, UsageError
from cutpoint.base.spec import KINDS, Preprocess, load_kind
from cutpoint.base.tongue import option
from cutpoint.base.types import Prepared
from cutpoint.items.kinds import plain


def kind_named(name: str) -> Kind:
    """Return a kind of item by its name, through the entry-point group ``cutpoint.kinds``.

    Raises
    ------
    ModalityError
        If no such kind is installed.
    """
    return cast("Kind", _Filled(load_kind(name)))


class _Filled:
    """A kind's module, and of `plain` what it does not say: kinds outlast a protocol that grows."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module if hasattr(self._module, name) else plain, name)


def all_kinds() -> list[Kind]:
    """Return the kinds of item that are installed here, ours and strangers', by name."""
    return [kind_named(name) for name in sorted(entry_points(group=KINDS).names)]


def defaults_of(name: str) -> Defaults:
    """Return what is taken for a kind where nobody says otherwise.

    Features of a kind that is not installed here can still be ranked, by what holds for any.
    """
    try:
        return kind_named(name).DEFAULTS
    except ModalityError:
        return Defaults()


def prepare_item(
    payload: Any, spec: Preprocess, name: str = ""
) -> tuple[Prepared, tuple[str, ...]]:
    """Return one item as the backbone expects it, and notes on what was unusual about it.

    Parameters
    ----------
    payload : bytes of a file, or what the kind takes in memory
    spec : PreprocessSpec, ArraySpec or another kind's
    name : str
        File name, only compared with what the content says.

    Returns
    -------
    prepared : dict of input → array
    notes : tuple of str

    Raises
    ------
    BadItem
        If the payload can't be used whole and safely.
    """
    return kind_named(spec.kind).prepare_item(payload, spec, name)


def in_graph(spec: Preprocess) -> Mapping[str, InGraph]:
    """Return what the graph does to inputs before the network sees them; see `InGraph`."""
    found = kind_named(spec.kind).in_graph(spec)
    return {name: found.get(name, InGraph()) for name in spec.inputs}


def viewed(spec: Preprocess, number: int, seed: int) -> Preprocess:
    """Return preprocessing that shows each item in another way; view 0 is `spec` itself.

    Raises
    ------
    UsageError
        If items of this kind can be shown in one way alone.
    """
    show = getattr(kind_named(spec.kind), "viewed", None)
    if number == 0:
        return spec
    if show is None:
        raise UsageError(
            f"Items of kind {spec.kind} have 1 view, and {number + 1} are to be stored.",
            "Crops and mirror images are there of photos alone.",
            "One view.",
            f"Type:  {option('views', 1)}",
        )
    found: Preprocess = show(spec, number, seed)
    return found
