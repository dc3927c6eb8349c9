"""Scaled decoding: what it touches, how near it comes, and the exact way as it always was."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_image

from cutpoint.base.errors import BadItem
from cutpoint.base.spec import PreprocessSpec
from cutpoint.items.kinds.image import decodes_smaller, prepare_image
from tests.conftest import encoded

EXACT = PreprocessSpec(32, 28, "bicubic", (127.5,) * 3, (127.5,) * 3)
SCALED = replace(EXACT, decode="scaled")
PHOTO = load_sample_image("china.jpg")  # 427 × 640 × 3
ORIENTATION = 0x0112


def jpeg(pixels: np.ndarray = PHOTO, orientation: int = 1, mode: str = "RGB") -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encoded(pixels, "JPEG", mode=mode, quality=95, exif=exif)


def both(data: bytes, spec: PreprocessSpec = SCALED) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels decoded scaled and exactly, as whole numbers."""
    exact = prepare_image(data, replace(spec, decode="exact"))[0]
    return prepare_image(data, spec)[0].astype(int), exact.astype(int)


def test_a_large_jpeg_is_decoded_smaller_and_comes_out_nearly_the_same() -> None:
    scaled, exact = both(jpeg())
    assert 0 < np.abs(scaled - exact).mean() < 1  # seen: 0.5 of 255
    assert decodes_smaller(jpeg(), SCALED)
    assert not decodes_smaller(jpeg(), EXACT)


def test_the_pixels_are_those_of_pillows_own_thumbnail() -> None:
    """Reference: `Image.thumbnail`, which drafts to twice the size and resizes; tolerance 0."""
    data = encoded(PHOTO[:320], "JPEG")
    squashed = replace(SCALED, resize_px=32, crop_px=32)
    thumbnail = Image.open(io.BytesIO(data))
    thumbnail.thumbnail((64, 32), Image.Resampling.BICUBIC, reducing_gap=2.0)
    expected = np.asarray(thumbnail)[:, 16:48]
    np.testing.assert_array_equal(prepare_image(data, squashed)[0], expected)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP"])
def test_other_formats_stay_exact_to_the_bit(kind: str) -> None:
    np.testing.assert_array_equal(*both(encoded(PHOTO, kind)))


def test_jpegs_below_four_times_the_size_and_images_in_memory_stay_exact() -> None:
    np.testing.assert_array_equal(*both(jpeg(PHOTO[:127])))
    assert (np.subtract(*both(jpeg(PHOTO[:128]))) != 0).any()
    opened = Image.open(io.BytesIO(jpeg()))
    expected = prepare_image(jpeg(), EXACT)[0]
    np.testing.assert_array_equal(prepare_image(opened, SCALED)[0], expected)
    assert opened.size == (640, 427)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fit", ["crop", "squash"])
def test_a_turned_photo_is_upright_whatever_its_sides(orientation: int, fit: str) -> None:
    sides = PHOTO[:425, :639]  # neither is a multiple of the scale, a quarter
    spec = replace(SCALED, fit=fit, resize_px=28 if fit == "squash" else 32)
    scaled, exact = both(jpeg(sides, orientation), spec)
    assert np.abs(scaled - exact).mean() < 1
    turned = Image.open(io.BytesIO(jpeg(sides, orientation)))
    upright = prepare_image(np.asarray(ImageOps.exif_transpose(turned)), EXACT)[0]
    np.testing.assert_array_equal(prepare_image(jpeg(sides, orientation), EXACT)[0], upright)


@pytest.mark.parametrize("width", [128, 129, 255, 511, 513])
def test_the_edge_that_the_scale_cuts_through_moves_nothing(width: int) -> None:
    ramp = np.linspace(0, 255, width)[None, :, None] * np.ones((130, 1, 3))
    scaled, exact = both(jpeg(ramp.astype(np.uint8)))
    assert np.abs(scaled - exact).max() <= 2  # a pixel to the side would be 4 to 8 of 255


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_photos_become_rgb(mode: str) -> None:
    scaled, exact = both(jpeg(mode=mode))
    assert 0 < np.abs(scaled - exact).mean() < 1
    assert (scaled[..., 0] == scaled[..., 2]).all() == (mode == "L")


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}])
def test_every_kind_of_jpeg_is_decoded_smaller(options: dict[str, object]) -> None:
    scaled, exact = both(encoded(PHOTO, "JPEG", **options))
    assert 0 < np.abs(scaled - exact).mean() < 1


def test_a_jpeg_with_a_second_picture_behind_it_is_decoded_smaller() -> None:
    buffer = io.BytesIO()
    first = Image.fromarray(PHOTO)
    first.save(buffer, "MPO", save_all=True, append_images=[first.resize((64, 48))])
    scaled, exact = both(buffer.getvalue())
    assert 0 < np.abs(scaled - exact).mean() < 1


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_large_jpeg_that_breaks_off_is_bad(share: float) -> None:
    whole = jpeg()
    with pytest.raises(BadItem, match="truncated"):
        prepare_image(whole[: int(len(whole) * share)], SCALED)


def as_the_recipe_says(data: bytes) -> np.ndarray:
    """Open, turn, make RGB, resize, crop: each by Pillow, one after the other."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    scale = 32 / min(image.size)
    image = image.resize(
        [32 if side == min(image.size) else int(side * scale) for side in image.size],
        Image.Resampling.BICUBIC,
    )
    left, top = (round((side - 28) / 2) for side in image.size)
    return np.asarray(image.crop((left, top, left + 28, top + 28)))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_the_exact_way_is_pillows_to_the_bit(mode: str, orientation: int) -> None:
    data = jpeg(orientation=orientation, mode=mode)
    np.testing.assert_array_equal(prepare_image(data, EXACT)[0], as_the_recipe_says(data))


@pytest.mark.shared
@pytest.mark.parametrize("folder", ["dogs-vs-cats", "caltech20", "chest-xray-fullres"])
def test_real_photos_are_decoded_exactly_as_pillow_does(shared: Path, folder: str) -> None:
    files = sorted((shared / "data" / folder).rglob("*.jp*g"))
    for file in files[:: max(1, len(files) // 20)]:
        data = file.read_bytes()
        np.testing.assert_array_equal(prepare_image(data, EXACT)[0], as_the_recipe_says(data))


def test_an_image_in_memory_is_left_as_it_is() -> None:
    given = Image.fromarray(PHOTO)
    prepare_image(given, EXACT)
    np.testing.assert_array_equal(np.asarray(given), PHOTO)
