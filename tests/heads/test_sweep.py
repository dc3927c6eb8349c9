"""Every head: fits, is calibrated on rows left out, saves, reloads, predicts the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

import cutpoint as cp
from cutpoint.learning.heads import HEADS, head_from_state, parse_head, spell_head
from cutpoint.learning.heads.trained import TrainedHead
from cutpoint.learning.metrics import softmax
from cutpoint.testing import FakeBackbone
from tests.heads.settings import items, typed


@pytest.fixture(scope="module", params=list(HEADS))
def fitted(request: pytest.FixtureRequest) -> Any:
    return parse_head(typed(request.param)).fit(*items(request.param))


def test_it_learns_and_its_probabilities_are_no_bets(fitted: Any) -> None:
    X, y = items(fitted.kind, seed=1)
    assert fitted.score(X, y) >= 0.9
    probabilities = fitted.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(fitted.classes_[probabilities.argmax(1)], fitted.predict(X))


def doubting_log_loss(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Log-loss with Platt's targets: the right class counts 1 − 1/(n + 2), the others the rest."""
    doubt = 1 / (len(truth) + 2)
    targets = np.where(truth, 1 - doubt, doubt / (truth.shape[1] - 1))
    return float(-(targets * np.log(probabilities)).sum(axis=1).mean())


def test_temperature_comes_from_rows_left_out_and_lowers_their_log_loss(fitted: Any) -> None:
    X, y = items(fitted.kind)
    scores = fitted.held_out_scores_
    judged = np.isfinite(scores).all(axis=1)
    assert judged.sum() >= 18  # the inner split of a fifth, at least
    if not isinstance(fitted, TrainedHead):  # those never learn from their inner split
        assert np.abs(scores[judged] - fitted.outputs(X)[judged]).max() > 1e-6
    truth = y[judged][:, None] == fitted.classes_
    after, before = (
        doubting_log_loss(softmax(scores[judged], T), truth) for T in (fitted.temperature_, 1.0)
    )
    assert after <= before + 1e-9
    np.testing.assert_array_equal(softmax(scores[judged]).argmax(1), scores[judged].argmax(1))


def test_it_is_the_same_again_from_json_and_safetensors(fitted: Any) -> None:
    X, _ = items(fitted.kind, seed=1)
    fields, arrays = fitted.to_state()
    text = json.dumps(fields, allow_nan=False)
    again = head_from_state(json.loads(text), load(save(arrays)))
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    assert again.chosen == fitted.chosen
    assert spell_head(again) == spell_head(fitted)
    assert not hasattr(again, "held_out_scores_")


def test_fitting_twice_gives_equal_bytes(fitted: Any) -> None:
    again = parse_head(typed(fitted.kind)).fit(*items(fitted.kind))
    arrays = fitted.to_state()[1]
    for name, array in again.to_state()[1].items():
        np.testing.assert_array_equal(array, arrays[name])


@pytest.mark.filterwarnings("ignore:.*tells nothing about")  # there is nothing to tell
@pytest.mark.parametrize("kind", [kind for kind in HEADS if HEADS[kind].takes == "vectors"])
def test_copies_of_a_row_in_one_group_flatter_no_head(kind: str) -> None:
    """Noise, each row four times: left out together, its copies teach nothing."""
    random = np.random.default_rng(0)
    X, y = np.repeat(random.normal(size=(40, 60)), 4, 0), np.repeat(random.integers(0, 2, 40), 4)
    head = parse_head(typed(kind)).fit(X, y, groups=np.repeat(np.arange(40), 4))
    judged = np.isfinite(head.held_out_scores_).all(axis=1)
    right = head.held_out_scores_[judged].argmax(1) == y[judged]
    assert judged.any()
    assert right.mean() < 0.75


@pytest.mark.parametrize("kind", [kind for kind in HEADS if HEADS[kind].takes == "vectors"])
def test_a_predictor_keeps_any_head(kind: str, colour_folder: Any, tmp_path: Path) -> None:
    data, where = colour_folder(), tmp_path / "m.cutpoint"
    model = cp.fit(data, where, FakeBackbone(), head=typed(kind), store=tmp_path / "s", quiet=True)
    again = cp.load_predictor(where)
    files = sorted(colour_folder(name="fresh", seed=1).rglob("*.png"))
    assert again.predict(files) == model.predict(files)
    assert again.head.kind == kind
    assert model.card.head["text"] == spell_head(parse_head(typed(kind)))
    assert f"--head {kind}" in (where / "report.html").read_text().replace("'", "").replace(
        "&#39;", ""
    )
    assert model.card.evaluation["scores"]["accuracy"]["value"] > 0.8
