from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import Normalizer, StandardScaler

from cutpoint.base.errors import UsageError
from cutpoint.learning.gram import Moments, Variances
from cutpoint.learning.transforms import L2, Scale, SignedPower, ZScore, feature_names


def rows_of(n_rows: int = 40, n_features: int = 6) -> np.ndarray:
    return np.random.default_rng(0).normal(2, 3, (n_rows, n_features))


def test_l2_is_scikit_learns_normalizer_over_whole_rows() -> None:
    """Tolerance 1e-12."""
    X = rows_of()
    np.testing.assert_allclose(L2().fit_transform(X), Normalizer().fit_transform(X), atol=1e-12)


def test_l2_of_blocks_gives_each_tap_length_one_and_leaves_zeros() -> None:
    X = rows_of()
    X[3, 2:] = 0
    found = L2(blocks=(2, 4)).fit_transform(X)
    lengths = np.stack([np.linalg.norm(found[:, :2], axis=1), np.linalg.norm(found[:, 2:], axis=1)])
    np.testing.assert_allclose(lengths[0], 1)
    np.testing.assert_allclose(np.delete(lengths[1], 3), 1)
    assert not found[3, 2:].any()


@pytest.mark.parametrize("blocks", [(2, 3), (7,), (0, 6), ()])
def test_blocks_that_do_not_fit_are_refused(blocks: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="features of 6 columns"):
        L2(blocks=blocks).fit(rows_of())


def test_zscore_is_scikit_learns_scaler_streamed_or_not() -> None:
    """Tolerance 1e-10."""
    X = rows_of(5000)
    reference = StandardScaler().fit_transform(X)
    parts = np.array_split(X, [1, 7, 4000])
    merged = Variances.of(parts[:2]).merge(Variances.of(parts[2:]))
    for fitted in (
        ZScore().fit(X),
        ZScore().fit_stream(parts),
        ZScore().fit_moments(merged),
        ZScore().fit_moments(Moments.of(X)),
    ):
        np.testing.assert_allclose(fitted.transform(X), reference, rtol=0, atol=1e-10)


def test_a_constant_column_becomes_zero() -> None:
    X = rows_of()
    X[:, 2], X[:, 4] = 0.1, 0
    found = ZScore().fit_transform(X)
    assert not found[:, [2, 4]].round(12).any()
    assert ZScore().fit(X).scale_[[2, 4]].tolist() == [1, 1]


def test_a_small_deviation_beside_a_large_mean_is_kept() -> None:
    X = np.random.default_rng(0).normal(1e4, 1, (1000, 2))
    np.testing.assert_allclose(ZScore().fit_transform(X).std(axis=0), 1)


def nearly_constant(n_rows: int = 60) -> np.ndarray:
    """Return rows of ReLU channels; the last is above zero in one row in ten thousand."""
    X = np.maximum(np.random.default_rng(1).normal(1, 1, (n_rows, 5)), 0)
    X[:, 4] = 1e-4 * (np.arange(n_rows) == 0)
    return X


def test_a_floor_holds_new_rows_of_nearly_constant_columns_back() -> None:
    """By hand: √(σ² + (0.1·median σ)²). Without it the new row lies 77,000 deviations away."""
    X, new = nearly_constant(), np.ones((1, 5))
    deviation = X.std(axis=0)
    floored = np.sqrt(deviation**2 + (0.1 * np.median(deviation)) ** 2)
    found = ZScore(floor=0.1).fit(X)
    np.testing.assert_allclose(found.scale_, floored, rtol=1e-12)
    assert abs(ZScore().fit(X).transform(new)).max() > 70_000
    assert abs(found.transform(new)).max() < 15
    streamed = ZScore(floor=0.1).fit_stream(np.array_split(X, 3))
    np.testing.assert_allclose(streamed.scale_, floored, rtol=1e-12)


def test_dead_columns_do_not_switch_the_floor_off() -> None:
    """Half of the columns and more are zero throughout: the median is of the others."""
    X = np.hstack([nearly_constant(), np.zeros((60, 20))])
    found = ZScore(floor=0.1).fit(X)
    assert found.scale_[4] > 0.05
    assert (found.scale_[5:] > 0).all()
    assert not found.transform(X)[:, 5:].any()
    assert ZScore(floor=0.1).fit(np.ones((3, 2))).scale_.tolist() == [1, 1]


@pytest.mark.parametrize("floor", [-0.1, np.nan, "a lot"])
def test_a_floor_below_nothing_is_refused(floor: object) -> None:
    with pytest.raises(UsageError, match=r"floor can't be .* in zscore"):
        ZScore(floor=floor).fit(rows_of())  # type: ignore[arg-type]  # on purpose


def test_one_scale_a_tap_keeps_what_columns_differ_in() -> None:
    X = rows_of() * [1, 10, 1, 100, 1, 1] + 5
    found = Scale(blocks=(2, 4)).fit(X)
    rows = found.transform(X)
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-12)
    for block in (slice(2), slice(2, 6)):
        assert rows[:, block].var(axis=0).mean() == pytest.approx(1)
        ratios = rows[:, block].std(axis=0) / X[:, block].std(axis=0)
        np.testing.assert_allclose(ratios, ratios[0])
    parts = np.array_split(X, [1, 7])
    np.testing.assert_allclose(Scale((2, 4)).fit_stream(parts).scale_, found.scale_, rtol=1e-12)
    assert abs(Scale().fit(nearly_constant()).transform(np.ones((1, 5)))).max() < 5


def test_a_tap_that_is_constant_becomes_zero() -> None:
    X = rows_of()
    X[:, 2:] = 0.1
    found = Scale(blocks=(2, 4)).fit(X)
    assert found.scale_[2:].tolist() == [1] * 4
    assert not found.transform(X)[:, 2:].round(12).any()


def test_signed_power_keeps_the_sign() -> None:
    X = np.array([[-4.0, 0.0, 9.0]])
    np.testing.assert_allclose(SignedPower(0.5).fit_transform(X), [[-2, 0, 3]])
    with pytest.raises(UsageError, match="alpha=0"):
        SignedPower(0).fit(X)


@pytest.mark.parametrize("transform", [L2(), ZScore(), Scale(), SignedPower()])
def test_names_of_tap_pool_and_channel_survive(transform: L2) -> None:
    names = feature_names({"blocks.3/gap": 4, "head/none": 2})
    fitted = transform.fit(rows_of())
    assert fitted.get_feature_names_out(names).tolist() == names.tolist()
    assert names[3] == "blocks.3/gap[3]"
