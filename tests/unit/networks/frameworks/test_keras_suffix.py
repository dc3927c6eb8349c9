"""The suffix of a Keras network, and its step: statistics stay, whatever the backend."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cutpoint.base.contracts import ACTIVATION, Suffix, Tuning
from cutpoint.base.errors import CutNotSeparable
from cutpoint.base.spec import BackboneSpec, TapSpec
from cutpoint.items.kinds.image import recipe_named
from cutpoint.networks.runtimes.keras import import_keras

SIDE = 16
SPEC = BackboneSpec("object", "net", "image", "0", recipe_named("tf", SIDE))
BATCH = {"image": np.random.default_rng(0).integers(0, 256, (6, SIDE, SIDE, 3)).astype(np.uint8)}
TARGETS = np.array([0, 1, 2, 0, 1, 2])
TAP = "relu_2/gap"


def network() -> Any:
    keras = import_keras()
    layers, random = keras.layers, np.random.default_rng(0)
    x = start = keras.Input((SIDE, SIDE, 3))
    for number, width in enumerate((4, 6, 8)):
        x = layers.Conv2D(width, 3, 2, "same", name=f"conv_{number}")(x)
        x = layers.BatchNormalization(name=f"bn_{number}")(x)
        x = layers.ReLU(name=f"relu_{number}")(x)
        x = layers.Dropout(0.5, name=f"drop_{number}")(x)
    side = layers.Dense(8, name="side")(layers.GlobalAveragePooling2D(name="gap")(x))
    last = layers.Add(name="add")([side, layers.GlobalMaxPooling2D(name="gmp")(x)])
    made = keras.Model(start, layers.Dense(5, name="fc")(last))
    for weight in made.weights:
        if "seed_generator" not in weight.path:
            low = 0.5 if "variance" in weight.path or "gamma" in weight.path else -0.5
            weight.assign(random.uniform(low, low + 1, weight.shape).astype(np.float32))
    return made


class Only:
    def run(self, features: Any, ops: Any) -> Any:
        return features[TAP]


def parts(made: Any) -> tuple[Suffix, dict[str, np.ndarray]]:
    from cutpoint.networks.frameworks.keras import list_layers, make_cut
    from cutpoint.networks.frameworks.keras.suffix import make_suffix

    table = list_layers(made, SPEC.preprocess)
    suffix = make_suffix(made, SPEC, (TapSpec.from_name(TAP),), "relu_1", table)
    whole = make_cut(made, SPEC, [TapSpec("relu_1", "none")], table)
    return suffix, {ACTIVATION: whole(BATCH)["relu_1/none"]}


def tuning(suffix: Suffix, role: str = "", **how: Any) -> Tuning:
    names = tuple(each.name for each in suffix.parameters if each.role == role or not role)
    W = np.random.default_rng(1).normal(size=(8, 3))
    return Tuning(names, Only(), W, np.zeros(3), **how)


def test_suffix_of_prefix_is_the_network() -> None:
    from cutpoint.networks.frameworks.keras import list_layers, make_cut

    made = network()
    suffix, given = parts(made)
    cut = make_cut(made, SPEC, [TapSpec.from_name(TAP)], list_layers(made, SPEC.preprocess))
    np.testing.assert_allclose(suffix(given)[TAP], cut(BATCH)[TAP], rtol=1e-5, atol=1e-6)
    names = [each.name for each in suffix.parameters]
    assert names == [
        f"{part}" for part in ("conv_2/kernel", "conv_2/bias", "bn_2/gamma", "bn_2/beta")
    ]
    assert [each.role for each in suffix.parameters] == ["", "", "norm", "norm"]


def test_what_is_no_single_place_is_refused() -> None:
    from cutpoint.networks.frameworks.keras import list_layers
    from cutpoint.networks.frameworks.keras.suffix import crossing, make_suffix

    made = network()
    table = list_layers(made, SPEC.preprocess)
    with pytest.raises(CutNotSeparable, match="more crosses the cut"):
        make_suffix(made, SPEC, (TapSpec("add", "flatten"),), "gap", table)
    assert crossing(made, SPEC, table, ["gap", "relu_2", "relu_1"]) == "relu_2"


def test_norms_are_trained_and_statistics_stay_bit_for_bit() -> None:
    from cutpoint.networks.frameworks.keras import weights_digests
    from cutpoint.networks.frameworks.keras.suffix import with_weights

    made = network()
    before = weights_digests(made)
    suffix, given = parts(made)
    trainer = suffix.trainer(tuning(suffix, "norm"))
    losses = [trainer.step(given, TARGETS, 1e-2) for _ in range(8)]
    assert losses[-1] < losses[0]
    assert weights_digests(made) == before
    weights = {n: x for n, x in trainer.weights().items() if not n.startswith("head.")}
    after = weights_digests(with_weights(made, weights))
    pairs = zip(before.items(), after.values(), strict=True)
    assert {name for (name, was), now in pairs if was != now} == {"bn_2/gamma", "bn_2/beta"}


def test_a_step_is_that_of_pytorch() -> None:
    """Reference: the same suffix and torch.optim.AdamW in PyTorch; tolerance 1e-5."""
    import torch

    made = network()
    suffix, given = parts(made)
    start = tuning(suffix, smoothing=0.1, decay=0.1, clip=0.5)
    trainer = suffix.trainer(start)
    own = {n: torch.tensor(x, requires_grad=True) for n, x in trainer.weights().items()}
    fixed = {weight.path: torch.tensor(np.array(_numpy(weight))) for weight in made.weights}
    groups = [{"params": [x], "weight_decay": 0.1 if x.ndim > 1 else 0.0} for x in own.values()]
    optimiser = torch.optim.AdamW(groups, lr=1e-2)
    x = torch.from_numpy(given[ACTIVATION]).permute(0, 3, 1, 2)
    for _ in range(3):
        trainer.step(given, TARGETS, 1e-2)
        padded = torch.nn.functional.pad(x, (0, 1, 0, 1))  # as Keras' "same" of an even side
        maps = torch.nn.functional.conv2d(
            padded, own["conv_2/kernel"].permute(3, 2, 0, 1), own["conv_2/bias"], 2
        )
        mean, variance = fixed["bn_2/moving_mean"], fixed["bn_2/moving_variance"]
        gamma, beta = own["bn_2/gamma"], own["bn_2/beta"]
        maps = torch.nn.functional.batch_norm(maps, mean, variance, gamma, beta, False, 0, 1e-3)
        scores = maps.relu().mean((2, 3)) @ own["head.W"] + own["head.b"]
        truth = torch.from_numpy(TARGETS)
        loss = torch.nn.functional.cross_entropy(scores, truth, label_smoothing=0.1)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(own.values()), 0.5)
        optimiser.step()
    for name, values in trainer.weights().items():
        np.testing.assert_allclose(values, own[name].detach().numpy(), atol=1e-5, err_msg=name)


def test_a_trainer_goes_on_from_its_state_bit_for_bit() -> None:
    suffix, given = parts(network())
    start = tuning(suffix, dropout=0.3, pull=0.1)
    whole = suffix.trainer(start)
    whole.step(given, TARGETS, 1e-2)
    state = whole.state()
    losses = [whole.step(given, TARGETS, 1e-2) for _ in range(2)]
    again = suffix.trainer(start)
    again.set_state(state)
    assert [again.step(given, TARGETS, 1e-2) for _ in range(2)] == losses
    for name, values in whole.weights().items():
        np.testing.assert_array_equal(again.weights()[name], values)


def _numpy(weight: Any) -> Any:
    return import_keras().ops.convert_to_numpy(weight)


def test_it_holds_on_pytorch_as_well() -> None:
    """A fresh process: the backend is chosen when Keras is imported."""
    code = (
        "import tests.unit.networks.frameworks.test_keras_suffix as t\n"
        "t.test_suffix_of_prefix_is_the_network()\n"
        "t.test_norms_are_trained_and_statistics_stay_bit_for_bit()\n"
        "t.test_a_trainer_goes_on_from_its_state_bit_for_bit()\n"
    )
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    root = Path(__file__).parents[4]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
