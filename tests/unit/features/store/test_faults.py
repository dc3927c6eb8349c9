"""What is no damage is not treated as damage; what is damaged is kept, told and mended."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from cutpoint.base.errors import StoreCorrupt, StoreError
from cutpoint.base.spec import canonical_json
from cutpoint.features.store import (
    FeatureStore,
    describe_store,
    mend_store,
    rebuild_catalog,
    verify_store,
)
from tests.unit.features.store.helpers import fill, images, same
from tests.unit.features.store.test_store import snapshot

DEEP = "[" * 100_000


def change_catalog(store: Path, *statements: str) -> None:
    db = sqlite3.connect(store / "catalog.sqlite")
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


def shard_of(path: Path) -> Path:
    (shard,) = path.glob("shards/*/*.safetensors")
    return shard


def all_that_reads(path: Path) -> None:
    """Do what a user may do with a store that was tampered with; `StoreError` is an answer."""

    def read() -> None:
        features = FeatureStore(path).open()
        for tap in features.taps:
            features.X(tap)

    for step in (
        read,
        lambda: verify_store(FeatureStore(path)),
        lambda: describe_store(FeatureStore(path)),
        lambda: mend_store(FeatureStore(path)),
        lambda: fill(path, images(12)),
    ):
        with suppress(StoreError):
            step()


# -- names that lead out of the store ---------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../../victim", "{absolute}", "../../../store/victim", "victim", "x\0y"]
)
def test_no_file_that_a_catalog_names_is_touched_unless_it_is_called_as_shards_are(
    tmp_path: Path, name: str
) -> None:
    store, victim = tmp_path / "store", tmp_path / "store" / "victim"
    fill(store, images(10))
    victim.write_text("mine")
    (store / "shards" / "victim").write_text("mine")
    shutil.copy(victim, shard_of(store).parent / "victim")
    named = name.format(absolute=victim).replace("\0", "' || char(0) || '")
    change_catalog(
        store, f"UPDATE shards SET name = '{named}'", f"UPDATE rows SET shard = '{named}'"
    )
    before = snapshot(store)
    with pytest.raises(StoreError, match="cutpoint store verify --rebuild"):
        fill(store, images(10))
    assert {k: v for k, v in snapshot(store).items() if "locks" not in k} == {
        k: v for k, v in before.items() if "locks" not in k
    }
    assert rebuild_catalog(FeatureStore(store)).is_whole
    assert fill(store, images(10)).n_forward == 0


@pytest.mark.parametrize("spec_id", ["../..", "/tmp", "0123", "ABCDEF0123456789"])
def test_a_spec_that_a_catalog_names_otherwise_is_no_folder(tmp_path: Path, spec_id: str) -> None:
    fill(tmp_path, images(10))
    change_catalog(tmp_path, f"UPDATE shards SET spec_id = '{spec_id}'")
    with pytest.raises(StoreError, match="cutpoint store verify --rebuild"):
        verify_store(FeatureStore(tmp_path))


@pytest.mark.parametrize("linked", ["shards", "shards/*"])
def test_nothing_behind_a_link_is_moved_or_deleted(tmp_path: Path, linked: str) -> None:
    store = tmp_path / "store"
    fill(store, images(10))
    (folder,) = store.glob(linked)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert fill(store, images(10)).n_forward == 0
    shard = next((tmp_path / "elsewhere").rglob("*.safetensors"))
    shard.write_bytes(b"damaged")
    (shard.parent / "theirs.tmp").write_text("theirs")
    with pytest.raises(StoreError, match="behind a link"):
        fill(store, images(10))
    assert sorted(path.name for path in shard.parent.iterdir()) == [shard.name, "theirs.tmp"]


# -- errors that pass ------------------------------------------------------------------------


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Let files of a suffix fail to open."""
    real = Path.open

    def install(suffix: str, number: int) -> None:
        def refusing(self: Path, *words: object, **more: object) -> object:
            if number and self.suffix == suffix:
                raise OSError(number, os.strerror(number))
            return real(self, *words, **more)

        monkeypatch.setattr(Path, "open", refusing)

    return install


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.EACCES, errno.ENOMEM])
def test_a_shard_that_can_not_be_read_just_now_is_neither_dropped_nor_moved(
    tmp_path: Path, refuse: Callable[[str, int], None], number: int
) -> None:
    fill(tmp_path, images(10))
    before = snapshot(tmp_path)
    refuse(".safetensors", number)
    for step in (
        lambda: fill(tmp_path, images(10)),
        lambda: rebuild_catalog(FeatureStore(tmp_path)),
        lambda: mend_store(FeatureStore(tmp_path)),
    ):
        with pytest.raises(StoreError, match=os.strerror(number)) as caught:
            step()
        assert not isinstance(caught.value, StoreCorrupt)
    report = verify_store(FeatureStore(tmp_path))
    ((name, why),) = report.unreadable
    assert name.endswith(shard_of(tmp_path).name)
    assert os.strerror(number) in why
    assert not report.is_whole
    assert not report.damaged
    refuse(".safetensors", 0)
    assert {name: data for name, (_, _, data) in snapshot(tmp_path).items()} == {
        name: data for name, (_, _, data) in before.items()
    }
    assert fill(tmp_path, images(10)).n_forward == 0


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.EACCES])
def test_a_view_that_can_not_be_read_just_now_is_told_as_that(
    tmp_path: Path, refuse: Callable[[str, int], None], number: int
) -> None:
    fill(tmp_path, images(10))
    refuse(".json", number)
    with pytest.raises(StoreError, match=os.strerror(number)) as caught:
        FeatureStore(tmp_path).open()
    assert not isinstance(caught.value, StoreCorrupt)


def test_a_damaged_shard_is_moved_aside_as_it_is_and_not_deleted(tmp_path: Path) -> None:
    reference = fill(tmp_path, images(10)).features
    shard = shard_of(tmp_path)
    shard.write_bytes(b"what is left of it")
    assert fill(tmp_path, images(10)).n_forward == 10
    kept = tmp_path / "damaged" / shard.relative_to(tmp_path)
    assert kept.read_bytes() == b"what is left of it"
    assert verify_store(FeatureStore(tmp_path)).is_whole
    same(FeatureStore(tmp_path).open(), reference)


def test_a_damaged_view_is_moved_aside_before_it_is_written_again(tmp_path: Path) -> None:
    fill(tmp_path, images(10))
    (view,) = (tmp_path / "views").iterdir()
    view.write_text("{}")
    fill(tmp_path, images(10))
    assert (tmp_path / "damaged" / "views" / view.name).read_text() == "{}"
    assert len(FeatureStore(tmp_path).open()) == 10


# -- runs that ended between writing and committing --------------------------------------------


def test_whole_shards_that_a_killed_run_left_are_told_and_taken_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*words: object, **more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(FeatureStore, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            fill(tmp_path, images(10), n_workers=1)
    store, before = FeatureStore(tmp_path), snapshot(tmp_path)
    report = verify_store(store)
    assert (report.n_rows, len(report.orphans), report.is_whole) == (0, 1, True)
    assert snapshot(tmp_path) == before  # I11
    assert fill(tmp_path, images(10)).n_forward == 0
    assert verify_store(store).orphans == ()


def test_mending_takes_whole_shards_in_and_moves_broken_ones_aside(tmp_path: Path) -> None:
    fill(tmp_path, images(10))
    shard, store = shard_of(tmp_path), FeatureStore(tmp_path)
    change_catalog(tmp_path, "DELETE FROM rows", "DELETE FROM shards")
    broken = shard.with_name("0" * 32 + ".safetensors")
    broken.write_bytes(shard.read_bytes()[:-1])
    assert [name for name, _ in verify_store(store).damaged][:1] == [
        f"{shard.parent.name}/{broken.name}"
    ]
    said = "\n".join(mend_store(store))
    assert "1 whole shards, 10 rows, are taken into the catalog" in said
    assert str(tmp_path / "damaged" / broken.relative_to(tmp_path)) in said
    report = verify_store(store)
    assert (report.is_whole, report.orphans, report.n_rows) == (True, (), 10)
    assert mend_store(store) == []


def test_mending_a_store_without_its_catalog_takes_all_of_it_in(tmp_path: Path) -> None:
    reference = fill(tmp_path, images(10)).features
    (tmp_path / "catalog.sqlite").unlink()
    assert mend_store(FeatureStore(tmp_path)) == [
        "1 whole shards, 10 rows, are taken into the catalog"
    ]
    assert verify_store(FeatureStore(tmp_path)).is_whole
    same(FeatureStore(tmp_path).open(), reference)


def test_rows_that_a_catalog_lost_are_found_again_without_computing(tmp_path: Path) -> None:
    reference = fill(tmp_path, images(10)).features
    change_catalog(tmp_path, "DELETE FROM rows WHERE row IN (2, 3)")
    assert fill(tmp_path, images(10)).n_forward == 0
    same(FeatureStore(tmp_path).open(), reference)


# -- files that hold what was never written -----------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE specs SET json = CAST(x'ff' AS TEXT)",
        "UPDATE specs SET json = x'ff'",
        "UPDATE specs SET json = '[]'",
        "UPDATE specs SET json = '{\"backbone\": 3}'",
        f"UPDATE specs SET json = '{DEEP}'",
        "UPDATE specs SET spec_id = 'a' || char(0)",
        "UPDATE shards SET name = CAST(x'fffe' AS TEXT)",
        "UPDATE shards SET name = 3",
        "UPDATE shards SET n_rows = 'many'",
        "UPDATE shards SET n_rows = -1",
        "UPDATE shards SET sha256 = x'00'",
        "UPDATE shards SET engine = x'00'",
        "UPDATE rows SET row = 'three'",
        "UPDATE rows SET row = -1",
        "UPDATE rows SET row = 1e300",
        "UPDATE rows SET row = 9223372036854775807",
        "UPDATE rows SET shard = x'00ff'",
        "UPDATE rows SET digest = CAST(digest AS TEXT) WHERE row = 1",
        "UPDATE rows SET digest = x'00' WHERE row = 1",
        "UPDATE engines SET engine_s = 'fast'",
        "INSERT INTO remarks SELECT spec_id, 'text', 'bad', 'x' FROM specs",
        "INSERT INTO remarks SELECT spec_id, zeroblob(32), 'bad', CAST(x'ff' AS TEXT) FROM specs",
        "DROP TABLE rows",
        "DROP TABLE specs",
        "PRAGMA user_version = 0",
        "PRAGMA user_version = -3",
    ],
)
def test_a_catalog_with_anything_in_it_gives_a_clean_error_or_is_mended(
    tmp_path: Path, statement: str
) -> None:
    fill(tmp_path, images(10))
    change_catalog(tmp_path, statement)
    all_that_reads(tmp_path)
    assert rebuild_catalog(FeatureStore(tmp_path)).is_whole


def test_names_in_the_catalog_s_own_tables_that_are_no_unicode_are_damage(tmp_path: Path) -> None:
    fill(tmp_path, images(10))
    path = tmp_path / "catalog.sqlite"
    data = path.read_bytes()
    for old, new in ((b"CREATE TABLE rows", b"CREATE TABLE r\xff\xfes"), (b"digest", b"d\xffgest")):
        path.write_bytes(data.replace(old, new))
        all_that_reads(tmp_path)
    path.write_bytes(data)
    assert fill(tmp_path, images(10)).n_forward == 0


def view_with(path: Path, change: Callable[[dict[str, object]], object]) -> Path:
    """Write a view, changed, under the name that its bytes have."""
    (view,) = (path / "views").iterdir()
    fields = json.loads(view.read_text())
    changed = change(fields)
    text = changed if isinstance(changed, str) else canonical_json(fields)
    view.unlink()
    made = view.with_name(f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json")
    made.write_text(text)
    change_catalog(path, f"UPDATE views SET view = '{made.stem}'")
    return made


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.pop("items"),
        lambda f: f.pop("format"),
        lambda f: f.pop("spec"),
        lambda f: f.update(spec={"backbone": {}}),
        lambda f: f["spec"].update(taps=3),
        lambda f: f["spec"]["backbone"]["preprocess"].update(background=[float("inf")] * 3),
        lambda f: f.update(items=[["key"]]),
        lambda f: f["items"][0].__setitem__(1, "no digest"),
        lambda f: f["items"][0].__setitem__(0, 7),
        lambda f: f["items"][0].__setitem__(2, ["a", "list"]),
        lambda f: f.update(quarantined=[["key"]]),
        lambda f: f.update(warnings="one"),
        lambda f: f.update(classes=3),
        lambda f: f.update(classes=["a", True]),
        lambda f: f.update(classes=["a", float("nan")]),
        lambda f: f.update(classes=["a"], label_type="int"),
        lambda f: f.update(classes=["nan"], label_type="float"),
        lambda f: f.update(classes=["true"], label_type="bool"),
        lambda f: f.update(label_type="text"),
        lambda f: f.update(label_type=["int"]),
        lambda f: f["items"][0].__setitem__(2, 3),
        lambda f: f["items"][0].__setitem__(3, True),
        lambda f: f.update(layouts=[]),
        lambda f: f.update(name=None),
        lambda f: f.update(macs=None),
        lambda f: "[]",
        lambda f: "3",
        lambda f: "no JSON",
        lambda f: DEEP,
    ],
)
def test_a_view_that_parses_but_is_none_is_told_as_damaged(
    tmp_path: Path, change: Callable[[dict[str, object]], object]
) -> None:
    fill(tmp_path, images(10))
    view = view_with(tmp_path, change)
    with pytest.raises(StoreCorrupt):
        FeatureStore(tmp_path).open(view.stem)
    assert [name for name, _ in verify_store(FeatureStore(tmp_path)).damaged] == [view.name]
    all_that_reads(tmp_path)


def header_with(shard: Path, change: Callable[[dict[str, object]], object]) -> Path:
    """Write a shard with another header under the name that its bytes have."""
    data = shard.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    changed = change(header)
    text = (changed if isinstance(changed, str) else json.dumps(header)).encode()
    made = len(text).to_bytes(8, "little") + text + data[8 + length :]
    path = shard.with_name(f"{hashlib.sha256(made).hexdigest()[:32]}.safetensors")
    path.write_bytes(made)
    return path


def own_header(**fields: object) -> Callable[[dict[str, object]], object]:
    def change(header: dict[str, object]) -> None:
        metadata = header["__metadata__"]
        assert isinstance(metadata, dict)
        metadata["cutpoint"] = json.dumps(json.loads(metadata["cutpoint"]) | fields)

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h.pop("__metadata__"),
        lambda h: h.pop("digests"),
        lambda h: h["digests"].update(shape=[10, 31]),
        lambda h: h["digests"].update(shape=[-10, -32]),
        lambda h: h["digests"].update(dtype="F64"),
        lambda h: h["digests"].update(data_offsets=[0, 10**18]),
        lambda h: h["digests"].update(data_offsets=[0, 10**18], shape=[10**18 // 32, 32]),
        lambda h: h["digests"].update(data_offsets="ab"),
        lambda h: "[]",
        lambda h: DEEP,
        lambda h: h["__metadata__"].update(cutpoint=DEEP),
        lambda h: h["__metadata__"].update(cutpoint="3"),
        own_header(spec={}),
        own_header(spec_id="../.."),
        own_header(format=0),
        own_header(format="1"),
    ],
)
def test_a_shard_named_by_its_bytes_that_is_none_is_damaged_and_moved_aside(
    tmp_path: Path, change: Callable[[dict[str, object]], object]
) -> None:
    fill(tmp_path, images(10))
    made = header_with(shard_of(tmp_path), change)
    report = verify_store(FeatureStore(tmp_path))
    assert [name for name, _ in report.damaged] == [f"{made.parent.name}/{made.name}"]
    assert rebuild_catalog(FeatureStore(tmp_path)).n_rows == 10
    assert fill(tmp_path, images(10)).n_forward == 0
    assert not made.exists()
    assert verify_store(FeatureStore(tmp_path)).is_whole


Tensors = dict[str, np.ndarray]


def inside_with(store: Path, change: Callable[[Tensors], object], **fields: object) -> Path:
    """Write a shard with other tensors or header, named by its bytes and committed as it is."""
    shard = shard_of(store)
    data = shard.read_bytes()
    text = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["cutpoint"]
    tensors = load(data)
    change(tensors)
    made = save(tensors, metadata={"cutpoint": canonical_json(json.loads(text) | fields)})
    digest = hashlib.sha256(made).hexdigest()
    path = shard.with_name(f"{digest[:32]}.safetensors")
    shard.unlink()
    path.write_bytes(made)
    change_catalog(
        store,
        f"UPDATE shards SET name = '{path.name}', sha256 = '{digest}', n_bytes = {len(made)}",
        f"UPDATE rows SET shard = '{path.name}'",
    )
    return path


TAP = "conv2/gap"


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        (lambda t: t.update({TAP: t[TAP][:-1].copy()}), {}),
        (lambda t: t.update({TAP: t[TAP].astype(np.float64)}), {}),
        (lambda t: t.update({TAP: t[TAP].astype(np.float16)}), {}),
        (lambda t: t.update({TAP: t[TAP].astype(np.uint8)}), {}),
        (lambda t: t.update({TAP: np.array(1, np.float32)}), {}),
        (lambda t: t.pop(TAP), {}),
        (lambda t: t, {"spec_id": "0" * 16}),
        (lambda t: t, {"spec_id": None}),
    ],
    ids=["rows", "float64", "float16", "uint8", "scalar", "gone", "spec", "no spec"],
)
def test_a_committed_shard_whose_rows_can_not_be_read_is_moved_aside_and_computed_again(
    tmp_path: Path, change: Callable[[Tensors], object], fields: dict[str, object]
) -> None:
    reference = fill(tmp_path, images(10)).features
    made = inside_with(tmp_path, change, **fields)
    with pytest.raises(StoreCorrupt):
        FeatureStore(tmp_path).open().X(TAP)
    assert [name for name, _ in verify_store(FeatureStore(tmp_path)).damaged][:1] == [
        f"{made.parent.name}/{made.name}"
    ]
    assert fill(tmp_path, images(10)).n_forward == 10
    assert (tmp_path / "damaged" / made.relative_to(tmp_path)).exists()
    assert verify_store(FeatureStore(tmp_path)).is_whole
    same(FeatureStore(tmp_path).open(), reference)


def test_no_run_ends_well_while_rows_of_a_spec_have_several_shapes(tmp_path: Path) -> None:
    fill(tmp_path, images(10))
    inside_with(tmp_path, lambda t: t.update({TAP: t[TAP][:, :-1].copy()}))
    with pytest.raises(StoreError, match=r"other shapes[^$]*mv "):
        fill(tmp_path, images(20))


@pytest.mark.parametrize(
    "cell",
    ["name = 'text'", "name = '[1]'", "name = x'00'", "name = 7", "view = 'x'", "view = x'00'"],
)
def test_no_run_ends_well_while_a_cell_keeps_its_data_set_from_being_opened(
    tmp_path: Path, cell: str
) -> None:
    reference = fill(tmp_path, images(10)).features
    change_catalog(tmp_path, f"UPDATE views SET {cell}")
    with pytest.raises(StoreError, match="cutpoint store verify --rebuild"):
        fill(tmp_path, images(10))
    rebuild_catalog(FeatureStore(tmp_path))
    assert fill(tmp_path, images(10)).n_forward == 0
    same(FeatureStore(tmp_path).open(), reference)


def test_a_folder_or_a_pipe_in_place_of_a_shard_is_damage(tmp_path: Path) -> None:
    reference = fill(tmp_path, images(10)).features
    for make in (Path.mkdir, os.mkfifo):
        shard = shard_of(tmp_path)
        shard.unlink()
        make(shard)
        assert fill(tmp_path, images(10)).n_forward == 10
        same(FeatureStore(tmp_path).open(), reference)


@pytest.mark.parametrize("kind", ["view", "shard"])
def test_a_file_of_a_later_format_is_refused_with_the_way_to_upgrade(
    tmp_path: Path, kind: str
) -> None:
    fill(tmp_path, images(10))
    store = FeatureStore(tmp_path)
    if kind == "view":
        view = view_with(tmp_path, lambda f: f.update(format=2))
        with pytest.raises(StoreError, match="pip install --upgrade cutpoint-ml") as caught:
            store.open(view.stem)
    else:
        header_with(shard_of(tmp_path), own_header(format=3))
        with pytest.raises(StoreError, match="pip install --upgrade cutpoint-ml") as caught:
            fill(tmp_path, images(10))
    assert not isinstance(caught.value, StoreCorrupt)
    assert len(verify_store(store).unreadable) == 1


def test_no_run_ends_well_while_a_row_of_its_data_can_not_be_found(tmp_path: Path) -> None:
    fill(tmp_path, images(10))
    loses = "CREATE TRIGGER t AFTER INSERT ON rows BEGIN DELETE FROM rows WHERE row = 3; END"
    change_catalog(tmp_path, loses)
    with pytest.raises(StoreError, match="rows can't be found"):
        fill(tmp_path, images(20))
    assert rebuild_catalog(FeatureStore(tmp_path)).is_whole
    assert fill(tmp_path, images(20)).n_forward == 0


def test_an_index_that_disagrees_with_its_table_is_found_before_anything_is_written(
    tmp_path: Path,
) -> None:
    fill(tmp_path, images(10))
    path, name = tmp_path / "catalog.sqlite", shard_of(tmp_path).name.encode()
    data = path.read_bytes()
    places = [p for p in range(len(data)) if data.startswith(name, p)]
    for place in (places[0], places[1]):  # of the table of shards and of its index
        path.write_bytes(data[:place] + b"f" * 32 + data[place + 32 :])
        with pytest.raises(StoreError, match="cutpoint store verify --rebuild"):
            fill(tmp_path, images(20))


# -- disks ------------------------------------------------------------------------------------


def test_a_full_disk_is_told_as_that_and_not_as_a_damaged_catalog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's own answer, from a file that may not grow."""
    fill(tmp_path, images(10))
    real = sqlite3.connect
    n_pages = (tmp_path / "catalog.sqlite").stat().st_size // 4096

    def small(*words: object, **more: object) -> sqlite3.Connection:
        db = real(*words, **more)
        db.execute(f"PRAGMA max_page_count = {n_pages}")
        return db

    monkeypatch.setattr(sqlite3, "connect", small)
    with pytest.raises(StoreError, match="The disk is full") as caught:
        fill(tmp_path, images(400))
    assert "rebuild" not in str(caught.value)
    assert "database or disk is full" in str(caught.value)
    monkeypatch.setattr(sqlite3, "connect", real)
    assert len(FeatureStore(tmp_path).open()) == 10


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.EMFILE])
def test_a_catalog_that_can_not_be_opened_just_now_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    fill(tmp_path, images(10))
    (tmp_path / "catalog.sqlite").rename(tmp_path / "away")
    (tmp_path / "catalog.sqlite").mkdir()  # which SQLite can't open, either
    real = os.open

    def refusing(path: object, *flags: object, **more: object) -> int:
        if str(path).endswith("catalog.sqlite"):
            raise OSError(number, os.strerror(number))
        return real(path, *flags, **more)

    monkeypatch.setattr(os, "open", refusing)
    with pytest.raises(StoreError, match=os.strerror(number)) as caught:
        FeatureStore(tmp_path).open()
    assert "rebuild" not in str(caught.value)


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Refuse to open anything to write, as a disk mounted read-only does, also for root."""
    real = os.open
    writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT

    def refusing(path: object, flags: int, *more: object, **named: object) -> int:
        if flags & writes:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(path, flags, *more, **named)

    return lambda: monkeypatch.setattr(os, "open", refusing)


def test_a_read_only_store_that_has_all_rows_is_used_and_nothing_is_written(
    tmp_path: Path, read_only: Callable[[], None]
) -> None:
    reference = fill(tmp_path, images(20)).features
    before = snapshot(tmp_path)
    read_only()
    again = fill(tmp_path, images(20))
    assert again.n_forward == 0
    same(again.features, reference)
    some = fill(tmp_path, images(20)[:7])  # a data set of which there is no view yet
    assert (some.n_forward, len(some.features)) == (0, 7)
    np.testing.assert_array_equal(some.features.X("conv3/gap"), reference.X("conv3/gap")[:7])
    with pytest.raises(StoreError, match="Read-only file system"):
        fill(tmp_path, images(21))
    assert snapshot(tmp_path) == before


def test_a_read_only_place_without_a_store_is_refused(
    tmp_path: Path, read_only: Callable[[], None]
) -> None:
    read_only()
    with pytest.raises(StoreError, match="Read-only file system"):
        fill(tmp_path, images(5))


def test_reading_needs_no_folder_for_scratch_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = fill(tmp_path / "store", images(10)).features

    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in []")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    monkeypatch.setattr(tempfile, "_get_default_tempdir", none)
    same(FeatureStore(tmp_path / "store").open(), reference)
    hot_copy(tmp_path / "store", tmp_path / "hot")
    with pytest.raises(StoreError, match="No usable temporary directory"):
        FeatureStore(tmp_path / "hot").open()


def hot_copy(store: Path, target: Path) -> None:
    """Copy a store while a commit is half done, as a kill would leave it."""
    db = sqlite3.connect(store / "catalog.sqlite", isolation_level=None)
    db.execute("PRAGMA cache_size = 1")
    db.execute("BEGIN")
    db.execute("CREATE TABLE filler (x)")
    db.executemany("INSERT INTO filler VALUES (?)", [(b"x" * 3000,)] * 200)
    db.execute("DELETE FROM rows")
    shutil.copytree(store, target)
    db.execute("ROLLBACK")
    db.close()
    assert (target / "catalog.sqlite-journal").stat().st_size


def test_a_commit_that_was_killed_is_rolled_back_for_those_who_only_read(tmp_path: Path) -> None:
    reference = fill(tmp_path / "store", images(10)).features
    hot_copy(tmp_path / "store", tmp_path / "hot")
    before = snapshot(tmp_path / "hot")
    same(FeatureStore(tmp_path / "hot").open(), reference)
    assert snapshot(tmp_path / "hot") == before


def test_rebuilding_leaves_no_journal_that_would_be_rolled_into_the_new_catalog(
    tmp_path: Path,
) -> None:
    reference = fill(tmp_path / "store", images(10)).features
    hot_copy(tmp_path / "store", tmp_path / "hot")
    assert rebuild_catalog(FeatureStore(tmp_path / "hot")).is_whole
    same(FeatureStore(tmp_path / "hot").open(), reference)
    assert not list((tmp_path / "hot").glob("catalog.sqlite*-journal"))
    rebuild_catalog(FeatureStore(tmp_path / "hot"))
    kept = sorted(path.name for path in (tmp_path / "hot" / "damaged").iterdir())
    assert kept == ["catalog.sqlite", "catalog.sqlite-journal", "catalog.sqlite.1"]


@pytest.mark.parametrize("is_hot", [False, True])
def test_the_catalog_opens_before_and_after_each_step_of_rebuilding_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_hot: bool
) -> None:
    store, other = tmp_path / "store", tmp_path / "other"
    reference = fill(store, images(10)).features
    if is_hot:
        hot_copy(store, other)
        shutil.rmtree(store)
        other.rename(store)
    steps: list[str] = []

    def looked_at(name: str) -> None:
        real = getattr(os, name)

        def step(*words: object, **more: object) -> object:
            found = real(*words, **more)
            if "locks" not in str(words[0]) and not (steps and steps[-1] == "looking"):
                steps.append("looking")
                shutil.copytree(store, other)
                assert (other / "catalog.sqlite").is_file()
                same(FeatureStore(other).open(), reference)
                shutil.rmtree(other)
                steps[-1] = name
            return found

        monkeypatch.setattr(os, name, step)

    for name in ("replace", "rename", "unlink", "mkdir"):
        looked_at(name)
    assert rebuild_catalog(FeatureStore(store)).is_whole
    assert steps.count("replace") == 2 + is_hot
    kept = sorted(path.name for path in (store / "damaged").iterdir())
    assert kept == ["catalog.sqlite", "catalog.sqlite-journal"][: 1 + is_hot]


@pytest.mark.parametrize("log", [b"", b"{}", b"x" * 100, "mode"])
def test_a_write_ahead_log_beside_the_catalog_is_told_and_reading_writes_nothing(
    tmp_path: Path, log: bytes | str
) -> None:
    reference = fill(tmp_path, images(10)).features
    wal = tmp_path / "catalog.sqlite-wal"
    if isinstance(log, bytes):
        wal.write_bytes(log)
    else:
        change_catalog(tmp_path, "PRAGMA journal_mode = WAL")
    before = snapshot(tmp_path)
    for step in (
        lambda: FeatureStore(tmp_path).open(),
        lambda: verify_store(FeatureStore(tmp_path)),
        lambda: describe_store(FeatureStore(tmp_path)),
    ):
        with pytest.raises(StoreError, match=r"mv|python -c"):
            step()
    assert snapshot(tmp_path) == before
    with pytest.raises(StoreError, match=r"mv|python -c"):
        fill(tmp_path, images(10))
    if isinstance(log, bytes):
        rebuild_catalog(FeatureStore(tmp_path))
        assert (tmp_path / "damaged" / wal.name).read_bytes() == log
    else:
        change_catalog(tmp_path, "PRAGMA journal_mode = DELETE")  # as the error says
    assert fill(tmp_path, images(10)).n_forward == 0
    same(FeatureStore(tmp_path).open(), reference)


def test_rebuilding_on_a_disk_that_refuses_is_a_clean_error_and_the_old_catalog_stays(
    tmp_path: Path, read_only: Callable[[], None]
) -> None:
    fill(tmp_path, images(5))
    before = snapshot(tmp_path)
    read_only()
    with pytest.raises(StoreError, match="Read-only file system"):
        rebuild_catalog(FeatureStore(tmp_path))
    assert snapshot(tmp_path) == before


def test_every_commit_is_synced_with_its_folder(tmp_path: Path) -> None:
    fill(tmp_path, images(5))
    with FeatureStore(tmp_path).catalog._writing() as db:
        assert db.execute("PRAGMA synchronous").fetchone() == (3,)  # EXTRA
