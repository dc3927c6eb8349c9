"""The data shows its kind, or what to type is said; nothing is guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cutpoint.api import default_backbone
from cutpoint.base.errors import UsageError
from cutpoint.items.kinds import kind_named
from cutpoint.items.reading import Columns, kind_of


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    return root


def table(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_folders_show_it_by_what_lies_in_them(tmp_path: Path) -> None:
    photos = touch(tmp_path / "p", "cat/1.jpg", "dog/2.PNG", "dog/.hidden.txt", "dog/Thumbs.db")
    assert kind_of(photos) == "image"
    assert kind_of(touch(tmp_path / "t", "pos/1.txt", "neg/2.TXT", "README")) == "text"
    assert kind_of(touch(tmp_path / "a", "x/1.npy", "y/2.npz")) == "array"
    many = touch(tmp_path / "m", *(f"c/{n}.jpg" for n in range(20)), "c/readme.txt")
    assert kind_of(many) == "image"


def test_where_files_are_of_several_kinds_what_to_type_is_said(tmp_path: Path) -> None:
    root = touch(tmp_path, "a/1.jpg", "a/1.txt", "b/2.jpg", "b/2.txt")
    with pytest.raises(UsageError, match="can't be told") as raised:
        kind_of(root)
    assert "packaged:efficientnet_lite0 for images" in raised.value.type_next
    assert "packaged:all_minilm_l6_v2 for texts" in raised.value.type_next


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("text,label\nhello,x\n", "text"),
        ("path,label\na.jpg,x\nb.png,y\n", "image"),
        ("path,label\na.txt,x\n", "text"),
        ("path,label\na.npy,x\n", "array"),
        ("image,label\na,x\n", "image"),
    ],
)
def test_manifests_show_it_by_their_columns(tmp_path: Path, text: str, kind: str) -> None:
    path = table(tmp_path / "m.csv", text)
    assert kind_of(path) == kind
    (tmp_path / "d").mkdir()
    table(tmp_path / "d" / "train.csv", text)
    table(tmp_path / "d" / "test.csv", text)
    assert kind_of(tmp_path / "d") == kind


def test_a_named_column_decides(tmp_path: Path) -> None:
    path = table(tmp_path / "m.csv", "photo,review,stars\na.jpg,good,5\n")
    assert kind_of(path, Columns(text="review")) == "text"
    assert kind_of(path, Columns(image="photo")) == "image"
    assert kind_of(path, Columns(path="photo")) == "image"
    with pytest.raises(UsageError, match="Which column") as raised:
        kind_of(path)
    assert raised.value.got == "Its columns are: photo, review, stars."
    assert "text='photo'" in raised.value.type_next
    both = table(tmp_path / "n.csv", "path,text\na.jpg,good\n")
    with pytest.raises(UsageError, match="can't be told"):
        kind_of(both)


def test_items_in_memory_show_it_by_the_first(tmp_path: Path) -> None:
    assert kind_of(["what a film", "so dull"]) == "text"
    assert kind_of([("what a film", "pos")]) == "text"
    assert kind_of((["what a film", "so dull"], ["pos", "neg"])) == "text"
    assert kind_of(["a.jpg", "b.png"]) == "image"
    assert kind_of([Path("a.txt")]) == "text"
    assert kind_of([{"text": "what a film", "label": 1}]) == "text"
    assert kind_of(np.zeros((2, 8, 8, 3), "uint8")) == "image"
    with pytest.raises(UsageError, match="There is no"):
        kind_of(tmp_path / "absent")


def test_a_kind_without_a_backbone_asks_for_one(tmp_path: Path) -> None:
    root = touch(tmp_path, "x/1.npy")
    with pytest.raises(UsageError, match="Items of kind array have no backbone"):
        default_backbone(root)
    for kind in ("image", "text"):
        assert kind_named(kind).DEFAULTS.backbone
