"""What is shown of an image, and what is said of an array that is none."""

from __future__ import annotations

import numpy as np
import pytest

from cutpoint.base.spec import PreprocessSpec
from cutpoint.items.kinds.image.show import wanted

SPEC = PreprocessSpec(32, 32, "bilinear", (0, 0, 0), (1, 1, 1))


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.ones((4, 4, 3), np.float32), '(255 * images).round().astype("uint8")'),
        (np.full((4, 4, 3), 255, np.float32), 'images.astype("uint8")'),
        (np.ones((4, 4, 3), np.uint8), "images"),
        (np.ones((4, 4, 1), np.uint8), "images[..., 0]"),
        (np.ones((3, 5, 5), np.uint8), "images.transpose(0, 2, 3, 1)"),
    ],
)
def test_what_makes_images_of_a_stack_is_told(array: np.ndarray, said: str) -> None:
    """White is 1.0 where floats are shares, 255 where they are numbers of 8 bits."""
    assert wanted(array, SPEC)[1].endswith(f"  {said}")
