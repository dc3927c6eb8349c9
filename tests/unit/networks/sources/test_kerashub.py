"""``kerashub:`` on a preset the test makes with KerasHub itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cutpoint as cp
from cutpoint.base.errors import BackboneNotFound, MissingExtra, UsageError
from cutpoint.base.spec import PreprocessSpec
from cutpoint.networks.runtimes.keras import import_keras
from tests.conformance.networks.keras import drawn, plain
from tests.unit.networks.sources.training import refused_after_a_step_of_training

BATCH = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    import_keras()
    import keras_hub

    network = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=(32, 32, 3),
    )
    folder = tmp_path_factory.mktemp("hub") / "resnet_tiny"
    drawn(network).save_to_preset(str(folder))
    converter = keras_hub.layers.ImageConverter(
        image_size=(32, 32), scale=[1 / 58, 1 / 57, 1 / 56], offset=[-2.0, -1.5, -1.0]
    )
    converter.save_to_preset(str(folder))
    return folder, (network, converter)


def test_a_preset_is_fed_by_its_converter(preset: tuple[Path, Any]) -> None:
    """Reference: KerasHub's own converter and network; tolerance 1e-5 relative."""
    folder, (network, converter) = preset
    backbone = cp.load(f"kerashub:{folder}")
    assert backbone.spec.id == "kerashub:resnet_tiny"
    assert backbone.load_name == f"kerashub:{folder}"
    spec = backbone.spec.preprocess
    assert isinstance(spec, PreprocessSpec)
    assert spec.fit == "crop"
    found = backbone.cut("stack1_block0_out", pool="none")(BATCH)["stack1_block0_out/none"]
    expected = plain(network(converter(BATCH.astype(np.float32)), training=False))
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_after_training_it_is_no_longer_taken_for_the_presets_network(
    preset: tuple[Path, Any],
) -> None:
    refused_after_a_step_of_training(cp.load(f"kerashub:{preset[0]}"), "stack1_block0_out")


def test_a_stated_recipe_goes_before_the_presets(preset: tuple[Path, Any]) -> None:
    backbone = cp.load(f"kerashub:{preset[0]}", preprocess="tf")
    assert backbone.spec.preprocess.mean == (127.5,) * 3


def test_without_a_converter_the_recipe_is_asked_for(
    preset: tuple[Path, Any], tmp_path: Path
) -> None:
    import shutil

    shutil.copytree(preset[0], tmp_path / "bare")
    (tmp_path / "bare" / "image_converter.json").unlink()
    with pytest.raises(UsageError, match="preprocess="):
        cp.load(f"kerashub:{tmp_path / 'bare'}")


def test_an_unknown_preset_names_some() -> None:
    with pytest.raises(BackboneNotFound, match="presets, such as"):
        cp.load("kerashub:./no_such_folder")


def test_a_missing_kerashub_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(MissingExtra, match=r"cutpoint-ml\[kerashub\]"):
        cp.load("kerashub:resnet_50_imagenet")
