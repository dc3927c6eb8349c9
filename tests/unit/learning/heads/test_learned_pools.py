"""Learned pools: their formulae, what they find, how they are saved, how long they take."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save
from sklearn.base import clone

import cutpoint as cp
from cutpoint.base.errors import DataError, ShapeError, UsageError
from cutpoint.learning.heads import (
    AttentionPoolHead,
    EfficientProbe,
    GeMHead,
    RidgeHead,
    head_from_state,
)
from cutpoint.learning.heads.pool_modules import AttentionPool, GeMPool, QueryPool, Standardise
from cutpoint.learning.heads.trained import UntaughtWarning, inner_split
from cutpoint.networks.pooling import SignedActivationWarning, pool_gem

# Some of these heads are fitted for so few steps that they know nothing, and say so.
pytestmark = pytest.mark.filterwarnings("ignore::cutpoint.learning.heads.trained.UntaughtWarning")

KINDS = [
    GeMHead(max_epochs=4),
    GeMHead(per_channel=True, max_epochs=4),
    AttentionPoolHead(n_hidden=8, max_epochs=4),
    EfficientProbe(n_queries=4, max_epochs=4),
]
HEAD_IDS = ["gem", "gem-per-channel", "attention", "probe"]


def spotted(n_items: int = 240, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noise (n, 8, 5, 5) ≥ 0 with one bright place; the label says in which of two channels."""
    random = np.random.default_rng(seed)
    maps = random.random((n_items, 8, 5, 5), np.float32)
    y = random.integers(0, 2, n_items)
    rows, columns = random.integers(0, 5, (2, n_items))
    maps[np.arange(n_items), y, rows, columns] += 2
    return maps, np.array(["left", "right"])[y]


@pytest.fixture(params=KINDS, ids=HEAD_IDS)
def head(request: pytest.FixtureRequest) -> Any:
    return clone(request.param)


def test_gem_is_the_frozen_pools_formula() -> None:
    """Reference: `pool_gem` in float64; tolerance 1e-5 relative."""
    maps = np.random.default_rng(0).random((3, 5, 4, 6))
    logs = torch.tensor(np.log(np.maximum(maps, 1e-6)).reshape(3, 5, 24), dtype=torch.float32)
    for p in (0.5, 1.0, 3.0, 40.0):
        with torch.inference_mode():
            found = GeMPool(1, p)(logs).numpy()
        np.testing.assert_allclose(found, pool_gem(maps, p=p), rtol=1e-5)


def test_attention_is_the_direct_form_with_the_same_weights() -> None:
    """Reference: NumPy in float64; tolerance 1e-5."""
    torch.manual_seed(0)
    pool, x = AttentionPool(6, 4), np.random.default_rng(0).normal(size=(3, 6, 10))
    first, second = (
        layer.weight.detach().numpy()[:, :, 0].astype(float) for layer in (pool.first, pool.second)
    )
    with torch.inference_mode():
        found = pool(torch.tensor(x, dtype=torch.float32)).numpy()
    for item, pooled in zip(x, found, strict=True):
        hidden = np.maximum(first @ item + pool.first.bias.detach().numpy()[:, None], 0)
        scores = np.exp((second @ hidden)[0])
        np.testing.assert_allclose(pooled, item @ (scores / scores.sum()), atol=1e-5)


def test_the_probe_is_the_direct_form_with_the_same_weights() -> None:
    """Reference: NumPy in float64, one value projection of every place as published; 1e-5."""
    torch.manual_seed(0)
    n_channels, n_queries = 12, 4
    pool, x = QueryPool(n_channels, n_queries), np.random.default_rng(0).normal(size=(3, 12, 10))
    with torch.no_grad():
        pool.queries *= 100  # so that attention is not flat
        found = pool(torch.tensor(x, dtype=torch.float32)).numpy()
    queries = pool.queries.detach().numpy().astype(float)
    values = pool.values.weight.detach().numpy().astype(float)
    for item, pooled in zip(x, found, strict=True):
        projected = np.split(values @ item, n_queries)  # Q chunks of d/Q channels
        expected = []
        for query, chunk in zip(queries, projected, strict=True):
            weights = np.exp(query @ item / np.sqrt(n_channels))
            expected.append(chunk @ (weights / weights.sum()))
        np.testing.assert_allclose(pooled, np.concatenate(expected), atol=1e-5)


# Computed by `poolings/ep.py` (efficient-probing at 3a87bff): 8 channels, 4 queries, 6 places.
EFFICIENT_PROBING = [
    [4.688383, -0.7606862, -0.2182553, 1.23024, -0.3102014, 1.987336, -1.171681, 0.5057538],
    [3.359462, -0.8616451, -0.4132461, -0.1280219, 0.4275204, -0.3412654, -0.2615502, 1.558831],
]


def waves(*shape: int) -> torch.Tensor:
    values = np.cos(np.arange(np.prod(shape), dtype=np.float64) ** 2 / 7)
    return torch.from_numpy(values.reshape(shape).astype(np.float32))


def test_the_probe_is_the_authors_code_with_the_same_weights() -> None:
    """Tolerance 1e-5."""
    pool = QueryPool(8, 4)
    with torch.no_grad():
        pool.queries.copy_(waves(4, 8) * 3)
        pool.values.weight.copy_(waves(8, 8))
        found = pool(waves(2, 6, 8).transpose(1, 2))
    np.testing.assert_allclose(found.numpy(), EFFICIENT_PROBING, atol=1e-5)


PATIENT = {
    "max_epochs": 30,
    "patience": 30,
    "batch_size": 128,
    "learning_rate": 5e-3,
    "weight_decay": 0.0,
}


def log_normal(channels: int) -> np.ndarray:
    drawn = np.random.default_rng(0).normal(size=(4000, channels, 6, 6))
    return np.exp(0.7 * drawn).astype(np.float32)


@pytest.mark.parametrize("planted", [1.0, 6.0])
def test_the_planted_exponent_is_found(planted: float) -> None:
    """Labels are a threshold on GeM with that exponent; to 15 % of it, starting from 3."""
    maps = log_normal(channels=1)
    pooled = pool_gem(maps.astype(np.float64), p=planted)[:, 0]
    head = GeMHead(**PATIENT).fit(maps, pooled > np.median(pooled))
    assert head.p_[0] == pytest.approx(planted, rel=0.15)


def test_each_channel_finds_its_own_exponent() -> None:
    """The label adds one channel's mean and another's GeM with p = 6, standardised."""
    maps = log_normal(channels=2)
    exact = maps.astype(np.float64)
    parts = [pool_gem(exact, p=1.0)[:, 0], pool_gem(exact, p=6.0)[:, 1]]
    total = sum((part - part.mean()) / part.std() for part in parts)
    head = GeMHead(per_channel=True, **PATIENT).fit(maps, total > np.median(total))
    assert head.p_.shape == (2,)
    assert head.p_[0] == pytest.approx(1, rel=0.15)
    assert head.p_[1] > 5


def test_every_head_learns_where_to_look(head: Any) -> None:
    maps, y = spotted()
    X_test, y_test = spotted(seed=1)
    head.set_params(max_epochs=40, batch_size=16, learning_rate=1e-2).fit(maps, y)
    assert head.score(X_test, y_test) >= 0.9
    probabilities = head.predict_proba(X_test)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    best = head.classes_[probabilities.argmax(1)]
    np.testing.assert_array_equal(best, head.predict(X_test))
    assert ((head.decision_function(X_test) > 0) == (head.predict(X_test) == "right")).all()


def test_a_seed_decides_everything_and_the_global_one_nothing(head: Any) -> None:
    maps, y = spotted(60)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = clone(head).fit(maps, y).outputs(maps)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    np.testing.assert_array_equal(clone(head).fit(maps, y).outputs(maps), first)
    other = clone(head).set_params(random_state=5).fit(maps, y).outputs(maps)
    assert np.abs(other - first).max() > 1e-3


def test_what_is_kept_gives_the_same_head_again(head: Any) -> None:
    """Through the bytes of a JSON text and a safetensors file."""
    maps, y = spotted(60)
    fields, arrays = head.fit(maps, y).to_state()
    fields, arrays = json.loads(json.dumps(fields)), load(save(arrays))
    again = head_from_state(fields, arrays)
    np.testing.assert_array_equal(again.predict_proba(maps), head.predict_proba(maps))
    np.testing.assert_array_equal(again.predict(maps), head.predict(maps))
    assert again.get_params() == head.get_params()


@given(order=st.permutations(range(12)))
@settings(max_examples=10)
def test_rows_do_not_know_each_other(order: list[int]) -> None:
    """Tolerance 1e-5: the size of a batch changes the order of sums."""
    maps, y = spotted(60)
    for kind in KINDS:
        fitted = _fitted(kind, maps, y)
        scores = fitted.outputs(maps[:12])
        assert np.isfinite(scores).all()
        np.testing.assert_allclose(fitted.outputs(maps[order]), scores[order], atol=1e-5)
        np.testing.assert_allclose(fitted.outputs(maps[:1]), scores[:1], atol=1e-5)


_FITTED: dict[str, Any] = {}


def _fitted(kind: Any, maps: np.ndarray, y: np.ndarray) -> Any:
    if repr(kind) not in _FITTED:
        _FITTED[repr(kind)] = clone(kind).fit(maps, y)
    return _FITTED[repr(kind)]


def test_tokens_and_every_layout_and_half_precision_are_read(head: Any) -> None:
    """Maps as tokens or NHWC are the same places: equal to 1e-5. float16: 1 % of the largest."""
    maps, y = spotted(60)
    scores = clone(head).fit(maps, y).outputs(maps)
    tokens = maps.reshape(60, 8, 25).transpose(0, 2, 1)
    np.testing.assert_allclose(clone(head).fit(tokens, y).outputs(tokens), scores, atol=1e-5)
    last = np.moveaxis(maps, 1, 3)
    found = clone(head).set_params(layout="NHWC").fit(last, y).outputs(last)
    np.testing.assert_allclose(found, scores, atol=1e-5)
    half = maps.astype(np.float16)
    found = clone(head).fit(half, y).outputs(half)
    assert np.abs(found - scores).max() <= 0.01 * np.abs(scores).max()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_are_refused_with_their_row(head: Any, value: float) -> None:
    maps, y = spotted(60)
    maps[7, 0, 0, 0] = value
    with pytest.raises(DataError, match="holds NaN or infinity in row 7"):
        head.fit(maps, y)
    head.fit(*spotted(60))
    with pytest.raises(DataError, match=r"holds NaN or infinity in row \d+\.\n1 of \d+ rows do"):
        head.predict(maps)


def test_wrong_input_says_what_would_do(head: Any) -> None:
    maps, y = spotted(60)
    with pytest.raises(ShapeError, match=r"\(60, 200\)"):
        head.fit(maps.reshape(60, 200), y)
    with pytest.raises(UsageError, match="1 class"):
        head.fit(maps, ["a"] * 60)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        head.fit(maps, y[:-1])
    head.fit(maps, y)
    with pytest.raises(ShapeError, match="8 channels, as in training"):
        head.predict(maps[:, :4])


def test_rows_that_differ_in_length_are_refused() -> None:
    rows = [np.zeros((n, 4), np.float32) for n in (3, 5, 2)]
    for head in (GeMHead(), AttentionPoolHead()):
        with pytest.raises(ShapeError, match="can't take rows that differ in length"):
            head.fit(rows, ["a", "b", "a"])


def test_queries_must_share_the_channels() -> None:
    with pytest.raises(UsageError, match="Up to 3 these can: 1, 2") as caught:
        EfficientProbe(n_queries=3).fit(*spotted(60))
    assert "head='efficient_probe(2)'" in caught.value.type_next


def test_gem_says_so_where_values_are_negative() -> None:
    maps, y = spotted(60)
    with pytest.warns(SignedActivationWarning, match="attention_pool and efficient_probe keep"):
        GeMHead(max_epochs=1).fit(maps - 1, y)


def test_the_inner_split_shows_every_class_and_keeps_groups_together() -> None:
    truth = np.repeat([0, 1, 2], [50, 30, 20])
    fitted, held = inner_split(truth, 0.2, 0)
    assert sorted([*fitted, *held]) == list(range(100))
    np.testing.assert_array_equal(np.bincount(truth[held]), [10, 6, 4])
    groups = np.arange(100) // 2
    fitted, held = inner_split(truth, 0.2, 0, groups)
    assert len(held) == 20
    assert not set(groups[fitted]) & set(groups[held])
    for few, fraction in ((np.array([0, 1, 2, 0, 1, 2]), 0.2), (truth, 0.0)):
        fitted, held = inner_split(few, fraction, 0)
        assert len(held) == 0
        assert len(fitted) == len(few)


def test_training_stops_early_and_keeps_the_best_epoch() -> None:
    random = np.random.default_rng(0)
    maps, y = (
        random.random((80, 8, 3, 3), np.float32),
        random.integers(0, 2, 80),
    )  # nothing to learn
    head = AttentionPoolHead(max_epochs=200, patience=3, learning_rate=1e-2).fit(maps, y)
    assert 4 <= len(head.losses_) < 200
    assert min(head.losses_[-3:]) > min(head.losses_)
    fixed = AttentionPoolHead(max_epochs=3, validation_fraction=0).fit(maps, y)
    assert (fixed.losses_, fixed.temperature_) == ([], 1.0)


@pytest.mark.parametrize("kind", [GeMHead, AttentionPoolHead, EfficientProbe])
def test_few_rows_are_given_steps_enough(kind: type) -> None:
    """40 rows are one batch a pass: 30 passes would be 30 steps."""
    random = np.random.default_rng(0)
    y = np.arange(60) % 3
    maps = (random.random((60, 32, 2, 2)) * 1e-3).astype(np.float32)
    maps[np.arange(60), y] += np.float32(1e-3)
    head = kind().fit(maps[:40], y[:40])
    assert head.max_epochs_ == 300
    if kind is GeMHead:  # attention over so few rows may learn nothing; docs/pooling.md says so
        assert min(head.losses_) < head.losses_[0]


def test_a_pool_that_learned_nothing_says_so() -> None:
    random = np.random.default_rng(0)
    maps, y = random.random((80, 8, 3, 3), np.float32), random.integers(0, 2, 80)

    def fit_five() -> None:
        for seed in range(5):
            AttentionPoolHead(max_epochs=2, random_state=seed).fit(maps, y)

    with pytest.warns(UntaughtWarning, match="tells nothing about the 16 rows"):
        fit_five()


@pytest.mark.parametrize("layout", ["NCWX", "HWNC", "NABD"])
def test_a_layout_that_is_none_is_refused_with_those_there_are(layout: str) -> None:
    with pytest.raises(ShapeError, match="NTC, NCT, NCHW, NHWC"):
        GeMHead(layout=layout).fit(*spotted(60))


def test_importing_heads_does_not_import_torch() -> None:
    code = "import sys, cutpoint.learning.heads; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.shared
def test_heads_on_real_maps_are_near_ridge_on_their_means(shared: Path, tmp_path: Path) -> None:
    """250 training maps of 1280 × 7 × 7, dogs and cats; no head is far below gap + ridge."""
    features = cp.extract(
        shared / "data" / "dogs-vs-cats", taps=["bn2"], pool=["none", "gap"], store=tmp_path,
        quiet=True,
    )  # fmt: skip
    train, test = features.rows_of("train")[::4], features.rows_of("test")
    y = features.labels.astype(str)
    assert features.X("bn2/none", train[:1]).shape == (1, 1280, 7, 7)
    ridge = RidgeHead().fit(features.X("bn2/gap", train), y[train])
    baseline = ridge.score(features.X("bn2/gap", test), y[test])
    maps, others = features.X("bn2/none", train), features.X("bn2/none", test)
    for head in (GeMHead(), AttentionPoolHead()):
        head.fit(maps, y[train])
        assert head.score(others, y[test]) >= baseline - 0.04, head


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_channel_that_is_constant_but_for_rounding_is_not_blown_up(is_shared: bool) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(50, 2, 4)).astype(np.float32)
    x[:, 1] = 1000 + 1e-4 * random.normal(size=(50, 4))  # float32 keeps 6e-5 there
    layer = Standardise(2, is_shared)
    layer.settle(x)
    assert layer.deviation[1] == pytest.approx(2**-0.5 if is_shared else 1.0, abs=0.1)
    assert layer(torch.from_numpy(x))[:, 1].abs().max() < 1e-2


@pytest.mark.parametrize("seed", range(4))
def test_a_class_of_one_group_leaves_no_rows_to_stop_by(seed: int) -> None:
    """Wherever the group is, it is on one side alone."""
    truth = np.repeat([0, 1], [20, 5])
    groups = np.concatenate([np.arange(20), np.full(5, 20)])
    fitted, held = inner_split(truth, 0.2, seed, groups)
    assert (len(fitted), len(held)) == (25, 0)
