"""Class folders; numbers in names are those of bad-inputs.md."""

from __future__ import annotations

import os
import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from cutpoint.base.errors import DataError
from cutpoint.items.reading import Dataset, read_dataset, read_items
from cutpoint.items.reading.folder import read_folder
from tests.conftest import noisy_image, write_image

Maker = Callable[..., Path]


def test_class_folders_give_sorted_keys_and_labels(colour_folder: Maker) -> None:
    dataset = read_folder(colour_folder(per_class=2))
    assert dataset.classes == ("blue", "green", "red")
    assert [item.key for item in dataset.items][:3] == [
        "blue/000.png",
        "blue/001.png",
        "green/000.png",
    ]
    assert {item.label for item in dataset.items} == {"blue", "green", "red"}
    assert {item.split for item in dataset.items} == {None}


def test_split_folders_on_top_are_read_as_splits(tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        for label in ("a", "b"):
            write_image(tmp_path / split / label / "x.png", noisy_image(0, 1))
    dataset = read_folder(tmp_path)
    assert dataset.counts() == {"train": 2, "val": 2, "test": 2}
    assert dataset.classes == ("a", "b")


def test_a_folder_of_files_alone_gives_items_without_labels(tmp_path: Path) -> None:
    write_image(tmp_path / "x.png", noisy_image(0, 1))
    assert [item.label for item in read_folder(tmp_path).items] == [None]


def test_case_17_links_are_not_followed_by_default_and_loops_end(
    colour_folder: Maker, tmp_path: Path
) -> None:
    root = colour_folder(per_class=2)
    outside = tmp_path / "outside" / "z.png"
    write_image(outside, noisy_image(0, 5))
    (root / "red" / "loop").symlink_to(root / "red", target_is_directory=True)
    (root / "red" / "link.png").symlink_to(outside)
    dataset = read_folder(root)
    assert len(dataset) == 6
    assert "2 links not followed" in dataset.warnings[0]
    assert len(read_folder(root, follow_links=True)) == 7


@pytest.mark.parametrize(
    "name", ["with space.png", "new\nline.png", "😀.png", 'it\'s "quoted".png', "x" * 240 + ".png"]
)
def test_case_18_odd_names_round_trip(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / "a" / name, noisy_image(0, 1))
    (item,) = read_folder(tmp_path).items
    assert item.key == f"a/{name}"
    assert Path(item.payload).exists()


def test_case_18_a_decomposed_name_gets_a_composed_key(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "é.png")
    write_image(tmp_path / "a" / decomposed, noisy_image(0, 1))
    (item,) = read_folder(tmp_path).items
    assert item.key == "a/" + unicodedata.normalize("NFC", "é.png")
    assert Path(item.payload).exists()


def test_case_18_two_forms_of_one_name_keep_one_and_tell_the_other(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        write_image(tmp_path / "a" / unicodedata.normalize(form, "é.png"), noisy_image(0, 1))
    dataset = read_folder(tmp_path)
    assert [item.key for item in dataset.items] == ["a/" + unicodedata.normalize("NFC", "é.png")]
    ((name, reason),) = dataset.quarantined
    assert name == "a/" + unicodedata.normalize("NFD", "é.png")
    assert "Unicode form" in reason


def test_class_names_in_two_unicode_forms_are_one_class(tmp_path: Path) -> None:
    for split, form in (("train", "NFC"), ("test", "NFD")):
        write_image(
            tmp_path / split / unicodedata.normalize(form, "é") / "x.png", noisy_image(0, 1)
        )
    assert len(read_folder(tmp_path).classes) == 1


def test_a_folder_beside_train_and_test_is_no_class_and_is_told(tmp_path: Path) -> None:
    for folder in ("train/a", "train/b", "test/a", "test/b", "annotations"):
        write_image(tmp_path / folder / "x.png", noisy_image(0, 1))
    dataset = read_folder(tmp_path)
    assert dataset.classes == ("a", "b")
    assert dataset.counts() == {"train": 2, "test": 2}
    assert dataset.warnings == ("folders beside the splits were not read: annotations",)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for folder in ("train", "bus"):
        write_image(tmp_path / folder / "x.png", noisy_image(0, 1))
    assert read_folder(tmp_path).classes == ("bus", "train")


def test_case_18_bytes_that_are_no_utf8_round_trip(tmp_path: Path) -> None:
    write_image(tmp_path / "a" / "b.png", noisy_image(0, 1))
    os.rename(tmp_path / "a" / "b.png", os.fsencode(tmp_path / "a") + b"/caf\xe9.png")
    (item,) = read_folder(tmp_path).items
    assert os.fsencode(item.key) == b"a/caf\xe9.png"
    assert Path(item.payload).read_bytes()


def test_case_19_system_files_are_ignored_and_counted(colour_folder: Maker) -> None:
    root = colour_folder(per_class=2)
    for name in ("Thumbs.db", ".DS_Store", "._x.jpg", "notes.txt"):
        (root / "red" / name).write_bytes(b"x")
    dataset = read_folder(root)
    (root / "photo.png").write_bytes(b"beside the class folders")
    dataset = read_folder(root)
    assert len(dataset) == 6
    assert dataset.n_ignored == 5
    assert dataset.warnings[0] == "1 images lie outside any class folder and were not read"
    assert dataset.warnings[1].startswith("4 files are no images by name and were ignored: ")


def test_case_17_a_link_to_itself_is_told_when_links_are_followed(colour_folder: Maker) -> None:
    root = colour_folder(per_class=2)
    (root / "red" / "loop").symlink_to(root / "red" / "loop")
    dataset = read_folder(root, follow_links=True)
    assert len(dataset) == 6
    assert dataset.n_ignored == 1 or dataset.quarantined[0][0] == "red/loop"


def labels(dataset: Dataset) -> Counter[str | None]:
    return Counter(item.label for item in dataset.items)


@pytest.mark.parametrize("to", [".", "..", "../..", "../bee", "../bee/deep", "loop", "../../x/ant"])
def test_a_link_to_another_class_or_above_takes_nothing(tmp_path: Path, to: str) -> None:
    """The first class in the alphabet once took the items of all others."""
    root = tmp_path / "x"
    for label in ("ant", "bee", "wasp"):
        for number in range(4):
            write_image(root / label / "deep" / f"{number}.png", noisy_image(0, number))
    (root / "ant" / "loop").symlink_to(to, target_is_directory=True)
    dataset = read_folder(root, follow_links=True)
    assert labels(dataset) == {"ant": 4, "bee": 4, "wasp": 4}
    assert {item.key for item in dataset.items} == {i.key for i in read_folder(root).items}
    assert any("ant/loop" in warning for warning in dataset.warnings) or dataset.quarantined


def test_a_class_that_links_to_another_or_to_the_data_gets_no_items_of_it(tmp_path: Path) -> None:
    root = tmp_path / "x"
    for label in ("bee", "wasp"):
        write_image(root / label / "0.png", noisy_image(0, 1))
    (root / "ant").symlink_to("bee", target_is_directory=True)
    (root / "cow").symlink_to(".", target_is_directory=True)
    (root / "bee" / "one.png").symlink_to("../wasp/0.png")
    dataset = read_folder(root, follow_links=True)
    assert [item.key for item in dataset.items] == ["bee/0.png", "wasp/0.png"]
    assert 'class folder "ant" is empty' in dataset.warnings
    assert any("3 linked files are read under another name" in w for w in dataset.warnings)
    assert any("links lead back" in w and "cow" in w for w in dataset.warnings)


def test_links_to_folders_elsewhere_are_followed_and_loops_there_end(tmp_path: Path) -> None:
    root, other = tmp_path / "x", tmp_path / "other"
    write_image(root / "ant" / "0.png", noisy_image(0, 1))
    write_image(root / ".annex" / "7.png", noisy_image(0, 1))
    write_image(other / "a" / "1.png", noisy_image(0, 2))
    write_image(other / "bee" / "2.png", noisy_image(0, 3))
    (other / "a" / "loop").symlink_to(other / "a", target_is_directory=True)
    (other / "a" / "back").symlink_to(root / "bee", target_is_directory=True)
    (root / "ant" / "more").symlink_to(other / "a", target_is_directory=True)
    (root / "ant" / "kept.png").symlink_to("../.annex/7.png")  # as git-annex lays files out
    (root / "bee").symlink_to(other / "bee", target_is_directory=True)
    dataset = read_folder(root, follow_links=True)
    assert {item.key: item.label for item in dataset.items} == {
        "ant/0.png": "ant", "ant/kept.png": "ant", "ant/more/1.png": "ant",
    }  # fmt: skip
    assert [key for key, _ in dataset.quarantined] == ["ant/more/back/2.png", "bee/2.png"]
    assert "linked from several classes" in dataset.quarantined[0][1]


def test_a_file_linked_twice_into_one_class_is_one_item_and_is_told(tmp_path: Path) -> None:
    root = tmp_path / "x"
    write_image(tmp_path / "z.png", noisy_image(0, 1))
    write_image(root / "b" / "0.png", noisy_image(0, 2))
    (root / "a").mkdir()
    for name in ("1.png", "2.png"):
        (root / "a" / name).symlink_to(tmp_path / "z.png")
    dataset = read_folder(root, follow_links=True)
    assert [item.key for item in dataset.items] == ["a/1.png", "b/0.png"]
    assert "such as a/2.png is a/1.png" in dataset.warnings[0]


def test_a_folder_that_can_not_be_read_is_quarantined_with_its_reason(
    colour_folder: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = colour_folder(per_class=2)
    real = os.scandir

    def refusing(path: object) -> object:
        if Path(str(path)).name == "red":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)
    dataset = read_folder(root)
    assert dataset.quarantined == (("red", "can't be read: Permission denied"),)
    assert len(dataset) == 4


def test_every_image_below_a_folder_is_predicted(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "deep/er/c.png"):
        write_image(tmp_path / ".hid" / name, noisy_image(0, 1))
    keys = [item.key for item in read_items(tmp_path / ".hid")]
    assert keys == ["a.png", "b.png", "deep/er/c.png"]
    assert [item.key for item in read_folder(tmp_path / ".hid").items] == ["deep/er/c.png"]


def test_links_below_a_folder_to_predict_are_told(tmp_path: Path) -> None:
    write_image(tmp_path / "new" / "a.png", noisy_image(0, 1))
    (tmp_path / "new" / "b.png").symlink_to(tmp_path / "new" / "a.png")
    told: list[str] = []
    assert [item.key for item in read_items(tmp_path / "new", told.append)] == ["a.png"]
    assert told == ["Warning: 1 links are not followed"]


def test_case_22_a_folder_named_like_a_photo_is_no_item(colour_folder: Maker) -> None:
    root = colour_folder(per_class=2)
    (root / "red" / "cat.jpg").mkdir()
    assert len(read_folder(root)) == 6


def test_case_23_an_empty_class_folder_warns(colour_folder: Maker) -> None:
    root = colour_folder(per_class=2)
    (root / "yellow").mkdir()
    dataset = read_folder(root)
    assert dataset.warnings == ('class folder "yellow" is empty',)
    assert "yellow" in dataset.classes


def test_case_26_names_that_differ_in_case_only_are_refused(colour_folder: Maker) -> None:
    root = colour_folder(per_class=2)
    shutil.copytree(root / "red", root / "Red")
    told = r'unseen marks only.\nThey are: "Red" \(folder Red\), "red"'
    with pytest.raises(DataError, match=told):
        read_folder(root)


def test_a_folder_without_items_is_an_error_that_says_what_would_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one sub-folder of images for each class"):
        read_dataset(tmp_path)
