"""What all transforms share: reading rows, float32 kept, names of columns."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from cutpoint.base.errors import FewerThanAsked, UsageError
from cutpoint.base.state import Stateful
from cutpoint.base.types import Array, Float64, check_finite
from cutpoint.learning.shared.limits import Limit, check_parameters
from cutpoint.learning.shared.steps import Leaving

FLOATS = (np.float64, np.float32)  # others become the first
# Rows taken to float64 at a time.
_BLOCK_ROWS = 4096


class Transform(Leaving, Stateful, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # untyped
    """A fitted map on features, (n_items, n_features) → (n_items, n_features_out).

    Attributes
    ----------
    limits : mapping of str to Limit
        What its parameters may be.
    """

    limits: ClassVar[Mapping[str, Limit]] = {}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def width_of(self, n_features: int, n_rows: int | None) -> int | None:
        """Return how many columns it will make of so many; None if that can't be told yet.

        Parameters
        ----------
        n_rows : int or None
            That it is fitted on, where known.
        """
        return n_features if isinstance(self, OneToOneFeatureMixin) else None

    def check_restored(self) -> int:
        """Return the number of columns made; raise ValueError unless what was learned fits."""
        with warnings.catch_warnings():  # of columns without the names they were fitted with
            warnings.simplefilter("ignore")
            made = self.transform(np.zeros((1, self.n_features_in_), np.float32))
        n_in, is_each = self.n_features_in_, isinstance(self, OneToOneFeatureMixin)
        if made.ndim != 2 or len(made) != 1 or (is_each and made.shape[1] != n_in):
            raise ValueError(f"{self.kind} makes an array of shape {made.shape} of one row")
        if not np.isfinite(made).all():
            raise ValueError(f"{self.kind} holds NaN or infinity")
        return int(made.shape[1])

    def _rows_to_fit(self, X: Any, n_min: int = 1) -> Array:
        check_parameters(self)
        return finite_rows(self, X, ensure_min_samples=n_min)

    def _rows_to_transform(self, X: Any) -> Array:
        check_is_fitted(self)
        return finite_rows(self, X, reset=False)


class LabelledTransform(Transform):
    """A transform that learns from class labels; belongs inside the fold."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def _labelled_rows(self, X: Any, y: Any) -> tuple[Array, Array, Array]:
        """Return rows, the number of each row's class, and the classes."""
        check_parameters(self)
        X, y = validate_data(
            self, X, y, dtype=FLOATS, ensure_min_samples=2, ensure_all_finite=False
        )
        check_finite(X, f"X of {type(self).__name__}")
        check_classification_targets(y)
        classes, truth = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise UsageError(
                f"{type(self).__name__} can't be fitted: there is 1 class.",
                f"All {len(y)} rows are of 1 class: {classes[0]!r}.",
                "Labels of two classes or more.",
                "Look at them with:  numpy.unique(y)",
            )
        return X, truth, classes


class Mixed(Transform):
    """A transform whose columns are mixtures, named ``pca[0]`` and on."""

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Return ``kind[i]`` for each column; `input_features` is not used."""
        check_is_fitted(self)
        return np.array([f"{self.kind}[{i}]" for i in range(self._n_out())], dtype=object)

    def _n_out(self) -> int:
        raise NotImplementedError


def finite_rows(estimator: Any, X: Any, **how: Any) -> Array:
    """Return `X` as floats that scikit-learn takes for rows, all of them finite."""
    rows: Array = validate_data(estimator, X, dtype=FLOATS, ensure_all_finite=False, **how)
    check_finite(rows, f"X of {type(estimator).__name__}")
    return rows


def finite_chunks(chunks: Iterable[Array], name: str) -> Iterator[Array]:
    """Yield chunks of rows as floats, all of them finite."""
    for chunk in chunks:
        rows = check_array(chunk, dtype=FLOATS, ensure_all_finite=False)
        check_finite(rows, f"A chunk for {name}")
        yield rows


def feature_names(widths: Mapping[str, int]) -> Array:
    """Return a name for each column of taps side by side: tap, pool and channel.

    Parameters
    ----------
    widths : mapping of str to int
        Tap name → its number of features, in order.

    Examples
    --------
    >>> feature_names({"blocks.3/gap": 2, "head": 1}).tolist()
    ['blocks.3/gap[0]', 'blocks.3/gap[1]', 'head[0]']
    """
    names = [f"{tap}[{channel}]" for tap, width in widths.items() for channel in range(width)]
    return np.array(names, dtype=object)


def multiply(X: Array, matrix: Any, shift: Float64 | float = 0.0) -> Array:
    """Return ``(X − shift) @ matrix`` in the type of `X`, computed in float64.

    Parameters
    ----------
    X : array of shape (n_items, n_features)
    matrix : array or sparse array of shape (n_features, n_out)
    shift : array of shape (n_features,), optional
    """
    out = np.empty((len(X), matrix.shape[1]), X.dtype)
    for start in range(0, len(X), _BLOCK_ROWS):
        rows = X[start : start + _BLOCK_ROWS].astype(np.float64) - shift
        out[start : start + _BLOCK_ROWS] = rows @ matrix
    return out


def check_blocks(blocks: tuple[int, ...] | None, n_features: int) -> tuple[int, ...]:
    """Return the widths of the column blocks: all columns are one block if none are given."""
    if blocks is None:
        return (n_features,)
    if min(blocks, default=0) < 1 or sum(blocks) != n_features:
        raise UsageError(
            f"Blocks of widths {tuple(blocks)} don't fit features of {n_features} columns.",
            f"They make {sum(blocks)} columns.",
            "Widths of 1 or more that add up to the number of features.",
            "Type, for example:  blocks=tuple(X.shape[1] for X in features_of_taps)",
        )
    return tuple(blocks)


def at_most(asked: Any, limit: Any, what: str) -> Any:
    """Return `asked`, or `limit` with a warning if that is less."""
    if asked > limit:
        what = f"{asked} {what} are too many: {limit} are possible, and those are taken."
        warnings.warn(what, FewerThanAsked, stacklevel=3)
    return min(asked, limit)


def starts_of(blocks: tuple[int, ...]) -> Array:
    """Return the first column of each block."""
    return np.concatenate([[0], np.cumsum(blocks)[:-1]]).astype(np.intp)
