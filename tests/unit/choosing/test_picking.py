"""Which candidate is taken, and what is said of it; on made outcomes."""

from __future__ import annotations

import numpy as np
import pytest

from cutpoint.choosing import Candidate, Ranking, advise, draw
from cutpoint.metrics import Interval, wilson

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


def test_the_cheapest_within_one_standard_error_of_the_difference_is_taken() -> None:
    """Rows that only the best gets right: one is one standard error, two are 1.41."""
    close, cheap = candidate(189, 1, 500), candidate(188, 0, 100)
    best = candidate(190, 2, 900)
    found = ranking(best, close, cheap)
    assert found.best is best
    assert found.taken is close
    assert "the cheapest within one standard error" in found.verdict()


def test_a_winner_alone_in_its_interval_is_taken_and_named() -> None:
    found = ranking(candidate(195, 2, 900), candidate(120, 0, 100))
    assert found.taken is found.best
    assert "no other lies inside its interval" in found.verdict()


def test_evidence_can_tell_apart_what_rows_left_out_can_not() -> None:
    """4 nats are odds of 55 to 1."""
    best, other = candidate(190, 2, 900, evidence=-0.1), candidate(190, 0, 100, evidence=-0.12)
    assert ranking(best, other).taken is best
    near = candidate(190, 0, 100, evidence=-0.11)
    assert ranking(best, near).taken is near


def test_errors_that_differ_make_the_difference_less_sure() -> None:
    """Eleven and ten rows that only one gets right: a difference of 1 row, error √21."""
    best, other = candidate(190, 2, 900), candidate(189, 0, 100, first=10)
    assert ranking(best, other).taken is other


def test_without_costs_depth_is_the_cost() -> None:
    best, shallow = candidate(190, 2, None), candidate(190, 0, None)
    assert ranking(best, shallow).taken is shallow
    assert "–" in ranking(best, shallow).lines()[1]


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

    said = advise(ranking(of(1.0, 0), of(2.0, 1), kind="values"), n_classes=200)
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
