"""What each parameter of a transform or a head may be, checked before anything is fitted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any, TypeGuard

import numpy as np

from cutpoint.base.errors import UsageError
from cutpoint.base.stages import parameters_of, spell
from cutpoint.base.tongue import option


@dataclass(frozen=True)
class Limit:
    """Which values will do.

    Attributes
    ----------
    words : str
        For the message, after "is not": "a whole number, 1 or more".
    holds : callable
        Tells a value that will do.
    example : optional
        One that will do, for parameters whose default says nothing.
    """

    words: str
    holds: Callable[[Any], bool]
    example: Any = None

    @property
    def or_none(self) -> Limit:
        """The same, or None."""
        return replace(self, holds=lambda value: value is None or self.holds(value))

    def like(self, example: Any) -> Limit:
        """Return the same with an example."""
        return replace(self, example=example)


def is_whole(value: Any) -> TypeGuard[int]:
    """Tell whole numbers; True and 5.0 are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Tell finite numbers; True is none."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def is_share(value: Any) -> bool:
    """Tell a share, typed with a point: 1.0 is all, 1 is one."""
    return is_number(value) and not is_whole(value)


def whole(least: int, most: float = math.inf) -> Limit:
    """Return the limit of a whole number from `least` to `most`, both allowed."""
    above = f", {least} or more" if most == math.inf else f" from {least} to {most:.12g}"
    return Limit(f"a whole number{above}", lambda v: is_whole(v) and least <= v <= most)


def number(least: float, most: float = math.inf) -> Limit:
    """Return the limit of a number from `least` to `most`, both allowed."""
    above = f", {least:g} or more" if most == math.inf else f" from {least:g} to {most:g}"
    return Limit(f"a number{above}", lambda v: is_number(v) and least <= v <= most)


def within(least: float, most: float = math.inf) -> Limit:
    """Return the limit of a number between `least` and `most`, neither allowed."""
    above = f" above {least:g}" if most == math.inf else f" between {least:g} and {most:g}"
    return Limit(f"a number{above}", lambda v: is_number(v) and least < v < most)


def one_of(*names: str) -> Limit:
    """Return the limit of a parameter that is one of some words."""
    return Limit(f"one of {', '.join(names)}", lambda value: value in names)


def several(each: Limit) -> Limit:
    """Return the limit of one value, or several, each within `each`."""
    words = f"{each.words}, or several of them"

    def holds(value: Any) -> bool:
        found = np.atleast_1d(np.asarray(value)).tolist()
        return np.ndim(value) <= 1 and len(found) > 0 and all(map(each.holds, found))

    return Limit(words, holds)


def _is_share_or_count(value: Any) -> bool:
    return (is_share(value) and 0 < value <= 1) or (is_whole(value) and value >= 1)


def _are_weights(value: Any) -> bool:
    """Tell one weight or several, none below 0, one above."""
    found = value if isinstance(value, tuple | list) else (value,)
    return all(is_number(each) and each >= 0 for each in found) and any(found)


COUNT = whole(1)
TWO_OR_MORE = whole(2)
MANY = whole(0)
SEED = whole(0, 2**32 - 1)
POSITIVE = within(0)
WEIGHT = number(0)
UP_TO_ONE = number(0, 1)
RATE = within(0, 1)
SHARE = Limit("a number above 0 and up to 1", lambda value: is_number(value) and 0 < value <= 1)
SHARE_OR_COUNT = Limit(
    "a whole number, 1 or more, or a share above 0 and up to 1.0 (with its point)",
    _is_share_or_count,
)
STEP = Limit(
    "a whole number, 1 or more, or a share between 0 and 1",
    lambda value: _is_share_or_count(value) and not (is_share(value) and value == 1),
)
WEIGHTS = Limit("one weight per tap, such as 2:1:1, none below 0, one above", _are_weights)
SWITCH = Limit("a switch: its name alone, or nothing", lambda value: isinstance(value, bool))


def check_parameters(estimator: Any, argument: str = "") -> None:
    """Raise `UsageError` unless each parameter is within its `limits`, and all go together.

    Switches are bool.

    Parameters
    ----------
    argument : str
        What a person types it after: ``"head"``; by default nothing.
    """
    defaults = parameters_of(type(estimator))
    switches = {name: SWITCH for name, value in defaults.items() if isinstance(value, bool)}
    limits: Mapping[str, Limit] = {**switches, **estimator.limits}
    for name, limit in limits.items():
        value = getattr(estimator, name)
        if not limit.holds(value):
            example = _example(
                estimator.kind, name, limit.example if defaults[name] is None else defaults[name]
            )
            raise UsageError(
                f"{name} can't be {value!r} in {estimator.kind}.",
                f"{name}={value} is not {limit.words}.",
                f"For {name}: {limit.words}.",
                f"Type, for example:  {option(argument, example) if argument else example}",
            )
    together = getattr(estimator, "check_together", None)
    if together is not None:
        together()


def _example(kind: str, name: str, value: Any) -> str:
    """Return a spelling that will do: with the value, or without the parameter."""
    is_shown = value is not None and value is not False
    return spell(kind, ((name, value),) if is_shown else ())
