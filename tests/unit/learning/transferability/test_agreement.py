"""The published benchmark, recomputed (acceptance check 9)."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import weightedtau

from cutpoint.learning.transferability import null_band, static_ranking, weighted_tau
from tests.conftest import ROOT

TABLE = json.loads((ROOT / "tests" / "references" / "fine_tuned.json").read_text())
ACCURACY = np.array(list(TABLE["accuracy"].values()))


def mean_tau(scores: np.ndarray) -> float:
    return float(np.mean([weighted_tau(*pair) for pair in zip(scores, ACCURACY, strict=True)]))


def test_a_ranking_that_never_sees_the_target_beats_every_published_score() -> None:
    """Tolerance .001 on the means computed from the published table."""
    static = mean_tau(static_ranking(ACCURACY))
    imagenet = mean_tau(np.tile(TABLE["imagenet_top1"], (len(ACCURACY), 1)))
    assert static == pytest.approx(0.826, abs=1e-3)
    assert imagenet == pytest.approx(0.654, abs=1e-3)
    published = {name: np.mean(taus) for name, taus in TABLE["published_tau"].items()}
    assert max(published, key=published.__getitem__) == "SFDA"
    assert published["SFDA"] == pytest.approx(0.710, abs=1e-3)
    assert published["LogME"] == pytest.approx(0.509, abs=1e-3)
    assert published["LogME"] < imagenet < published["SFDA"] < static


def test_random_rankings_of_eleven_models_reach_nearly_a_half() -> None:
    """Published null band, 5 to 95 %, of 11 models: −.45 to .46; 2000 draws, so ± .03."""
    low, high = null_band(11)
    assert low == pytest.approx(-0.45, abs=0.03)
    assert high == pytest.approx(0.46, abs=0.03)
    assert null_band(11, n_draws=50) == null_band(11, n_draws=50)


def test_weighted_tau_is_scipys() -> None:
    scores, truth = ACCURACY[0], ACCURACY[1]
    assert weighted_tau(scores, truth) == weightedtau(scores, truth).statistic
    assert weighted_tau(truth, truth) == 1


def test_a_static_ranking_does_not_look_at_its_own_row() -> None:
    changed = ACCURACY.copy()
    changed[3] = changed[3, ::-1]
    np.testing.assert_allclose(static_ranking(changed)[3], static_ranking(ACCURACY)[3])


def test_a_data_set_that_tells_no_models_apart_does_not_count() -> None:
    table = np.array([[50.0, 60.0, 70.0], [80.0, 80.0, 80.0], [55.0, 50.0, 65.0]])
    assert np.isfinite(static_ranking(table)).all()


def test_of_two_data_sets_each_is_ranked_by_the_other_alone() -> None:
    table = ACCURACY[:2]
    standard = (table - table.mean(1, keepdims=True)) / table.std(1, keepdims=True)
    np.testing.assert_allclose(static_ranking(table), standard[::-1])
    # The mean of several others, not their sum.
    np.testing.assert_allclose(static_ranking(np.tile(table[0], (5, 1)))[0], standard[0])
