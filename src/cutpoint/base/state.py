"""What an estimator learned, as JSON types and arrays; no pickle."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from cutpoint.base.errors import UsageError
from cutpoint.base.types import Array


class Stateful:
    """An estimator that can be written down and made again: parameters, and names ending in ``_``.

    Attributes
    ----------
    kind : str
        Its name in saved files and where a person types it.
    """

    kind: ClassVar[str]
    _unsaved: ClassVar[tuple[str, ...]] = ()
    """Learned names that it does without once it is restored."""

    def to_state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return what `from_state` makes the same estimator of: JSON types, and arrays."""
        check_is_fitted(self)
        learned = {name: value for name, value in vars(self).items() if self._is_saved(name)}
        arrays = {name: value for name, value in learned.items() if _is_numeric(value)}
        parameters: dict[str, Any] = self.get_params(deep=False)  # type: ignore[attr-defined]  # sklearn
        fields = {
            "kind": self.kind,
            "parameters": _to_json(parameters),
            "learned": _to_json({n: v for n, v in learned.items() if n not in arrays}),
        }
        return fields, arrays

    @classmethod
    def from_state(cls, fields: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """Return the fitted estimator that `to_state` described.

        Raises
        ------
        ValueError
            If what it learned is not finite: no `fit` here leaves that, and all it makes of any
            row would be NaN.
        """
        parameters = {name: _from_json(value) for name, value in fields["parameters"].items()}
        made = cls(**parameters)
        learned = {name: _from_json(value) for name, value in fields["learned"].items()}
        own = {name: np.array(array, order="C") for name, array in arrays.items()}
        for name, value in {**learned, **own}.items():
            if not _is_finite(value):
                raise ValueError(f"{name} holds NaN or infinity")
            if made._is_saved(name):
                setattr(made, name, value)
        if "feature_names_in_" in learned:
            names = np.array(learned["feature_names_in_"], dtype=object)
            made.feature_names_in_ = names  # type: ignore[attr-defined]  # sklearn
        return made

    def _is_saved(self, name: str) -> bool:
        return name.endswith("_") and not name.startswith("_") and name not in self._unsaved


def _is_numeric(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "biuf"


def _is_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_finite, value))
    if isinstance(value, np.ndarray):
        return bool(np.isfinite(value).all())
    return not isinstance(value, float) or math.isfinite(value)


def _to_json(value: Any) -> Any:
    """Return `value` in JSON types; raise if it has none."""
    if isinstance(value, dict):
        return {name: _to_json(each) for name, each in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_to_json(each) for each in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise UsageError(
        f"A fitted estimator that holds {value!r} can't be saved.",
        f"That is a {type(value).__name__}: neither number, text nor array.",
        "Parameters of JSON's types; a seed instead of a random generator.",
        "Type, for example:  random_state=0",
    )


def _from_json(value: Any) -> Any:
    return tuple(_from_json(each) for each in value) if isinstance(value, list) else value
