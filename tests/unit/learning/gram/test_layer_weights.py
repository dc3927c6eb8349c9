from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad

from cutpoint.base.errors import UsageError
from cutpoint.learning.gram import (
    Grams,
    Spectrum,
    Targets,
    fuse,
    greedy_forward,
    judge,
    layer_scale,
    nonnegative_weights,
    normalised_gram,
)
from cutpoint.learning.gram.layer_weights import _with_gradient
from cutpoint.learning.gram.leave_out import members_of

N_ITEMS = 90


def problem():
    """Two layers that each know half, one copy, two of noise."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, N_ITEMS)
    noise = random.normal(size=(5, N_ITEMS, 40))
    first, second = noise[0].copy(), noise[1].copy()
    first[:, :10] += 2 * (labels % 2)[:, None]
    second[:, :10] += 2 * (labels // 2)[:, None]
    layers = {
        "low": 10 * first,
        "noise": noise[3],
        "high": second,
        "copy": first + 0.8 * noise[2],
        "more noise": 100 * noise[4],
    }
    return layers, Targets.of_classes(labels)


def grams_of(layers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: normalised_gram(X) for name, X in layers.items()}


def test_greedy_takes_what_knows_something_and_leaves_noise() -> None:
    layers, targets = problem()
    found = greedy_forward(grams_of(layers), targets)
    assert set(found.names[:2]) == {"low", "high"}
    assert not {"noise", "more noise"} & set(found.names)
    assert sum(found.weights) == pytest.approx(1)
    best_alone = min(judge(X, targets).loo_mse for X in layers.values())
    assert found.loo_mse < 0.9 * best_alone
    assert len(greedy_forward(grams_of(layers), targets, at_most=1).names) == 1


@pytest.mark.parametrize("is_grouped", [False, True])
def test_weights_find_the_layers_that_know_something(is_grouped: bool) -> None:
    layers, targets = problem()
    groups = np.arange(N_ITEMS) // 3 if is_grouped else None
    found = nonnegative_weights(grams_of(layers), targets, groups)
    weights = dict.fromkeys(layers, 0.0) | dict(zip(found.names, found.weights, strict=True))
    assert sum(found.weights) == pytest.approx(1)
    assert min(found.weights) > 0
    assert weights["low"] > 0.2
    assert weights["high"] > 0.2
    assert weights["noise"] + weights["more noise"] < 0.1
    side_by_side = fuse(list(layers.values()), [layer_scale(X) for X in layers.values()])
    assert found.loo_mse < judge(side_by_side, targets, groups=groups).loo_mse


@pytest.mark.parametrize("is_grouped", [False, True])
def test_the_gradient_is_that_of_finite_differences(is_grouped: bool) -> None:
    """And the error is that of the spectrum at λ = 1."""
    layers, targets = problem()
    grams = grams_of(layers)
    groups = np.arange(N_ITEMS) // 3 if is_grouped else None
    members = members_of(groups, np.ones(N_ITEMS))
    ones, ratios = np.ones(5), np.array([3.0, 0.2, 5.0, 0.0, 1.0])

    def both(x: np.ndarray):
        return _with_gradient(x, grams, targets.Y, members, ones)

    assert check_grad(lambda x: both(x)[0], lambda x: both(x)[1], ratios) < 1e-6
    total = sum(ratio * gram for ratio, gram in zip(ratios, grams.values(), strict=True))
    scores = Spectrum.of_gram(total, 200).loo(targets.Y, 1.0, groups)
    assert both(ratios)[0] == pytest.approx(((scores - targets.Y) ** 2).mean(), abs=1e-12)


@pytest.mark.parametrize("fusion", [greedy_forward, nonnegative_weights])
def test_fused_features_give_the_scores_that_were_reported(fusion) -> None:
    layers, targets = problem()
    found = fusion(grams_of(layers), targets)
    parts = [layers[name] for name in found.names]
    scales = [layer_scale(X, weight) for X, weight in zip(parts, found.weights, strict=True)]
    scores = Spectrum(fuse(parts, scales)).loo(targets.Y, found.alpha)
    np.testing.assert_allclose(found.scores, scores, atol=1e-9)
    assert found.loo_mse == pytest.approx(((scores - targets.Y) ** 2).mean())


@pytest.mark.parametrize("fusion", [greedy_forward, nonnegative_weights])
def test_layers_made_anew_each_time_give_the_same(fusion) -> None:
    layers, targets = problem()
    anew = Grams(list(layers), lambda name: normalised_gram(layers[name]), max_bytes=0)
    kept, made = fusion(grams_of(layers), targets), fusion(anew, targets)
    assert kept.names == made.names
    assert kept.weights == made.weights
    np.testing.assert_array_equal(kept.scores, made.scores)


def test_one_layer_is_all_the_weight_and_none_is_refused() -> None:
    layers, targets = problem()
    grams = {"low": normalised_gram(layers["low"])}
    assert greedy_forward(grams, targets).weights == (1.0,)
    assert nonnegative_weights(grams, targets).weights == (1.0,)
    with pytest.raises(UsageError, match="no layers"):
        greedy_forward({}, targets)
