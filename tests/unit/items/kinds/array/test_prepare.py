"""Arrays that are ready as they are: what is taken, what is bad and why."""

from __future__ import annotations

import io

import numpy as np
import pytest

from cutpoint.base.errors import BadItem
from cutpoint.base.spec import ArraySpec
from cutpoint.items.kinds.array import prepare_item


def saved(array: np.ndarray, allow_pickle: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=allow_pickle)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["uint8", "int16", "float16", "float64"])
def test_numbers_that_convert_without_loss_of_kind_are_taken(kind: str) -> None:
    array = np.arange(4).astype(kind)
    for payload in (array, saved(array)):
        found, notes = prepare_item(payload, ArraySpec((4,)))
        assert (found["array"].dtype, notes) == (np.float32, ())
        np.testing.assert_array_equal(found["array"], [0, 1, 2, 3])


@pytest.mark.parametrize(
    ("payload", "spec", "why"),
    [
        (np.zeros(3), ArraySpec((4,)), r"float64 \(3,\); expected float32 \(4,\)"),
        (np.zeros((4, 1)), ArraySpec((4,)), r"\(4, 1\); expected"),
        (np.zeros(4), ArraySpec((4,), "int64"), "float64 .*; expected int64"),
        (np.zeros(4, complex), ArraySpec((4,)), "complex128"),
        (np.zeros(4, int), ArraySpec((4,), "uint8"), "int64 .*; expected uint8"),
        (np.array([0, np.nan]), ArraySpec((2,)), "NaN or infinite"),
        (np.array([0, -np.inf]), ArraySpec((2,)), "NaN or infinite"),
        ([0.0, 1.0], ArraySpec((2,)), r"a list where an array \(2,\) is expected"),
        (b"no array", ArraySpec((2,)), "not an .npy file"),
        (b"", ArraySpec((2,)), "not an .npy file"),
        (saved(np.zeros(2))[:-1], ArraySpec((2,)), "not an .npy file"),
        (saved(np.array([{}]), allow_pickle=True), ArraySpec((1,)), "not an .npy file"),
    ],
)
def test_what_can_not_be_used_says_why(payload: object, spec: ArraySpec, why: str) -> None:
    with pytest.raises(BadItem, match=why):
        prepare_item(payload, spec)


def test_a_value_beyond_single_precision_is_bad() -> None:
    with pytest.raises(BadItem, match="infinite"), np.errstate(over="ignore"):
        prepare_item(np.array([1e300]), ArraySpec((1,)))


def test_token_ids_stay_whole_numbers() -> None:
    found, _ = prepare_item(np.array([2**40, -1]), ArraySpec((2,), "int64", 0))
    np.testing.assert_array_equal(found["array"], [2**40, -1])
    np.testing.assert_array_equal(found["attention_mask"], [1, 1])
