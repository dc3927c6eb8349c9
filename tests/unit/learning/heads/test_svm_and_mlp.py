from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.svm import LinearSVC

from cutpoint.learning.heads import MLPHead, SVMHead
from cutpoint.learning.shared.folds import inner_folds


def digits(n_classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    return X[:300] / 16, y[:300] % n_classes


@pytest.mark.parametrize("n_classes", [2, 10])
def test_the_svm_decides_as_linear_svc_does(n_classes: int) -> None:
    """Reference: scikit-learn's `LinearSVC`, which it keeps as weights; equal to 1e-9."""
    X, y = digits(n_classes)
    head = SVMHead(C=0.5).fit(X, y)
    reference = LinearSVC(C=0.5, dual=False, max_iter=10_000).fit(X, y)
    np.testing.assert_allclose(head.decision_function(X), reference.decision_function(X), atol=1e-9)
    assert head.chosen == {"C": 0.5}


def test_the_svms_scores_of_rows_left_out_are_those_of_the_folds() -> None:
    X, y = digits()
    head = SVMHead(C=[0.01, 1.0]).fit(X, y)
    learn, judge = inner_folds(y)[0]
    reference = LinearSVC(C=head.C_, dual=False, max_iter=10_000).fit(X[learn], y[learn])
    np.testing.assert_allclose(
        head.held_out_scores_[judge], reference.decision_function(X[judge]), atol=1e-9
    )


def test_the_mlp_learns_what_no_line_can() -> None:
    """Exclusive or with noise; 4 units are enough in principle."""
    random = np.random.default_rng(0)
    X = random.normal(size=(400, 2))
    y = (X[:, 0] > 0) != (X[:, 1] > 0)
    head = MLPHead(32, max_epochs=60, learning_rate=0.02).fit(X[:300], y[:300])
    assert head.score(X[300:], y[300:]) > 0.9
    assert head.losses_[0] > min(head.losses_)
    assert head.chosen["n_epochs"] == int(np.argmin(head.losses_)) + 1


def test_the_mlps_lots_are_its_own() -> None:
    X, y = digits()
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    head = MLPHead(16, max_epochs=3).fit(X, y)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    again = MLPHead(16, max_epochs=3).fit(X, y)
    np.testing.assert_array_equal(again.outputs(X), head.outputs(X))


def test_the_mlp_keeps_groups_on_one_side_of_its_inner_split() -> None:
    X, y = digits()
    groups = np.arange(300) // 4
    head = MLPHead(8, max_epochs=2).fit(X, y, groups=groups)
    held = np.isfinite(head.held_out_scores_).all(axis=1)
    assert 0 < held.sum() < 150
    assert not set(groups[held]) & set(groups[~held])
