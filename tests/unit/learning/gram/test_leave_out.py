"""Rows and groups taken out: who is a member of what, and in which order."""

from __future__ import annotations

import numpy as np
import pytest

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.learning.gram import leave_out
from cutpoint.learning.gram.leave_out import members_of
from cutpoint.learning.gram.ridge import Spectrum


def test_rows_alone_are_groups_of_one() -> None:
    (members,) = members_of(None, np.ones(4))
    np.testing.assert_array_equal(members, [[0], [1], [2], [3]])


def test_groups_of_one_size_are_solved_together() -> None:
    singles, pairs, triples = members_of(np.array(list("bacbdcab")), np.ones(8))
    np.testing.assert_array_equal(singles, [[4]])
    np.testing.assert_array_equal(pairs, [[1, 6], [2, 5]])
    np.testing.assert_array_equal(triples, [[0, 3, 7]])


def test_one_group_of_all_that_weighs_is_refused() -> None:
    groups = np.array([0, 0, 1])
    assert len(members_of(groups, np.ones(3))) == 2
    with pytest.raises(UsageError, match="all 2 rows are of one group"):
        members_of(groups, np.array([1.0, 1.0, 0.0]))
    with pytest.raises(ShapeError, match=r"shape \(3,\) don't fit 4 rows"):
        members_of(groups, np.ones(4))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([0, 1, 2], slice(0, 3)),
        ([4, 5], slice(4, 6)),
        ([7], slice(7, 8)),
        ([0, 2, 1, 3], None),
        ([0, 2], None),
        ([2, 1, 0], None),
        ([0, 0, 2], None),
    ],
)
def test_rows_that_follow_one_another_are_a_slice(rows: list[int], expected: object) -> None:
    given = np.array(rows)
    found = leave_out._span(given)
    assert (found is given) if expected is None else (found == expected)


@pytest.mark.parametrize("groups", [None, np.array([0, 1, 0, 2, 2, 1, 3, 4, 5, 6])])
def test_blocks_of_any_size_hold_each_row_once_and_give_the_same(
    groups: np.ndarray | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    X, Y = random.normal(size=(10, 4)), random.normal(size=(10, 2))
    fits = Spectrum(X).fits(Y, np.array([0.1, 10.0]))
    expected = np.empty((2, 2, 10))
    for members in fits.blocks(groups):
        expected[:, :, members.ravel()] = fits.left_out(members)
    monkeypatch.setattr(leave_out, "_BLOCK_NUMBERS", 1)  # a group at a time
    found, seen = np.empty_like(expected), []
    for members in fits.blocks(groups):
        assert len(members) == 1
        seen += members.ravel().tolist()
        found[:, :, members.ravel()] = fits.left_out(members)
    assert sorted(seen) == list(range(10))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_group_left_out_is_a_fit_without_it() -> None:
    """λ by λ: the intercept and the slope of the other rows, fitted anew."""
    random = np.random.default_rng(1)
    X, Y = random.normal(size=(7, 3)), random.normal(size=(7, 1))
    members, alphas = np.array([[1, 4], [6, 2]]), np.array([0.5, 5.0])
    found = Spectrum(X).fits(Y, alphas).left_out(members).reshape(2, 1, 2, 2)
    for group, place in zip(members, range(2), strict=True):
        others = np.setdiff1d(np.arange(7), group)
        mean, level = X[others].mean(axis=0), Y[others].mean(axis=0)
        centred = X[others] - mean
        for number, alpha in enumerate(alphas):
            inner = centred.T @ centred + alpha * np.eye(3)
            slope = np.linalg.solve(inner, centred.T @ (Y[others] - level))
            errors = Y[group] - (level + (X[group] - mean) @ slope)
            np.testing.assert_allclose(found[number, :, place], errors.T, atol=1e-10)
