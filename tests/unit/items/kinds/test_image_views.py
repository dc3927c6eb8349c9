"""Other views of a photo, for training."""

from __future__ import annotations

import numpy as np
import pytest

from cutpoint.base.errors import UsageError
from cutpoint.base.spec import ArraySpec, PreprocessSpec, preprocess_from_json
from cutpoint.items.kinds import prepare_item, viewed
from tests.conftest import encoded, noisy_image

SPEC = PreprocessSpec(18, 16, "bilinear", (128.0,) * 3, (64.0,) * 3)


def shown(payload: bytes, number: int, seed: int = 0) -> np.ndarray:
    return prepare_item(payload, viewed(SPEC, number, seed))[0]["image"]


def test_view_0_is_the_spec_itself_and_keeps_its_id() -> None:
    assert viewed(SPEC, 0, 7) is SPEC
    assert not {"view", "view_seed"} & SPEC.to_json().keys()


def test_each_view_has_an_id_of_its_own_and_reads_back() -> None:
    several = [viewed(SPEC, number, seed) for number in (1, 2, 3) for seed in (0, 1)]
    assert len(set(several)) == 5  # the mirror image needs no seed
    for each in several:
        each.check()
        assert preprocess_from_json(each.to_json()) == each


def test_view_1_is_the_mirror_image() -> None:
    payload = encoded(noisy_image(0, 0, 40), "PNG")
    np.testing.assert_array_equal(shown(payload, 1), shown(payload, 0)[:, ::-1])


def test_crops_are_the_photo_s_own_and_the_same_each_time() -> None:
    first, other = (encoded(noisy_image(0, seed, 40), "PNG") for seed in (0, 1))
    once = shown(first, 2)
    assert once.shape == (16, 16, 3)
    assert once.dtype == np.uint8
    shown(other, 2)
    np.testing.assert_array_equal(shown(first, 2), once)
    assert (shown(first, 3) != once).any()
    assert (shown(first, 2, seed=1) != once).any()


def test_a_crop_keeps_half_of_the_photo_or_more() -> None:
    """A ramp from left to right and top to bottom: what is seen says where it was cut."""
    ramp = np.zeros((90, 120, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(120) * 2, np.arange(90)[:, None] * 2
    for number in range(2, 30):
        seen = shown(encoded(ramp, "PNG"), number).astype(float)
        across = np.ptp(seen[8, :, 0]) / 2 * 16 / 15
        down = np.ptp(seen[:, 8, 1]) / 2 * 16 / 15
        assert 0.43 <= across * down / (90 * 120) <= 1.02, number


def test_arrays_have_one_view() -> None:
    spec = ArraySpec((4,))
    assert viewed(spec, 0, 0) is spec
    with pytest.raises(UsageError, match="Items of kind array have 1 view"):
        viewed(spec, 1, 0)
