"""What a head's parameters may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from cutpoint.base.errors import UsageError


@dataclass(frozen=True)
class Limit:
    """Bounds of one number.

    Attributes
    ----------
    least, most : float
        Both allowed, unless `is_open`: then neither is.
    is_whole, is_open, is_optional : bool
        Optional: None is allowed too.
    example : str
        One that will do, as it is typed.
    """

    least: float
    most: float
    example: str
    is_whole: bool = False
    is_open: bool = False
    is_optional: bool = False

    def __str__(self) -> str:
        kind = "a whole number" if self.is_whole else "a number"
        if not np.isfinite(self.most):
            above = f" above {self.least:g}" if self.is_open else f", {self.least:g} or more"
            return kind + above
        words = ("between", "and") if self.is_open else ("from", "to")
        return f"{kind} {words[0]} {self.least:g} {words[1]} {self.most:.12g}"

    def allows(self, value: Any) -> bool:
        if value is None:
            return self.is_optional
        kind = Integral if self.is_whole else Real
        if isinstance(value, bool) or not isinstance(value, kind) or not np.isfinite(float(value)):
            return False
        number = float(value)
        if self.is_open:
            return self.least < number < self.most
        return self.least <= number <= self.most


COUNT = Limit(1, np.inf, "16", is_whole=True)
SEED = Limit(0, 2**32 - 1, "0", is_whole=True)


def check_parameters(kind: str, given: Mapping[str, Any], limits: Mapping[str, Limit]) -> None:
    """Raise `UsageError` for the first parameter of the head `kind` that is beyond its limit."""
    for name, limit in limits.items():
        if not limit.allows(given[name]):
            raise UsageError(
                f"The head {kind} with {name}={given[name]} was asked for.",
                f"{given[name]} is not {limit}.",
                f"For {name}: {limit}.",
                f'Type, for example:  --head "{kind}({name}={limit.example})"',
            )
