"""Rows are found by their place, and no more is touched than was asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cutpoint as cp
from cutpoint.base.errors import StoreCorrupt, StoreError, UsageError
from cutpoint.features.store import Features, FeatureStore, catalog
from cutpoint.features.store.checked import CheckedShard
from cutpoint.testing import FakeBackbone
from tests.unit.features.store.helpers import fill, images

N_ITEMS = 300


class Watched(list[Any]):
    """A list that counts how many of its elements are looked at."""

    n_touched = 0

    def __iter__(self) -> Any:
        for element in super().__iter__():
            self.n_touched += 1
            yield element

    def __getitem__(self, place: Any) -> Any:
        self.n_touched += 1
        return super().__getitem__(place)


def watched(features: Features) -> tuple[Features, Watched]:
    items = Watched(features.fields["items"])
    return replace(features, fields={**features.fields, "items": items}), items


def test_a_row_costs_what_it_takes_however_many_items_there_are(tmp_path: Path) -> None:
    features, items = watched(fill(tmp_path, images(N_ITEMS)).features)
    whole = features.X("conv3/gap")
    items.n_touched = 0
    for row in (0, 17, N_ITEMS - 1):
        np.testing.assert_array_equal(features.X("conv3/gap", np.array([row])), whole[[row]])
    assert items.n_touched == 0


def test_chunks_read_each_row_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features, items = watched(fill(tmp_path, images(N_ITEMS)).features)
    whole = features.X("conv3/gap")
    items.n_touched, n_rows = 0, []
    real = CheckedShard.rows

    def counted(self: CheckedShard, tap: str, wanted: np.ndarray) -> np.ndarray:
        n_rows.append(len(wanted))
        return real(self, tap, wanted)

    monkeypatch.setattr(CheckedShard, "rows", counted)
    np.testing.assert_array_equal(
        np.concatenate(list(features.chunks("conv3/gap", None, 7))), whole
    )
    assert (sum(n_rows), items.n_touched) == (N_ITEMS, 0)


def test_rows_are_given_in_any_order_and_by_mask(tmp_path: Path) -> None:
    features = fill(tmp_path, images(N_ITEMS)).features
    whole = features.X("conv3/gap")
    random = np.random.default_rng(0)
    mask = random.random(N_ITEMS) < 0.3
    for rows in (random.permutation(N_ITEMS), random.integers(-N_ITEMS, N_ITEMS, 50), mask, [3, 3]):
        np.testing.assert_array_equal(features.X("conv3/gap", rows), whole[rows])
        parts = list(features.chunks("conv3/gap", rows, 16))
        np.testing.assert_array_equal(np.concatenate(parts), whole[rows])


def test_columns_are_made_once_and_are_not_written_to(tmp_path: Path) -> None:
    features = fill(tmp_path, images(5)).features
    assert features.labels is features.labels
    with pytest.raises(ValueError, match="read-only"):
        features.labels[0] = "cat"


def test_a_row_that_the_catalog_lacks_is_told(tmp_path: Path) -> None:
    features = fill(tmp_path, images(60)).features
    items = [list(item) for item in features.fields["items"]]
    items[7][1] = "0" * 64
    with_another = FeatureStore(tmp_path).features_of({**features.fields, "items": items})
    assert with_another.X("conv3/gap", np.arange(7)).shape == (7, 16)
    with pytest.raises(StoreError, match="has no row for its payload, 0000000000000000"):
        with_another.X("conv3/gap")


def test_items_put_in_the_place_of_others_are_told(tmp_path: Path) -> None:
    features = fill(tmp_path, images(60)).features
    items = features.fields["items"][::-1]
    with pytest.raises(StoreCorrupt, match="not what the catalog says"):
        replace(features, fields={**features.fields, "items": items}).X("conv3/gap")


@pytest.mark.parametrize("scan_from", [0, 10**9])
def test_places_are_found_one_by_one_and_in_one_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scan_from: int
) -> None:
    monkeypatch.setattr(catalog, "_SCAN_FROM", scan_from)
    monkeypatch.setattr(catalog, "_AT_ONCE", 7)
    done = fill(tmp_path, images(N_ITEMS)).features
    store, spec_id = FeatureStore(tmp_path), done.spec.fingerprint()
    places = store.places(spec_id)
    digests = [*list(places)[::3], "00" * 32, "ff" * 32, next(iter(places))]
    asked = np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(-1, 32)
    found = store.catalog.find(spec_id, asked)
    for digest, shard, row in zip(digests, found.shard, found.row, strict=True):
        if digest in places:
            assert (found.names[shard], row) == (places[digest].shard, places[digest].row)
        else:
            assert shard == -1
    assert len(store.catalog.find(spec_id, asked[:0]).shard) == 0


def test_digests_that_end_in_zeros_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NumPy cuts zeros off the end of byte strings."""
    from cutpoint.features.store.shard import Receipt

    store = FeatureStore(tmp_path)
    digests = tuple(
        bytes([*start, *[0] * (32 - len(start))]).hex() for start in ((), (1,), (1, 0, 2), (2,))
    )
    name = f"{'0' * 32}.safetensors"
    store.catalog.commit(Receipt("0" * 16, name, "0" * 64, 1, digests, "native"))
    asked = np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(-1, 32)
    for scan_from in (0, 5):
        monkeypatch.setattr(catalog, "_SCAN_FROM", scan_from)
        found = store.catalog.find("0" * 16, asked[::-1])
        assert found.row.tolist() == [3, 2, 1, 0]
        assert found.shard.tolist() == [0] * 4


@pytest.mark.parametrize("text", ["row = 'three'", "row = 1e300", "digest = 'text'"])
def test_a_catalog_with_text_for_numbers_is_a_clean_error(tmp_path: Path, text: str) -> None:
    import sqlite3

    fill(tmp_path, images(20))
    db = sqlite3.connect(tmp_path / "catalog.sqlite")
    db.execute(f"UPDATE rows SET {text} WHERE row = 3")
    db.commit()
    db.close()
    with pytest.raises(StoreError):
        FeatureStore(tmp_path).open().X("conv3/gap")


def test_an_unknown_split_is_refused_and_no_rows_have_the_width_of_rows(tmp_path: Path) -> None:
    features = cp.extract(images(4), FakeBackbone(), -1, "gap", tmp_path / "s", quiet=True)
    (tap,) = features.taps
    assert not len(features.rows_of("val"))
    with pytest.raises(UsageError, match='no split "tran"'):
        features.rows_of("tran")
    none = features.X(tap, [])
    assert (none.shape, none.dtype) == ((0, features.X(tap).shape[1]), np.float32)


def test_features_are_shown_in_one_short_line(tmp_path: Path) -> None:
    features = fill(tmp_path, images(1)).features
    shown = repr(features)
    assert len(shown) < 200
    assert "1 item, " in shown
    assert features.spec.fingerprint()[:12] in shown
