"""Which items set the scales of int8, and that one spec has one network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cutpoint as cp
from cutpoint.backbone import Backbone
from cutpoint.data import Dataset
from cutpoint.data.arrays import read_arrays
from cutpoint.engines import compare
from cutpoint.errors import DataError, StoreCorrupt, StoreError, UsageError
from cutpoint.extraction import ExtractOptions, extract_features, quantising
from cutpoint.extraction.quantising import cut_of, quantised_spec, shuffled_training_items
from cutpoint.progress import Reporter
from cutpoint.spec import ArraySpec, FeatureSpec, TapSpec
from cutpoint.store import FeatureStore, verify_store
from cutpoint.testing import FakeBackbone
from tests.unit.store.helpers import images

QUIET = Reporter(quiet=True)


def dataset(n_items: int = 12, splits: str = "train train test") -> Dataset:
    rows = np.random.default_rng(0).normal(size=(n_items, 4)).astype(np.float32)
    names = [splits.split()[row % 3] for row in range(n_items)]
    return read_arrays(rows, splits=names)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    import torch

    torch.manual_seed(0)
    layers = torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 8)
    return cp.load(torch.nn.Sequential(*layers), ArraySpec((4,)))


@pytest.fixture
def spec(backbone: Backbone) -> FeatureSpec:
    return backbone.feature_spec([0, 2], ["none"], precision="int8")


def fill(data: Dataset, backbone: Backbone, spec: FeatureSpec, store: FeatureStore):
    return extract_features(data, backbone, spec, store, ExtractOptions(), QUIET)


def test_only_training_items_set_scales_in_an_order_no_listing_changes() -> None:
    data = dataset()
    found = shuffled_training_items(data)
    assert {item.split for item in found} == {"train"}
    assert found == shuffled_training_items(data.with_items(data.items[::-1]))
    assert [item.key for item in found] != sorted(item.key for item in found)
    bare = data.with_items(tuple(replace(item, split=None) for item in data.items))
    assert len(shuffled_training_items(bare)) == 12


def test_other_training_items_are_another_spec_and_other_test_items_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantising, "quantise", lambda cut, items: b"network")
    fake, store = FakeBackbone(), FeatureStore(tmp_path)
    asked = fake.feature_spec(["conv2"], ["gap"], precision="int8")

    def spec_id(rows: list[int], splits: list[str]) -> str:
        data = read_arrays(list(images(9)[rows]), splits=splits)
        return quantised_spec(data, fake, asked, store, QUIET).fingerprint()

    first = spec_id([0, 1, 2], ["train", "train", "test"])
    assert spec_id([0, 1, 5, 6], ["train", "train", "test", "test"]) == first
    assert spec_id([0, 3, 2], ["train", "train", "test"]) != first
    assert asked.fingerprint() != first


def test_features_come_from_the_one_network_kept_in_the_store(
    tmp_path: Path, backbone: Backbone, spec: FeatureSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, data = FeatureStore(tmp_path), dataset()
    few = data.with_items(tuple(i for i in data.items if i.split == "train"))
    first = fill(few, backbone, spec, store).features
    monkeypatch.setattr(quantising, "quantise", None)  # never asked again
    done = fill(data, backbone, spec, store)
    assert done.features.spec == first.spec
    assert (done.n_forward, done.n_calibration) == (4, 0)
    (tap,) = spec.taps[1:]
    native = backbone.cut_at([tap])(np.stack([item.payload for item in data.items]))
    parity = compare({tap.name: done.features.X(tap.name)}, native)
    assert 0.5 < parity.cosine < 1  # single numbers beyond the mean range are clipped; seen 0.9
    cut = cut_of(backbone, done.features.spec, store, [tap])
    assert cut.taps == (TapSpec("2", "none"),)
    assert verify_store(store).is_whole


def test_rows_of_a_network_that_is_gone_are_not_added_to(
    tmp_path: Path, backbone: Backbone, spec: FeatureSpec
) -> None:
    store, data = FeatureStore(tmp_path), dataset()
    done = fill(data, backbone, spec, store)
    (file,) = (tmp_path / "networks" / done.features.spec.fingerprint()).iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(StoreCorrupt, match="not its name"):
        fill(data, backbone, spec, store)
    assert not verify_store(store).is_whole
    file.unlink()
    with pytest.raises(StoreError, match="another would give other numbers"):
        fill(data, backbone, spec, store)


def test_without_training_items_no_scale_is_set(
    tmp_path: Path, backbone: Backbone, spec: FeatureSpec
) -> None:
    with pytest.raises(DataError, match="None of 0 training items"):
        fill(dataset(splits="test test test"), backbone, spec, FeatureStore(tmp_path))


def test_engines_that_can_not_are_refused_not_replaced(
    tmp_path: Path, backbone: Backbone, spec: FeatureSpec
) -> None:
    options = ExtractOptions("native")
    with pytest.raises(UsageError, match="The engine native computes in fp32"):
        extract_features(dataset(), backbone, spec, FeatureStore(tmp_path), options, QUIET)
