"""Distances against torchmetrics and formulae (acceptance check 7)."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from sklearn.datasets import load_digits
from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel

from cutpoint.errors import ShapeError, UsageError
from cutpoint.metrics import cmmd, coral, fid, kid, mmd2, proxy_a_distance


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return pixels of 150 small digits, 0 to 4, and of 200 large ones."""
    X, y = load_digits(return_X_y=True)
    return X[y < 5][:150] / 16, X[y >= 5][:200] / 16


def test_kid_and_fid_equal_torchmetrics() -> None:
    """Reference: torchmetrics' `poly_mmd`, 1e-6, and `_compute_fid`, 1e-6, both in float64."""
    import torch

    from cutpoint.frameworks.torch.torchvision_shim import import_with_shim

    theirs = import_with_shim("torchmetrics.image.kid")
    X, Y = digits()
    Y = Y[:150]  # theirs takes equal numbers of rows
    expected = float(theirs.poly_mmd(torch.from_numpy(X), torch.from_numpy(Y)))
    assert mmd2(X, Y) == pytest.approx(expected, abs=1e-6)
    assert kid(X, Y, n_subsets=3, subset_size=150) == pytest.approx((expected, 0), abs=1e-6)
    theirs = import_with_shim("torchmetrics.image.fid")
    moments = [torch.from_numpy(each) for rows in (X, Y) for each in (rows.mean(0), np.cov(rows.T))]
    assert fid(X, Y) == pytest.approx(float(theirs._compute_fid(*moments)), abs=1e-6)


def test_mmd2_leaves_the_diagonal_out() -> None:
    """Reference: scikit-learn's polynomial kernel; unequal numbers of rows."""
    X, Y = digits()
    within = [
        polynomial_kernel(rows, degree=3, coef0=1)[~np.eye(len(rows), dtype=bool)].mean()
        for rows in (X, Y)
    ]
    expected = sum(within) - 2 * polynomial_kernel(X, Y, degree=3, coef0=1).mean()
    assert mmd2(X, Y) == pytest.approx(expected, abs=1e-12)


def test_kid_of_two_halves_of_one_set_is_about_zero() -> None:
    X = load_digits(return_X_y=True)[0] / 16
    order = np.random.default_rng(0).permutation(len(X))
    mean, spread = kid(X[order[:900]], X[order[900:]], n_subsets=20, subset_size=200)
    assert abs(mean) < 2 * spread
    far, _ = kid(*digits(), n_subsets=20, subset_size=100)
    assert far > 5 * abs(mean)
    assert kid(*digits(), 2, 50, seed=1) == kid(*digits(), 2, 50, seed=1)


def test_subsets_larger_than_a_set_are_refused() -> None:
    with pytest.raises(UsageError, match="150 and 200 rows"):
        kid(*digits())


def test_cmmd_is_the_published_formula() -> None:
    """google-research/cmmd: mean k(x,x) + mean k(y,y) − 2 mean k(x,y), σ = 10, times 1000; 1e-9."""
    X, Y = digits()
    x, y = (rows / np.linalg.norm(rows, axis=1)[:, None] for rows in (X, Y))
    gamma = 1 / (2 * 10**2)
    means = [rbf_kernel(*pair, gamma=gamma).mean() for pair in ((x, x), (y, y), (x, y))]
    assert cmmd(X, Y) == pytest.approx(1000 * (means[0] + means[1] - 2 * means[2]), abs=1e-9)
    assert cmmd(7 * X, Y) == pytest.approx(cmmd(X, Y))
    assert cmmd(X, X) == pytest.approx(0, abs=1e-9)
    assert np.isfinite(cmmd(np.zeros_like(X), Y))


@pytest.mark.parametrize("n_rows", [150, 40])
def test_fid_is_its_formula_and_takes_fewer_rows_than_features(n_rows: int) -> None:
    """Reference: scipy's root of the product of covariances, made regular by 1e-9."""
    X, Y = digits()
    X = X[:n_rows]
    small = 1e-9 * np.eye(64)
    covariances = [np.cov(rows.T) + small for rows in (X, Y)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    moved = ((X.mean(axis=0) - Y.mean(axis=0)) ** 2).sum()
    expected = moved + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert fid(X, Y) == pytest.approx(expected, abs=1e-4)
    assert fid(X, X) == pytest.approx(0, abs=1e-9)


def test_coral_is_its_formula() -> None:
    X, Y = digits()
    difference = np.cov(X.T) - np.cov(Y.T)
    expected = np.linalg.norm(difference, "fro") ** 2 / (4 * 64**2)
    assert coral(X, Y) == pytest.approx(expected, rel=1e-12)
    assert coral(X + 1, X) == pytest.approx(0, abs=1e-15)


def test_proxy_a_distance_runs_from_chance_to_certainty() -> None:
    assert proxy_a_distance(0.5) == 0
    assert proxy_a_distance(0.0) == 2
    with pytest.raises(UsageError, match="no share"):
        proxy_a_distance(3)


def test_sets_of_different_widths_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(5, 3\) and \(5, 4\)"):
        mmd2(np.zeros((5, 3)), np.zeros((5, 4)))
    with pytest.raises(ShapeError, match="NaN"):
        fid(np.full((5, 3), np.nan), np.zeros((5, 3)))
