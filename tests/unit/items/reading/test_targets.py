from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cutpoint.base.errors import DataError, UsageError
from cutpoint.base.tongue import in_shell
from cutpoint.items.reading import names_in, read_dataset, settle_kind, tell_kind
from cutpoint.items.reading.targets import strata, values_of
from tests.unit.items.reading.test_splits import dataset_of


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (["cat", "dog", "cat"], "classes"),
        (["cat;dog", "dog", ";"], "labels"),
        (["cat", "dog", "cat;dog", "dog", "cat"], "labels"),  # few, but their parts recur
        (["a;b", "c", "c", "d"], "classes"),  # a name with a semicolon
        ([1.5, 2.0, 3.0], "values"),
        (["0.5", "1", "1", "0.5"], "values"),
        ([1, 2, 3] * 10, "classes"),
        ([1.0, 2.0] * 10, "classes"),
        (list(range(100)), "values"),
        (list(range(100)) * 5, "classes"),  # as many classes, of five items each
        (list(range(20)), "classes"),
        ([True, False], "classes"),
        (["nan", "inf"], "classes"),  # names, no numbers
        ([None, 0.5, None, 1.5], "values"),
    ],
)
def test_what_labels_are_is_told_from_the_labels(labels: list[object], kind: str) -> None:
    assert tell_kind(labels).name == kind


def test_what_is_said_goes_before_the_layout_and_the_layout_before_the_labels() -> None:
    assert tell_kind([0.5, 1.5], "classes").name == "classes"
    assert tell_kind([0.5, 1.5], layout="classes").name == "classes"
    assert tell_kind(["a"], "labels", layout="classes").name == "labels"
    with pytest.raises(UsageError, match="kind"):
        tell_kind(["a"], "regression")


def test_what_was_taken_is_told_with_what_to_type_for_another() -> None:
    told = tell_kind([0.5, 1.5]).told
    assert told == (
        "Target taken: values, as they are numbers, and 0.5 has a fraction. "
        "For another type kind='classes' or kind='labels'."
    )
    with in_shell():
        assert "--kind classes or --kind labels" in tell_kind([0.5, 1.5]).told
    assert tell_kind(["cat", "dog"]).told == ""  # nothing else could be meant
    assert tell_kind([0.5, 1.5], "values").told == ""


def test_class_folders_are_classes_whatever_they_are_called(tmp_path: Path) -> None:
    for name in ("0.5", "1.5"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(b"x")
    assert settle_kind(read_dataset(tmp_path), "auto", print) == "classes"


def test_sequences_are_labels_even_of_one_each() -> None:
    dataset = read_dataset([b"0", b"1", b"2"], labels=[["cat"], ["dog"], []])
    assert [item.label for item in dataset.items] == ["cat", "dog", ";"]
    assert settle_kind(dataset, "auto", print) == "labels"
    with pytest.raises(DataError, match="has"):
        read_dataset([b"0", b"1"], labels=[["a;b"], ["c"]])


def test_lists_in_json_lines_are_labels(tmp_path: Path) -> None:
    file = tmp_path / "m.jsonl"
    file.write_text('{"path": "a.png", "label": ["dog", "cat"]}\n{"path": "b.png", "label": []}\n')
    dataset = read_dataset(file)
    assert [item.label for item in dataset.items] == ["cat;dog", ";"]
    assert dataset.target == "labels"


def test_training_items_alone_say_what_labels_are() -> None:
    splits = ["train"] * 4 + ["test"]
    dataset = read_dataset([b"%d" % n for n in range(5)], labels=[1, 2, 1, 2, 3], splits=splits)
    assert settle_kind(dataset, "auto", lambda line: None) == "classes"
    odd = read_dataset(
        [b"%d" % n for n in range(5)], labels=["1", "2", "1", "2", "x"], splits=splits
    )
    assert settle_kind(odd, "auto", lambda line: None) == "classes"


def test_names_that_are_nearly_one_are_refused_wherever_they_stand() -> None:
    with pytest.raises(DataError, match='"Cat"'):
        settle_kind(dataset_of("Cat;dog", "cat;bird", "dog"), "labels", print)


def test_several_labels_are_a_set() -> None:
    assert names_in(" dog; cat;dog ") == {"cat", "dog"}
    assert names_in(";") == frozenset()


def test_bins_of_values_are_even_and_few_items_make_one() -> None:
    random = np.random.default_rng(0)
    names = strata(dataset_of(*map(str, random.lognormal(size=200))), "values")
    assert sorted(np.unique(names, return_counts=True)[1]) == [25] * 8
    assert set(strata(dataset_of(*map(str, range(49))), "values")) == {"0"}


def test_names_with_a_semicolon_that_stay_classes_are_spoken_of() -> None:
    said = tell_kind(["a;b", "c", "c", "d"]).told
    assert '";" is read as part of 1 of 4 names' in said
    assert "kind='labels'" in said


def test_spellings_are_counted_where_they_are_the_classes() -> None:
    assert tell_kind(["1", "01"]).why == "2 spellings of whole numbers on 2 items"


@pytest.mark.parametrize("size", [1e300, 1e-300])
def test_values_whose_square_is_no_number_are_refused(size: float) -> None:
    with pytest.raises(DataError, match="its square is no number"):
        values_of("d", [size, 2 * size, 0])
