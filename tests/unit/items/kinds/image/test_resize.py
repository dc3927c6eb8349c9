"""Sizes before the crop, and where the crop lies, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from cutpoint.base.errors import BadItem
from cutpoint.base.spec import PreprocessSpec
from cutpoint.items.kinds.image.resize import MAX_PIXELS, fit_to_recipe, resized_size


def spec(resize_px: int, crop_px: int, fit: str = "crop") -> PreprocessSpec:
    return PreprocessSpec(resize_px, crop_px, "nearest", (0.0,) * 3, (1.0,) * 3, fit=fit)


@pytest.mark.parametrize(
    ("size", "resized"),
    [
        ((100, 100), (10, 10)),
        ((100, 199), (10, 19)),  # rounded down, as torchvision does
        ((199, 100), (19, 10)),
        ((5, 5), (10, 10)),
        ((3, 10), (10, 33)),
        ((1, 1), (10, 10)),
    ],
)
def test_the_shorter_side_is_resized_and_the_longer_follows(
    size: tuple[int, int], resized: tuple[int, int]
) -> None:
    assert resized_size(*size, spec(10, 8)) == resized
    assert resized_size(*size, spec(10, 8, "squash")) == (8, 8)


def test_threads_are_bad_where_they_would_be_more_than_is_ever_decoded() -> None:
    side = 256
    longest = MAX_PIXELS // side**2  # of an image one pixel wide, its length
    with pytest.raises(BadItem, match=f"1×{longest + 1} px is too long and thin to resize to 256"):
        resized_size(1, longest + 1, spec(side, 224))
    with pytest.raises(BadItem, match="too long and thin"):
        resized_size(longest + 1, 1, spec(side, 224))
    assert resized_size(longest + 1, 1, spec(side, 224, "squash")) == (224, 224)


@pytest.mark.parametrize(("width", "height"), [(6, 9), (9, 6), (6, 6)])
def test_the_central_square_is_cut_out(width: int, height: int) -> None:
    """Nothing is resized: rows and columns come out as they went in, less an even margin."""
    pixels = np.arange(width * height * 3, dtype=np.uint8).reshape(height, width, 3)
    found = fit_to_recipe(Image.fromarray(pixels), spec(6, 4))
    left, top = round((width - 4) / 2), round((height - 4) / 2)
    np.testing.assert_array_equal(found, pixels[top : top + 4, left : left + 4])


def test_grey_becomes_three_equal_channels() -> None:
    pixels = np.arange(36, dtype=np.uint8).reshape(6, 6)
    found = fit_to_recipe(Image.fromarray(pixels), spec(6, 6))
    assert (found.shape, found.dtype) == ((6, 6, 3), np.uint8)
    for channel in range(3):
        np.testing.assert_array_equal(found[..., channel], pixels)
