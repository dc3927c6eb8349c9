from __future__ import annotations

import copy

import numpy as np
import pytest

import cutpoint as cp
from cutpoint.base.errors import TapNotFound, UsageError
from cutpoint.base.spec import PRECISIONS, ArraySpec, PreprocessSpec
from cutpoint.networks.layer_table import ClassProbabilities
from cutpoint.networks.sources import load_object
from cutpoint.testing import FakeBackbone
from tests.unit.features.store.helpers import images


def test_taps_are_names_indices_negative_indices_and_globs() -> None:
    backbone, batch = FakeBackbone(), images(3)
    by_name = backbone.cut("conv2", "conv3", pool="gap")(batch)
    for taps in (("conv[23]",), (1, 2), (-1, -2), ("conv3", 1)):
        found = backbone.cut(*taps, pool="gap")(batch)
        assert list(found) == list(by_name)
        for name, rows in by_name.items():
            np.testing.assert_array_equal(found[name], rows)


def test_several_pools_give_several_features_a_tap() -> None:
    names = [tap.name for tap in FakeBackbone().cut("conv3", pool=["gmp", "gap", "gem(3)"]).taps]
    assert names == ["conv3/gap", "conv3/gem", "conv3/gmp"]


def test_without_taps_the_ends_of_the_blocks_are_taken() -> None:
    assert len(FakeBackbone().cut(pool="gap").taps) == 3
    assert len(cp.load("packaged:efficientnet_lite0").tap_specs("auto", ["gap"])) == 9


def test_get_layer_has_the_meaning_of_keras() -> None:
    backbone = FakeBackbone()
    assert backbone.get_layer("conv2") == backbone.get_layer(index=1)
    assert backbone.get_layer(index=-1).name == "conv3"
    with pytest.raises(UsageError, match="Exactly one"):
        backbone.get_layer()
    with pytest.raises(TapNotFound, match='Nearest: "conv3"'):
        backbone.get_layer("conv33")


def test_a_cut_holds_no_later_weights_and_its_state_does_not_change() -> None:
    backbone = cp.load("packaged:efficientnet_lite0")
    shallow, deep = backbone.cut("blocks.1"), backbone.cut("bn2")
    counts = [sum(p.numel() for p in cut.module.parameters()) for cut in (shallow, deep)]
    assert counts[0] < 0.02 * counts[1]
    before = deep.state_sha256()
    deep(np.zeros((2, 224, 224, 3), np.uint8))
    assert deep.state_sha256() == before != shallow.state_sha256()


def test_precision_is_part_of_the_id_and_must_be_known() -> None:
    backbone = FakeBackbone()
    ids = {backbone.feature_spec(precision=each).fingerprint() for each in PRECISIONS}
    assert len(ids) == 4
    assert backbone.feature_spec() == backbone.feature_spec(precision="fp32")
    with pytest.raises(UsageError, match="Precisions: fp32, bf16, fp16, int8"):
        backbone.feature_spec(precision="int4")


def test_a_cut_at_the_class_probabilities_is_warned_of() -> None:
    torch = pytest.importorskip("torch", reason="the extra torch is not installed")
    network = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Softmax(1))
    backbone = load_object(network, ArraySpec((4,)))
    with pytest.warns(ClassProbabilities, match='"1" are class probabilities'):
        backbone.cut(-1)
    backbone.cut("0")


def test_the_fake_takes_photos_from_minus_one_to_one() -> None:
    preprocess = FakeBackbone().spec.preprocess
    assert isinstance(preprocess, PreprocessSpec)
    for value, expected in ((0, -1.0), (255, 1.0)):
        found = (value - np.array(preprocess.mean)) / np.array(preprocess.std)
        np.testing.assert_array_equal(found, expected)


def test_a_copy_gives_the_same_features() -> None:
    backbone, batch = FakeBackbone(), images(3)
    twin = copy.deepcopy(backbone)
    assert twin.spec == backbone.spec
    for name, rows in backbone.cut("conv3")(batch).items():
        np.testing.assert_array_equal(twin.cut("conv3")(batch)[name], rows)
