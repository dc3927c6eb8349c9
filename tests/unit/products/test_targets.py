"""Values and several labels an item, from items to a report and back from a saved predictor."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import r2_score

import cutpoint as cp
from cutpoint.base.errors import DataError, LeakageError, UsageError
from cutpoint.features.extraction.request import default_store
from cutpoint.features.store import FeatureStore
from cutpoint.items.reading import Item
from cutpoint.learning.metrics import score_labels, score_values
from cutpoint.products.fitting.floor import floor_line
from cutpoint.products.predictor import LabelsPrediction, Prediction, Predictor, ValuePrediction
from cutpoint.testing import FakeBackbone

N = 100


def coloured(
    reds: Sequence[float], greens: Sequence[float] | None = None, seed: int = 0
) -> list[np.ndarray]:
    """Return noisy images, the redder and greener the larger the numbers, 0–1."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 100, (len(reds), 20, 20, 3))
    images[..., 0] += (np.asarray(reds) * 150).astype(int)[:, None, None]
    if greens is not None:
        images[..., 1] += (np.asarray(greens) * 150).astype(int)[:, None, None]
    return list(images.astype(np.uint8))


@pytest.fixture(scope="module")
def reds() -> np.ndarray:
    return np.random.default_rng(1).random(N).round(4)


@pytest.fixture(scope="module")
def pairs() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 2, (N, 2))


def named(pairs: np.ndarray) -> list[list[str]]:
    return [[n for n, has in zip(("red", "green"), row, strict=True) if has] for row in pairs]


def fit(items: Any, labels: Any, output: Path | None = None, **options: Any) -> Predictor:
    return cp.fit(items, output, FakeBackbone(), labels=labels, quiet=True, **options)


def test_values_are_learned_scored_saved_and_told_with_an_interval(
    reds: np.ndarray, tmp_path: Path
) -> None:
    model = fit(coloured(reds), list(reds), tmp_path / "m")
    found = model.card.evaluation
    assert found["target"] == "values"
    assert found["scores"]["r2"]["low"] > 0.9
    assert found["n_scored"] == 20
    assert str(model).startswith("Predictor of values: ")
    assert "R² on split test, 20 items: 0.99" in str(model)
    again = cp.load_predictor(tmp_path / "m", FakeBackbone())
    fresh = coloured([0.3, 0.8])
    one, other, bad = again.predict([*fresh, b"junk"])
    assert isinstance(one, ValuePrediction)
    assert one.value == model.predict(fresh)[0].value
    assert one.low < 0.3 < one.high
    assert other.low < 0.8 < other.high
    assert one.high - one.low == pytest.approx(2 * model.margin)
    assert np.isnan(bad.value)
    assert bad.to_json()["value"] is None
    assert bad.told == bad.reason != ""
    assert json.loads((tmp_path / "m" / "predictor.json").read_text())["head"]["target"] == "values"


def test_the_interval_holds_about_nine_tenths_of_items_not_seen(reds: np.ndarray) -> None:
    random = np.random.default_rng(3)
    noisy, fresh = random.random(400), random.random(400)
    noise = random.normal(0, 0.1, (2, 400))
    model = fit(coloured(noisy), list(noisy + noise[0]))
    told = model.predict(coloured(fresh))
    held = np.mean([t.low <= v <= t.high for t, v in zip(told, fresh + noise[1], strict=True)])
    assert 0.84 <= held <= 0.96


def test_the_report_of_values_shows_residuals_and_the_worst_misses(
    reds: np.ndarray, tmp_path: Path
) -> None:
    fit(coloured(reds), list(reds), tmp_path / "m")
    page = (tmp_path / "m" / "report.html").read_text()
    assert "R² on split “test”" in page
    assert "Worst misses" in page
    assert "off by " in page
    assert "predicted − true" in page
    assert "R² of the candidates on the 20 rows" in page
    assert "paired t-test" in page
    assert "accuracy" not in page
    assert "data:image/jpeg" in page


def test_labels_are_learned_scored_saved_and_told_with_probabilities(
    pairs: np.ndarray, tmp_path: Path
) -> None:
    model = fit(coloured(*pairs.T), named(pairs), tmp_path / "m")
    found = model.card.evaluation
    assert found["target"] == "labels"
    assert found["classes"] == ["green", "red"]
    assert found["scores"]["micro_f1"]["value"] > 0.9
    assert set(model.card.head["thresholds"]) == {"green", "red"}
    again = cp.load_predictor(tmp_path / "m", FakeBackbone())
    both, none, bad = again.predict([*coloured([1, 0], [1, 0]), b"junk"])
    assert isinstance(both, LabelsPrediction)
    assert both.labels == ("green", "red")
    assert both.probabilities["red"] > 0.5
    assert none.labels == ()
    assert none.told == "–"
    assert bad.probabilities == {}
    page = (tmp_path / "m" / "report.html").read_text()
    for part in ("micro F1 on split", "average precision", "threshold", "Labels right of the cand"):
        assert part in page
    with (tmp_path / "m" / "splits.csv").open(newline="") as file:
        assert {row["label"] for row in csv.DictReader(file)} == {"green;red", "green", "red", ";"}


def test_evaluate_gives_the_figures_of_the_metrics_on_the_same_items(
    reds: np.ndarray, pairs: np.ndarray
) -> None:
    images = coloured(reds[::-1] * 0.9, seed=9)
    model = fit(coloured(reds), list(reds))
    found = cp.evaluate(model, images, labels=list(reds[::-1] * 0.9), quiet=True)
    told = [each.value for each in model.predict(images)]
    assert found.scores == score_values(np.array(told), reds[::-1] * 0.9)
    assert found.lines()[1].startswith("R²")
    several = fit(coloured(*pairs.T), named(pairs))
    images = coloured(*pairs[::-1].T, seed=9)
    evaluated = cp.evaluate(several, images, labels=named(pairs[::-1]), quiet=True)
    likely = np.array([list(each.probabilities.values()) for each in several.predict(images)])
    truth = pairs[::-1][:, ::-1]  # green before red
    assert evaluated.scores == score_labels(likely, truth, several.thresholds, several.labels)
    assert any(line.startswith("green") for line in evaluated.lines())


def test_items_learned_from_and_labels_not_known_are_refused(
    reds: np.ndarray, pairs: np.ndarray
) -> None:
    model = fit(coloured(reds), list(reds))
    with pytest.raises(LeakageError):
        cp.evaluate(model, coloured(reds), "all", labels=list(reds), quiet=True)
    with pytest.raises(DataError, match="tall"):
        cp.evaluate(model, coloured(reds), "all", labels=["tall"] * N, quiet=True)
    several = fit(coloured(*pairs.T), named(pairs))
    strange = [["blue"]] * N
    with pytest.raises(DataError, match=r"does not know some labels.*blue"):
        cp.evaluate(several, coloured(reds), "all", labels=strange, quiet=True)


@pytest.mark.parametrize("kind", ["values", "labels"])
def test_shuffled_targets_are_not_learned(kind: str, reds: np.ndarray, pairs: np.ndarray) -> None:
    """What would score above chance here has seen the rows it is judged by."""
    order = np.random.default_rng(2).permutation(N)
    if kind == "values":
        model = fit(coloured(reds), list(reds[order]), head="auto")
        assert model.card.evaluation["scores"]["r2"]["value"] < 0.2
        assert model.card.ranking["candidates"][0]["score"]["value"] < 0.1
    else:
        model = fit(coloured(*pairs.T), np.array(named(pairs), object)[order].tolist())
        table = model.card.evaluation["scores"]["labels"]
        shares = [each["n_with"] / 20 for each in table]
        aps = [each["average_precision"] for each in table]
        assert np.mean(aps) < np.mean(shares) + 0.25
        assert model.card.ranking["candidates"][0]["score"]["low"] < model.card.ranking["chance"]


@pytest.mark.parametrize("kind", ["values", "labels", "classes"])
def test_a_test_rows_label_changes_nothing_that_was_fitted(
    kind: str, reds: np.ndarray, pairs: np.ndarray, tmp_path: Path
) -> None:
    splits = ["test" if n % 5 == 0 else "train" for n in range(N)]
    labels: list[Any] = {
        "values": list(reds),
        "labels": named(pairs),
        "classes": [f"k{a}" for a, _ in pairs],
    }[kind]
    others = [labels[(n + 5) % N] if s == "test" else labels[n] for n, s in enumerate(splits)]
    assert others != labels
    heads = []
    for given in (labels, others):
        model = fit(
            coloured(*pairs.T) if kind != "values" else coloured(reds),
            given,
            splits=splits,
            head="auto",
        )
        heads.append((model.head.to_state(), model.margin, model.recipe.taps, model.card.head))
    (first, *rest), (second, *more) = heads
    assert first[0] == second[0]
    for name, array in first[1].items():
        np.testing.assert_array_equal(array, second[1][name])
    assert rest == more


@pytest.mark.parametrize("kind", ["values", "classes"])
def test_items_without_labels_are_kept_and_change_nothing_that_is_learned(
    kind: str, reds: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    labels: list[Any] = list(reds) if kind == "values" else [f"k{round(red)}" for red in reds]
    splits = ["test" if n % 5 == 0 else "train" for n in range(N)]
    plain = fit(coloured(reds), labels, splits=splits)
    store = FeatureStore(default_store())
    extra = [image[::-1] for image in coloured(reds)[:12]]
    more = cp.fit(
        [*coloured(reds), *extra],
        backbone=FakeBackbone(),
        labels=[*labels, *[None] * 12],
        splits=[*splits, *["train", "test", "val"] * 4],
        unlabelled=[image[:, ::-1] for image in coloured(reds)[:7]],
    )
    assert "19 items have no label: kept, not learned from" in capsys.readouterr().err
    assert more.card.counts == {"train": 80, "test": 20, "unlabelled": 19}
    assert len(store.open()) == 119
    for name, array in plain.head.to_state()[1].items():
        np.testing.assert_array_equal(array, more.head.to_state()[1][name])
    assert more.card.evaluation == plain.card.evaluation
    assert more.card.ranking["candidates"] == plain.card.ranking["candidates"]


def test_items_without_labels_are_not_scored(
    reds: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    model = fit(coloured(reds), list(reds))
    images = coloured(0.9 * reds, seed=9)
    labels = [None if n < 10 else 0.9 * red for n, red in enumerate(reds)]
    found = cp.evaluate(model, images, labels=labels)
    assert len(found.verdicts) == 90
    assert "10 items have no label: not scored" in capsys.readouterr().err
    with pytest.raises(DataError, match="has a label"):
        cp.evaluate(model, images, quiet=True)


def test_choosing_passes_over_items_without_labels(reds: np.ndarray) -> None:
    images, labels = coloured(reds), [None if n < 10 else red for n, red in enumerate(reds)]
    features = cp.extract(images, FakeBackbone(), labels=labels, quiet=True)
    assert set(features.splits[:10]) == {None}
    ranking = cp.choose(features, quiet=True)
    assert ranking.kind == "values"
    assert ranking.n_train == len(features.rows_of("train"))


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"head": "logistic"}, "predicts classes, not values"),
        ({"head": cp.heads.RidgeHead()}, "tells classes, and labels are values"),
        ({"protocol": "dinov2-45"}, "can't tell values"),
        ({"head": ["ridge", "ridge"]}, "ridge is there twice"),
        ({"head": []}, "no head in an empty list"),
        ({"head": ["learned_gem", "ridge"], "kind": "classes"}, "trains on stored maps"),
        ({"kind": "labels", "head": "ridge"}, None),
        ({"kind": "regression"}, "regression"),
    ],
)
def test_heads_that_do_not_fit_the_target_are_refused(
    options: dict[str, Any], what: str | None, reds: np.ndarray
) -> None:
    with pytest.raises(UsageError if what else DataError, match=what):
        fit(coloured(reds), list(reds), **options)


def test_heads_are_compared_and_the_line_says_which_and_why(
    reds: np.ndarray, tmp_path: Path
) -> None:
    model = fit(coloured(reds), list(reds), tmp_path / "m", head=["knn", "ridge"])
    compared = model.card.head["compared"]
    assert model.card.head["text"] == compared["taken"] == "ridge"
    assert "Heads by squared error / variance on 80 training rows" in compared["text"]
    page = (tmp_path / "m" / "report.html").read_text()
    assert "heads compared" in page
    assert "head=[&#39;knn&#39;, &#39;ridge&#39;]" in page


def test_classes_are_saved_and_told_as_before(pairs: np.ndarray, tmp_path: Path) -> None:
    model = fit(coloured(*pairs.T), [f"k{a}" for a, _ in pairs], tmp_path / "m")
    fields = json.loads((tmp_path / "m" / "predictor.json").read_text())
    assert "margin" not in fields
    assert "target" not in fields["head"]
    assert "target" not in fields["card"]["evaluation"]
    (told,) = model.predict(coloured([1]))
    assert isinstance(told, Prediction)
    assert set(told.to_json()) == {"key", "label", "probability", "reason"}


def test_values_have_no_probabilities(reds: np.ndarray) -> None:
    model = fit(coloured(reds), list(reds))
    with pytest.raises(UsageError, match="no probabilities"):
        model.probabilities([])


def test_the_floor_is_what_scikit_learns_dummies_score() -> None:
    """Known by hand: two of three are "a"; the mean of 1, 2 and 6 is 3."""
    train = [Item(str(n), b"", label) for n, label in enumerate("aab")]
    test = [Item(str(n), b"", label) for n, label in enumerate("abbb")]
    images = SimpleNamespace(kind="image")
    said = SimpleNamespace(target="classes", classes=("b", "a"), backbone=images)
    assert floor_line(said, train, test) == (
        "Floor, the same answer for every item: accuracy 0.250"
    )
    numbers = [Item(str(n), b"", label) for n, label in enumerate([1, 2, 6])]
    others = [Item(str(n), b"", label) for n, label in enumerate([3, 3, 3, 7])]
    said = SimpleNamespace(target="values", margin=None, backbone=images)
    expected = r2_score([3, 3, 3, 7], [3, 3, 3, 3])
    assert floor_line(said, numbers, others).endswith(f"R² {expected:.3f}")
    assert floor_line(SimpleNamespace(target="labels", backbone=images), train, test) == ""
