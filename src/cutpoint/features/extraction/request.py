"""What to compute and where to keep it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import Any

from cutpoint.base.arguments import as_path, check_choice, check_seed
from cutpoint.base.errors import UsageError
from cutpoint.base.spec import PRECISIONS, FeatureSpec
from cutpoint.base.text import shortened, shown
from cutpoint.base.tongue import option
from cutpoint.features.extraction.bad_rows import BAD_ROWS
from cutpoint.features.extraction.run import ExtractOptions
from cutpoint.features.store.store import PARTS
from cutpoint.networks.backbone import STORAGES, Backbone
from cutpoint.networks.engines import refuse_precision
from cutpoint.networks.layer_table import AUTO
from cutpoint.networks.pooling import canonical_pool

DEFAULT_POOLS = ("auto",)


def default_store() -> Path:
    """Return where features are kept if no store is named.

    ``$CUTPOINT_STORE``, else ``cutpoint/features`` in the user's cache folder. Features are found
    by content, so one store serves every data set.
    """
    named = os.environ.get("CUTPOINT_STORE")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named) if named else cache / "cutpoint" / "features"


@dataclass(frozen=True)
class Request:
    """Which features of a data set, where they are kept, how they are computed.

    Fields as in `cutpoint.extract`. Raises `UsageError` for what no extraction can serve, whatever
    the network.
    """

    taps: Sequence[str | int] | str = AUTO
    pools: tuple[str, ...] = DEFAULT_POOLS
    store: Path = field(default_factory=default_store)
    how: ExtractOptions = field(default_factory=ExtractOptions)
    seed: int = 0
    storage: str = AUTO
    precision: str = "fp32"
    follow_links: bool = False

    @classmethod
    def of(
        cls,
        taps: Sequence[str | int] | str = AUTO,
        pool: str | Sequence[str] = DEFAULT_POOLS,
        store: str | os.PathLike[str] | None = None,
        *,
        engine: str = "auto",
        precision: str = "fp32",
        n_workers: int | None = None,
        max_bad: float = 0.01,
        seed: int = 0,
        storage: str = AUTO,
        follow_links: bool = False,
    ) -> Request:
        """Return the request that a person typed, in Python or in a command line."""
        return cls(
            taps=_taps(taps),
            pools=several(pool),
            store=default_store() if store is None else as_path("store", store),
            how=ExtractOptions(engine, n_workers, max_bad),
            seed=seed,
            storage=storage,
            precision=precision,
            follow_links=follow_links,
        )

    def __post_init__(self) -> None:
        if not self.pools or not all(isinstance(pool, str) for pool in self.pools):
            raise UsageError(
                f"The pools are {shown(self.pools)}.",
                "A pool is named by text.",
                "One pool at least.",
                f"Type, for example:  {option('pool', 'gap')}",
            )
        for pool in self.pools:
            if pool != AUTO:
                canonical_pool(pool)
        check_choice("storage", self.storage, STORAGES, "fp32")
        check_choice("precision", self.precision, PRECISIONS, "bf16")
        refuse_precision(self.how.engine, self.precision)
        check_seed(self.seed)
        _check_store(self.store)

    def spec(self, backbone: Backbone) -> FeatureSpec:
        """Return what is computed of each item by `backbone`."""
        return backbone.feature_spec(self.taps, self.pools, self.storage, self.precision)

    def changed(self) -> dict[str, object]:
        """Return what differs from the defaults, by the names of `of`."""
        said = {
            "taps": (self.taps, AUTO),
            "pool": (self.pools, DEFAULT_POOLS),
            "store": (self.store, default_store()),
            "engine": (self.how.engine, "auto"),
            "precision": (self.precision, "fp32"),
            "n_workers": (self.how.n_workers, None),
            "max_bad": (self.how.max_bad, 0.01),
            "seed": (self.seed, 0),
            "storage": (self.storage, AUTO),
            "follow_links": (self.follow_links, False),
        }
        return {name: value for name, (value, default) in said.items() if value != default}


def several(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return one name or several as a tuple; what is neither is refused where it is checked."""
    return (given,) if isinstance(given, str) or not isinstance(given, Iterable) else tuple(given)


def _taps(given: Any) -> Sequence[str | int] | str:
    """Return layers by name or index, in a list unless it is one text."""
    if isinstance(given, str):
        return given
    if isinstance(given, Integral) and not isinstance(given, bool):
        return [int(given)]
    if not isinstance(given, Iterable):
        raise UsageError(
            f"{option('taps')} is {shown(given)}, which names no layers.",
            "A layer is named by text, or by a whole number, its index.",
            "auto, inner, or names, indices and globs of layers in a list.",
            f"Type, for example:  {option('taps', AUTO)}",
        )
    return [int(each) if isinstance(each, Integral) else each for each in given]


def _listed(folder: Path) -> list[Path]:
    """Return what is in a folder; nothing where that can't be told."""
    return list(folder.iterdir()) if folder.is_dir() and os.access(folder, os.R_OK) else []


def _check_store(folder: Path) -> None:
    """Raise `UsageError` if `folder` can't be one. One that is read-only may hold all there is."""
    blocking = next((each for each in (folder, *folder.absolute().parents) if each.is_file()), None)
    if blocking is not None:
        raise UsageError(
            f'Features can\'t be kept in "{folder}".',
            f'"{blocking}" is a file.',
            "A folder, which need not be there yet.",
            f"Type, for example:  {option('store', 'features')}",
        )
    names = {each.name for each in _listed(folder)}
    if any(not name.startswith(".") for name in names) and not names & {*PARTS, BAD_ROWS}:
        raise UsageError(
            f'"{folder}" is no feature store, and it is not empty.',
            f"It holds {shortened(min(names), 40)}.",
            "An empty folder, a store, or a folder that is not there yet.",
            f"Type, for example:  {option('store', str(folder / 'features'))}",
        )
