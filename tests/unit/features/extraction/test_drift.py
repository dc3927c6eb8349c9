"""Scaled decoding through a whole run: told, refused beyond the bound, kept by the predictor."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cutpoint as cp
from cutpoint.base.errors import UsageError
from cutpoint.base.spec import ArraySpec, FeatureSpec
from cutpoint.features.extraction import drift
from cutpoint.networks.engines import gate, parity, select
from cutpoint.testing import FakeBackbone
from tests.conftest import noisy_image
from tests.unit.learning.choosing.test_precision import engine_that_adds

EXACT = FakeBackbone()  # sees 16 × 16, so a JPEG of 64 × 64 is large
SCALED = EXACT.decoding("scaled")


@pytest.fixture
def photos(tmp_path: Path) -> Callable[..., Path]:
    """Return a maker of class folders of JPEGs, smooth but for a little grain."""

    def make(side: int = 70, smooth: bool = True, per_class: int = 12) -> Path:
        root = tmp_path / f"photos-{side}-{smooth}"
        for channel, label in enumerate(("red", "green")):
            (root / label).mkdir(parents=True)
            for number in range(per_class):
                small = noisy_image(channel, 100 * channel + number, side=9 if smooth else side)
                photo = Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)
                photo.save(root / label / f"{number:02d}.jpg", quality=92)
        return root

    return make


def test_features_of_large_photos_are_near_and_the_figure_is_told(
    photos: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {
        name: cp.extract(photos_of, backbone, pool="gap", store=tmp_path / "s")
        for photos_of in [photos()]
        for name, backbone in (("exact", EXACT), ("scaled", SCALED))
    }
    told = capsys.readouterr().err
    assert re.search(r"against exact: smallest cosine (0\.99\d\d|1\.0000) of 8 large photos", told)
    one, other = (found[name].X("conv1/gap") for name in ("exact", "scaled"))
    assert (one != other).any()
    np.testing.assert_allclose(one, other, atol=0.02 * np.abs(one).max())


def test_one_large_photo_among_many_is_found(
    photos: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """None of the few looked at first is."""
    monkeypatch.setattr(drift, "N_LOOKED_AT", 2)
    folder = photos(side=20)
    Image.fromarray(noisy_image(0, 5, side=70)).save(folder / "green" / "03.jpg", quality=92)
    cp.extract(folder, SCALED, pool="gap")
    assert "of 1 large photos" in capsys.readouterr().err


def test_small_photos_have_equal_bits_and_it_is_said(
    photos: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = photos(side=63)
    one, other = (cp.extract(folder, each, pool="gap") for each in (EXACT, SCALED))
    assert "no photo is large enough" in capsys.readouterr().err
    np.testing.assert_array_equal(one.X("conv3/gap"), other.X("conv3/gap"))


def test_drift_below_the_bound_is_refused_before_anything_is_stored(
    photos: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift, "MIN_COSINE", 0.9999)
    with pytest.raises(UsageError, match=r"smallest cosine 0\.99\d\d of 8") as found:
        cp.extract(photos(smooth=False), SCALED, store=tmp_path / "s", quiet=True)
    assert found.value.type_next == "Type:  decode='exact'"
    assert not list((tmp_path / "s").rglob("*.safetensors"))


def test_drift_is_judged_in_fp32_for_every_precision(
    photos: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the noise of int8 would be taken for that of decoding: cosine 0.98 on real X-rays.

    On the run's own photos, though its training items, small ones, are compared beforehand.
    """
    noisy = engine_that_adds(0.1)
    monkeypatch.setattr(gate, "NativeEngine", noisy)
    monkeypatch.setitem(select.ENGINES, "native", noisy)
    monkeypatch.setitem(parity.MIN_COSINES, "bf16", -1.0)
    files = [*sorted(photos(side=63).rglob("*.jpg")), *sorted(photos().rglob("*.jpg"))]
    splits = ["train"] * 24 + ["test"] * 24
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drift, "MIN_COSINE", 0.9999)
        with pytest.raises(UsageError, match="drift"):
            cp.extract(files, SCALED, splits=splits, precision="bf16", quiet=True)
    cp.extract(files, SCALED, splits=splits, precision="bf16", quiet=True)


def test_exact_decoding_compares_nothing(
    photos: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift, "compare", lambda *features: pytest.fail("compared"))
    cp.extract(photos(), EXACT, quiet=True)


def test_a_predictor_decodes_as_it_was_fitted(photos: Callable[..., Path], tmp_path: Path) -> None:
    folder = photos(smooth=False, per_class=20)
    model = cp.fit(folder, tmp_path / "m", SCALED, quiet=True)
    again = cp.load_predictor(tmp_path / "m")
    assert again.backbone.spec.preprocess.decode == "scaled"
    assert "large photos are decoded scaled" in str(again)
    files = sorted(folder.rglob("*.jpg"))
    assert again.predict(files) == model.predict(files)
    exact = cp.fit(folder, None, EXACT, quiet=True)
    assert exact.predict(files) != model.predict(files)
    assert "decoded" not in str(exact)


def test_the_id_changes_with_scaled_and_not_with_exact() -> None:
    spec = EXACT.feature_spec()
    assert cp.load(EXACT, decode="exact").feature_spec().fingerprint() == spec.fingerprint()
    scaled = cp.load(EXACT, decode="scaled").feature_spec()
    assert scaled.fingerprint() != spec.fingerprint()
    assert "decode" not in json.dumps(spec.to_json())
    assert FeatureSpec.from_json(json.loads(json.dumps(scaled.to_json()))) == scaled


def test_loading_says_how_to_decode_and_the_first_backbone_stays_as_it_was() -> None:
    assert cp.load("fake:seed0", decode="scaled").spec == SCALED.spec
    assert EXACT.spec.preprocess.decode == "exact"
    assert cp.load(SCALED).spec.preprocess.decode == "scaled"


def test_another_way_to_decode_is_refused() -> None:
    with pytest.raises(UsageError, match=r"decode can't be 'fast'.*\n.*\n.*exact, scaled"):
        cp.load("fake:seed0", decode="fast")


def test_a_backbone_of_arrays_has_nothing_to_decode() -> None:
    backbone = FakeBackbone()
    backbone.spec = replace(backbone.spec, preprocess=ArraySpec((4,)))
    with pytest.raises(UsageError, match="of kind array, of which nothing is decoded"):
        backbone.decoding("scaled")
