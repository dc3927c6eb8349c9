"""Distances against torchmetrics and formulae (acceptance check 7)."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from sklearn.datasets import load_digits
from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.learning.metrics import cmmd, coral, fid, kid, mmd2, proxy_a_distance


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return pixels of 150 small digits, 0 to 4, and of 200 large ones."""
    X, y = load_digits(return_X_y=True)
    return X[y < 5][:150] / 16, X[y >= 5][:200] / 16


def test_kid_and_fid_equal_torchmetrics() -> None:
    """Reference: torchmetrics' `poly_mmd`, 1e-6, and `_compute_fid`, 1e-6, both in float64."""
    import torch

    from cutpoint.networks.frameworks.torch.torchvision_shim import import_with_shim

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
    with pytest.raises(UsageError, match="is no error"):
        proxy_a_distance(3)


def test_sets_of_different_widths_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(5, 3\) and \(5, 4\)"):
        mmd2(np.zeros((5, 3)), np.zeros((5, 4)))
    with pytest.raises(ShapeError, match="NaN"):
        fid(np.full((5, 3), np.nan), np.zeros((5, 3)))


@pytest.mark.parametrize(("error", "distance"), [(0.0, 2.0), (0.25, 1.0), (1.0, -2.0)])
def test_any_share_of_errors_has_a_distance(error: float, distance: float) -> None:
    assert proxy_a_distance(error) == distance


@pytest.mark.parametrize("error", [-0.01, 1.01, float("nan")])
def test_an_error_that_is_no_share_has_none(error: float) -> None:
    with pytest.raises(UsageError, match="is no error"):
        proxy_a_distance(error)


def test_subsets_of_kid_hold_two_rows_to_all() -> None:
    X, Y = digits()[0][:6], digits()[1][:7]
    assert kid(X, Y, 3, subset_size=6)[1] > 0  # seven rows are left to draw from
    assert np.isfinite(kid(X, Y, 3, subset_size=2)).all()
    for size in (1, 7):
        with pytest.raises(UsageError, match=r"kid\(X, Y, subset_size=3\)"):
            kid(X, Y, 3, subset_size=size)
    with pytest.raises(UsageError, match=r"subset_size=2\)"):  # never one that is refused again
        kid(X[:3], Y, 3, subset_size=5)


def test_kid_draws_a_hundred_subsets_of_a_thousand_rows_by_seed_0() -> None:
    random = np.random.default_rng(1)
    X, Y = random.normal(size=(1010, 2)), random.normal(size=(1005, 2))
    assert kid(X, Y) == kid(X, Y, n_subsets=100, subset_size=1000, seed=0)
    assert kid(X, Y, 5, 50) != kid(X, Y, 5, 50, seed=1)


def test_distances_of_the_smallest_sets_by_hand() -> None:
    """Two rows of one feature: 0 and 2 (variance 2), 1 and 7 (variance 18)."""
    X, Y = np.array([[0.0], [2.0]]), np.array([[1.0], [7.0]])
    assert coral(X, Y) == pytest.approx((2 - 18) ** 2 / 4)
    assert fid(X, Y) == pytest.approx((1 - 4) ** 2 + 2 + 18 - 2 * np.sqrt(2 * 18))
    cubes = {(0, 2): 1, (1, 7): 8**3, (0, 1): 1, (0, 7): 1, (2, 1): 3**3, (2, 7): 15**3}
    across = (cubes[0, 1] + cubes[0, 7] + cubes[2, 1] + cubes[2, 7]) / 4
    assert mmd2(X, Y) == pytest.approx(cubes[0, 2] + cubes[1, 7] - 2 * across)


def test_rows_of_zeros_stay_zeros_in_cmmd() -> None:
    """Between zeros and a unit row the kernel is exp(−1 / 200)."""
    zeros, unit = np.zeros((2, 3)), np.tile([5.0, 0, 0], (2, 1))
    assert cmmd(zeros, unit) == pytest.approx(1000 * (2 - 2 * np.exp(-1 / 200)))


@pytest.mark.parametrize("distance", [mmd2, cmmd, coral, fid])
def test_each_set_must_be_two_finite_rows_or_more(distance: object) -> None:
    good, bad = np.arange(6.0).reshape(2, 3), np.array([[0.0, 1, 2], [np.inf, 1, 2]])
    assert np.isfinite(distance(good, good + 1))
    for X, Y in ((good, bad), (bad, good)):
        with pytest.raises(ShapeError, match="hold NaN or infinity"):
            distance(X, Y)
    for X, Y in ((good[:1], good), (good, good[:1]), (good[0], good), (good, good[:, :2])):
        with pytest.raises(ShapeError) as caught:
            distance(X, Y)
        assert "NaN" not in caught.value.got
