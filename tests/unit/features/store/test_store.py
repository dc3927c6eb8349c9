"""The store's promises I2, I4, I5, I6, I8, I9, I11, I12 (I1 is in test_kill.py)."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from cutpoint.base.errors import StoreCorrupt, StoreError, UsageError
from cutpoint.features.extraction.plan import MIN_UNITS, UNIT_SIZE
from cutpoint.features.store import FeatureStore, describe_store, rebuild_catalog, verify_store
from cutpoint.features.store.checked import CheckedShard
from cutpoint.testing import FakeBackbone
from tests.unit.features.store.helpers import CountingBackbone, fill, images, same

N_ITEMS = 2 * UNIT_SIZE + 50


def snapshot(path: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(file.relative_to(path)): (
            file.stat().st_mtime_ns,
            file.stat().st_mode,
            file.read_bytes(),
        )
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def test_features_are_those_of_the_cut_in_the_order_of_the_items(tmp_path: Path) -> None:
    backbone, batch = FakeBackbone(), images(N_ITEMS)
    features = fill(tmp_path, batch).features
    expected = backbone.cut("conv2", "conv3", pool=["gap", "gmp"])(batch)
    assert features.taps == tuple(expected)
    for tap, rows in expected.items():
        np.testing.assert_allclose(features.X(tap), rows, rtol=1e-5, atol=1e-6)


def test_i2_a_second_run_calls_the_network_no_time(tmp_path: Path) -> None:
    first, second = CountingBackbone(), CountingBackbone()
    one = fill(tmp_path, images(N_ITEMS), first)
    two = fill(tmp_path, images(N_ITEMS), second)
    assert one.n_forward == N_ITEMS
    assert first.n_forward == N_ITEMS + 2 * one.n_calibration  # warm-up and timing
    assert (second.n_forward, two.n_forward, two.n_calibration) == (0, 0, 0)
    same(one.features, two.features)


def test_i2_ten_new_items_are_ten_forwards(tmp_path: Path) -> None:
    fill(tmp_path, images(100))
    counting = CountingBackbone()
    more = fill(tmp_path, np.concatenate([images(100), images(10, seed=1)]), counting)
    assert (counting.n_forward, more.n_forward) == (10, 10)


def test_items_of_equal_bytes_are_computed_once(tmp_path: Path) -> None:
    counting = CountingBackbone()
    done = fill(tmp_path, np.concatenate([images(20), images(20)]), counting)
    assert done.n_forward == 20
    features = done.features
    np.testing.assert_array_equal(features.X("conv3/gap")[:20], features.X("conv3/gap")[20:])


def test_i5_workers_do_not_change_a_bit(tmp_path: Path) -> None:
    one = fill(tmp_path / "one", images(N_ITEMS), n_workers=1)
    ten = fill(tmp_path / "ten", images(N_ITEMS), n_workers=10)
    same(one.features, ten.features)


def test_i5_rows_keys_and_labels_belong_together(tmp_path: Path) -> None:
    from cutpoint.items.reading.arrays import read_arrays

    batch = images(60)
    labels = [f"label-{row}" for row in range(60)]
    keys = [f"key-{row}" for row in range(60)]
    order = np.random.default_rng(0).permutation(60)
    straight = fill(tmp_path / "a", read_arrays(batch, labels, keys=keys)).features
    mixed = read_arrays(batch[order], [labels[p] for p in order], keys=[keys[p] for p in order])
    turned = fill(tmp_path / "b", mixed).features
    place = {key: row for row, key in enumerate(turned.keys)}
    for row, key in enumerate(straight.keys):
        assert turned.labels[place[key]] == straight.labels[row]
        np.testing.assert_array_equal(
            turned.X("conv3/gap")[place[key]], straight.X("conv3/gap")[row]
        )


def test_i4_each_of_120_flipped_bits_is_found_and_only_that_unit_is_computed_again(
    tmp_path: Path,
) -> None:
    reference = fill(tmp_path, images(N_ITEMS)).features
    store = FeatureStore(tmp_path)
    spec_id = reference.spec.fingerprint()
    random = np.random.default_rng(0)
    shards = store.catalog.shards(spec_id)
    for _ in range(120):
        row = shards[random.integers(len(shards))]
        path = store.shard_path(spec_id, row.name)
        whole = path.read_bytes()
        place, bit = int(random.integers(len(whole))), int(random.integers(8))
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged)
        assert [name for name, _ in verify_store(store).damaged] == [f"{spec_id}/{row.name}"]
        with pytest.raises(StoreCorrupt, match="not what was written"):
            store.open().X("conv3/gap")
        path.write_bytes(whole)
    path.write_bytes(damaged)
    counting = CountingBackbone()
    again = fill(tmp_path, images(N_ITEMS), counting)
    assert counting.n_forward == row.n_rows
    same(again.features, reference)
    assert verify_store(store).is_whole


@pytest.mark.parametrize("damage", ["truncate", "remove", "empty", "extend"])
def test_i4_other_damage_is_found_and_mended(tmp_path: Path, damage: str) -> None:
    reference = fill(tmp_path, images(N_ITEMS)).features
    store = FeatureStore(tmp_path)
    row = store.catalog.shards()[0]
    path = store.shard_path(row.spec_id, row.name)
    data = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes({"truncate": data[:-7], "empty": b"", "extend": data + b"x"}[damage])
    assert not verify_store(store).is_whole
    again = fill(tmp_path, images(N_ITEMS))
    assert again.n_forward == row.n_rows
    same(again.features, reference)


WRITER = """
import sys
from pathlib import Path
from tests.unit.features.store.helpers import CountingBackbone, fill, images
backbone = CountingBackbone()
done = fill(Path(sys.argv[1]), images({n_items}), backbone)
print(done.n_forward)
"""


def test_i6_two_writers_lose_nothing_and_duplicate_nothing(tmp_path: Path) -> None:
    code = WRITER.format(n_items=6 * UNIT_SIZE)
    command = [sys.executable, "-c", code, str(tmp_path / "both")]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    counts = [int(writer.communicate(timeout=120)[0]) for writer in writers]
    assert all(writer.returncode == 0 for writer in writers)
    assert sum(counts) == 6 * UNIT_SIZE
    store = FeatureStore(tmp_path / "both")
    report = verify_store(store)
    assert report.is_whole
    assert (report.n_rows, report.n_shards, report.orphans) == (6 * UNIT_SIZE, MIN_UNITS, ())
    alone = fill(tmp_path / "alone", images(6 * UNIT_SIZE)).features
    same(store.open(), alone)


def test_i6_writers_of_different_specs_share_a_store(tmp_path: Path) -> None:
    code = WRITER.replace("CountingBackbone()", "CountingBackbone(int(sys.argv[2]))")
    commands = [
        [sys.executable, "-c", code.format(n_items=N_ITEMS), str(tmp_path), str(seed)]
        for seed in (0, 1)
    ]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    counts = [int(writer.communicate(timeout=120)[0]) for writer in writers]
    assert counts == [N_ITEMS, N_ITEMS]
    assert verify_store(FeatureStore(tmp_path)).n_rows == 2 * N_ITEMS


def test_i6_the_place_is_given_back_when_the_work_fails_though_its_error_is_kept(
    tmp_path: Path,
) -> None:
    """A notebook keeps the last error, and with it all that was on its way."""
    store = FeatureStore(tmp_path)
    first = store.lock("spec", lambda: None)
    with pytest.raises(KeyError) as kept, first:
        raise KeyError
    waited: list[None] = []
    with store.lock("spec", lambda: waited.append(None)):
        assert waited == []
    assert kept.value.__traceback__ is not None


def test_i8_workers_batch_size_and_engine_choice_find_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, images(40), n_workers=1, engine="native")
    monkeypatch.setattr("cutpoint.networks.engines.native.NativeEngine.batch_size", 3)
    monkeypatch.setattr("cutpoint.features.extraction.plan.UNIT_SIZE", 7)
    assert fill(tmp_path, images(40), n_workers=3, engine="auto").n_forward == 0
    more = fill(tmp_path, images(60), n_workers=2, engine="auto")
    assert more.n_forward == 20
    same(more.features, fill(tmp_path / "other", images(60)).features)


def test_i5_the_order_of_the_directory_does_not_matter(
    tmp_path: Path, colour_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = colour_folder(per_class=5)
    one = fill(tmp_path / "a", folder).features
    real = os.scandir

    class Backwards:
        def __init__(self, path: object = ".") -> None:
            self._entries = list(real(path))[::-1]

        def __iter__(self) -> Iterator[os.DirEntry[str]]:
            return iter(self._entries)

        def __enter__(self) -> Backwards:
            return self

        def __exit__(self, *error: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", Backwards)
    same(fill(tmp_path / "b", folder).features, one)


def test_i4_a_flipped_label_in_a_view_is_found(tmp_path: Path) -> None:
    fill(tmp_path, images(10))
    store = FeatureStore(tmp_path)
    view = store.views()[0]
    view.write_text(view.read_text().replace("item-000003", "item-000033"))
    assert [name for name, _ in verify_store(store).damaged] == [view.name]
    with pytest.raises(StoreCorrupt, match="not its name"):
        store.open()
    fill(tmp_path, images(10))
    assert len(store.open()) == 10


def test_i4_rows_swapped_in_the_catalog_are_found_and_mended(tmp_path: Path) -> None:
    reference = fill(tmp_path, images(20)).features
    expected = {tap: reference.X(tap) for tap in reference.taps}
    with sqlite3.connect(tmp_path / "catalog.sqlite") as db:
        db.execute("UPDATE rows SET row = CASE row WHEN 3 THEN 4 WHEN 4 THEN 3 ELSE row END")
    db.close()
    store = FeatureStore(tmp_path)
    assert not verify_store(store).is_whole
    with pytest.raises(StoreCorrupt, match="not what the catalog says"):
        store.open().X("conv3/gap")
    again = fill(tmp_path, images(20))
    assert again.n_forward == 0  # the shard is whole, and says itself which rows it has
    for tap, rows in expected.items():
        np.testing.assert_array_equal(again.features.X(tap), rows)


def test_i4_200_bits_flipped_in_the_catalog_never_give_a_wrong_row(tmp_path: Path) -> None:
    """Each is a clean error, or harmless: what comes back is what was stored."""
    reference = fill(tmp_path, images(30)).features
    expected = {tap: reference.X(tap) for tap in reference.taps}
    path = tmp_path / "catalog.sqlite"
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[random.integers(len(whole))] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged)
        try:
            found = FeatureStore(tmp_path).open()
            for tap, rows in expected.items():
                np.testing.assert_array_equal(found.X(tap), rows)
        except StoreError:
            continue
    path.write_bytes(whole)
    same(FeatureStore(tmp_path).open(), reference)


def test_i8_a_moved_store_is_used_without_computing(tmp_path: Path) -> None:
    fill(tmp_path / "here", images(50))
    (tmp_path / "here").rename(tmp_path / "there")
    assert fill(tmp_path / "there", images(50)).n_forward == 0


def test_i9_without_its_catalog_the_same_store_comes_back(tmp_path: Path) -> None:
    reference = fill(tmp_path, images(N_ITEMS)).features
    expected = {tap: reference.X(tap) for tap in reference.taps}
    store = FeatureStore(tmp_path)
    store.catalog.path.unlink()
    report = rebuild_catalog(store)
    assert (report.n_rows, report.is_whole) == (N_ITEMS, True)
    for tap, rows in expected.items():
        np.testing.assert_array_equal(store.open().X(tap), rows)
    assert fill(tmp_path, images(N_ITEMS)).n_forward == 0


def test_i9_a_damaged_shard_is_left_out_of_a_rebuilt_catalog(tmp_path: Path) -> None:
    fill(tmp_path, images(N_ITEMS))
    store = FeatureStore(tmp_path)
    row = store.catalog.shards()[0]
    path = store.shard_path(row.spec_id, row.name)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    store.catalog.path.write_bytes(b"not a database")
    report = rebuild_catalog(store)
    assert report.n_rows == N_ITEMS - row.n_rows
    assert f"{row.spec_id}/{row.name}" in [name for name, _ in report.damaged]


def test_i11_reading_never_writes(tmp_path: Path) -> None:
    fill(tmp_path / "store", images(N_ITEMS))
    before = snapshot(tmp_path / "store")
    features = FeatureStore(tmp_path / "store").open()
    for tap in features.taps:
        features.X(tap)
    verify_store(FeatureStore(tmp_path / "store"))
    assert snapshot(tmp_path / "store") == before


def test_i11_a_read_only_store_is_read(tmp_path: Path) -> None:
    reference = fill(tmp_path / "store", images(50)).features
    expected = reference.X("conv3/gap")
    folders = [tmp_path / "store", *(p for p in (tmp_path / "store").rglob("*") if p.is_dir())]
    for folder in folders:
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        found = FeatureStore(tmp_path / "store").open().X("conv3/gap")
    finally:
        for folder in folders:
            folder.chmod(stat.S_IRWXU)
    np.testing.assert_array_equal(found, expected)


def test_i12_two_specs_in_one_store_never_mix(tmp_path: Path) -> None:
    one = fill(tmp_path, images(40), FakeBackbone(0)).features
    two = fill(tmp_path, images(40), FakeBackbone(1)).features
    assert one.spec.fingerprint() != two.spec.fingerprint()
    assert np.abs(one.X("conv3/gap") - two.X("conv3/gap")).max() > 0.01
    same(one, fill(tmp_path / "alone", images(40), FakeBackbone(0)).features)


def test_i12_a_shard_of_another_spec_in_the_wrong_folder_is_refused(tmp_path: Path) -> None:
    one = fill(tmp_path, images(30), FakeBackbone(0)).features
    two = fill(tmp_path, images(30), FakeBackbone(1)).features
    (ours,), (theirs,) = (list(f.folder.iterdir()) for f in (one, two))
    with pytest.raises(StoreCorrupt, match="belongs to spec"):
        CheckedShard(theirs, sha256(theirs.read_bytes()).hexdigest(), one.spec.fingerprint())
    ours.write_bytes(theirs.read_bytes())
    with pytest.raises(StoreCorrupt):
        FeatureStore(tmp_path).open(FeatureStore(tmp_path).views()[0].stem).X("conv3/gap")


def test_i6_a_writer_sweeps_only_what_its_own_spec_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another spec's writer starts and ends between this one's write of a view and its rename."""
    real = os.replace
    done: list[None] = []

    def replace(source: object, target: object) -> None:
        if "views" in str(target) and not done:
            done.append(None)
            fill(tmp_path, images(20), FakeBackbone(1))
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    fill(tmp_path, images(20), FakeBackbone(0))
    assert done
    assert len(FeatureStore(tmp_path).views()) == 2


def test_verify_finds_a_missing_catalog_missing_rows_and_views_without_features(
    tmp_path: Path,
) -> None:
    fill(tmp_path, images(20))
    store = FeatureStore(tmp_path)
    whole = store.catalog.path.read_bytes()
    with sqlite3.connect(store.catalog.path) as db:
        db.execute("DELETE FROM rows WHERE row = 3")
    db.close()
    assert len(verify_store(store).damaged) == 2  # the shard's rows, and the view
    assert fill(tmp_path, images(20)).n_forward == 0
    assert verify_store(store).is_whole
    store.catalog.path.unlink()
    assert ("catalog.sqlite", "It is missing; --rebuild makes it again.") in (
        verify_store(store).damaged
    )
    store.catalog.path.write_bytes(whole)
    assert verify_store(store).orphans or verify_store(store).is_whole


def test_rebuilding_does_not_hide_a_damaged_view(tmp_path: Path) -> None:
    fill(tmp_path, images(20))
    store = FeatureStore(tmp_path)
    view = store.views()[0]
    view.write_bytes(view.read_bytes() + b" ")
    assert [name for name, _ in rebuild_catalog(store).damaged] == [view.name]
    assert describe_store(store)["views"][0]["name"] == "damaged"


def test_i7_a_full_disk_is_a_clean_error_and_the_store_still_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, images(50))
    real = os.fsync

    def full(handle: int) -> None:
        if os.fstat(handle).st_size > 5000:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        fill(tmp_path, images(300, seed=3))
    monkeypatch.setattr(os, "fsync", real)
    assert verify_store(FeatureStore(tmp_path)).is_whole
    assert not list(tmp_path.rglob("*.tmp"))
    assert fill(tmp_path, images(50)).n_forward == 0


def test_i7_a_store_that_can_not_be_made_is_a_clean_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("I am no folder")
    with pytest.raises(
        StoreError, match="could not be written\\.\nThe system answered: File exists"
    ):
        fill(tmp_path / "file", images(5))


def test_a_store_of_a_later_release_asks_to_upgrade(tmp_path: Path) -> None:
    fill(tmp_path, images(10))
    with sqlite3.connect(tmp_path / "catalog.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="pip install --upgrade cutpoint-ml"):
        FeatureStore(tmp_path).open()


def test_no_store_and_an_empty_store_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cutpoint\.extract\(data, backbone, store="):
        FeatureStore(tmp_path / "absent").open()
    assert not (tmp_path / "absent").exists()


def test_whole_maps_are_stored_when_asked_for(tmp_path: Path) -> None:
    backbone = FakeBackbone()
    features = fill(tmp_path, images(9), spec=backbone.feature_spec(["conv2"], ["none"])).features
    assert features.X("conv2/none").shape == (9, 12, 4, 4)


@pytest.mark.parametrize(
    ("storage", "kept", "learned"),
    [
        ("auto", ("float16", "float32"), ("float16", "float32")),
        ("fp32", ("float32", "float32"), ("float32", "float32")),
        ("fp16", ("float16", "float16"), ("float16", "float32")),
    ],
)
def test_maps_are_kept_in_half_precision_and_the_plan_counts_the_real_bytes(
    tmp_path: Path, storage: str, kept: tuple[str, str], learned: tuple[str, str]
) -> None:
    """Reference: NumPy's own rounding to float16."""
    backbone, data = FakeBackbone(), images(9)
    spec = backbone.feature_spec(["conv2"], ["grid(2)", "gap"], storage)
    done = fill(tmp_path, data, spec=spec)
    direct = backbone.cut_at(spec.taps)(data)
    for tap, own, read in zip(("conv2/grid(2)", "conv2/gap"), kept, learned, strict=True):
        found = done.features.X(tap)
        assert found.dtype == read
        np.testing.assert_array_equal(found, direct[tap].astype(own))
    n_values = {"conv2/grid(2)": 12 * 4, "conv2/gap": 12}
    sizes = [np.dtype(each).itemsize for each in kept]
    row_bytes = sum(n * size for n, size in zip(n_values.values(), sizes, strict=True))
    assert done.plan.disk_bytes == 9 * (row_bytes + 32)
    (shard,) = tmp_path.glob("shards/*/*.safetensors")
    assert 0 <= shard.stat().st_size - done.plan.disk_bytes < 2000  # the header


def test_i8_the_storage_is_part_of_the_id() -> None:
    ids = {
        FakeBackbone().feature_spec(storage=storage).fingerprint()
        for storage in ("auto", "fp32", "fp16")
    }
    assert len(ids) == 3
    with pytest.raises(UsageError, match="auto, fp32, fp16"):
        FakeBackbone().feature_spec(storage="int8")
