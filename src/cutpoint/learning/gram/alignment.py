"""How alike two sets of features arrange the same items: centred kernel alignment.

For Gram matrices K and L whose rows are centred, with their diagonals k and l::

    biased     HSIC  = Σ_ij K_ij L_ij / (n − 1)²
    debiased   HSIC₁ = [Σ_ij K_ij L_ij − (n / (n − 2)) k·l + (Σk)(Σl) / ((n − 1)(n − 2))]
                       / (n (n − 3))
    CKA = HSIC(K, L) / √(HSIC(K, K) HSIC(L, L))

HSIC₁ is the unbiased estimator tr(K̃L̃) + 1ᵀK̃1 1ᵀL̃1 / ((n−1)(n−2)) − 2/(n−2) 1ᵀK̃L̃1, over
n (n − 3), with zeroed diagonals; with centred rows K̃1 = −k, which leaves the form above.

Sources: Song, Smola, Gretton, Bedo and Borgwardt, "Feature Selection via Dependence
Maximization", JMLR 2012 (HSIC₁); Kornblith, Norouzi, Lee and Hinton, "Similarity of Neural Network
Representations Revisited", ICML 2019 (CKA).
"""

from __future__ import annotations

import numpy as np

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.base.types import Array, Float64
from cutpoint.learning.gram.decompose import centre_gram


def cka(K: Array, L: Array, *, debiased: bool = True) -> float:
    """Return the alignment of two Gram matrices of the same items.

    Parameters
    ----------
    K, L : array of shape (n_items, n_items)
        Centred or not; four items or more.
    debiased : bool, default True
        Without, independent features look alike where they are more than items: 0.95 of 1 for
        100 items of 2000 features each. Debiased values may be a little below 0.

    Returns
    -------
    alignment : float
        1 for the same arrangement up to rotation and scale, about 0 for independent ones.
    """
    _check(K, L)
    K, L = _centred(K), _centred(L)
    k, ell = K.diagonal(), L.diagonal()
    return _ratio(
        _hsic(float(np.vdot(K, L)), k, ell, debiased),
        _hsic(float(np.vdot(K, K)), k, k, debiased),
        _hsic(float(np.vdot(L, L)), ell, ell, debiased),
    )


def hsic(K: Array, L: Array, *, debiased: bool = True) -> float:
    """Return the Hilbert–Schmidt independence criterion of two Gram matrices; as `cka`."""
    _check(K, L)
    K, L = _centred(K), _centred(L)
    return _hsic(float(np.vdot(K, L)), K.diagonal(), L.diagonal(), debiased)


def cka_of_features(X: Array, Y: Array, *, debiased: bool = True) -> float:
    """Return `cka` of the Gram matrices of two sets of features, made only where they are smaller.

    Parameters
    ----------
    X, Y : array of shape (n_items, n_features)
        Rows of both are of the same items; widths may differ.
    """
    if X.ndim != 2 or Y.ndim != 2 or len(X) != len(Y):
        raise _wrong_shape(X, Y, "(n_items, n_features), as many items in both")
    X = X - X.mean(axis=0, dtype=np.float64)
    Y = Y - Y.mean(axis=0, dtype=np.float64)
    if X.shape[1] * Y.shape[1] > len(X) * (X.shape[1] + Y.shape[1]):
        return cka(X @ X.T, Y @ Y.T, debiased=debiased)
    _check_count(len(X))
    x, y = np.square(X).sum(axis=1), np.square(Y).sum(axis=1)
    return _ratio(
        _hsic(float(np.square(X.T @ Y).sum()), x, y, debiased),
        _hsic(float(np.square(X.T @ X).sum()), x, x, debiased),
        _hsic(float(np.square(Y.T @ Y).sum()), y, y, debiased),
    )


def _hsic(cross: float, k: Float64, ell: Float64, debiased: bool) -> float:
    """Return HSIC of Σ K∘L and the diagonals, all of centred Gram matrices."""
    n = len(k)
    if not debiased:
        return cross / (n - 1) ** 2
    of_means = float(k.sum() * ell.sum()) / ((n - 1) * (n - 2))
    return (cross - n / (n - 2) * float(k @ ell) + of_means) / (n * (n - 3))


def _ratio(cross: float, of_k: float, of_l: float) -> float:
    if not (of_k > 0 and of_l > 0):
        raise UsageError(
            "Features in which all items are the same align with nothing.",
            "One of the two sets is so.",
            "Features that differ from item to item.",
            "Look at them with:  X.std(axis=0)",
        )
    return float(cross / np.sqrt(of_k * of_l))


def _centred(K: Array) -> Float64:
    return centre_gram(K, np.full(len(K), 1.0 / len(K)))[0]


def _check(K: Array, L: Array) -> None:
    if K.ndim != 2 or K.shape[0] != K.shape[1] or K.shape != L.shape:
        raise _wrong_shape(K, L, "(n_items, n_items), the same for both")
    _check_count(len(K))


def _check_count(n_items: int) -> None:
    if n_items < 4:
        raise UsageError(
            f"{n_items} items are too few for a debiased alignment.",
            "Its estimate divides by n_items − 3.",
            "Four items or more.",
            "Look at them with:  len(X)",
        )


def _wrong_shape(X: Array, Y: Array, shape: str) -> ShapeError:
    return ShapeError(
        f"Shapes {X.shape} and {Y.shape} can't be aligned.",
        "An alignment compares two sets of features of the same items.",
        f"{shape}.",
        "For features, type:  cka_of_features(X, Y)",
    )
