"""What is taken where nobody names taps or pools, of real networks that give no maps."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

import cutpoint as cp
from cutpoint.base.spec import ArraySpec


class Residual(nn.Module):
    """An MLP of blocks, as networks of tables are."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(20, 32)
        parts = [(nn.BatchNorm1d(32), nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 32))] * 4
        self.blocks = nn.ModuleList(nn.Sequential(*each) for each in parts)
        self.head = nn.Linear(32, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


def wave() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv1d(1, 16, 9, 4), nn.ReLU(), nn.Conv1d(16, 8, 9, 4), nn.ReLU(),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, 5),
    ).eval()  # fmt: skip


def test_an_mlp_is_read_after_each_activation() -> None:
    network = nn.Sequential(
        nn.Linear(20, 64), nn.ReLU(), nn.Dropout(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 3)
    ).eval()  # fmt: skip
    backbone = cp.load(network, preprocess=ArraySpec((20,)))
    names = [tap.name for tap in backbone.tap_specs("auto", ["auto"])]
    batch = np.random.default_rng(0).normal(size=(3, 20)).astype(np.float32)
    found = backbone.cut("auto")(batch)
    assert list(found) == names
    with torch.inference_mode():
        expected = [network[:end](torch.from_numpy(batch)).numpy() for end in (2, 5, 6)]
    for rows, own in zip(found.values(), expected, strict=True):
        np.testing.assert_allclose(rows, own, atol=1e-6)


def test_an_mlp_of_blocks_is_read_at_their_ends() -> None:
    backbone = cp.load(Residual().eval(), preprocess=ArraySpec((20,)))
    assert backbone.layers().auto_taps() == tuple(f"blocks.{place}" for place in range(4))


def test_a_network_of_waves_is_averaged_over_time_and_its_peaks_are_kept() -> None:
    network = wave()
    backbone = cp.load(network, preprocess=ArraySpec((1, 2000)))
    taps = backbone.tap_specs("auto", ["auto"])
    assert {tap.pool for tap in taps} == {"gap", "gmp"}
    batch = np.random.default_rng(0).normal(size=(3, 1, 2000)).astype(np.float32)
    cut = backbone.cut("3", pool=["gap", "gmp", "spp(1,2)", "grid(3)"])
    found = cut(batch)
    with torch.inference_mode():
        maps = network[:4](torch.from_numpy(batch))
    middle = maps.shape[2] // 2
    halves = [maps[:, :, :middle].mean(2), maps[:, :, middle:].mean(2)]
    expected = {
        "3/gap": maps.mean(2),
        "3/gmp": maps.amax(2),
        "3/spp(1,2)": torch.cat([maps.mean(2), torch.stack(halves, 2).flatten(1)], 1),
    }
    for tap, rows in expected.items():
        np.testing.assert_allclose(found[tap], rows.numpy(), atol=1e-6)
    assert found["3/grid(3)"].shape == (3, 8, 3)
