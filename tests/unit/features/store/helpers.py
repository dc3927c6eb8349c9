"""A store filled by the fake backbone, and ways to damage it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cutpoint.base.progress import Reporter
from cutpoint.base.spec import FeatureSpec
from cutpoint.features.extraction import Extraction, ExtractOptions, extract_features
from cutpoint.features.store import Features, FeatureStore
from cutpoint.items.reading import read_dataset
from cutpoint.testing import FakeBackbone, FakeCut


class CountingBackbone(FakeBackbone):
    """A fake that remembers the cuts it made."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.cuts: list[FakeCut] = []

    def cut_at(self, taps: object) -> FakeCut:
        cut = super().cut_at(taps)
        self.cuts.append(cut)
        return cut

    @property
    def n_forward(self) -> int:
        return sum(cut.n_forward for cut in self.cuts)


def images(n_items: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (n_items, 16, 16, 3)).astype(np.uint8)


def fill(
    path: Path,
    data: object,
    backbone: FakeBackbone | None = None,
    spec: FeatureSpec | None = None,
    **options: object,
) -> Extraction:
    backbone = backbone or FakeBackbone()
    spec = spec or backbone.feature_spec(["conv2", "conv3"], ["gap", "gmp"])
    run = ExtractOptions(**options)
    dataset = read_dataset(data, kind=backbone.kind)
    return extract_features(dataset, backbone, spec, FeatureStore(path), run, Reporter(quiet=True))


def same(one: Features, other: Features) -> None:
    """Assert two views hold the same items with the same bits."""
    assert list(one.keys) == list(other.keys)
    assert list(one.digests) == list(other.digests)
    for tap in one.taps:
        np.testing.assert_array_equal(one.X(tap), other.X(tap))
