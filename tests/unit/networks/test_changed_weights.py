"""Features of a network that was trained are never taken for those of the one it was."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import nn

import cutpoint as cp
from cutpoint.base.errors import WeightsError
from cutpoint.base.spec import PreprocessSpec
from cutpoint.networks.backbone import Backbone
from cutpoint.testing import FakeBackbone
from tests.unit.features.store.helpers import CountingBackbone, images

SPEC = PreprocessSpec(16, 16, "bilinear", (127.5,) * 3, (127.5,) * 3)
LABELS = ["a", "b"] * 6


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1, self.act = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()
        self.conv2 = nn.Conv2d(4, 6, 3)
        self.register_buffer("scale", torch.ones(4, 1, 1), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv2(self.act(self.bn1(self.conv1(x))) * self.scale)


def small() -> Small:
    torch.manual_seed(0)
    return Small().eval()


@pytest.fixture
def load(tmp_path: Path) -> Callable[[], Backbone]:
    """Return a loader of one state dict: a fresh network each time."""
    torch.save(small().state_dict(), tmp_path / "w.pth")
    return lambda: cp.load(tmp_path / "w.pth", SPEC, build=Small)


def extract(backbone: Backbone, store: Path, engine: str = "native", seed: int = 0) -> np.ndarray:
    pixels = images(12, seed)
    found = cp.extract(
        pixels, backbone, taps="conv2", pool="gap", store=store, engine=engine, quiet=True
    )
    return found.X("conv2/gap")


def by_optimiser(part: nn.Module) -> None:
    optimiser = torch.optim.SGD(part.parameters(), 0.1)
    part(torch.ones(2, 3, 16, 16)).sum().backward()
    optimiser.step()


def by_data(part: nn.Module) -> None:
    next(part.parameters()).data.mul_(1.5)


def by_numpy_view(part: nn.Module) -> None:
    next(part.parameters()).detach().numpy()[0] += 1


def by_state_dict(part: nn.Module) -> None:
    part.load_state_dict({name: 2 * tensor for name, tensor in part.state_dict().items()})


def by_forward_in_training(part: nn.Module) -> None:
    """Moving statistics alone: no parameter changes."""
    with torch.no_grad():
        part.train()(torch.randn(4, 3, 16, 16))


def by_unsaved_buffer(part: nn.Module) -> None:
    next(each for name, each in part.named_buffers() if name.endswith("scale")).mul_(3)


CHANGES = [
    by_optimiser,
    by_data,
    by_numpy_view,
    by_state_dict,
    by_forward_in_training,
    by_unsaved_buffer,
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_network_stores_nothing_under_its_old_name(
    change: Callable[[nn.Module], None], load: Callable[[], Backbone], tmp_path: Path
) -> None:
    backbone = load()
    change(backbone.symbolic("conv2", trainable=True))
    pyramid = partial(backbone.pyramid, (1,))
    for ask in (partial(extract, backbone, tmp_path / "s"), backbone.cut, pyramid):
        with pytest.raises(WeightsError, match="no longer holds the weights"):
            ask()
    fresh = load()
    expected = fresh.cut("conv2", pool="gap")(images(12))["conv2/gap"]
    np.testing.assert_allclose(extract(fresh, tmp_path / "s"), expected, atol=1e-6)


@pytest.mark.parametrize("change", CHANGES)
def test_a_network_that_was_read_or_given_is_looked_at_too(
    change: Callable[[nn.Module], None], load: Callable[[], Backbone]
) -> None:
    theirs = small()
    for backbone, network in ((read := load(), read.network), (cp.load(theirs, SPEC), theirs)):
        assert backbone.cut("conv2")
        change(network)
        with pytest.raises(WeightsError, match="no longer holds the weights"):
            backbone.cut("conv2")


@pytest.mark.parametrize("give", [lambda b: b.cut("bn2"), lambda b: b.pyramid((32,)).cut])
def test_weights_can_be_reached_through_a_cut(give: Callable[[Backbone], Any]) -> None:
    backbone = cp.load("packaged:efficientnet_lite0")
    by_data(give(backbone).module)
    with pytest.raises(WeightsError, match=r"conv_stem\.weight is not what was loaded"):
        backbone.feature_spec()


def test_a_kept_model_does_not_give_the_old_rows_to_the_new_network(
    load: Callable[[], Backbone], tmp_path: Path
) -> None:
    extract(load(), tmp_path / "s", "openvino")
    backbone = load()
    by_optimiser(backbone.symbolic("conv2", trainable=True))
    with pytest.raises(WeightsError, match="no longer holds the weights"):
        extract(backbone, tmp_path / "s", "openvino", seed=1)


def test_what_is_changed_while_features_are_computed_is_not_kept(tmp_path: Path) -> None:
    """Cuts share memory with their network, and a shard without receipt would be found again."""

    class TrainedMeanwhile(CountingBackbone):
        def cut_at(self, taps: object) -> object:
            cut, weights = super().cut_at(taps), self.network
            run = type(cut).__call__

            class Cut(type(cut)):  # type: ignore[misc]  # a class made while running
                def __call__(self, batch: np.ndarray) -> object:
                    found = run(self, batch)
                    if self.n_forward > 40:  # the gate's items are through, and the first unit
                        weights[0][0, 0] += 1
                    return found

            cut.__class__ = Cut
            return cut

    with pytest.raises(WeightsError, match="conv1 is not what was loaded"):
        cp.extract(images(80), TrainedMeanwhile(), store=tmp_path, n_workers=1, quiet=True)
    kept = cp.extract(images(80), FakeBackbone(), store=tmp_path, engine="native", quiet=True)
    expected = FakeBackbone().cut("conv3", pool="gap")(images(80))["conv3/gap"]
    np.testing.assert_allclose(kept.X("conv3/gap"), expected, rtol=1e-6)
    shards = [load_file(path) for path in tmp_path.rglob("*.safetensors")]
    assert sum(len(shard["conv3/gap"]) for shard in shards) == 80


def test_a_predictor_does_not_predict_with_other_weights(tmp_path: Path) -> None:
    network = small()
    model = cp.fit(
        images(12), tmp_path / "m", cp.load(network, SPEC), labels=LABELS, taps="conv2", quiet=True
    )
    before = cp.predict(model, images(3), engine="native", quiet=True)
    was = copy.deepcopy(network.state_dict())
    by_data(network)
    with pytest.raises(WeightsError, match="no longer holds the weights"):
        cp.predict(model, images(3), engine="native", quiet=True)
    network.load_state_dict(was)
    assert cp.predict(model, images(3), engine="native", quiet=True) == before


def test_weights_that_are_put_back_are_taken_again(load: Callable[[], Backbone]) -> None:
    backbone = load()
    part = backbone.symbolic("conv2", trainable=True)
    was = copy.deepcopy(backbone.network.state_dict())
    by_optimiser(part)
    by_forward_in_training(part)
    backbone.network.load_state_dict(was)
    assert backbone.cut("conv2")


def test_what_the_error_says_to_type_works(load: Callable[[], Backbone]) -> None:
    backbone = load()
    before = backbone.feature_spec().fingerprint()
    by_optimiser(backbone.symbolic("conv2", trainable=True))
    with pytest.raises(WeightsError) as caught:
        backbone.cut("conv2")
    names = {"cp": cp, "backbone": backbone}
    exec(caught.value.type_next.removeprefix("Type:  "), names)
    assert names["backbone"].cut("conv2")
    assert names["backbone"].feature_spec().fingerprint() != before


def test_the_first_of_what_differs_is_named(load: Callable[[], Backbone]) -> None:
    backbone = load()
    backbone.network.bn1.running_mean += 1
    with pytest.raises(WeightsError, match=r"bn1\.running_mean is not what was loaded"):
        backbone.cut("conv2")
    backbone.network.bn1.running_var += 1
    with pytest.raises(WeightsError, match=r"\(and 1 more\)"):
        backbone.cut("conv2")


def test_other_settings_of_a_layer_are_a_change_too(load: Callable[[], Backbone]) -> None:
    backbone = load()
    backbone.network.act = nn.Tanh()
    with pytest.raises(WeightsError, match="how layers are set up"):
        backbone.cut("conv2")


def test_backbones_that_differ_in_their_food_alone_share_the_network(
    load: Callable[[], Backbone],
) -> None:
    for order in (0, 1):
        both = (first := load(), first.decoding("scaled"))
        by_data(both[order].network)
        for backbone in both:
            with pytest.raises(WeightsError, match="no longer holds the weights"):
                backbone.cut("conv2")


@pytest.mark.parametrize("is_read", [True, False])
def test_a_deep_copy_has_weights_of_its_own(is_read: bool) -> None:
    backbone = FakeBackbone()
    if is_read:
        assert backbone.network
    twin = copy.deepcopy(backbone)
    twin.network[0][0, 0] += 1
    assert backbone.cut("conv1")
    with pytest.raises(WeightsError, match="conv1"):
        twin.cut("conv1")


def test_a_network_that_a_function_returns_twice_is_looked_at(tmp_path: Path) -> None:
    """The second loading puts other weights into the network of the first."""
    network, state = small(), small().state_dict()
    torch.save(state, tmp_path / "one.pth")
    torch.save({name: 2 * tensor for name, tensor in state.items()}, tmp_path / "two.pth")
    one = cp.load(tmp_path / "one.pth", SPEC, build=lambda: network)
    two = cp.load(tmp_path / "two.pth", SPEC, build=lambda: network)
    assert two.cut("conv2")
    with pytest.raises(WeightsError, match="no longer holds the weights"):
        one.cut("conv2")


def test_a_cache_that_a_pass_fills_is_no_change() -> None:
    class Caching(Small):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if not hasattr(self, "places"):
                self.register_buffer("places", torch.arange(x.shape[-1]), persistent=False)
            return super().forward(x)

    network = Caching().eval()
    backbone = cp.load(network, SPEC)
    assert backbone.cut("conv2")
    assert network.places is not None


def test_a_network_nobody_was_given_is_not_hashed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    backbone, n_asked = FakeBackbone(), []
    framework = type(backbone._held.framework)
    digests = framework.weights_digests
    monkeypatch.setattr(
        framework,
        "weights_digests",
        staticmethod(lambda network: n_asked.append(1) or digests(network)),
    )
    model = cp.fit(images(12), tmp_path / "m", backbone, labels=LABELS, quiet=True)
    cp.predict(model, images(3), quiet=True)
    assert not n_asked
    assert backbone.network
    assert len(n_asked) == 1


def test_two_threads_get_one_network() -> None:
    ready = threading.Barrier(4)

    class Slow(FakeBackbone):
        def __init__(self) -> None:
            super().__init__()
            self._held._build = self._slowly

        def _slowly(self) -> list[np.ndarray]:
            ready.wait(60)  # so that all of them build one
            return [np.ones((8, 3), np.float32)]

    backbone = Slow()
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(backbone.network)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(network) for network in found}) == 1
