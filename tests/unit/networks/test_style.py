"""Content and style distance against their definitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cutpoint as cp
from cutpoint.base.errors import DataError, ShapeError, TapNotFound
from cutpoint.items.kinds import prepare_item
from cutpoint.testing import FakeBackbone
from tests.conftest import ROOT, noisy_image


def test_distances_are_mean_squares_of_activations_and_gram_matrices() -> None:
    """Reference: the definition, written out on the fake's own maps; tolerance 1e-5."""
    backbone = FakeBackbone()
    images = [noisy_image(channel, channel, 32) for channel in (0, 1)]
    found = cp.style.image_distance(*images, backbone, content=["conv3"], style=["conv1", "conv2"])
    batch = np.stack(
        [prepare_item(image, backbone.spec.preprocess)[0]["image"] for image in images]
    )
    maps = backbone.cut("conv1", "conv2", "conv3", pool="none")(batch)
    one, other = maps["conv3/none"].astype(np.float64)
    assert found.content["conv3"] == pytest.approx(((one - other) ** 2).mean(), rel=1e-5)
    for layer in ("conv1", "conv2"):
        grams = []
        for activation in maps[f"{layer}/none"].astype(np.float64):
            rows = activation.reshape(len(activation), -1)
            grams.append(rows @ rows.T / rows.shape[1])
        expected = ((grams[0] - grams[1]) ** 2).mean()
        assert found.style[layer] == pytest.approx(expected, rel=1e-5)


def test_style_does_not_know_where_things_are_and_content_does() -> None:
    image = noisy_image(0, 1, 16)
    mirrored = np.ascontiguousarray(image[:, ::-1])
    backbone = FakeBackbone()  # its convolutions are 1×1 on block means, so a mirror image mirrors
    found = cp.style.image_distance(image, mirrored, backbone, content=["conv1"], style=["conv1"])
    assert found.style["conv1"] < 1e-6
    assert found.content["conv1"] > 1e-3
    assert "content" in str(found)


def test_without_layers_one_of_each_stride_is_taken() -> None:
    image = Image.fromarray(noisy_image(0, 1))
    found = cp.style.image_distance(image, image, FakeBackbone())
    assert list(found.style) == ["conv1", "conv2", "conv3"]
    assert found.content == {"conv3": 0.0}


def test_what_is_no_map_is_refused() -> None:
    image = noisy_image(0, 1)
    with pytest.raises(TapNotFound):
        cp.style.image_distance(image, image, FakeBackbone(), style=["conv9"])
    backbone = cp.load("packaged:efficientnet_lite0")
    with pytest.raises(ShapeError, match="gram"):
        cp.style.image_distance(image, image, backbone, style=["classifier"])


def test_two_halves_of_a_photo_are_closer_than_two_photos(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Real weights, the photos scikit-learn ships; what the example prints."""
    import runpy

    runpy.run_path(str(ROOT / "examples" / "style_distance.py"), run_name="__main__")
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "blocks." in line]
    same, other = rows[:4], rows[4:]
    for near, far in zip(same, other, strict=True):
        assert near[0] == far[0]
        assert float(near[2]) < float(far[2])
    assert float(same[-1][1]) < float(other[-1][1])


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="file not found"):
        cp.style.image_distance(tmp_path / "nope.jpg", noisy_image(0, 0), FakeBackbone())
