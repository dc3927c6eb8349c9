"""simplejpeg against Pillow: equal pixels, or Pillow's own."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cutpoint.errors import BadItem
from cutpoint.preprocess import jpeg
from cutpoint.preprocess.image import decode_image
from cutpoint.preprocess.recipes import RECIPES
from tests.conftest import encoded

SPEC = RECIPES["imagenet"]
PIXELS = np.random.default_rng(0).integers(0, 256, (41, 53, 3)).astype(np.uint8)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    jpeg._library.cache_clear()
    yield
    jpeg._library.cache_clear()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def assert_equal_pixels(data: bytes) -> None:
    found = jpeg.decode_jpeg(data, opened(data))
    assert found is not None
    np.testing.assert_array_equal(np.asarray(found), np.asarray(opened(data)))


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("kind", [{}, {"progressive": True}, {"quality": 5}, {"optimize": True}])
def test_the_pixels_are_pillows(subsampling: str, kind: dict[str, int]) -> None:
    assert_equal_pixels(encoded(PIXELS, "JPEG", subsampling=subsampling, **kind))


@pytest.mark.shared
def test_the_pixels_of_real_photos_are_pillows(shared: Path) -> None:
    """A few hundred; all 10,824 colour JPEGs there, tried once, gave equal pixels."""
    n_compared = 0
    for name in ("dogs-vs-cats", "caltech20", "chest-xray", "chest-xray-fullres"):
        for path in sorted((shared / "data" / name).rglob("*.jp*g"))[::7][:100]:
            data = path.read_bytes()
            if opened(data).mode == "RGB":
                assert_equal_pixels(data)
                n_compared += 1
    assert n_compared > 150


def test_orientation_is_kept() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right
    data = encoded(PIXELS, "JPEG", exif=exif)
    assert jpeg.decode_jpeg(data, opened(data)) is not None
    upright, _ = decode_image(data, SPEC)
    np.testing.assert_array_equal(np.asarray(upright), np.rot90(np.asarray(opened(data)), -1))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_modes_are_left_to_pillow(mode: str) -> None:
    data = encoded(PIXELS, "JPEG", mode)
    assert jpeg.decode_jpeg(data, opened(data)) is None
    assert decode_image(data, SPEC)[0].mode == "RGB"


def test_a_broken_file_is_judged_by_pillow() -> None:
    data = encoded(PIXELS, "JPEG", quality=95)[:-400]
    assert jpeg.decode_jpeg(data, opened(data)) is None
    with pytest.raises(BadItem, match="can't be decoded whole"):
        decode_image(data, SPEC)


def test_a_library_of_other_pixels_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    import simplejpeg

    real = simplejpeg.decode_jpeg
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda data, kind: real(data, kind) ^ 1)
    data = encoded(PIXELS, "JPEG")
    assert jpeg.decode_jpeg(data, opened(data)) is None
    np.testing.assert_array_equal(np.asarray(decode_image(data, SPEC)[0]), opened(data))


def test_without_the_library_pillow_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "simplejpeg", None)
    data = encoded(PIXELS, "JPEG")
    assert jpeg.decode_jpeg(data, opened(data)) is None
    np.testing.assert_array_equal(np.asarray(decode_image(data, SPEC)[0]), opened(data))
