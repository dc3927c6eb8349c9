"""Which candidate is taken, and what is said of it; on made outcomes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from cutpoint.learning.choosing import Candidate, Ranking, advise, draw
from cutpoint.learning.choosing.decision import mean_interval
from cutpoint.learning.metrics import Interval, wilson

N = 200


def candidate(
    n_right: int, depth: int, macs: int | None, first: int = 0, **more: object
) -> Candidate:
    """Return a candidate that gets `n_right` of 200 rows right, from row `first` on."""
    outcomes = np.zeros(N)
    outcomes[(np.arange(n_right) + first) % N] = 1
    fields = {
        "taps": (f"layer{depth}/gap",),
        "width": 8,
        "alpha": 1.0,
        "score": wilson(n_right, N),
        "error": 1 - n_right / N,
        "depth": depth,
        "macs": macs,
        "outcomes": outcomes,
        "losses": 1 - outcomes,
    }
    return Candidate(**{**fields, **more})


def ranking(*candidates: Candidate, **more: object) -> Ranking:
    order = sorted(candidates, key=lambda each: each.error)
    return Ranking(tuple(order), N, 20, is_grouped=False, **more)


def repeated(one: Candidate, times: int) -> Candidate:
    """Return a candidate of so many times as many rows."""
    more = {"outcomes": np.tile(one.outcomes, times), "losses": np.tile(one.losses, times)}
    return replace(one, score=wilson(int(more["outcomes"].sum()), N * times), **more)


def fused(n_right: int, depth: int, macs: int, first: int = 0) -> Candidate:
    taps = (f"layer{depth - 1}/gap", f"layer{depth}/gap")
    more = {"taps": taps, "strategy": "fused", "recipe": "concat | fuse"}
    return candidate(n_right, depth, macs, first, **more)


def with_prior(*candidates: Candidate, **more: object) -> Ranking:
    """Return the ranking of candidates, the first of which is the prior."""
    return ranking(*candidates, prior_taps=candidates[0].taps, **more)


def test_few_rows_choose_nothing_the_last_two_stages_are_taken() -> None:
    """200 rows that are right or wrong alike are no proof that a cheaper one is as good."""
    prior, cheap = fused(190, 2, 900), candidate(190, 0, 100)
    found = with_prior(prior, cheap, candidate(190, 1, 500))
    assert found.taken is prior
    assert found.headline() == "Too few to choose: the last two stages are taken."
    assert found.to_json()["why"] == "prior"


def test_enough_rows_that_agree_show_a_cheaper_one_to_be_as_good() -> None:
    prior, cheap = repeated(fused(190, 2, 900), 2), repeated(candidate(190, 0, 100), 2)
    found = replace(with_prior(prior, cheap), n_train=2 * N)
    assert found.taken is cheap
    assert found.decision.why == "cheaper"
    assert "cheaper than the last two stages" in found.headline()
    assert "no more than 1 point below" in found.headline()


def test_copies_that_stand_together_are_one_row_and_show_nothing() -> None:
    """The 400 rows are 200 pairs, which alone agree too rarely."""
    prior, cheap = repeated(fused(190, 2, 900), 2), repeated(candidate(190, 0, 100), 2)
    found = replace(with_prior(prior, cheap), n_train=2 * N, groups=np.tile(np.arange(N), 2))
    assert found.taken is prior
    assert "Too few" in found.headline()


def test_a_cheaper_one_that_may_lose_more_than_the_margin_is_not_taken() -> None:
    """Of 400 rows 4 more are wrong: one point, and its bound is beyond the margin."""
    prior, cheap = repeated(fused(190, 2, 900), 2), repeated(candidate(188, 0, 100), 2)
    found = replace(with_prior(prior, cheap), n_train=2 * N)
    assert found.taken is prior
    said = "Nothing is shown to be better, or as good and cheaper: the last two stages are taken."
    assert found.headline() == said


def test_what_is_shown_to_be_better_is_taken() -> None:
    prior, best = fused(170, 2, 900), candidate(195, 1, 500)
    found = with_prior(prior, best, candidate(100, 0, 100))
    assert found.taken is best
    assert found.headline() == "Taken: layer1/gap, shown to err less than the last two stages."


def test_the_more_are_compared_the_more_it_takes_to_show_one_better() -> None:
    """Six rows of 200 that only one gets right: 2.5 standard errors."""
    prior, best = fused(184, 2, 900), candidate(190, 2, 900, taps=("a/gap",))
    assert with_prior(prior, best).taken is best
    others = [candidate(50 + n, 2, 900, taps=(f"b{n}/gap",)) for n in range(30)]
    assert with_prior(prior, best, *others).taken is prior


def test_what_errs_more_is_not_as_good_though_it_is_as_often_right() -> None:
    """Near perfection accuracy hardly differs; 800 rows of caltech20 took a worse layer."""
    prior, cheap = repeated(fused(190, 2, 900), 2), repeated(candidate(190, 0, 100), 2)
    random = np.random.default_rng(0)
    worse = replace(cheap, losses=prior.losses + random.normal(0.02, 0.05, 2 * N))
    assert replace(with_prior(prior, worse), n_train=2 * N).taken is prior
    equal = replace(cheap, losses=prior.losses + random.normal(0, 0.05, 2 * N))
    assert replace(with_prior(prior, equal), n_train=2 * N).taken is equal


@pytest.mark.parametrize(("n_rows", "is_taken"), [(4, False), (19, False), (20, True)])
def test_a_handful_of_rows_shows_none_to_be_better(n_rows: int, is_taken: bool) -> None:
    """Models that share all but one of so few rows err alike: their spread is no bound."""
    spread = np.linspace(0, 1e-3, n_rows)
    many = {"outcomes": np.ones(n_rows)}
    prior = replace(fused(190, 2, 900), losses=np.full(n_rows, 0.5), **many)
    better = replace(candidate(195, 2, 900), error=0.1, losses=0.1 + spread, **many)
    found = Ranking((better, prior), n_rows, 20, is_grouped=False, prior_taps=prior.taps)
    assert found.taken is (better if is_taken else prior)


def test_without_several_averages_the_prior_is_the_last_tap() -> None:
    last, cheap = candidate(190, 2, 900), candidate(190, 0, 100)
    found = ranking(last, cheap)
    assert found.taken is last
    assert found.headline() == "Too few to choose: the last tap, layer2/gap, is taken."


def test_without_costs_depth_is_the_cost() -> None:
    last, shallow = repeated(candidate(190, 2, None), 2), repeated(candidate(190, 0, None), 2)
    found = replace(ranking(last, shallow), n_train=2 * N)
    assert found.taken is shallow
    assert "–" in found.lines()[1]


def test_a_step_down_that_fails_ends_the_way_down() -> None:
    """Tested one after the other, from dear to cheap, none needs a correction for their number."""
    prior = repeated(fused(190, 2, 900), 2)
    worse, cheap = repeated(candidate(150, 1, 500), 2), repeated(candidate(190, 0, 100), 2)
    assert replace(with_prior(prior, worse, cheap), n_train=2 * N).taken is prior


def test_where_nothing_tells_the_labels_apart_that_is_said_and_no_layer_is_named() -> None:
    blind = np.full(N, 0.25)
    noise = np.random.default_rng(0).normal(0, 0.01, (2, N))
    one = candidate(100, 2, 900, losses=blind + noise[0], error=0.25)
    two = candidate(104, 1, 500, losses=blind + noise[1], error=0.2501)
    found = ranking(one, two, blind_losses=blind, chance=0.5)
    assert found.headline().startswith("Nothing tells the labels apart: the best of 2 ways")
    said = f"{found.verdict()} {advise(found, n_classes=2)}"
    assert "no layer is advised: look at the labels first." in said
    assert "layer" not in said.replace("no layer is advised", "")
    assert not any(line.startswith(("→", "=")) for line in found.lines())
    assert found.to_json()["why"] == "nothing"


def test_few_rows_that_are_mostly_right_are_not_called_hopeless() -> None:
    """Four rows show nothing, neither that the labels can be told nor that they can't."""
    losses = np.array([0.02, 0.1, 0.02, 0.4])
    one = candidate(3, 2, 900, outcomes=np.array([1.0, 1, 1, 0]), losses=losses, error=0.135)
    other = replace(one, taps=("layer0/gap",), macs=100, losses=losses + 0.1)
    found = Ranking((one, other), 4, 20, is_grouped=False, blind_losses=np.full(4, 0.25))
    assert not found.tells_nothing
    assert "Too few to choose" in found.headline()


@pytest.mark.parametrize("doubt", [0.05, 0.1])
def test_bounds_of_paired_differences_hold_as_often_as_they_say(doubt: float) -> None:
    """Agreement of two classifiers on 60 rows, 4000 times; the standard error is .008 at most."""
    random = np.random.default_rng(0)
    gains = random.choice([-1.0, 0.0, 1.0], (4000, 60), p=[0.06, 0.9, 0.04])
    found = [mean_interval(row, None, doubt, is_bounded=True) for row in gains]
    held = np.mean([each.low <= -0.02 <= each.high for each in found])
    assert held > 1 - doubt - 0.03
    assert mean_interval(np.zeros(3), None, doubt, is_bounded=True).low < -0.25


def test_student_s_bounds_are_scipys() -> None:
    gains = np.random.default_rng(0).normal(0.1, 1, 30)
    expected = ttest_1samp(gains, 0).confidence_interval(0.9)
    found = mean_interval(gains, None, 0.1)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    copies = mean_interval(np.repeat(gains, 5), np.repeat(np.arange(30), 5), 0.1)
    assert (copies.low, copies.high) == pytest.approx((found.low, found.high))


def test_the_last_layer_is_the_deepest_alone_averaged() -> None:
    gmp = candidate(190, 2, 900, taps=("layer2/gmp",))
    gap = candidate(180, 2, 900)
    fused = candidate(195, 2, 900, taps=("layer0/gap", "layer2/gap"), strategy="fused")
    assert ranking(fused, gmp, gap, candidate(100, 0, 100)).last is gap


def test_the_pareto_line_holds_what_no_cheaper_one_equals() -> None:
    low, dear, best = candidate(150, 0, 100), candidate(140, 1, 500), candidate(190, 2, 900)
    assert ranking(low, dear, best).pareto == (low, best)


def test_advice_says_what_is_gained_over_the_last_layer_and_at_what_cost() -> None:
    said = advise(ranking(candidate(190, 1, 500), candidate(150, 2, 1000)), n_classes=2)
    assert "use layer1/gap at 50 % of the last tap's cost: +20.0 points over the last tap" in said
    assert "worth trying" in said


def test_advice_at_the_last_layer_with_few_items_is_to_label_more() -> None:
    found = ranking(candidate(150, 1, 1000), candidate(90, 0, 100))
    said = advise(found, n_classes=20)
    assert "the last tap" in said
    assert "10 items a class" in said


def test_nothing_is_left_to_gain_near_perfection() -> None:
    assert "little left to gain" in advise(ranking(candidate(200, 1, 10)), n_classes=2)
    unsure = candidate(198, 1, 10)  # .990, but from .964 on
    assert "little left to gain" not in advise(ranking(unsure), n_classes=2)


def test_few_items_are_no_reason_to_stop() -> None:
    few = ranking(candidate(200, 1, 10))
    assert "label more first" in advise(few, n_classes=20)


def test_advice_on_values_is_in_points_of_r2_and_counts_no_classes() -> None:
    def of(error: float, depth: int) -> Candidate:
        score = Interval(1 - error / 4, 0.0, 1.0)  # the values' variance is 4
        outcomes = np.full(N, -error)
        return candidate(100, depth, 10, score=score, outcomes=outcomes, error=error)

    shown = replace(of(1.0, 0), losses=np.full(N, 0.1)), replace(of(2.0, 1), losses=np.ones(N))
    said = advise(ranking(*shown, kind="values"), n_classes=200)
    assert "With 200 items, use layer0/gap" in said
    assert "+25.0 points of R² over the last tap" in said
    assert "a class" not in said


def test_without_taps_alone_there_is_no_last_tap_to_compare_with() -> None:
    fused = candidate(190, 2, 900, taps=("layer0/gap", "layer2/gap"), strategy="fused")
    found = ranking(fused, candidate(180, 2, 900, taps=("a/gap", "b/gap"), strategy="greedy"))
    assert found.last is None
    assert "the last tap" not in advise(found, n_classes=2).partition(". ")[0]
    assert found.to_json()["last"] is None


def test_the_picture_marks_what_is_taken_and_fits_the_page() -> None:
    found = ranking(candidate(190, 2, 900), candidate(150, 1, 500), candidate(100, 0, 100))
    lines = draw(found)
    assert max(map(len, lines)) <= 100
    picture = "\n".join(lines[:-1])
    assert picture.count("◆") == 1
    assert picture.count("●") == 2
    assert "0.950 ┤" in lines[0]


def test_equal_costs_or_scores_give_no_picture() -> None:
    assert draw(ranking(candidate(190, 2, 900), candidate(150, 2, 900))) == []


@pytest.mark.parametrize("at_most", [1, 2, 3])
def test_the_table_always_shows_what_is_taken(at_most: int) -> None:
    found = ranking(candidate(190, 2, 900), candidate(190, 1, 500), candidate(190, 0, 100))
    lines = found.lines(at_most)
    assert any(line.startswith("→") for line in lines)
    assert max(map(len, found.lines())) <= 100


def test_a_bounded_difference_has_bounded_bounds() -> None:
    found = mean_interval(np.array([1.0, -1.0]), None, 0.05, is_bounded=True)
    assert (found.low, found.high) == (-1.0, 1.0)


def test_the_picture_has_the_cheapest_at_its_left_edge_and_the_dearest_at_its_right() -> None:
    lines = draw(ranking(candidate(190, 2, 900), candidate(100, 0, 100)))
    drawn = [line.partition("┤")[2] for line in lines if "┤" in line]
    assert drawn[0][-1] == "◆"
    assert drawn[-1][0] in "●·"


@pytest.mark.parametrize(
    ("n_taps", "said"), [(2, "the last two stages are"), (3, "three"), (4, "four")]
)
def test_as_many_stages_as_the_prior_has_are_named(n_taps: int, said: str) -> None:
    taps = tuple(f"layer{each}/gap" for each in range(n_taps))
    prior = candidate(100, n_taps, 900, taps=taps, strategy="fused")
    assert said in with_prior(prior, candidate(101, 0, 100)).headline()


def test_a_prior_of_one_tap_is_named_and_is_one() -> None:
    found = ranking(candidate(100, 2, 900), candidate(101, 0, 100))
    assert "the last tap, layer2/gap, is taken" in found.headline()
