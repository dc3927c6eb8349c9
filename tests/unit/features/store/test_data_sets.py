"""The catalog names data sets in the order they were stored; which one was taken is told."""

from __future__ import annotations

import os
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cutpoint as cp
from cutpoint.base.errors import StoreCorrupt, StoreError, UsageError
from cutpoint.features.store import FeatureStore, describe_store, rebuild_catalog, verify_store
from cutpoint.items.reading import Dataset
from cutpoint.items.reading.arrays import read_arrays
from tests.unit.features.store.helpers import fill, images

GOLDEN = Path(__file__).parents[3] / "golden"
NAMES = ("ants", "bees", "cats")


def items(name: str, n_items: int, labels: list[str] | None = None) -> Dataset:
    return replace(read_arrays(images(n_items), labels), name=name)


def store_of(path: Path) -> FeatureStore:
    """Return a store of three data sets."""
    for number, name in enumerate(NAMES):
        fill(path, items(name, 10 + number))
    return FeatureStore(path)


def set_times(store: FeatureStore, *seconds: int) -> None:
    for path, second in zip(store.views(), seconds, strict=True):
        os.utime(path, (second, second))


def as_left_by_an_earlier_release(store: FeatureStore) -> None:
    with sqlite3.connect(store.catalog.path) as db:
        db.execute("DROP TABLE views")
    db.close()


@pytest.mark.parametrize("seconds", [(3, 2, 1), (1, 1, 1), (2, 3, 1)])
def test_the_newest_data_set_is_the_one_stored_last_whatever_the_times_of_its_file(
    tmp_path: Path, seconds: tuple[int, int, int]
) -> None:
    store = store_of(tmp_path / "here")
    set_times(store, *seconds)
    shutil.copytree(tmp_path / "here", tmp_path / "there", copy_function=shutil.copyfile)
    set_times(FeatureStore(tmp_path / "there"), *seconds)
    for where in ("here", "there"):
        copied = FeatureStore(tmp_path / where)
        assert [each.name for each in copied.data_sets()] == list(NAMES)
        assert copied.open().name == "cats"


def test_a_data_set_extracted_again_is_the_newest_and_not_there_twice(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    fill(tmp_path, items("ants", 10))
    assert [each.name for each in store.data_sets()] == ["bees", "cats", "ants"]
    assert store.open().name == "ants"


def test_a_data_set_is_opened_by_its_name_or_the_digits_of_its_view(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    assert store.open("bees").name == "bees"
    view = store.data_sets()[0].view
    assert store.open(view).name == "ants"
    fill(tmp_path, items("bees", 15))
    assert len(store.open("bees")) == 15  # the newer of two
    with pytest.raises(UsageError, match=r'No data set "dogs".*\n.*"bees".*"cats"'):
        store.open("dogs")


def test_which_data_set_was_taken_is_told_where_there_are_several(tmp_path: Path) -> None:
    fill(tmp_path, items("ants", 10))
    store = FeatureStore(tmp_path)
    assert store.told(store.data_set()) == ""
    store = store_of(tmp_path)
    taken = store.data_set()
    told = store.told(taken)
    assert told.startswith(f'Data set taken: "cats" (view {taken.view}); also stored: "bees" (view')
    assert '"ants"' in told
    assert "time" not in told


def test_python_says_which_data_set_was_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, name in enumerate(NAMES):
        n_items = 20 + number
        fill(tmp_path, items(name, n_items, [str(row % 2) for row in range(n_items)]))
    cp.choose(tmp_path)
    told = capsys.readouterr().err
    assert 'Data set taken: "cats"' in told
    assert "Take another with:  data_set='NAME'" in told
    cp.choose(tmp_path, data_set="bees")
    assert "Data set taken" not in capsys.readouterr().err
    with pytest.raises(UsageError, match='No data set "dogs"'):
        cp.choose(tmp_path, data_set="dogs")
    with pytest.raises(UsageError, match='data_set="bees" goes with the path'):
        cp.choose(FeatureStore(tmp_path).open(), data_set="bees")


def test_the_newest_data_set_that_is_gone_is_told_and_no_other_is_taken(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    store.views()[-1].unlink()
    with pytest.raises(StoreCorrupt, match=r'The view of data set "cats" .* is gone') as caught:
        store.open()
    assert '"bees"' in caught.value.would_do
    assert store.open("bees").name == "bees"
    ((name, what),) = verify_store(store).damaged
    assert (name, what) == (store.views()[-1].name, what)
    assert "is gone: extract it again" in what
    assert [view["name"] for view in describe_store(store)["views"]] == ["ants", "bees", "gone"]
    fill(tmp_path, items("cats", 12))
    assert verify_store(store).is_whole
    assert store.open().name == "cats"


def test_a_store_of_an_earlier_release_opens_by_time_of_file_and_says_so(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    views = store.views()
    as_left_by_an_earlier_release(store)
    for path, second in zip(views, (2, 3, 1), strict=True):
        os.utime(path, (second, second))
    assert store.open().name == "bees"
    assert "their order is by time of file" in store.told(store.data_set())
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    store.open("ants").X("conv3/gap")
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before  # I11
    fill(tmp_path, items("ants", 10))  # named from now on, and so the newest
    assert [each.name for each in store.data_sets()] == ["cats", "bees", "ants"]
    assert "their order is by time of file" in store.told(store.data_set())


def test_what_an_earlier_release_reads_is_as_it_was(tmp_path: Path) -> None:
    """The golden store's catalog was written by the first release: a table more, and no other."""

    def schema(path: Path) -> tuple[int, dict[str, str]]:
        with sqlite3.connect(path) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            tables = dict(db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
        db.close()
        return version, tables

    fill(tmp_path, images(10))
    version, tables = schema(tmp_path / "catalog.sqlite")
    shutil.copy(GOLDEN / "store-v1" / "catalog.sqlite", tmp_path / "golden.sqlite")
    known, expected = schema(tmp_path / "golden.sqlite")
    assert tables.pop("views")
    assert (version, tables) == (known, expected)


def test_i9_a_rebuilt_catalog_keeps_the_order_the_old_one_gives(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    set_times(store, 3, 2, 1)
    assert rebuild_catalog(store).remarks == ()
    assert [each.name for each in store.data_sets()] == list(NAMES)
    assert all(each.is_in_catalog for each in store.data_sets())


def test_i9_an_order_that_is_not_known_is_by_time_of_file_and_that_is_said(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    set_times(store, 2, 3, 1)
    store.catalog.path.write_bytes(b"not a database")
    (remark,) = rebuild_catalog(store).remarks
    assert remark.endswith("3 of 3 data sets: their order is by time of file")
    assert [each.name for each in store.data_sets()] == ["cats", "ants", "bees"]
    assert store.open().name == "bees"


def test_i9_a_view_that_is_gone_is_told_and_not_in_the_rebuilt_catalog(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    store.views()[1].unlink()
    (remark,) = rebuild_catalog(store).remarks
    assert remark.startswith('The view of data set "bees"')
    assert [each.name for each in store.data_sets()] == ["ants", "cats"]
    assert verify_store(store).is_whole


def test_names_that_are_no_valid_unicode_are_kept(tmp_path: Path) -> None:
    fill(tmp_path, items("caf\udce9", 5))
    assert FeatureStore(tmp_path).data_sets()[0].name == "caf\udce9"


@pytest.mark.parametrize("column", ["view = '../../x'", "view = x'00ff'", "name = 'no JSON'"])
def test_a_damaged_list_of_data_sets_is_a_clean_error(tmp_path: Path, column: str) -> None:
    fill(tmp_path, images(5))
    db = sqlite3.connect(tmp_path / "catalog.sqlite")
    db.execute(f"UPDATE views SET {column}")
    db.commit()
    db.close()
    with pytest.raises(StoreError, match="--rebuild"):
        FeatureStore(tmp_path).open()
    rebuild_catalog(FeatureStore(tmp_path))
    assert len(FeatureStore(tmp_path).open()) == 5


def test_a_view_whose_writer_was_killed_before_it_was_named_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, items("ants", 10))
    with monkeypatch.context() as killed:
        killed.setattr("cutpoint.features.store.catalog.Catalog.add_view", lambda *_: None)
        fill(tmp_path, items("bees", 11))
    store = FeatureStore(tmp_path)
    assert store.open().name == "ants"
    assert '"bees"' in store.told(store.data_set())
    np.testing.assert_array_equal(
        store.open("bees").X("conv3/gap")[:10], store.open().X("conv3/gap")
    )


def test_a_view_that_is_gone_is_told_with_its_data_set_and_what_forgets_it(tmp_path: Path) -> None:
    fill(tmp_path, images(8))
    store = FeatureStore(tmp_path)
    (gone,) = store.data_sets()
    store.view_path(gone.view).unlink()
    (told,) = verify_store(store).damaged
    assert told == (
        f"{gone.view}.json",
        f"The view of data set {gone} is gone: extract it again; --rebuild forgets it.",
    )
    with pytest.raises(StoreCorrupt) as caught:
        store.open()
    assert caught.value.type_next.endswith(f"cutpoint store verify --rebuild {tmp_path}")
    assert rebuild_catalog(store).is_whole
