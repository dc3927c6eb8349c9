from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.neighbors import NearestCentroid
from sklearn.preprocessing import normalize

from cutpoint.base.errors import UsageError
from cutpoint.learning.heads import CentroidHead

METRICS = ["cosine", "euclidean"]


def flowers() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_iris(return_X_y=True)
    return X - X.mean(axis=0), y


@pytest.mark.parametrize("metric", METRICS)
def test_it_predicts_as_nearest_centroid_does(metric: str) -> None:
    """Reference: scikit-learn's `NearestCentroid`; for cosine on rows and means of length 1."""
    X, y = flowers()
    head = CentroidHead(metric).fit(X, y)
    if metric == "euclidean":
        expected = NearestCentroid().fit(X, y).predict(X)
    else:
        means = normalize(NearestCentroid().fit(normalize(X), y).centroids_)
        expected = (normalize(X) @ means.T).argmax(axis=1)
    np.testing.assert_array_equal(head.predict(X), expected)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("grouped", [False, True])
def test_rows_left_out_take_no_part_in_the_means(metric: str, grouped: bool) -> None:
    """Reference: the means again without the row's group; differences of scores to 1e-9."""
    X, y = flowers()
    groups = np.arange(150) // 3
    head = CentroidHead(metric).fit(X, y, groups=groups if grouped else None)
    for row in range(0, 150, 13):
        others = groups != groups[row] if grouped else np.arange(150) != row
        one = CentroidHead(metric).fit(X[others], y[others])
        expected = one.outputs(X[row : row + 1])[0] * one.scale_ / head.scale_
        found = head.held_out_scores_[row]
        np.testing.assert_allclose(found - found[0], expected - expected[0], atol=1e-9)


def test_a_class_of_one_row_is_not_judged() -> None:
    X, y = flowers()
    y[3] = 99
    head = CentroidHead().fit(X, y)
    assert np.isnan(head.held_out_scores_[3]).any()
    assert np.isfinite(np.delete(head.held_out_scores_, 3, axis=0)).all()


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(UsageError, match="one of cosine, euclidean"):
        CentroidHead("manhattan").fit(*flowers())
