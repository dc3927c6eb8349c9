"""Protocols beside what their sources say: grids, draws, ties; the test rows choose nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import cutpoint as cp
from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.learning.heads import PROTOCOLS, find_protocol, run_protocol
from cutpoint.learning.heads.protocol_run import _draws, best, peak, validation_rows
from cutpoint.testing import FakeBackbone


def blobs(n_items: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, n_items)
    means = np.random.default_rng(9).normal(size=(3, 8))
    return means[y] + random.normal(size=(n_items, 8)), np.array(["a", "b", "c"])[y]


def test_the_grids_are_the_sources() -> None:
    """ELEVATER: np.logspace(-6, 6, num=97); DINOv2: 10 ** linspace(-6, 5, 45); ssl-transfer:
    1 / logspace(-6, 5, 45), λ rising; DINOv2's neighbours: 10, 20, 100, 200."""
    grid = np.logspace(-6, 6, 97)
    for name in ("clip96", "elevater97"):
        np.testing.assert_allclose(PROTOCOLS[name].candidates, grid, rtol=1e-12)
    # The seven coarse values stand at every sixteenth place.
    np.testing.assert_allclose(grid[::16], np.logspace(-6, 6, 7), rtol=1e-12)
    expected = 10.0 ** np.linspace(-6, 5, 45)
    np.testing.assert_allclose(PROTOCOLS["dinov2-45"].candidates, expected, rtol=1e-12)
    np.testing.assert_allclose(PROTOCOLS["ssl-transfer-45"].candidates, 1 / expected, rtol=1e-12)
    assert PROTOCOLS["dinov2-knn"].candidates == (10, 20, 100, 200)
    assert (PROTOCOLS["mteb"].n_draws, PROTOCOLS["mteb"].per_class) == (10, 8)
    assert PROTOCOLS["mteb"].candidates == (1.0,)  # scikit-learn's default
    vtab = PROTOCOLS["vtab1k"].candidates  # its own: half a power of ten apart around 1
    np.testing.assert_allclose(vtab, 10 ** np.arange(-4, 4.5, 0.5), rtol=1e-12)
    assert (PROTOCOLS["vtab1k"].n_learn, PROTOCOLS["vtab1k"].n_validate) == (800, 200)


def elevaters_search(scores: list[float]) -> tuple[int, set[int]]:
    """The search as ELEVATER's lr_classifier describes it: the first score above the best so far,
    anew among left, peak and right; a list of what was scored."""
    asked: set[int] = set()

    def find_peak(places: list[int]) -> int:
        found, best_score = -1, 0.0
        for place in places:
            asked.add(place)
            if scores[place] > best_score:
                found, best_score = place, scores[place]
        return found

    at, span = find_peak([0, 16, 32, 48, 64, 80, 96]), 8
    while span > 0:
        at = find_peak([max(at - span, 0), at, min(at + span, 96)])
        span //= 2
    return at, asked


def test_the_peak_is_found_as_elevater_does_and_ties_keep_the_first() -> None:
    random = np.random.default_rng(0)
    for seed in range(60):
        centre = random.integers(0, 97)
        smooth = 0.9 - np.abs(np.arange(97) - centre) / 200 + 0.02 * random.normal(size=97)
        scores = [float(score) for score in np.round(smooth, 2 if seed % 2 else 6)]  # with ties
        expected, asked = elevaters_search(scores)
        seen: list[int] = []
        assert peak(lambda place, s=scores, n=seen: (n.append(place), s[place])[1], 97) == expected
        assert sorted(seen) == sorted(asked)  # each once
        assert len(seen) <= 15
    assert best(lambda place: [0.5, 0.9, 0.9][place], 3) == 1


def test_rows_are_drawn_as_the_sources_draw_them() -> None:
    """ssl-transfer: np.random.seed(0), shuffle a list of places, the first fifth validates."""
    places = list(range(103))
    np.random.RandomState(0).shuffle(places)
    learn, judge = validation_rows(find_protocol("ssl-transfer-45"), 103, 0)
    np.testing.assert_array_equal(judge, sorted(places[:20]))
    assert sorted([*learn, *judge]) == list(range(103))
    assert len(validation_rows(find_protocol("dinov2-45"), 103, 0)[1]) == 10


def test_vtab_takes_800_rows_and_the_200_after_nine_tenths() -> None:
    for n_items in (1000, 3000):
        order = list(range(n_items))
        np.random.RandomState(5).shuffle(order)
        learn, judge = validation_rows(find_protocol("vtab1k"), n_items, 5)
        mark = 2700 if n_items == 3000 else 800  # of just 1000 rows the last 200
        np.testing.assert_array_equal(judge, sorted(order[mark : mark + 200]))
        np.testing.assert_array_equal(learn, sorted(order[:800]))


def test_groups_stay_on_one_side_of_every_draw() -> None:
    groups = np.arange(90) // 4
    for name in ("dinov2-45", "elevater97", "vtab1k"):
        learn, judge = validation_rows(find_protocol(name), 90, 0, groups)
        assert len(judge)
        assert not set(groups[learn]) & set(groups[judge])


def test_mteb_draws_eight_of_each_class_and_shuffles_on() -> None:
    """The source shuffles one list ever again, each time with a new generator of the same seed."""
    y = np.repeat(["a", "b", "c"], [30, 20, 8])
    order, found = list(range(58)), list(_draws(find_protocol("mteb"), y, 42))
    assert len(found) == 10
    for rows in found:
        np.random.RandomState(42).shuffle(order)
        count: Counter[str] = Counter()
        expected = []
        for place in order:
            count[y[place]] += 1
            expected += [place] if count[y[place]] <= 8 else []
        assert sorted(rows) == sorted(expected)
    assert set(found[0]) != set(found[1])


@pytest.mark.parametrize("name", [name for name in PROTOCOLS if not PROTOCOLS[name].stage])
def test_poisoned_test_labels_change_no_choice(name: str) -> None:
    X, y = blobs(150)
    X_test, y_test = blobs(200, seed=1)
    honest = run_protocol(name, X, y, X_test, y_test)
    poisoned = run_protocol(name, X, y, X_test, np.full(200, "a"))
    assert poisoned.chosen == honest.chosen
    assert honest.accuracy.low < honest.accuracy.value < honest.accuracy.high
    assert honest.accuracy.value > 0.6
    assert poisoned.accuracy.value < 0.5
    assert len(honest.draws) == PROTOCOLS[name].n_draws


def test_dinov2s_choice_is_scikit_learns_on_the_same_rows() -> None:
    """Each C fitted by scikit-learn on nine tenths, the first of the best on the tenth."""
    X, y = blobs(120)
    protocol = find_protocol("dinov2-45")
    learn, judge = validation_rows(protocol, 120, 0)
    right = []
    for C in protocol.candidates:
        model = LogisticRegression(C=C, tol=1e-10, max_iter=100_000).fit(X[learn], y[learn])
        right.append((model.predict(X[judge]) == y[judge]).sum())
    found = run_protocol("dinov2-45", X, y, *blobs(60, seed=2))
    assert found.chosen[0]["C"] == pytest.approx(protocol.candidates[int(np.argmax(right))])


def test_a_learned_sum_of_layers_is_no_score_of_one_matrix() -> None:
    with pytest.raises(UsageError, match="needs each tap by itself") as caught:
        run_protocol("superb-wsum", *blobs(30), *blobs(30))
    assert "protocol='superb-wsum'" in caught.value.type_next


@pytest.mark.parametrize("name", ["dinov2-45", "elevater97", "vtab1k", "mteb", "dinov2-knn"])
def test_rows_of_one_group_leave_nothing_to_choose_on(name: str) -> None:
    with pytest.raises(UsageError, match=r"would learn from 0, of 0 classes|of one group"):
        run_protocol(name, *blobs(30), *blobs(30), groups=np.zeros(30))


def test_an_unknown_protocol_names_all_and_the_nearest() -> None:
    with pytest.raises(UsageError, match='Nearest: "dinov2-45"') as caught:
        find_protocol("dinov2-54")
    assert all(name in caught.value.would_do for name in PROTOCOLS)


def test_fit_follows_a_protocol_and_says_so(
    colour_folder: Any, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    where = tmp_path / "m.cutpoint"
    model = cp.fit(
        colour_folder(), where, FakeBackbone(), protocol="dinov2-45", store=tmp_path / "s"
    )
    said = capsys.readouterr().err
    assert "Protocol dinov2-45: logistic regression" in said
    assert "chosen on training rows" in said
    assert model.head.kind == "logistic"
    assert model.card.head["text"] == "dinov2-45"
    assert "--protocol dinov2-45" in (where / "report.html").read_text()
    assert cp.load_predictor(where).head.chosen == model.head.chosen


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"protocol": "clip96", "head": "knn"}, "A protocol says itself which head"),
        ({"protocol": "mteb"}, "leaves no one head"),
        ({"protocol": "superb-wsum"}, 'makes taps one by "nothing"'),
        ({"protocol": "clip98"}, "There is no protocol"),
    ],
)
def test_what_no_protocol_can_do_is_refused_before_anything_is_computed(
    colour_folder: Any, wanted: dict[str, str], why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        cp.fit(colour_folder(), None, FakeBackbone(), quiet=True, **wanted)


def test_a_learned_sum_of_layers_is_fitted_by_superbs_protocol(
    colour_folder: Any, tmp_path: Any
) -> None:
    model = cp.fit(
        colour_folder(), None, FakeBackbone(), recipe="gap | orthogonal(8) | softmax",
        protocol="superb-wsum", store=tmp_path / "s", quiet=True,
    )  # fmt: skip
    assert "softmax" in str(model.recipe)
    assert (model.head.kind, model.card.head["text"]) == ("logistic", "superb-wsum")


@pytest.mark.parametrize(
    ("n_train", "n_test", "groups"), [(30, 60, None), (60, 30, None), (60, 60, [1, 2]), (0, 60, [])]
)
def test_rows_labels_and_groups_that_are_not_as_many_are_refused(
    n_train: int, n_test: int, groups: list[int] | None
) -> None:
    X, y = np.eye(60, 4), np.arange(60) % 2
    with pytest.raises(ShapeError, match="don't go together"):
        run_protocol("dinov2-45", X, y[:n_train], X, y[:n_test], groups=groups)
