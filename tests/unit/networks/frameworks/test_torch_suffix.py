"""The suffix of a PyTorch network: what lies above a cut, on weights of its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from cutpoint.base.contracts import ACTIVATION, Parameter, Tuning
from cutpoint.base.errors import CutNotSeparable
from cutpoint.base.spec import ArraySpec, BackboneSpec, PreprocessSpec, TapSpec
from cutpoint.base.types import Batch
from cutpoint.networks.frameworks.torch import list_layers, make_cut, weights_digests
from cutpoint.networks.frameworks.torch.suffix import (
    TorchSuffix,
    crossing,
    make_suffix,
    parameters,
    with_weights,
)

SIDE = 16
SPEC = BackboneSpec(
    "object", "net", "image", "0", PreprocessSpec(SIDE, SIDE, "bilinear", (128.0,) * 3, (64.0,) * 3)
)
BATCH = {"image": np.random.default_rng(0).integers(0, 256, (6, SIDE, SIDE, 3)).astype(np.uint8)}
TARGETS = np.array([0, 1, 2, 0, 1, 2])


class Residual(nn.Module):
    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(into, out, 3, 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(out)
        self.act = nn.ReLU(inplace=True)
        self.mix = nn.Conv2d(out, out, 1)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.bn(self.conv(x)))
        return x + self.drop(self.mix(x))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.blocks = nn.ModuleList([Residual(4, 6), Residual(6, 8), Residual(8, 8)])
        self.fc = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.fc(x.mean((2, 3)))


def network() -> Net:
    torch.manual_seed(0)
    made = Net()
    for module in made.modules():  # statistics that are not the defaults
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    return made


class SideBySide:
    """Taps side by side."""

    def __init__(self, *taps: str) -> None:
        self.taps = taps

    def run(self, features: dict[str, object], ops: object) -> object:
        return ops.concat([features[tap] for tap in self.taps], 1)  # type: ignore[attr-defined]


def suffix_of(made: nn.Module, cut: str, *taps: str) -> TorchSuffix:
    found = tuple(TapSpec.from_name(tap) for tap in taps)
    return make_suffix(made, SPEC, found, cut, list_layers(made, SPEC.preprocess))


def activation(made: nn.Module, cut: str) -> Batch:
    if not cut:
        return BATCH
    whole = make_cut(made, SPEC, [TapSpec(cut, "none")], list_layers(made, SPEC.preprocess))
    return {ACTIVATION: whole(BATCH)[f"{cut}/none"]}


def tuning(suffix: TorchSuffix, taps: tuple[str, ...], width: int, **how: object) -> Tuning:
    W = np.random.default_rng(1).normal(size=(width, 3)) * 0.1
    names = tuple(each.name for each in suffix.parameters)
    return Tuning(names, SideBySide(*taps), W, np.zeros(3), **how)  # type: ignore[arg-type]


@pytest.mark.parametrize("cut", ["blocks.1", "blocks.0", "stem", "blocks.1.act", ""])
def test_suffix_of_prefix_is_the_network(cut: str) -> None:
    made = network()
    taps = [TapSpec("blocks.2", "gap"), TapSpec("blocks.2.act", "gmp")]
    expected = make_cut(made, SPEC, taps, list_layers(made, SPEC.preprocess))(BATCH)
    if cut == "blocks.1.act":  # the partner of the skip, and so all that passes on
        found = suffix_of(made, cut, *(tap.name for tap in taps))(activation(made, cut))
    else:
        found = suffix_of(made, cut, *expected)(activation(made, cut))
    for name, truth in expected.items():
        np.testing.assert_allclose(found[name], truth, atol=1e-5 * np.abs(truth).max())


def test_a_tap_is_read_before_what_works_on_it_in_place() -> None:
    made = network()
    taps = [TapSpec("blocks.2.bn", "gap")]
    expected = make_cut(made, SPEC, taps, list_layers(made, SPEC.preprocess))(BATCH)
    found = suffix_of(made, "blocks.1", "blocks.2.bn/gap", "blocks.2/gap")
    np.testing.assert_allclose(
        found(activation(made, "blocks.1"))["blocks.2.bn/gap"], expected["blocks.2.bn/gap"], 1e-5
    )
    assert (expected["blocks.2.bn/gap"] < 0).any()  # relu in place would have left none


def test_what_else_crosses_is_named() -> None:
    with pytest.raises(CutNotSeparable, match=r"Needed above it as well: blocks\.1\.act"):
        suffix_of(network(), "blocks.1.mix", "blocks.2/gap")


def test_the_first_place_where_one_value_passes_is_found() -> None:
    made = network()
    table = list_layers(made, SPEC.preprocess)
    assert crossing(made, SPEC, table, ["blocks.1.mix", "blocks.0", "stem"]) == "blocks.0"
    assert not crossing(made, SPEC, table, ["blocks.1.mix"])


def test_parameters_keep_their_names_and_say_where_they_are() -> None:
    made = network()
    found = parameters(made, list_layers(made, SPEC.preprocess))
    assert [each.name for each in found] == [name for name, _ in made.named_parameters()]
    assert Parameter("blocks.1.bn.weight", "blocks.1.bn", (8,), "norm") in found
    suffix = suffix_of(made, "blocks.1", "blocks.2/gap")
    assert [each.name for each in suffix.parameters] == [
        name for name, _ in made.named_parameters() if name.startswith("blocks.2.")
    ]


def ordinary(made: nn.Module, names: tuple[str, ...], start: Tuning, rates: list[float]) -> dict:
    """Train the last block as PyTorch's users do: the whole network runs in every step."""
    made.eval().requires_grad_(False)
    chosen = dict(made.named_parameters())
    W, b = (nn.Parameter(torch.from_numpy(x.astype(np.float32))) for x in (start.W, start.b))
    trained = {**{n: chosen[n].requires_grad_(True) for n in names}, "head.W": W, "head.b": b}
    groups = [
        {"params": [x], "weight_decay": start.decay if x.ndim > 1 else 0.0}
        for x in trained.values()
    ]
    optimiser = torch.optim.AdamW(groups)
    pixels = torch.from_numpy(BATCH["image"]).permute(0, 3, 1, 2).float()
    kept: dict[str, torch.Tensor] = {}
    made.blocks[2].register_forward_hook(lambda module, given, out: kept.update(last=out))
    for rate in rates:
        for group in optimiser.param_groups:
            group["lr"] = rate
        made((pixels - 128) / 64)
        scores = kept["last"].mean((2, 3)) @ W + b
        loss = nn.functional.cross_entropy(scores, torch.from_numpy(TARGETS))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(list(trained.values()), start.clip)
        optimiser.step()
    return {name: each.detach().numpy() for name, each in trained.items()}


def test_twelve_steps_from_the_cut_are_bit_equal_to_ordinary_training() -> None:
    """Reference: the network as a whole, trained by PyTorch's own means."""
    made = network()
    suffix = suffix_of(made, "blocks.1", "blocks.2/gap")
    start = tuning(suffix, ("blocks.2/gap",), 8)
    batch, rates = activation(made, "blocks.1"), [1e-2 * (1 + step % 3) for step in range(12)]
    trainer = suffix.trainer(start)
    for rate in rates:
        trainer.step(batch, TARGETS, rate)
    expected = ordinary(made, start.trainable, start, rates)
    found = trainer.weights()
    assert found.keys() == expected.keys()
    for name, truth in expected.items():
        np.testing.assert_array_equal(found[name], truth, err_msg=name)


def test_training_leaves_the_network_and_all_that_is_frozen_as_it_was() -> None:
    made = network()
    made.train()
    before = weights_digests(made)
    suffix = suffix_of(made, "blocks.1", "blocks.2/gap")
    trainer = suffix.trainer(tuning(suffix, ("blocks.2/gap",), 8))
    for _ in range(3):
        trainer.step(activation(made, "blocks.1"), TARGETS, 1e-2)
    assert weights_digests(made) == before
    weights = {n: x for n, x in trainer.weights().items() if not n.startswith("head.")}
    twin = with_weights(made, weights)
    after = weights_digests(twin)
    changed = {name for name, was in before.items() if after[name] != was}
    assert changed == {each.name for each in suffix.parameters}  # no statistic among them
    taps = [TapSpec("blocks.2", "gap")]
    cut = make_cut(twin, SPEC, taps, list_layers(twin, SPEC.preprocess))
    scores = cut(BATCH)["blocks.2/gap"] @ trainer.weights()["head.W"] + trainer.weights()["head.b"]
    np.testing.assert_allclose(scores, trainer.scores(activation(made, "blocks.1")), atol=1e-5)


@pytest.mark.parametrize("how", [{}, {"dropout": 0.3, "pull": 0.1, "smoothing": 0.1}])
def test_a_trainer_goes_on_from_its_state_bit_for_bit(how: dict[str, object]) -> None:
    made = network()
    suffix = suffix_of(made, "blocks.1", "blocks.2/gap")
    batch, start = activation(made, "blocks.1"), tuning(suffix, ("blocks.2/gap",), 8, **how)
    whole = suffix.trainer(start)
    for _ in range(3):
        whole.step(batch, TARGETS, 1e-2)
    state = whole.state()
    losses = [whole.step(batch, TARGETS, 1e-2) for _ in range(3)]
    again = suffix.trainer(start)
    again.set_state(state)
    assert [again.step(batch, TARGETS, 1e-2) for _ in range(3)] == losses
    for name, values in whole.weights().items():
        np.testing.assert_array_equal(again.weights()[name], values)


def test_a_loss_that_is_no_number_changes_nothing() -> None:
    made = network()
    suffix = suffix_of(made, "blocks.1", "blocks.2/gap")
    trainer = suffix.trainer(tuning(suffix, ("blocks.2/gap",), 8))
    before = trainer.weights()
    batch = {ACTIVATION: np.full_like(activation(made, "blocks.1")[ACTIVATION], np.nan)}
    assert np.isnan(trainer.step(batch, TARGETS, 1e-2))
    for name, values in trainer.weights().items():
        np.testing.assert_array_equal(values, before[name])


def test_what_is_asleep_stays() -> None:
    made = network()
    suffix = suffix_of(made, "blocks.1", "blocks.2/gap")
    trainer = suffix.trainer(tuning(suffix, ("blocks.2/gap",), 8))
    before = trainer.weights()
    trainer.step(activation(made, "blocks.1"), TARGETS, 1e-2, {"blocks.2.conv.weight"})
    after = trainer.weights()
    still = {name for name in before if np.array_equal(before[name], after[name])}
    assert still == {"blocks.2.conv.weight"}


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.value = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + (self.query(x) @ x.transpose(1, 2)).softmax(2) @ self.value(x)


class Tokens(nn.Module):
    """A tiny transformer whose mask adds to nothing but the pool's."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.layer = nn.ModuleList([Attention(), Attention(), Attention()])

    def forward(self, array: torch.Tensor) -> torch.Tensor:
        x = self.embed(array)
        for each in self.layer:
            x = each(x)
        return x


def test_products_of_low_rank_train_queries_and_values_alone_and_are_merged() -> None:
    torch.manual_seed(0)
    made = Tokens()
    spec = BackboneSpec("object", "tokens", "array", "0", ArraySpec((5,), "int64"))
    table = list_layers(made, spec.preprocess)
    batch = {"array": np.random.default_rng(0).integers(0, 20, (6, 5))}
    taps = (TapSpec("layer.2", "mean"),)
    suffix = make_suffix(made, spec, taps, "layer.0", table)
    names = tuple(each.name for each in suffix.parameters if each.role)
    assert names == tuple(f"layer.{n}.{w}.weight" for n in (1, 2) for w in ("query", "value"))
    W = np.random.default_rng(1).normal(size=(8, 3))
    start = Tuning(names, SideBySide("layer.2/mean"), W, np.zeros(3), rank=2)
    trainer, whole = (
        suffix.trainer(start),
        make_cut(made, spec, [TapSpec("layer.0", "none")], table),
    )
    given = {ACTIVATION: whole(batch)["layer.0/none"]}
    before, first = trainer.weights(), trainer.scores(given)
    losses = [trainer.step(given, TARGETS, 3e-2) for _ in range(10)]
    assert losses[-1] < losses[0]
    for name in names:
        change = trainer.weights()[name] - before[name]
        assert 1 <= np.linalg.matrix_rank(change, 1e-5) <= 2
    np.testing.assert_allclose(trainer.scores(given, before), first, atol=1e-6)
    merged = trainer.scores(given, trainer.weights())
    np.testing.assert_allclose(trainer.scores(given), merged, atol=1e-6)


class MaskedBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        return self.linear(x) * weights + (x * weights).sum(1, keepdim=True) / weights.sum(1, True)


class Masked(nn.Module):
    """Attends to what counts; which layers run is decided in Python, so it is exported."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.layer = nn.ModuleList([MaskedBlock(), MaskedBlock()])

    def forward(self, array: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        assert isinstance(attention_mask.shape[1], int | torch.SymInt)
        weights = attention_mask.float()[:, :, None]
        x = self.embed(array) + torch.arange(array.shape[1])[None, :, None]
        for each in self.layer:
            x = each(x, weights)
        return x


def test_a_mask_may_cross_the_cut_it_is_an_input_again() -> None:
    torch.manual_seed(0)
    made = Masked()
    preprocess = ArraySpec((None,), "int64", pad_id=0)
    spec = BackboneSpec("object", "masked", "array", "0", preprocess)
    table = list_layers(made, preprocess)
    ids = np.random.default_rng(0).integers(1, 20, (3, 7))
    ids[1, 4:] = 0
    batch = {"array": ids, "attention_mask": (ids != 0).astype(np.int64)}
    taps = [TapSpec("layer.1", "mean", 2), TapSpec("layer.0", "none", 2)]
    expected = make_cut(made, spec, taps, table)(batch)
    suffix = make_suffix(made, spec, (taps[0],), "layer.0", table)
    given = {ACTIVATION: expected["layer.0/none"], "attention_mask": batch["attention_mask"]}
    found = suffix({**given})["layer.1/mean"]
    np.testing.assert_allclose(found, expected["layer.1/mean"], rtol=1e-5)
