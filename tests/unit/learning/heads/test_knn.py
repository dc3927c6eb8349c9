"""Nearest neighbours beside DINOv2's vote, written out row by row."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from cutpoint.base.errors import FewerThanAsked, UsageError
from cutpoint.learning.heads import KNNHead
from cutpoint.learning.heads.protocol_run import fit_protocol


def blobs(n_items: int = 250, seed: int = 0, n_classes: int = 7) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    y = random.integers(0, n_classes, n_items)
    means = np.random.default_rng(99).normal(size=(n_classes, 16))
    return (means[y] + 1.5 * random.normal(size=(n_items, 16))).astype(np.float32), y


def dinov2_votes(
    X: np.ndarray, y: np.ndarray, X_new: np.ndarray, ks: list[int]
) -> dict[int, np.ndarray]:
    """The vote as ``dinov2/eval/knn.py`` defines it, one row at a time: the `max(ks)` most similar
    rows of length 1, a softmax over all of their similarities / 0.07, the first k of it summed by
    class."""
    bank = torch.nn.functional.normalize(torch.from_numpy(X).double(), dim=1)
    found: dict[int, list[list[float]]] = {k: [] for k in ks}
    for row in torch.nn.functional.normalize(torch.from_numpy(X_new).double(), dim=1):
        similar, places = (bank @ row).topk(max(ks))
        weights = torch.softmax(similar / 0.07, dim=0)
        for k in ks:
            votes = [0.0] * (int(y.max()) + 1)
            for weight, place in zip(weights[:k], places[:k], strict=True):
                votes[y[place]] += float(weight)
            found[k].append(votes)
    return {k: np.array(votes) for k, votes in found.items()}


def test_it_decides_as_dinov2_does_for_every_k() -> None:
    """Decisions equal; shares of the vote to 1e-6 after the neighbour that votes for all."""
    X, y = blobs()
    X_new, _ = blobs(60, seed=1)
    ks = [10, 20, 100, 200]
    expected = dinov2_votes(X, y, X_new, ks)
    for k in ks:
        head = KNNHead(k).fit(X, y)
        np.testing.assert_array_equal(head.predict(X_new), expected[k].argmax(axis=1))
        shares = expected[k] / expected[k].sum(axis=1, keepdims=True)
        smoothed = (k * shares + 1 / 7) / (k + 1)
        np.testing.assert_allclose(np.exp(head.outputs(X_new)), smoothed, atol=1e-6)


def test_k_is_chosen_by_rows_left_out_one_by_one() -> None:
    """Reference: a head without the row, for each row; equal to 1e-5 (float32 rows)."""
    X, y = blobs(60)
    head = KNNHead([3, 10, 30]).fit(X, y)
    right = dict.fromkeys((3, 10, 30), 0)
    for row in range(60):
        others = np.delete(np.arange(60), row)
        for k in right:
            one = KNNHead(k).fit(X[others], y[others])
            right[k] += int(one.predict(X[row : row + 1])[0] == y[row])
            if k == head.k_:
                scores = one.outputs(X[row : row + 1])[0]
                np.testing.assert_allclose(head.held_out_scores_[row], scores, atol=1e-5)
    assert head.k_ == max(right, key=lambda k: right[k])  # the first of equals


def test_there_are_never_more_neighbours_than_rows() -> None:
    X, y = blobs(15)
    assert KNNHead().fit(X, y).k_ in (10, 14)


def test_float32_rows_stay_float32() -> None:
    X, y = blobs(30)
    assert KNNHead().fit(X, y).rows_.dtype == np.float32


@pytest.mark.parametrize("k", [0, 2.5, "many"])
def test_what_is_no_number_of_neighbours_is_refused(k: object) -> None:
    with pytest.raises(UsageError, match="k can't be"):
        KNNHead(k).fit(*blobs(30))


@pytest.mark.parametrize("k", [1000, [5, 1000]])
def test_more_neighbours_than_there_are_rows_are_told(k: object) -> None:
    with pytest.warns(FewerThanAsked, match="1000 neighbours .* a row has 29 others"):
        head = KNNHead(k).fit(*blobs(30))
    assert head.k_ in (5, 29)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        KNNHead().fit(*blobs(30))  # its own candidates go as far as there are rows
        fit_protocol("dinov2-knn", *blobs(30))


def test_kept_columns_that_are_no_list_are_refused() -> None:
    head = KNNHead(3).fit(*blobs(30))
    head.columns_ = head.columns_[:, None]
    with pytest.raises(ValueError, match="30 labels for rows"):
        head._check_restored()
