"""Rounding is known from mixing by what an item's numbers depend on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cutpoint.base.types import Array
from cutpoint.networks.runtimes.batch_mates import probe, why_one_by_one

Run = Callable[[Array], list[Array]]


def rounded(batch: Array) -> list[Array]:
    """A last digit that flips with the size of the batch: 3 % of the item's largest value."""
    noise = np.random.default_rng(len(batch)).uniform(-1, 1, batch.shape[1:])
    return [batch * (1 + 0.03 * noise)]


def why_alone(run: Run, items: Array) -> str:
    """Return what is said of a network of one input."""
    return why_one_by_one(lambda batch: run(batch["x"]), {"x": items})


def mean_of_all(batch: Array) -> list[Array]:
    return [batch - 0.01 * batch.mean(0)]


def normalised_by_all(batch: Array) -> list[Array]:
    return [(batch - batch.mean(0)) / (batch.std(0) + 1e-3)]


def attends_to_all(batch: Array) -> list[Array]:
    flat = batch.reshape(len(batch), -1)
    scores = np.exp(flat @ flat.T / flat.shape[1])
    return [scores / scores.sum(1, keepdims=True) @ flat]


def scaled_by_the_loudest(batch: Array) -> list[Array]:
    """As dynamic quantisation does: one step for the whole batch."""
    step = np.abs(batch).max() / 127
    return [np.round(batch / step) * step]


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("run", [rounded, lambda batch: [batch * 1.0]])
def test_rounding_keeps_batches(run: Run, dtype: str) -> None:
    assert why_alone(run, probe((4, 5), dtype)) == ""


@pytest.mark.parametrize(
    "run", [mean_of_all, normalised_by_all, attends_to_all, scaled_by_the_loudest]
)
def test_mixing_is_found_however_small(run: Run) -> None:
    assert "depends on its batch mates" in why_alone(run, probe((4, 5), "float32"))


def test_a_network_that_computes_with_the_size_of_its_batch_is_found() -> None:
    why = why_alone(lambda batch: [batch / len(batch)], probe((4, 5), "float32"))
    assert "depends on the size of its batch" in why


def test_a_network_for_one_item_is_found() -> None:
    def single(batch: Array) -> list[Array]:
        return [batch.reshape(1, 20)]

    assert "one item at a time" in why_alone(single, probe((4, 5), "float32"))


def test_token_ids_of_a_probe_are_in_every_vocabulary() -> None:
    assert set(np.unique(probe((8,), "int64"))) == {0, 1}
