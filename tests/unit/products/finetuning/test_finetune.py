"""From a frozen predictor to a tuned one, on tiny networks and pictures in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import cutpoint as cp
from cutpoint.base.errors import LeakageError, UsageError, WeightsError
from cutpoint.base.progress import Reporter
from cutpoint.base.spec import PreprocessSpec
from cutpoint.features.extraction.request import Request
from cutpoint.items.reading import assign_splits, read_dataset, read_items
from cutpoint.learning.finetune import parse_unfreeze, scores_of
from cutpoint.networks.backbone import Backbone
from cutpoint.networks.sources.tuned import load as load_tuned
from cutpoint.products.finetuning import FinetuneOptions
from cutpoint.products.finetuning.run import Problem, prepared
from cutpoint.products.predictor import Predictor
from cutpoint.testing import FakeBackbone

SPEC = PreprocessSpec(16, 16, "bilinear", (128.0,) * 3, (64.0,) * 3)
FUSED = {"taps": ["blocks.1", "blocks.2"], "recipe": "gap | concat | fuse"}
ONCE = {"lr": 1e-2, "epochs": 2, "views": 2, "alphas": [1.0], "choose": False}


class Block(nn.Module):
    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(into, out, 3, 2, 1)
        self.bn = nn.BatchNorm2d(out)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.bn(self.conv(x)))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(3, 6), Block(6, 8), Block(8, 10)])
        self.fc = nn.Linear(10, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        return self.fc(x.mean((2, 3)))


def net() -> Net:
    torch.manual_seed(0)
    made = Net()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    return made


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return cp.load(net(), SPEC)


def pictures(n: int = 48, seed: int = 0) -> tuple[list[np.ndarray], list[str]]:
    """Return noise with a brighter corner: which one it is, is the class."""
    random = np.random.default_rng(seed)
    found, labels = [], []
    for number in range(n):
        pixels = random.integers(0, 170, (20, 20, 3))
        corner = number % 3
        pixels[10 * (corner % 2) :, 10 * (corner // 2) :][:10, :10] += 60
        found.append(pixels.astype(np.uint8))
        labels.append("abc"[corner])
    return found, labels


@pytest.fixture(scope="module")
def start(backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    items, labels = pictures()
    store = tmp_path_factory.mktemp("start")
    return cp.fit(
        items, backbone=backbone, labels=labels, store=store, engine="native", quiet=True, **FUSED
    )


@pytest.fixture(scope="module")
def tuned(start: Predictor, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    items, labels = pictures()
    store = tmp_path_factory.mktemp("tuned")
    return tune(items, labels, start, store)


def tune(items: Sequence[Any], labels: Sequence[Any], start: Predictor, store: Path, **how: Any):  # type: ignore[no-untyped-def]
    given = {**ONCE, "engine": "native", "quiet": True, "labels": labels, "store": store, **how}
    return cp.finetune(items, start=start, **given)


def outputs(predictor: Predictor, items: Sequence[Any]) -> np.ndarray:
    """Return what is said of each item: probabilities, or values."""
    found, bad = predictor.ready("native").outputs(read_items(items, print, "image"))
    assert not bad
    return found


def problem_of(start: Predictor, labels: Sequence[Any], store: Path, **how: Any) -> Problem:
    items = pictures(len(labels))[0]
    dataset = assign_splits(read_dataset(items, labels), start.seed, start.target)
    request = Request.of(store=store, engine="native", storage="fp32")
    options = FinetuneOptions(request=request, views=1, device="cpu", **how)
    return prepared(dataset, start, options, Reporter(quiet=True))


def test_only_what_was_announced_has_changed(
    start: Predictor, tuned: Predictor, backbone: Backbone
) -> None:
    told = tuned.card.finetune
    assert told is not None
    assert told["unfreeze"] == "last:1"
    assert told["cut"] == "blocks.1"
    framework = backbone.framework
    was = framework.weights_digests(start.backbone.held_network())
    now = framework.weights_digests(tuned.backbone.held_network())
    changed = {name for name, digest in was.items() if now[name] != digest}
    assert changed == set(told["trainable"])
    assert changed == {
        f"blocks.2.{n}" for n in ("conv.weight", "conv.bias", "bn.weight", "bn.bias")
    }
    assert told["n_trainable"] == 8 * 10 * 9 + 10 + 20
    backbone.refuse_changed()  # the user's network is as it was


def test_the_tuned_backbone_is_one_of_its_own(
    start: Predictor, tuned: Predictor, tmp_path: Path
) -> None:
    own = tuned.backbone
    assert own.spec.weights_sha256 != start.backbone.spec.weights_sha256
    assert own.spec.id == "tuned:object:Net"
    items, labels = pictures()
    features = cp.extract(
        items, own, "blocks.2", "gap", tmp_path, labels=labels, engine="native", quiet=True
    )
    frozen = cp.extract(
        items, start.backbone, "blocks.2", "gap", tmp_path, labels=labels, engine="native",
        quiet=True,
    )  # fmt: skip
    assert features.spec.fingerprint() != frozen.spec.fingerprint()
    assert not np.allclose(features.X("blocks.2/gap"), frozen.X("blocks.2/gap"))
    batch = np.stack([item[:16, :16] for item in items[:2]])
    below = [
        each.cut("blocks.1", pool="gap")(batch)["blocks.1/gap"] for each in (own, start.backbone)
    ]
    np.testing.assert_array_equal(*below)


def test_a_saved_predictor_predicts_the_same(
    tuned: Predictor, backbone: Backbone, tmp_path: Path
) -> None:
    tuned.save(tmp_path / "model")
    again = cp.load_predictor(tmp_path / "model", backbone)
    assert again.backbone.spec == tuned.backbone.spec
    items = pictures(9, seed=1)[0]
    np.testing.assert_allclose(outputs(again, items), outputs(tuned, items), atol=1e-6)
    assert [each["loss"] for each in again.history] == [each["loss"] for each in tuned.history]
    other = cp.load(Net(), SPEC)
    with pytest.raises(cp.errors.PredictorError, match="another object:Net"):
        cp.load_predictor(tmp_path / "model", other)


def test_a_tuned_backbone_is_written_and_read_and_changed_weights_are_refused(
    tuned: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned.backbone.tuned.save(tmp_path)
    base = tuned.backbone.tuned.base
    monkeypatch.setattr("cutpoint.networks.sources.tuned.load_backbone", lambda name, how: base)
    found = load_tuned(str(tmp_path), base.loaded_with)
    assert found.spec == tuned.backbone.spec
    assert found.load_name == f"tuned:{tmp_path}"
    weights = {**tuned.backbone.tuned.weights}
    weights["blocks.2.bn.bias"] = weights["blocks.2.bn.bias"] + 1
    from safetensors.numpy import save_file

    save_file(weights, tmp_path / "weights.safetensors")
    with pytest.raises(WeightsError, match="were changed"):
        load_tuned(str(tmp_path), base.loaded_with)


@pytest.mark.parametrize(
    ("head", "recipe", "classes"),
    [
        ("ridge", "gap | concat | fuse", 3),
        ("logistic", "gap | concat | zscore | pca(4)", 3),
        ("logistic", "gap | concat | fuse", 2),
        ("ridge", "gap | l2 | concat | power", 3),
    ],
)
def test_before_the_first_step_it_is_the_frozen_predictor(
    backbone: Backbone, tmp_path: Path, head: str, recipe: str, classes: int
) -> None:
    """Folded in float64: labels equal, probabilities within 1e-5."""
    items, labels = pictures(30)
    labels = [label if classes == 3 else "ab"[label == "a"] for label in labels]
    start = cp.fit(
        items, backbone=backbone, labels=labels, store=tmp_path, engine="native", quiet=True,
        head=head, taps=FUSED["taps"], recipe=recipe,
    )  # fmt: skip
    problem = problem_of(start, labels, tmp_path)
    assert "l2" not in recipe or len(problem.whole.W) == 18
    trainer = problem.trainer(problem.whole)
    scores = scores_of(trainer, problem.rows, np.arange(problem.n_rows))
    keys = problem.task.features.keys[problem.task.rows]
    expected = outputs(start, [items[int(str(key).rpartition("-")[2])] for key in keys])
    found = np.exp(scores - scores.max(1, keepdims=True))
    found /= found.sum(1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_array_equal(found.argmax(1), expected.argmax(1))


def test_a_head_that_is_no_linear_layer_has_one_fitted_beside_it(
    backbone: Backbone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items, labels = pictures(30)
    start = cp.fit(
        items, backbone=backbone, labels=labels, store=tmp_path, engine="native", quiet=True,
        head="knn", **FUSED,
    )  # fmt: skip
    found = tune(items, labels, start, tmp_path, quiet=False)
    assert found.head.kind == "linear"
    assert (
        "The head knn is no linear layer: logistic is fitted beside it" in capsys.readouterr().err
    )


def test_labels_of_test_rows_decide_nothing(start: Predictor, tmp_path: Path) -> None:
    """Every choice, weight and out-of-fold figure is the same; only the test score differs."""
    items, labels = pictures()
    splits = ["test" if number < 12 else "train" for number in range(len(items))]
    shuffled = [*labels[1:12], labels[0], *labels[12:]]
    fitted = cp.fit(
        items, backbone=start.backbone, labels=labels, splits=splits, store=tmp_path,
        engine="native", quiet=True, **FUSED,
    )  # fmt: skip
    how = {"choose": True, "alphas": (0.5, 1.0), "lr": [1e-2, 3e-2], "splits": splits}
    first = tune(items, labels, fitted, tmp_path, **how)
    second = tune(items, shuffled, fitted, tmp_path, **how)
    one, other = first.card.finetune, second.card.finetune
    assert one is not None
    assert other is not None
    assert one["search"] == other["search"]
    assert one["history"] == other["history"]
    assert first.backbone.spec == second.backbone.spec
    assert first.card.evaluation != second.card.evaluation


def test_a_start_that_has_seen_the_test_rows_is_refused(
    start: Predictor, backbone: Backbone, tmp_path: Path
) -> None:
    items, labels = pictures()
    splits = ["test" if number < 24 else "train" for number in range(len(items))]
    with pytest.raises(LeakageError, match="has learned from"):
        tune(items, labels, start, tmp_path, splits=splits)


def test_noise_keeps_the_start(backbone: Backbone, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    items = list(random.integers(0, 256, (40, 20, 20, 3)).astype(np.uint8))
    labels = list(random.permutation(["a", "b"] * 20))
    start = cp.fit(
        items,
        backbone=backbone,
        labels=labels,
        store=tmp_path,
        engine="native",
        quiet=True,
        **FUSED,
    )
    found = tune(items, labels, start, tmp_path, choose=True, alphas=(1.0,), lr=1e-1, epochs=1)
    assert found.backbone is start.backbone
    assert found.head is start.head
    assert found.card.finetune is not None
    assert found.card.finetune["search"]["taken"]["setting"]["alpha"] == 0


def test_values_and_labels_are_tuned_as_well(backbone: Backbone, tmp_path: Path) -> None:
    items, classes = pictures()
    values = [10.0 * "abc".index(each) + number % 5 for number, each in enumerate(classes)]
    several = [("x", "y") if each == "a" else ("y",) if each == "b" else ("x",) for each in classes]
    for target, labels in (("values", values), ("labels", several)):
        start = cp.fit(
            items, backbone=backbone, labels=labels, store=tmp_path, engine="native", quiet=True,
            kind=target, **FUSED,
        )  # fmt: skip
        problem = problem_of(start, labels, tmp_path)
        trainer = problem.trainer(problem.whole)
        scores = scores_of(trainer, problem.rows, np.arange(problem.n_rows)) * problem.unit
        X = start.recipe.of(problem.task.features, problem.task.rows, training=True)
        head = start.head.outputs(X)
        expected = head if target == "values" else head * start.head.slopes_ + start.head.offsets_
        np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)
        found = tune(items, labels, start, tmp_path)
        assert found.target == target
        assert found.head.kind == "linear"
        assert found.card.evaluation is not None
        assert np.isfinite(found.history[-1]["loss"])
        found.save(tmp_path / target)
        again = cp.load_predictor(tmp_path / target, backbone)
        np.testing.assert_allclose(outputs(again, items[:4]), outputs(found, items[:4]), atol=1e-6)
    assert found.margin is None


def test_an_end_cuts_and_tunes_below(start: Predictor, tmp_path: Path) -> None:
    items, labels = pictures()
    found = tune(items, labels, start, tmp_path, end="blocks.1")
    assert found.recipe.taps == ("blocks.1/gap",)
    assert found.card.finetune is not None
    assert all(name.startswith("blocks.1.") for name in found.card.finetune["trainable"])
    assert found.card.finetune["cut"] == "blocks.0"


def test_all_is_trained_with_nothing_stored(start: Predictor, tmp_path: Path) -> None:
    items, labels = pictures(30)
    fitted = cp.fit(
        items, backbone=start.backbone, labels=labels, store=tmp_path, engine="native", quiet=True,
        **FUSED,
    )  # fmt: skip
    before = {each.name for each in (tmp_path).rglob("*.safetensors")}
    found = tune(items, labels, fitted, tmp_path, unfreeze="all", epochs=1, lr=1e-3)
    assert found.card.finetune is not None
    assert found.card.finetune["cut"] == ""
    assert "blocks.0.conv.weight" in found.card.finetune["trainable"]
    assert {each.name for each in (tmp_path).rglob("*.safetensors")} == before


def test_a_tuned_predictor_can_be_tuned_again(tuned: Predictor, tmp_path: Path) -> None:
    items, labels = pictures()
    found = tune(items, labels, tuned, tmp_path, unfreeze="norm:2")
    assert found.backbone.tuned.base is tuned.backbone.tuned.base
    assert {
        *tuned.backbone.tuned.weights,
        "blocks.1.bn.weight",
    } <= found.backbone.tuned.weights.keys()
    before, after = tuned.backbone.tuned.weights, found.backbone.tuned.weights
    np.testing.assert_array_equal(before["blocks.2.conv.weight"], after["blocks.2.conv.weight"])


def test_what_takes_no_gradient_is_refused_with_the_reason(
    fake: FakeBackbone, tmp_path: Path
) -> None:
    items, labels = pictures(30)
    start = cp.fit(items, backbone=fake, labels=labels, store=tmp_path, quiet=True)
    with pytest.raises(UsageError, match="can't be fine-tuned: it is NumPy alone"):
        tune(items, labels, start, tmp_path)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"views": 3}, "views is 3"),
        ({"lr": -1.0}, "lr is -1.0"),
        ({"lr": "fast"}, "fast"),
        ({"dropout": 1.5}, "dropout is 1.5"),
        ({"schedule": "slow"}, "slow"),
        ({"choose": False}, "nothing is to choose among them"),
    ],
)
def test_what_no_training_can_follow_is_refused_before_any(how: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        FinetuneOptions(**how)


def test_lower_blocks_may_learn_more_slowly(start: Predictor, tmp_path: Path) -> None:
    labels = pictures()[1]
    how = {"unfreeze": parse_unfreeze("last:2"), "lr_decay": 0.1}
    problem = problem_of(start, labels, tmp_path, **how)
    tuning = problem.trainer(problem.whole).tuning  # type: ignore[attr-defined]
    assert tuning.shares["blocks.2.bn.bias"] == 1
    assert tuning.shares["blocks.1.bn.bias"] == pytest.approx(0.1)
    assert replace(tuning, shares={}) != tuning


def test_what_is_predicted_is_what_was_trained(tuned: Predictor, start: Predictor) -> None:
    """On the training rows: the assembled predictor against its own backbone, cut by hand."""
    items = pictures(12, seed=3)[0]
    batch = np.stack([np.asarray(item[2:18, 2:18]) for item in items])
    cut = tuned.backbone.cut("blocks.1", "blocks.2", pool="gap")
    found = cut(batch)
    probabilities = tuned.head.predict_proba(tuned.recipe.transform(found))
    pixels = torch.from_numpy((batch.astype(np.float32) - 128) / 64).permute(0, 3, 1, 2)
    network = tuned.backbone.network.eval()
    with torch.no_grad():
        maps = network.blocks[0](pixels)
        parts = []
        for block in network.blocks[1:]:
            maps = block(maps)
            parts.append(maps.mean((2, 3)).numpy())
    rows = np.concatenate(parts, 1) * np.repeat(tuned.recipe.after[0].scale_, [8, 10])
    logits = (rows @ tuned.head.coef_.T + tuned.head.intercept_) / tuned.head.temperature_
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
