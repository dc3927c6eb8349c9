from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cutpoint.base.errors import ShapeError
from cutpoint.learning.gram import (
    Grams,
    GramSum,
    Spectrum,
    fuse,
    layer_scale,
    normalised_gram,
    one_hot,
)


def layers(n_items: int = 50, widths: tuple[int, ...] = (5, 40, 90), seed: int = 0):
    random = np.random.default_rng(seed)
    return {
        f"layer{number}": random.normal(2, 10.0**number, (n_items, width))
        for number, width in enumerate(widths)
    }


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.tuples(st.integers(1, 60), st.floats(0, 5)), min_size=1, max_size=4),
    st.integers(0, 99),
)
def test_scaled_features_side_by_side_have_exactly_the_sum(
    parts: list[tuple[int, float]], seed: int
) -> None:
    found = layers(20, tuple(width for width, _ in parts), seed)
    total = GramSum(20)
    for (name, X), (_, weight) in zip(found.items(), parts, strict=True):
        total.add(name, X, weight)
        assert layer_scale(X, weight) == total.scales[name]
    side_by_side = fuse(list(found.values()), list(total.scales.values()))
    centred = side_by_side - side_by_side.mean(0)
    np.testing.assert_allclose(total.gram, centred @ centred.T, atol=1e-9)
    assert total.n_features == side_by_side.shape[1]
    assert np.trace(total.gram) / 20 == pytest.approx(sum(weight for _, weight in parts))


def test_a_sum_predicts_what_the_features_side_by_side_predict() -> None:
    found, Y = layers(), one_hot(np.arange(50) % 3, range(3))
    total = GramSum(50)
    for name, X in found.items():
        total.add(name, X)
    side_by_side = fuse(list(found.values()), list(total.scales.values()))
    np.testing.assert_allclose(
        total.spectrum().loo(Y, 0.3), Spectrum(side_by_side).loo(Y, 0.3), atol=1e-9
    )


def test_each_layer_weighs_the_same_whatever_its_width_and_scale() -> None:
    for X in layers().values():
        assert np.trace(normalised_gram(X)) / 50 == pytest.approx(1)


def test_layers_wider_than_a_block_are_summed_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    X = layers()["layer2"]
    expected = normalised_gram(X)
    monkeypatch.setattr("cutpoint.learning.gram.fusion._BLOCK_COLUMNS", 7)
    np.testing.assert_allclose(normalised_gram(X), expected, atol=1e-12)


def test_a_layer_of_constants_says_nothing() -> None:
    assert layer_scale(np.ones((4, 3))) == 0
    np.testing.assert_array_equal(normalised_gram(np.ones((4, 3))), 0)


def test_float32_features_stay_float32() -> None:
    X = layers()["layer0"].astype(np.float32)
    assert fuse([X, X], [0.5, 2.0]).dtype == np.float32


def test_a_layer_of_other_rows_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(49, 5\)"):
        GramSum(50).add("layer0", layers()["layer0"][1:])


@pytest.mark.parametrize(("max_bytes", "n_made"), [(2 * 50 * 50 * 8, 2), (50 * 50 * 8, 4)])
def test_gram_matrices_are_kept_if_all_fit_and_made_anew_if_not(
    max_bytes: int, n_made: int
) -> None:
    found, made = layers(widths=(5, 40)), []

    def gram_of(name: str) -> np.ndarray:
        made.append(name)
        return normalised_gram(found[name])

    grams = Grams(list(found), gram_of, max_bytes)
    for _ in range(2):
        for name in grams:
            np.testing.assert_array_equal(grams[name], normalised_gram(found[name]))
    assert len(made) == n_made
    assert len(grams) == 2
    assert "layer9" not in grams
