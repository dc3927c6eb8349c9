from __future__ import annotations

import numpy as np
import pytest

from cutpoint.base.errors import UsageError
from cutpoint.learning.recipe import parse_recipe
from cutpoint.learning.transforms import Fuse

WIDTHS = (3, 5, 2)


def blocks(seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    scales = np.repeat([0.01, 1.0, 300.0], WIDTHS)
    return random.normal(2.0, 1.0, (40, sum(WIDTHS))) * scales


def centred_gram(X: np.ndarray) -> np.ndarray:
    rows = X - X.mean(0)
    return rows @ rows.T


@pytest.mark.parametrize("weights", [None, (0.5, 0.0, 2.0)])
def test_the_gram_of_fused_rows_is_the_weighted_sum_of_normalised_grams(
    weights: tuple[float, ...] | None,
) -> None:
    X = blocks()
    fused = Fuse(WIDTHS, weights).fit(X).transform(X)
    expected = np.zeros((40, 40))
    for weight, part in zip(weights or (1, 1, 1), np.split(X, [3, 8], axis=1), strict=True):
        gram = centred_gram(part)
        expected += weight * gram / np.diag(gram).mean()
    np.testing.assert_allclose(centred_gram(fused), expected, atol=1e-12 * expected.max())


def test_constant_blocks_count_nothing() -> None:
    X = blocks()
    X[:, :3] = 7.0
    assert (Fuse(WIDTHS).fit(X).transform(X)[:, :3] == 0).all()


@pytest.mark.parametrize("weights", [(1.0, 1.0), (1.0, -1.0, 1.0), (0.0, 0.0, 0.0)])
def test_weights_that_fit_no_blocks_are_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match=r"(?i)one weight per tap"):
        Fuse(WIDTHS, weights).fit(blocks())


def test_weights_are_spelled_in_the_recipe_and_read_back() -> None:
    recipe = parse_recipe("gap | l2").fused((0.25, 0.75))
    assert str(recipe) == "gap | l2 | concat | fuse(weights=0.25:0.75)"
    assert parse_recipe(str(recipe)) == recipe
    assert parse_recipe("concat | fuse") == parse_recipe("").fused()
    assert recipe.is_exact
    assert not recipe.is_stateless
