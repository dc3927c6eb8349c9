"""The weighted sum of taps: its formula, what it learns, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cutpoint.base.errors import ShapeError
from cutpoint.learning.transforms import SoftmaxSum

BLOCKS = (6, 6, 6)


def three_taps(n_items: int = 300, telling: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Three taps of noise side by side, one of which knows the class."""
    random = np.random.default_rng(0)
    y = random.integers(0, 3, n_items)
    taps = random.normal(size=(3, n_items, 6))
    taps[telling] += 2 * np.eye(6)[y]
    return np.concatenate(taps, axis=1).astype(np.float32), y


@pytest.mark.parametrize("norm", [False, True])
def test_the_sum_is_pytorchs_with_the_same_weights(norm: bool) -> None:
    """Reference: layer norm, softmax and sum of PyTorch, in the order SUPERB has them; 1e-5."""
    X, y = three_taps(40)
    mixed = SoftmaxSum(norm=norm, n_steps=20, blocks=BLOCKS).fit(X, y)
    taps = torch.stack([torch.from_numpy(tap) for tap in np.split(X, 3, axis=1)])
    if norm:
        taps = torch.nn.functional.layer_norm(taps, (6,))
    weights = torch.log(torch.from_numpy(mixed.weights_)).softmax(0)
    expected = (weights[:, None] * taps.reshape(3, -1)).sum(0).reshape(40, 6)
    np.testing.assert_allclose(mixed.transform(X), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("telling", [0, 2])
def test_the_tap_that_tells_gets_the_weight(telling: int) -> None:
    mixed = SoftmaxSum(blocks=BLOCKS).fit(*three_taps(telling=telling))
    assert mixed.weights_.sum() == pytest.approx(1)
    assert mixed.weights_.argmax() == telling
    assert mixed.weights_[telling] > 0.6


def test_training_starts_from_equal_weights_and_is_decided_by_the_seed() -> None:
    X, y = three_taps()
    # One step of Adam moves no logit by more than its rate.
    assert SoftmaxSum(n_steps=1, blocks=BLOCKS).fit(X, y).weights_ == pytest.approx(1 / 3, abs=0.03)
    again = [SoftmaxSum(n_steps=30, blocks=BLOCKS).fit(X, y).weights_ for _ in range(2)]
    np.testing.assert_array_equal(*again)


def test_taps_of_different_widths_are_refused_with_the_projections_that_help() -> None:
    X, y = three_taps(30)
    with pytest.raises(ShapeError, match="widths 6, 12") as caught:
        SoftmaxSum(blocks=(6, 12)).fit(X, y)
    assert "gaussian, sparse, orthogonal or projection" in caught.value.would_do
    assert "orthogonal(6) | softmax" in caught.value.type_next
