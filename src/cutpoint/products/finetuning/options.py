"""How a network is fine-tuned, as it was typed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cutpoint.base.arguments import check_choice, check_seed
from cutpoint.base.errors import UsageError
from cutpoint.base.tongue import option
from cutpoint.features.extraction.request import Request
from cutpoint.learning.finetune import ALPHAS, EVERY_S, RATES, Unfreeze, parse_unfreeze

VIEWS = (1, 2, 4, 8)
AUTO, FIND = "auto", "find"
STORE_LIMIT_BYTES = 4_000_000_000


@dataclass(frozen=True)
class FinetuneOptions:
    """Fields as in `cutpoint.finetune`.

    Attributes
    ----------
    end : str or int, optional
        The layer at which the network ends; the start's deepest tap by default.
    choose : bool
        Whether rows left out decide; otherwise the one rate is followed to the last epoch.
    checkpoint_s : float
        Seconds between two checkpoints.
    """

    unfreeze: Unfreeze = field(default_factory=lambda: parse_unfreeze("last:1"))
    request: Request = field(default_factory=Request)
    end: str | int | None = None
    lr: str | float | Sequence[float] = AUTO
    epochs: int | None = None
    views: int = 4
    batch_size: int = 32
    alphas: tuple[float, ...] = ALPHAS
    weight_decay: float = 0.01
    smoothing: float = 0.0
    dropout: float = 0.0
    pull: float = 0.0
    lr_decay: float = 1.0
    schedule: str = ""
    device: str = AUTO
    store_limit_bytes: int = STORE_LIMIT_BYTES
    choose: bool = True
    checkpoint_s: float = EVERY_S

    def __post_init__(self) -> None:
        """Raise `UsageError` for what no run can serve, before there is one."""
        check_seed(self.request.seed)
        if self.views not in VIEWS:
            raise _wrong("views", self.views, f"one of {', '.join(map(str, VIEWS))}", 4)
        check_choice("schedule", self.schedule, ("", "gradual"), "gradual")
        self._check_rates()
        counts = {"batch_size": self.batch_size, "epochs": self.epochs}
        for name, value in counts.items():
            if value is not None and (type(value) is not int or value < 1):
                raise _wrong(name, value, "a whole number, 1 or more", 10)
        for name in ("weight_decay", "pull"):
            _check_number(name, getattr(self, name), 0, math.inf)
        for name in ("smoothing", "dropout"):
            _check_number(name, getattr(self, name), 0, 0.99)
        _check_number("lr_decay", self.lr_decay, 0, 1)
        for alpha in self.alphas:
            _check_number("alphas", alpha, 0, 1)

        if not self.choose and (len(self.rates) != 1 or len(self.alphas) != 1):
            raise UsageError(
                f"{len(self.rates)} rates and {len(self.alphas)} ways from the start are given, "
                "and nothing is to choose among them.",
                "Without a choice one setting is followed to its end.",
                "One rate and one of alphas.",
                "Type, for example:  lr=1e-4, alphas=[1.0], choose=False",  # in Python alone
            )

    def _check_rates(self) -> None:
        if isinstance(self.lr, str):
            check_choice("lr", self.lr, (AUTO, FIND), AUTO)
            return
        for rate in self.rates:
            _check_number("lr", rate, 1e-9, 10)

    def on_device(self, found: str) -> FinetuneOptions:
        """Return the options for the device that is there, where none was named."""
        return replace(self, device=found) if self.device == AUTO else self

    @property
    def rates(self) -> tuple[float, ...]:
        """Learning rates that are tried; none where they are found first."""
        if self.lr == AUTO:
            return RATES[self.unfreeze.kind]
        if isinstance(self.lr, str):
            return ()
        return (self.lr,) if isinstance(self.lr, int | float) else tuple(self.lr)


def _check_number(name: str, value: Any, low: float, high: float) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not low <= value <= high or not math.isfinite(value):
        raise _wrong(name, value, f"a number from {low:g} to {high:g}", max(low, min(high, 0.1)))


def _wrong(name: str, value: Any, would_do: str, example: Any) -> UsageError:
    return UsageError(
        f"{option(name)} is {value!r}.",
        "No training can follow that.",
        f"It is {would_do}.",
        f"Type, for example:  {option(name, example)}",
    )
