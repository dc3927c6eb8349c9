"""Columns kept by a score, the others dropped; what is kept keeps its name."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import RFE, SelectorMixin, f_classif, mutual_info_classif
from sklearn.linear_model import RidgeClassifier
from sklearn.utils.validation import check_is_fitted

from cutpoint.base.errors import FewerThanAsked, UsageError
from cutpoint.base.types import Array, Float64
from cutpoint.learning.gram import Variances, one_hot
from cutpoint.learning.shared.limits import (
    COUNT,
    POSITIVE,
    SEED,
    SHARE,
    SHARE_OR_COUNT,
    STEP,
    UP_TO_ONE,
    WEIGHT,
    Limit,
    is_share,
)
from cutpoint.learning.shared.steps import scaling, selecting
from cutpoint.learning.transforms.base import (
    LabelledTransform,
    Transform,
    check_blocks,
    starts_of,
)
from cutpoint.learning.transforms.normalise import constant_columns
from cutpoint.learning.transforms.proximal import group_lasso, lasso
from cutpoint.learning.transforms.training import train_mask


def top(scores: Array, keep: float | int) -> Array:
    """Return which scores are the highest; of equal ones the first by index.

    Parameters
    ----------
    scores : array of shape (n_features,)
    keep : int or float
        A number ≥ 1 (all, with a warning, if there are fewer), or a share in (0, 1], of which at
        least one is kept.

    Returns
    -------
    mask : bool array of shape (n_features,)
    """
    mask = np.zeros(len(scores), dtype=bool)
    mask[np.argsort(-scores, kind="stable")[: n_to_keep(keep, len(scores))]] = True
    return mask


def n_to_keep(keep: float | int, n_features: int) -> int:
    """Return how many of `n_features` columns `keep`, a number or a share, means."""
    if not SHARE_OR_COUNT.holds(keep):
        raise UsageError(
            f"keep={keep} is neither a number of columns nor a share of them.",
            f"There are {n_features} columns.",
            f"A whole number from 1 to {n_features}, or a share above 0 and up to 1.0.",
            "Type, for example:  keep=0.1",
        )
    if is_share(keep):
        return max(1, round(keep * n_features))
    if keep > n_features:
        what = f"keep={keep} is more than the {n_features} columns there are; all are kept."
        warnings.warn(what, FewerThanAsked, stacklevel=3)
    return min(int(keep), n_features)


class Selector(SelectorMixin, Transform):  # type: ignore[misc]  # scikit-learn is untyped
    """A transform that keeps the columns of its `mask_`.

    Attributes
    ----------
    scores_ : array of shape (n_features,)
        Higher is kept first.
    mask_ : bool array of shape (n_features,)
    """

    _keep_decides: ClassVar[bool] = False
    """Whether `keep` alone says how many columns are left."""
    scores_: Array
    mask_: Array

    def width_of(self, n_features: int, n_rows: int | None) -> int | None:
        if not self._keep_decides:
            return None
        keep = self.get_params(deep=False)["keep"]
        return n_to_keep(keep if is_share(keep) else min(keep, n_features), n_features)

    def affine(self) -> tuple[Any, Float64]:
        return selecting(self.mask_), np.zeros(int(self.mask_.sum()))

    def _get_support_mask(self) -> Array:
        check_is_fitted(self)
        return self.mask_


class VarianceSelect(Selector):
    """The columns that vary most on the training rows.

    Parameters
    ----------
    keep : int, float or None
        Columns, or share of them, at most. By default half of them; all, if a threshold is given.
        Constant columns are dropped all the same.
    threshold : float or None
        Variance (over n) a column must exceed.
    """

    kind: ClassVar[str] = "variance"
    limits: ClassVar[Mapping[str, Limit]] = {
        "keep": SHARE_OR_COUNT.or_none,
        "threshold": WEIGHT.or_none,
    }

    def __init__(self, keep: int | float | None = None, threshold: float | None = None) -> None:
        self.keep = keep
        self.threshold = threshold

    def fit(self, X: Any, y: Any = None) -> Self:
        """Score the columns; labels are not used."""
        moments = Variances.of(self._rows_to_fit(X, n_min=2))
        self.scores_ = np.where(constant_columns(moments), 0.0, moments.variance())
        check_any(self, self.scores_ > 0)
        self.mask_ = self.scores_ > (self.threshold or 0.0)
        if not self.mask_.any():
            raise UsageError(
                f"No column varies by more than the threshold {self.threshold:g}.",
                f"The largest of {len(self.scores_)} variances is {self.scores_.max():.3g}.",
                "A threshold below that.",
                f"Type, for example:  variance(threshold={self.scores_.max() / 10:.1g})",
            )
        keep = self.keep or (0.5 if self.threshold is None else 1.0)
        self.mask_ &= top(self.scores_, keep)
        return self


class FTestSelect(Selector, LabelledTransform):
    """The columns whose class means differ most: variance between classes over that within.

    Parameters
    ----------
    keep : int or float, default 0.5
        Columns, or share of them. Constant columns score 0.
    """

    kind: ClassVar[str] = "f_test"
    _keep_decides: ClassVar[bool] = True
    limits: ClassVar[Mapping[str, Limit]] = {"keep": SHARE_OR_COUNT}

    def __init__(self, keep: int | float = 0.5) -> None:
        self.keep = keep

    def fit(self, X: Any, y: Any) -> Self:
        """Score the columns by scikit-learn's `f_classif`."""
        X, truth, _ = self._labelled_rows(X, y)
        check_any(self, varies := X.min(axis=0) < X.max(axis=0))
        scores = np.zeros(X.shape[1])
        with warnings.catch_warnings():  # columns constant within every class: F is infinite
            warnings.simplefilter("ignore")
            scores[varies] = f_classif(X[:, varies].astype(np.float64), truth)[0]
        self.scores_ = np.nan_to_num(scores, nan=0.0, posinf=np.finfo(np.float64).max)
        self.mask_ = top(self.scores_, self.keep)
        return self


class MutualInfoSelect(Selector, LabelledTransform):
    """The columns that tell most about the class, linearly or not; estimated from neighbours.

    Parameters
    ----------
    keep : int or float, default 0.5
        Columns, or share of them.
    n_neighbors : int, default 3
        More are steadier and coarser.
    random_state : int, default 0
        Seed of the noise that tells equal values apart.
    """

    kind: ClassVar[str] = "mutual_info"
    _keep_decides: ClassVar[bool] = True
    limits: ClassVar[Mapping[str, Limit]] = {
        "keep": SHARE_OR_COUNT,
        "n_neighbors": COUNT,
        "random_state": SEED,
    }

    def __init__(
        self, keep: int | float = 0.5, n_neighbors: int = 3, random_state: int = 0
    ) -> None:
        self.keep = keep
        self.n_neighbors = n_neighbors
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Score the columns, nats, by scikit-learn's `mutual_info_classif`."""
        X, truth, _ = self._labelled_rows(X, y)
        self.scores_ = mutual_info_classif(
            X.astype(np.float64),
            truth,
            discrete_features=False,
            n_neighbors=self.n_neighbors,
            random_state=self.random_state,
        )
        self.mask_ = top(self.scores_, self.keep)
        return self


class RecursiveSelect(Selector, LabelledTransform):
    """The columns a ridge classifier holds on to while its weakest are taken away.

    Parameters
    ----------
    keep : int or float, default 0.5
        Columns, or share of them.
    step : int or float, default 0.1
        Columns, or share of all columns, that go in each round.
    alpha : float, default 1.0
        λ of the ridge classifier; columns should have one scale.
    """

    kind: ClassVar[str] = "rfe"
    _keep_decides: ClassVar[bool] = True
    limits: ClassVar[Mapping[str, Limit]] = {
        "keep": SHARE_OR_COUNT,
        "step": STEP,
        "alpha": WEIGHT,
    }

    def __init__(self, keep: int | float = 0.5, step: float = 0.1, alpha: float = 1.0) -> None:
        self.keep = keep
        self.step = step
        self.alpha = alpha

    def fit(self, X: Any, y: Any) -> Self:
        """Eliminate columns by scikit-learn's `RFE`; a column's score is minus its rank."""
        X, truth, _ = self._labelled_rows(X, y)
        n_kept = n_to_keep(self.keep, X.shape[1])
        rounds = RFE(RidgeClassifier(self.alpha), n_features_to_select=n_kept, step=self.step)
        rounds.fit(X.astype(np.float64), truth)
        self.scores_, self.mask_ = -rounds.ranking_.astype(np.float64), rounds.support_
        return self


class L1Select(Selector, LabelledTransform):
    """The columns that multinomial logistic regression with an L1 penalty uses.

    Parameters
    ----------
    C : float, default 1.0
        Weight of the summed cross-entropy against ``Σ_ij |w_ij|``: smaller keeps fewer columns;
        they should have one scale.
    keep : int, float or None
        At most so many, the largest weights first; all that are used by default.
    random_state : int, default 0
        From earlier releases, whose solver drew an order. This one draws nothing: every seed
        gives the same columns.
    max_iter : int, default 5000
        A warning says if that was too few.
    tol : float, default 1e-4
        Ends when no derivative of the objective is off its optimum by more than this times the
        penalty.

    Attributes
    ----------
    coef_ : float64 array of shape (n_features, n_classes)
        The weights; not saved.
    scores_ : float64 array of shape (n_features,)
        ``Σ_j |w_ij|`` over the classes.
    n_iter_ : int
    """

    kind: ClassVar[str] = "l1"
    limits: ClassVar[Mapping[str, Limit]] = {
        "C": POSITIVE,
        "keep": SHARE_OR_COUNT.or_none,
        "random_state": SEED,
        "max_iter": COUNT,
        "tol": WEIGHT,
    }
    _unsaved: ClassVar[tuple[str, ...]] = ("coef_",)

    def __init__(
        self,
        C: float = 1.0,
        keep: int | float | None = None,
        random_state: int = 0,
        max_iter: int = 5000,
        tol: float = 1e-4,
    ) -> None:
        self.C = C
        self.keep = keep
        self.random_state = random_state
        self.max_iter = max_iter
        self.tol = tol

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the regression; a column's score is the sum of its absolute weights."""
        X, truth, classes = self._labelled_rows(X, y)
        self.coef_, _, self.n_iter_ = lasso(
            X.astype(np.float64),
            one_hot(truth, range(len(classes))),
            1 / (self.C * len(X)),
            self.max_iter,
            self.tol,
        )
        if self.n_iter_ >= self.max_iter:
            what = f"l1 did not settle in {self.max_iter} steps; columns of one scale help"
            warnings.warn(f"{what}, and so does a larger max_iter.", ConvergenceWarning, 2)
        self.scores_ = np.abs(self.coef_).sum(axis=1)
        _check_used(self, self.scores_, f"C={10 * self.C:g}")
        self.mask_ = self.scores_ > 0
        if self.keep is not None:
            self.mask_ &= top(self.scores_, self.keep)
        return self


class LearnedMask(Selector, LabelledTransform):
    """The columns left on by a mask that is learned with a linear head and hardened step by step.

    Parameters
    ----------
    threshold : float or None
        A column is kept if its mask, 0–1, is above this at the last temperature: 0.5 by default.
        A soft mask has none.
    penalty : float, default 0.3
        Weight of the mask's mean against the cross-entropy (nats); larger keeps fewer columns.
    n_steps : int, default 300
        Steps of Adam on 256 rows each; the temperature falls from 1 to `final_temperature`.
    final_temperature : float or None
        0.05 by default; 1 of a soft mask, which is then not hardened.
    random_state : int, default 0
    soft : bool, default False
        Whether every column is multiplied by its mask and none is dropped. A stage or head that
        brings columns to one scale afterwards undoes it.

    Notes
    -----
    The mask is ``sigmoid(logit / temperature)``, over columns of mean 0 and deviation 1. Its
    values at the end are `scores_`. Needs PyTorch to fit, not to transform.
    """

    kind: ClassVar[str] = "mask"
    limits: ClassVar[Mapping[str, Limit]] = {
        "threshold": UP_TO_ONE.or_none,
        "penalty": WEIGHT,
        "n_steps": COUNT,
        "final_temperature": SHARE.or_none,
        "random_state": SEED,
    }

    def __init__(
        self,
        threshold: float | None = None,
        penalty: float = 0.3,
        n_steps: int = 300,
        final_temperature: float | None = None,
        random_state: int = 0,
        soft: bool = False,
    ) -> None:
        self.threshold = threshold
        self.penalty = penalty
        self.n_steps = n_steps
        self.final_temperature = final_temperature
        self.random_state = random_state
        self.soft = soft

    def check_together(self) -> None:
        """Raise `UsageError` if a soft mask is given a threshold."""
        if self.soft and self.threshold is not None:
            raise UsageError(
                f"A threshold can't be used with a soft mask: threshold={self.threshold:g}.",
                "A soft mask multiplies every column and drops none.",
                "One of the two.",
                "Type, for example:  mask(soft)",
            )

    def fit(self, X: Any, y: Any) -> Self:
        """Train mask and head; the mask is kept."""
        X, truth, _ = self._labelled_rows(X, y)
        deviation = X.std(axis=0, dtype=np.float64)
        rows = (X - X.mean(axis=0, dtype=np.float64)) / np.where(deviation > 0, deviation, 1.0)
        last = self.final_temperature or (1.0 if self.soft else 0.05)
        temperatures = np.geomspace(1.0, last, self.n_steps)
        self.scores_ = train_mask(
            rows.astype(np.float32), truth, self.penalty, temperatures, self.random_state
        )
        threshold = 0.5 if self.threshold is None else self.threshold
        self.mask_ = np.ones(len(self.scores_), bool) if self.soft else self.scores_ > threshold
        _check_used(self, self.mask_, f"penalty={self.penalty / 10:g}")
        return self

    def transform(self, X: Any) -> Array:
        """Return the columns kept, or all of them times their mask."""
        if not self.soft:
            return np.asarray(super().transform(X))
        rows = self._rows_to_transform(X)
        return np.asarray(rows * self.scores_, dtype=rows.dtype)

    def affine(self) -> tuple[Any, Float64]:
        return (scaling(self.scores_), np.zeros(len(self.mask_))) if self.soft else super().affine()

    def inverse_transform(self, X: Any) -> Array:
        """Return columns at their places, those dropped as zeros; divided by a soft mask."""
        rows = np.asarray(super().inverse_transform(X))
        return np.asarray(rows / self.scores_, dtype=rows.dtype) if self.soft else rows

    def width_of(self, n_features: int, n_rows: int | None) -> int | None:
        return n_features if self.soft else None


class GroupLasso(Selector, LabelledTransform):
    """Columns of several taps scored together by a linear head with group lasso, as Head2Toe.

    Parameters
    ----------
    keep : int or float, default 0.1
        Columns, or share of them, over all taps.
    penalty : float, default 1e-3
        λ: weight of Σ_i ‖w_i·‖₂, one group per column.
    tap_penalty : float, default 0.0
        μ: weight of Σ_t √(d_t) ‖W_t‖₂, one group per tap; whole taps go.
    blocks : tuple of int, optional
        Widths d_t of the taps side by side; one by default.
    max_iter : int, default 500
    tol : float, default 1e-4
        Ends when no weight moves by more than this times the largest.

    Attributes
    ----------
    coef_ : float64 array of shape (n_features, n_classes)
        The head's weights; not saved.
    scores_ : float64 array of shape (n_features,)
        ``Σ_j w_ij²``.
    tap_scores_ : float64 array of shape (n_taps,)
        Their sum over each tap.
    kept_blocks_ : int array of shape (n_taps,)
        How many columns of each tap are kept, for the `L2` per tap that follows.
    n_iter_ : int

    Notes
    -----
    Head2Toe normalises each tap's row before (`L2` with the same blocks) and again after the
    selection, and then trains a plain head anew.

    References
    ----------
    Evci et al., "Head2Toe: Utilizing Intermediate Representations for Better Transfer Learning",
    2022.
    """

    kind: ClassVar[str] = "group_lasso"
    _keep_decides: ClassVar[bool] = True
    limits: ClassVar[Mapping[str, Limit]] = {
        "keep": SHARE_OR_COUNT,
        "penalty": WEIGHT,
        "tap_penalty": WEIGHT,
        "max_iter": COUNT,
        "tol": WEIGHT,
    }
    _unsaved: ClassVar[tuple[str, ...]] = ("coef_",)

    def __init__(
        self,
        keep: int | float = 0.1,
        penalty: float = 1e-3,
        tap_penalty: float = 0.0,
        blocks: tuple[int, ...] | None = None,
        max_iter: int = 500,
        tol: float = 1e-4,
    ) -> None:
        self.keep = keep
        self.penalty = penalty
        self.tap_penalty = tap_penalty
        self.blocks = blocks
        self.max_iter = max_iter
        self.tol = tol

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the head and score its columns."""
        X, truth, classes = self._labelled_rows(X, y)
        blocks = check_blocks(self.blocks, X.shape[1])
        self.coef_, _, self.n_iter_ = group_lasso(
            X.astype(np.float64),
            one_hot(truth, range(len(classes))),
            self.penalty,
            self.tap_penalty,
            blocks,
            self.max_iter,
            self.tol,
        )
        self.scores_ = connectivity(self.coef_)
        _check_used(self, self.scores_, f"penalty={self.penalty / 10:g}")
        self.mask_ = top(self.scores_, self.keep)
        self.tap_scores_ = np.add.reduceat(self.scores_, starts_of(blocks))
        self.kept_blocks_ = np.add.reduceat(self.mask_.astype(np.int64), starts_of(blocks))
        return self


def connectivity(weights: Float64) -> Float64:
    """Return Head2Toe's score ``Σ_j w_ij²`` of each row of weights (n_features, n_classes)."""
    return np.asarray(np.square(weights).sum(axis=1), dtype=np.float64)


def check_any(selector: Selector, varies: Array) -> None:
    """Raise `UsageError` if no column varies."""
    if not varies.any():
        raise UsageError(
            f"{type(selector).__name__} can't be fitted: all {len(varies)} columns are constant.",
            "A column that is the same in all rows says nothing of the classes.",
            "Rows that differ.",
            "Look at them with:  X.std(axis=0)",
        )


def _check_used(selector: Selector, scores: Array, weaker: str) -> None:
    if not np.any(scores > 0):
        raise UsageError(
            f"{type(selector).__name__} kept none of {len(scores)} columns.",
            "The penalty outweighs what they say of the classes.",
            "A weaker penalty, or columns that tell the classes apart.",
            f"Type, for example:  {selector.kind}({weaker})",
        )
