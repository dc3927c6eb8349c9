"""Real loaders of torch and TensorFlow; rows of mappings as those of Hugging Face."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas
import pytest
from PIL import Image

import cutpoint as cp
from cutpoint.base.errors import CutpointError, DataError, ModalityError, ShapeError
from cutpoint.items.reading import Dataset, read_dataset, read_items
from cutpoint.testing import FakeBackbone

N = 7
IMAGES = np.random.default_rng(0).integers(0, 255, (N, 20, 20, 3)).astype(np.uint8)
NAMES = ["cat", "dog", "cat", "dog", "cat", "dog", "bird"]


class Places:
    """A map-style data set: places and a length, no end of its own."""

    def __len__(self) -> int:
        return N

    def __getitem__(self, place: int) -> tuple[np.ndarray, str]:
        return IMAGES[place % N], NAMES[place % N]


def same(found: Dataset, labels: list[Any] | None = NAMES) -> None:
    assert [item.key for item in found.items] == [f"item-{n:06d}" for n in range(N)]
    for item, image in zip(found.items, IMAGES, strict=True):
        np.testing.assert_array_equal(np.asarray(item.payload), image)
    assert [item.label for item in found.items] == (labels or [None] * N)


def test_pairs_columns_generators_and_places() -> None:
    same(read_dataset((IMAGES, NAMES)))
    same(read_dataset((list(IMAGES), np.array(NAMES))))
    same(read_dataset(list(zip(IMAGES, NAMES, strict=True))))
    same(read_dataset(zip(IMAGES, NAMES, strict=True)))
    same(read_dataset(image for image in IMAGES), None)
    same(read_dataset(Places()))
    same(read_dataset((Image.fromarray(i), n) for i, n in zip(IMAGES, NAMES, strict=True)))


def test_two_images_are_no_columns_and_two_paths_no_pair() -> None:
    assert [i.label for i in read_dataset((IMAGES[0], IMAGES[1])).items] == [None, None]
    assert [item.key for item in read_dataset(("a.jpg", "b.jpg")).items] == ["a.jpg", "b.jpg"]
    assert len(read_dataset(tuple(Image.fromarray(image) for image in IMAGES[:2]))) == 2


def test_a_stream_is_read_once_and_to_its_end() -> None:
    seen = []

    def stream() -> Iterator[tuple[np.ndarray, str]]:
        for image, name in zip(IMAGES, NAMES, strict=True):
            seen.append(name)
            yield image, name

    same(read_dataset(stream()))
    assert seen == NAMES


@pytest.mark.parametrize("batch_size", [None, 1, 2, 3, 7])
def test_torch_loaders_batched_or_not(batch_size: int | None) -> None:
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    images, numbers = torch.tensor(IMAGES), torch.arange(N) % 2
    expected = [str(n % 2) for n in range(N)]
    found = read_dataset(DataLoader(TensorDataset(images, numbers), batch_size))
    same(found, expected)
    assert found.label_type == "int"
    same(read_dataset(TensorDataset(images, numbers)), expected)
    same(read_dataset(DataLoader(Places(), batch_size)))  # text becomes tuples there
    same(read_dataset(DataLoader(TensorDataset(images), batch_size)), None)
    same(read_dataset(DataLoader(images, batch_size)), None)


def test_a_list_of_items_that_a_loader_makes_itself_is_a_batch() -> None:
    from torch.utils.data import DataLoader

    photos = [Image.fromarray(image) for image in IMAGES]
    same(read_dataset(DataLoader(photos, 2, collate_fn=list)), None)
    same(read_dataset(DataLoader(photos, 3, collate_fn=list)), None)


def test_a_loader_that_shuffles_or_drops_says_so() -> None:
    from torch.utils.data import DataLoader

    found = read_dataset(DataLoader(Places(), 2, shuffle=True, drop_last=True))
    assert len(found) == 6
    assert [w.split(":")[0] for w in found.warnings] == [
        "the loader shuffles, and keys are positions",
        "the loader leaves out its last items",
    ]


@pytest.mark.parametrize("batch_size", [None, 1, 2, 3])
def test_tf_data_batched_or_not(batch_size: int | None) -> None:
    import tensorflow as tf

    def made(data: Any) -> Any:
        found = tf.data.Dataset.from_tensor_slices(data)
        return found if batch_size is None else found.batch(batch_size).prefetch(1)

    same(read_dataset(made((IMAGES, NAMES))))
    same(read_dataset(made({"image": IMAGES, "label": NAMES})))
    same(read_dataset(made(IMAGES)), None)
    with pytest.raises(DataError, match="never ends"):
        read_dataset(made(IMAGES).repeat())


def test_rows_of_mappings_as_hugging_face_gives_them() -> None:
    photos = [Image.fromarray(image) for image in IMAGES]
    rows = [{"image": p, "label": n, "id": 1} for p, n in zip(photos, NAMES, strict=True)]
    found = read_dataset(rows)
    same(found)
    assert found.warnings == ("columns not read: id",)
    buffer = io.BytesIO()
    photos[0].save(buffer, "PNG")
    raw = [{"image": {"bytes": buffer.getvalue(), "path": None}, "label": "cat"}]
    assert read_dataset(raw).items[0].payload == buffer.getvalue()
    with pytest.raises(ModalityError, match="its columns are: photo, kind"):
        read_dataset([{"photo": photos[0], "kind": "cat"}])


def test_several_labels_and_missing_ones_come_as_they_are() -> None:
    found = read_dataset(
        zip(IMAGES, [["a", "b"], [], None, ["a"], ["b"], ["a"], ["b"]], strict=True)
    )
    assert [i.label for i in found.items][:3] == ["a;b", ";", None]
    assert found.target == "labels"


def test_labels_given_beside_go_before_those_in_the_data() -> None:
    assert {i.label for i in read_dataset(Places(), labels=["x"] * N).items} == {"x"}


def test_to_predict_labels_play_no_part() -> None:
    from torch.utils.data import DataLoader

    for data in (DataLoader(Places(), 3), Places(), zip(IMAGES, NAMES, strict=True)):
        assert [item.label for item in read_items(data)] == [None] * N


def test_what_is_neither_item_nor_pair_is_refused() -> None:
    with pytest.raises(ModalityError, match="tuple of 3"):
        read_dataset([(IMAGES[0], "cat", 1)])
    with pytest.raises(DataError, match="1 of 2 items came with a label"):
        read_dataset([(IMAGES[0], "cat"), IMAGES[1]])
    with pytest.raises(CutpointError):
        read_dataset([(IMAGES[0], IMAGES[1])])


def test_floats_of_to_tensor_are_refused_with_what_makes_photos_of_them() -> None:
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    floats = torch.tensor(IMAGES).permute(0, 3, 1, 2) / 255
    loader = DataLoader(TensorDataset(floats, torch.arange(N) % 2), 3)
    with pytest.raises(ShapeError, match=r"transpose\(0, 2, 3, 1\)\)\.round\(\)") as refused:
        cp.extract(loader, FakeBackbone(), quiet=True)
    images = floats.numpy()
    made = eval(str(refused.value).rpartition("example:")[2], {"images": images})
    np.testing.assert_array_equal(made, IMAGES)  # what it says to type is exact


def test_labels_that_are_fewer_than_the_items_are_counted() -> None:
    with pytest.raises(DataError, match="X has 6 items and y 5 labels"):
        read_dataset((np.zeros((6, 8, 8, 3), np.uint8), np.zeros(5, int)))


def test_nothing_at_all_is_no_folder_to_look_into() -> None:
    with pytest.raises(DataError, match=r"(?s)It is empty.*len\(list\(data\)\)"):
        read_dataset(iter([]))


def test_two_lists_of_two_are_what_only_one_reading_makes_sense_of() -> None:
    pairs = read_dataset((["a.jpg", "cat"], ["b.jpg", "dog"]))
    assert [(str(i.payload), i.label) for i in pairs.items] == [("a.jpg", "cat"), ("b.jpg", "dog")]
    columns = read_dataset((["a.jpg", "b.jpg"], ["cat", "dog"]))
    assert [(i.key, i.label) for i in columns.items] == [(i.key, i.label) for i in pairs.items]
    with pytest.raises(ModalityError, match="may be X and y, or two items with their labels"):
        read_dataset((["what a film", "pos"], ["so dull", "neg"]), kind="text")
    assert len(read_dataset([["what a film", "pos"], ["so dull", "neg"]], kind="text")) == 2


def test_two_texts_are_a_pair_where_labels_are_elsewhere_or_nobody_asks() -> None:
    rows = [("why?", "so"), ("who?", "me")]
    (first, _) = read_dataset(rows, kind="text").items
    assert (first.payload, first.label) == ("why?", "so")
    (first, _) = read_dataset(rows, labels=["x", "y"], kind="text").items
    assert (first.payload, first.label) == (("why?", "so"), "x")
    assert [item.payload for item in read_items(rows, kind="text")] == rows


def test_tables_in_the_place_of_labels_or_items_are_named_with_their_shape() -> None:
    X, y = np.zeros((6, 4), np.float32), np.arange(6) % 2
    for labels in (y[:, None], np.eye(2)[y], X[:, :2]):
        with pytest.raises(ShapeError, match=r"y is a table of shape \(6, [12]\)") as caught:
            read_dataset((X, labels), kind="array")
        assert "y.ravel()" in caught.value.type_next
    with pytest.raises(ShapeError, match="X is a DataFrame of shape"):
        read_dataset((pandas.DataFrame(X), pandas.Series(y)), kind="array")
    assert len(read_dataset((X, X + 1), kind="array")) == 2  # two items of one shape
