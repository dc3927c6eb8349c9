from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cutpoint.base.errors import BadItem
from cutpoint.items.reading import Item, digest_payload, read_payload


def test_a_missing_file_and_a_folder_are_bad_items(tmp_path: Path) -> None:
    with pytest.raises(BadItem, match="file not found"):
        read_payload(Item("x", tmp_path / "x.png"))
    with pytest.raises(BadItem, match="IsADirectoryError"):
        read_payload(Item("x", tmp_path))


def test_digests_tell_arrays_of_other_shape_or_type_apart() -> None:
    flat = np.zeros(12, np.uint8)
    shapes = [flat, flat.reshape(3, 4), flat.reshape(4, 3), flat.astype(np.int8)]
    assert len({digest_payload(array) for array in shapes}) == 4


def test_the_digest_of_a_file_is_the_sha256_of_its_bytes() -> None:
    # sha256 of "abc": FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest_payload(b"abc") == expected


def test_a_pipe_or_a_device_is_a_bad_item() -> None:
    with pytest.raises(BadItem, match="no file"):
        read_payload(Item("a", Path("/dev/zero")))
