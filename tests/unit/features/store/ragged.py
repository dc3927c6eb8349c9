"""A backbone of sentences, whose whole tokens are as long as each item; and a store of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from cutpoint.base.ops import NUMPY
from cutpoint.base.spec import ArraySpec, BackboneSpec, TapSpec
from cutpoint.base.types import Batch, checked_batch
from cutpoint.features.extraction import Extraction, job
from cutpoint.networks.backbone import Backbone
from cutpoint.networks.layer_table import Layer, LayerTable
from cutpoint.networks.pooling import apply_pool, free_rows
from tests.unit.features.store.helpers import fill

N_IDS, N_TOKENS, WIDTH = 20, 9, 4
POOLS = ("none", "gmp", "gap")


class Sentences(Backbone):
    """Token ids, 0 where there is padding, looked up in a table: as tokens, and as time."""

    def __init__(self) -> None:
        table = np.random.default_rng(3).normal(size=(N_IDS, WIDTH)).astype(np.float32)
        digest = hashlib.sha256(table.tobytes()).hexdigest()
        preprocess = ArraySpec((N_TOKENS,), "int64", pad_id=0)
        spec = BackboneSpec("fake", "sentences", "array", digest, preprocess)
        super().__init__(spec, lambda: table, _Framework)


class _Framework:
    WHEN_CHANGED = "backbone = Sentences()"

    @staticmethod
    def list_layers(network: Any, preprocess: Any, name: str, constants: Any) -> LayerTable:
        tokens, time = (None, None, WIDTH), (None, WIDTH, None)
        return LayerTable(
            name,
            (
                Layer(0, "tokens", "Embedding", tokens, None, 80, 1, layout="NTC"),
                Layer(1, "time", "Turn", time, None, 0, 2, layout="NCT"),
            ),
        )

    @staticmethod
    def make_cut(network: Any, spec: Any, taps: Sequence[TapSpec], table: LayerTable) -> Any:
        return _Cut(network, taps)

    @staticmethod
    def weights_digests(network: Any) -> dict[str, str]:
        return {"table": hashlib.sha256(network.tobytes()).hexdigest()}


class _Cut:
    inputs = ArraySpec((N_TOKENS,), "int64", pad_id=0).inputs
    converts_to: tuple[str, ...] = ()
    why_native = ""

    def __init__(self, table: np.ndarray, taps: Sequence[TapSpec]) -> None:
        self.table, self.taps = table, tuple(taps)

    def __call__(self, batch: Batch | np.ndarray) -> dict[str, np.ndarray]:
        given = checked_batch(batch, self.inputs)
        tokens, mask = self.table[given["array"]], given["attention_mask"].astype(np.float32)
        found = {"tokens": (tokens, "NTC"), "time": (tokens.transpose(0, 2, 1), "NCT")}
        return {
            tap.name: np.ascontiguousarray(
                apply_pool(tap.pool, *found[tap.layer], NUMPY, mask, tap.revision)
            )
            for tap in self.taps
        }

    def state_sha256(self) -> str:
        return hashlib.sha256(self.table.tobytes()).hexdigest()


def sentences(n_items: int, seed: int = 0) -> tuple[np.ndarray, list[int]]:
    """Return token ids (n_items, N_TOKENS) with padding, and how many of each are valid."""
    random = np.random.default_rng(seed)
    ids = random.integers(1, N_IDS, (n_items, N_TOKENS))
    lengths = random.integers(1, N_TOKENS + 1, n_items)
    ids[np.arange(N_TOKENS) >= lengths[:, None]] = 0
    return ids, lengths.tolist()


@contextmanager
def free_input() -> Iterator[None]:
    """Take the input for one whose length is free."""

    def free(backbone: Backbone, spec: Any) -> dict[str, int]:
        table = backbone.layers()
        return free_rows((table[tap.layer], tap.pool) for tap in spec.taps)

    with mock.patch.object(job, "_free_rows", free):
        yield


def fill_ragged(path: Path, ids: np.ndarray, pools: Sequence[str] = POOLS) -> Extraction:
    backbone = Sentences()
    with free_input():
        return fill(path, ids, backbone, backbone.feature_spec(["tokens", "time"], pools))


def whole(ids: np.ndarray, tap: str) -> list[np.ndarray]:
    """Return what the store must hold of a tap: each item looked up without its padding."""
    rows = [Sentences().network[row[row != 0]].astype(np.float16) for row in ids]
    return [row.T for row in rows] if tap == "time/none" else rows
