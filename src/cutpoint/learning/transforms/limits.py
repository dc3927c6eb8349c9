"""What each parameter of a transform may be, checked before anything is fitted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, TypeGuard

from cutpoint.base.errors import UsageError
from cutpoint.base.stages import parameters_of, spell


@dataclass(frozen=True)
class Limit:
    """Which values will do.

    Attributes
    ----------
    words : str
        For the message.
    holds : callable
        Tells a value that will do.
    """

    words: str
    holds: Callable[[Any], bool]

    @property
    def or_none(self) -> Limit:
        """The same, or None."""
        return Limit(self.words, lambda value: value is None or self.holds(value))


def is_whole(value: Any) -> TypeGuard[int]:
    """Tell whole numbers; True and 5.0 are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Tell finite numbers; True is none."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def is_share(value: Any) -> bool:
    """Tell a share, typed with a point: 1.0 is all, 1 is one."""
    return is_number(value) and not is_whole(value)


def _is_share_or_count(value: Any) -> bool:
    return (is_share(value) and 0 < value <= 1) or (is_whole(value) and value >= 1)


def _are_weights(value: Any) -> bool:
    """Tell one weight or several, none below 0, one above."""
    found = value if isinstance(value, tuple | list) else (value,)
    return all(is_number(each) and each >= 0 for each in found) and any(found)


COUNT = Limit("A whole number, 1 or more.", lambda value: is_whole(value) and value >= 1)
NEIGHBOURS = Limit("A whole number, 2 or more.", lambda value: is_whole(value) and value >= 2)
MANY = Limit("A whole number, 0 or more.", lambda value: is_whole(value) and value >= 0)
POSITIVE = Limit("A number above 0.", lambda value: is_number(value) and value > 0)
WEIGHT = Limit("A number, 0 or more.", lambda value: is_number(value) and value >= 0)
UP_TO_ONE = Limit("A number from 0 to 1.", lambda value: is_number(value) and 0 <= value <= 1)
SHARE = Limit("A number above 0 and up to 1.", lambda value: is_number(value) and 0 < value <= 1)
SHARE_OR_COUNT = Limit(
    "A whole number, 1 or more, or a share above 0 and up to 1.0 (with its point).",
    _is_share_or_count,
)
STEP = Limit(
    "A whole number, 1 or more, or a share between 0 and 1.",
    lambda value: _is_share_or_count(value) and not (is_share(value) and value == 1),
)
SEED = Limit(
    "A whole number from 0 to 4294967295.",
    lambda value: is_whole(value) and 0 <= value < 2**32,
)
WEIGHTS = Limit("One weight a tap, such as 2:1:1, none below 0, one above.", _are_weights)
SWITCH = Limit("A switch: its name alone, or nothing.", lambda value: isinstance(value, bool))


def one_of(*names: str) -> Limit:
    """Return the limit of a parameter that is one of some words."""
    return Limit(f"One of {', '.join(names)}.", lambda value: value in names)


def check_parameters(estimator: Any) -> None:
    """Raise `UsageError` unless each parameter is within its `limits`, and all go together.

    Switches are bool.
    """
    defaults = parameters_of(type(estimator))
    switches = {name: SWITCH for name, value in defaults.items() if isinstance(value, bool)}
    limits: Mapping[str, Limit] = {**switches, **estimator.limits}
    for name, limit in limits.items():
        value = getattr(estimator, name)
        if not limit.holds(value):
            raise UsageError(
                f"{estimator.kind} with {name}={value} was asked for.",
                f"{name} can't be {value!r}.",
                limit.words,
                f"Type, for example:  {_example(estimator.kind, name, defaults[name])}",
            )
    together = getattr(estimator, "check_together", None)
    if together is not None:
        together()


def _example(kind: str, name: str, default: Any) -> str:
    """Return a spelling that will do: with the default, or without the parameter."""
    is_shown = default is not None and default is not False
    return spell(kind, ((name, default),) if is_shown else ())
