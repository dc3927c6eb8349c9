"""The training loop: it learns, stops where it should, keeps the best, and leaves no trace."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from cutpoint.networks.training import Schedule, Trained, train


def regression(schedule: Schedule, line: nn.Module) -> Trained:
    """Train a module on y = 3 x − 1."""
    x = torch.linspace(-1, 1, 64)[:, None]

    def loss(rows: slice) -> torch.Tensor:
        return nn.functional.mse_loss(line(x[rows]), 3 * x[rows] - 1)

    return train(line, lambda: [slice(0, 32), slice(32, 64)], loss, schedule)


def test_it_learns_what_least_squares_finds() -> None:
    line = nn.Linear(1, 1)
    told = regression(Schedule(400, 0.05), line)
    np.testing.assert_allclose([line.weight.item(), line.bias.item()], [3, -1], atol=1e-3)
    assert told.last < 1e-5
    assert told.held == ()


def test_it_ends_after_its_patience_with_the_best_weights() -> None:
    line = nn.Linear(1, 1)
    seen: list[float] = []
    losses = iter([3.0, 2.0, 1.0, 4.0, 5.0, 0.0])

    def held_loss() -> float:
        assert not line.training
        seen.append(line.bias.item())
        return next(losses)

    told = train(
        line,
        lambda: [torch.ones(4, 1)],
        lambda x: line(x).square().mean(),
        Schedule(100, 0.05, patience=2),
        held_loss,
    )
    assert told.held == (3, 2, 1, 4, 5)
    assert line.bias.item() == seen[2] != seen[-1]


def test_the_rate_falls_as_half_a_cosine() -> None:
    schedule = Schedule(10, 0.1)
    assert [schedule.rate_at(done) for done in (0, 10)] == [1, 0]
    np.testing.assert_allclose(schedule.rate_at(5), 0.5)


def test_what_a_module_draws_is_the_seeds_alone_and_no_trace_is_left() -> None:
    def bias(seed: int, state: int) -> float:
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        torch.manual_seed(state)
        before = torch.get_rng_state()
        regression(Schedule(5, 0.05, seed=seed), module)
        assert torch.equal(torch.get_rng_state(), before)
        return float(module[2].bias.item())

    assert bias(0, 3) == bias(0, 4) != bias(1, 3)


def test_threads_are_its_own_and_are_given_back() -> None:
    seen = []
    before = torch.get_num_threads()
    line = nn.Linear(1, 1)

    def loss(batch: torch.Tensor) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return line(batch).square().mean()

    train(line, lambda: [torch.ones(4, 1)], loss, Schedule(2, 0.01, n_threads=1))
    assert seen == [1, 1]
    assert torch.get_num_threads() == before


def test_a_group_has_its_own_rate_and_no_decay() -> None:
    module = nn.Linear(2, 1)
    kept = module.weight.detach().clone()
    groups = [{"params": [module.weight], "lr": 0.0}, {"params": [module.bias]}]
    schedule = Schedule(3, 0.1, decay=0.5)
    train(module, lambda: [torch.ones(4, 2)], lambda x: module(x).square().mean(), schedule,
          groups=groups)  # fmt: skip
    torch.testing.assert_close(module.weight.detach(), kept, rtol=0, atol=0)
