"""Intervals by bootstrap: against scipy's, and by how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from scipy.stats import norm

from cutpoint.base.errors import DataError, ShapeError, UsageError
from cutpoint.learning.metrics import bootstrap, max_t, paired_bootstrap, resampling

# Of 600 runs at 95 %, 93 to 97 % is the middle 97.5 % (binomial).
N_RUNS = 600


def scores(n_items: int = 80, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).exponential(size=n_items)


def test_the_percentile_interval_is_that_of_scipy() -> None:
    """Reference: `scipy.stats.bootstrap`, another 20,000 draws; tolerance by their noise."""
    drawn = scores()
    reference = scipy.stats.bootstrap(
        (drawn,), np.mean, n_resamples=20_000, method="percentile", rng=1
    ).confidence_interval
    found = bootstrap(drawn, n_draws=20_000)
    assert found.value == pytest.approx(drawn.mean(), abs=1e-12)
    assert found.low == pytest.approx(reference.low, abs=0.01)
    assert found.high == pytest.approx(reference.high, abs=0.01)


def test_a_difference_is_the_mean_of_differences() -> None:
    a, b = scores(seed=0), scores(seed=1)
    assert paired_bootstrap(a, b) == bootstrap(a - b)
    swapped = paired_bootstrap(b, a)
    assert swapped.low == pytest.approx(-paired_bootstrap(a, b).high)


def test_the_truth_lies_within_93_to_97_percent_of_the_intervals() -> None:
    """Two models right on 85 and 80 % of all items, and on mostly the same ones."""
    random = np.random.default_rng(0)
    held = 0
    for run in range(N_RUNS):
        luck = random.random(200)
        a, b = luck < 0.85, np.where(random.random(200) < 0.9, luck < 0.80, luck > 0.20)
        found = paired_bootstrap(a, b, n_draws=400, seed=run)
        held += found.low <= 0.05 <= found.high
    assert 0.93 <= held / N_RUNS <= 0.97


def test_strata_keep_their_sizes() -> None:
    """Scores that only differ between classes: drawn within classes, nothing varies."""
    classes = np.repeat(["a", "b"], [30, 10])
    found = bootstrap((classes == "a").astype(float), strata=np.roll(classes, 0))
    assert (found.low, found.value, found.high) == (0.75, 0.75, 0.75)
    assert bootstrap((classes == "a").astype(float)).low < 0.70
    shuffled = np.random.default_rng(0).permutation(40)
    again = bootstrap((classes[shuffled] == "a").astype(float), strata=classes[shuffled])
    assert again.low == again.high == 0.75


def test_the_seed_decides_the_draws() -> None:
    assert bootstrap(scores(), seed=3) == bootstrap(scores(), seed=3)
    assert bootstrap(scores(), seed=3) != bootstrap(scores(), seed=4)


def test_one_c_for_independent_candidates_is_sidaks() -> None:
    """The largest |z| of M independent means is below c in 95 %: Φ(c) = (1 + .95^(1/M)) / 2."""
    n_candidates = 20
    drawn = np.random.default_rng(0).normal(size=(n_candidates, 2000))
    found = max_t(drawn, n_draws=4000)
    c = (found[0].high - found[0].low) / 2 * np.sqrt(2000)
    assert c == pytest.approx(norm.ppf((1 + 0.95 ** (1 / n_candidates)) / 2), rel=0.03)


def test_candidates_that_are_one_cost_nothing() -> None:
    alone = bootstrap(scores())
    twice = max_t(np.tile(scores(), (10, 1)))
    assert twice[0].high - twice[0].low == pytest.approx(alone.high - alone.low, rel=0.05)


def test_the_best_of_many_is_within_its_simultaneous_interval_and_not_within_its_own() -> None:
    """30 candidates, all right on 90 % of 100 items; the best is picked by the same items."""
    random = np.random.default_rng(0)
    own = together = 0
    n_runs = 150
    for run in range(n_runs):
        right = random.random((30, 100)) < 0.9
        best = int(right.mean(axis=1).argmax())
        own += bootstrap(right[best], n_draws=300, seed=run).low <= 0.9
        together += max_t(right, n_draws=300, seed=run)[best].low <= 0.9
    assert own / n_runs < 0.8
    assert together / n_runs > 0.95


def test_scores_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match="One has 3 scores, the other 4"):
        paired_bootstrap(np.ones(3), np.ones(4))
    with pytest.raises(ShapeError, match="3 scores and 2 strata"):
        bootstrap(np.ones(3), strata=np.ones(2))
    for wrong in (np.ones((2, 3)), np.ones(0)):
        with pytest.raises(ShapeError, match="scores have shape"):
            bootstrap(wrong)


def test_scores_that_are_no_numbers_and_no_draws_are_refused() -> None:
    with pytest.raises(DataError, match="1 of 3 scores are NaN"):
        bootstrap(np.array([1.0, np.nan, 0.0]))
    with pytest.raises(UsageError, match="0 draws give no interval"):
        bootstrap(np.array([1.0, 0.0]), n_draws=0)


def test_what_is_not_said_is_2000_draws_95_percent_and_seed_0() -> None:
    a, b = scores(seed=0), scores(seed=1)
    said = {"n_draws": 2000, "strata": None, "confidence": 0.95, "seed": 0}
    assert bootstrap(a) == bootstrap(a, **said)
    assert paired_bootstrap(a, b) == paired_bootstrap(a, b, **said)
    assert max_t(np.stack([a, b])) == max_t(np.stack([a, b]), **said)
    assert bootstrap(a, n_draws=1999) != bootstrap(a)


def test_the_bounds_are_quantiles_of_the_drawn_means() -> None:
    drawn = resampling.drawn_means(scores()[None], 300, None, 5)[:, 0]
    found = bootstrap(scores(), n_draws=300, confidence=0.8, seed=5)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, [0.1, 0.9])))


def test_draws_in_parts_are_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bootstrap(scores(), n_draws=50)
    monkeypatch.setattr(resampling, "_CELLS", 7 * 80)  # seven draws at a time, then one
    assert bootstrap(scores(), n_draws=50) == whole
    monkeypatch.setattr(resampling, "_CELLS", 1)  # less than one draw: one at a time
    assert bootstrap(scores(), n_draws=50) == whole


def test_one_draw_and_one_item_are_enough() -> None:
    found = bootstrap(np.array([0.5]), n_draws=1)
    assert (found.low, found.value, found.high) == (0.5, 0.5, 0.5)


def test_intervals_of_all_candidates_are_as_wide_and_about_their_means() -> None:
    several = np.stack([scores(seed=seed) for seed in range(3)])
    means = resampling.drawn_means(several, 200, None, 0)
    c = np.quantile(np.abs(means - several.mean(axis=1)).max(axis=1), 0.9)
    for row, found in zip(several, max_t(several, n_draws=200, confidence=0.9), strict=True):
        assert found.value == pytest.approx(row.mean())
        assert (found.low, found.high) == pytest.approx((row.mean() - c, row.mean() + c))
    with pytest.raises(ShapeError, match="scores have shape"):
        max_t(scores())
