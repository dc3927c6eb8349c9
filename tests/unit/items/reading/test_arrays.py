from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
import pytest
from PIL import Image

from cutpoint.base.errors import DataError, ModalityError, ShapeError
from cutpoint.items.reading import read_dataset, read_items
from cutpoint.items.reading.arrays import read_arrays


def test_paths_bytes_arrays_and_pil_images_are_items_in_the_order_given() -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    dataset = read_arrays(["b/x.png", b"data", pixels, Image.fromarray(pixels)], [1, 0, 1, 0])
    assert [item.key for item in dataset.items] == [
        "b/x.png",
        "item-000001",
        "item-000002",
        "item-000003",
    ]
    assert dataset.classes == ("0", "1")
    assert dataset.items[0].payload == Path("b/x.png")


def test_a_stack_of_images_is_one_item_a_row() -> None:
    assert len(read_arrays(np.zeros((5, 4, 4, 3), np.uint8))) == 5


def test_columns_of_another_length_are_refused() -> None:
    with pytest.raises(ShapeError, match="There are 1 labels"):
        read_arrays([b"a", b"b"], labels=["x"])


def test_columns_go_by_position_whatever_their_index() -> None:
    labels = pandas.Series(["a", "b", "c"], index=[2, 0, 1])
    items = read_arrays([b"0", b"1", b"2"], labels, groups=labels).items
    assert [item.label for item in items] == ["a", "b", "c"]
    assert [item.group for item in items] == ["a", "b", "c"]


def test_none_and_nan_mean_that_there_is_no_label_and_no_group() -> None:
    items = read_arrays([b"0", b"1"], [None, "a"], groups=[float("nan"), "p"]).items
    assert [(item.label, item.group) for item in items] == [(None, None), ("a", "p")]


def test_one_colour_image_is_no_stack_of_grey_ones() -> None:
    with pytest.raises(ShapeError, match=r"image\[None\]"):
        read_arrays(np.zeros((224, 224, 3), np.uint8))
    with pytest.raises(ShapeError):
        read_items(np.zeros((224, 224, 3), np.uint8))
    assert len(read_items(b"one file")) == 1
    assert len(read_items(Image.new("RGB", (4, 4)))) == 1


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(DataError, match=r'"a\.png" is there more than once'):
        read_arrays(["a.png", "a.png"])


def test_numbers_are_no_images() -> None:
    with pytest.raises(ModalityError, match="is a float"):
        read_arrays([1.5])


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(DataError, match="holdout"):
        read_arrays([b"a"], splits=["holdout"])


def test_an_archive_without_items_says_what_it_holds(tmp_path: Path) -> None:
    for arrays in ({"A": np.zeros(2)}, {"y": np.zeros(2)}):
        np.savez(tmp_path / "d.npz", **arrays)
        with pytest.raises(DataError, match=f"it holds {next(iter(arrays))}"):
            read_dataset(tmp_path / "d.npz", kind="array")
