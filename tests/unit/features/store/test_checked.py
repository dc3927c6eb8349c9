"""I4 while features are open: what the disk gives later is checked, too, before it is used."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutpoint.base.errors import StoreCorrupt, StoreError
from cutpoint.base.spec import TapSpec
from cutpoint.features.store import FeatureStore
from cutpoint.features.store.checked import BLOCK, CheckedShard
from cutpoint.features.store.shard import write_shard
from cutpoint.testing import FakeBackbone
from tests.unit.features.store.helpers import fill, images

TAPS = ("a/gap", "b/gap", "c/none", "d/gap")
SPEC = replace(
    FakeBackbone().feature_spec(["conv3"], ["gap"]), taps=tuple(map(TapSpec.from_name, TAPS))
)
N_ROWS = 40
DIGESTS = [sha256(bytes([row])).hexdigest() for row in range(N_ROWS)]


def tensors() -> dict[str, np.ndarray]:
    """Rows of a few bytes, of about a block, of more than one, and of none."""
    random = np.random.default_rng(0)
    shapes = {"a/gap": (5,), "b/gap": (3000,), "c/none": (7, 40, 40), "d/gap": (0,)}
    return {
        name: random.normal(size=(N_ROWS, *shape)).astype("f2" if "none" in name else "f4")
        for name, shape in shapes.items()
    }


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> CheckedShard:
    folder = tmp_path_factory.mktemp("shards")
    receipt = write_shard(folder, SPEC, DIGESTS, tensors(), "native")
    return CheckedShard(folder / receipt.name, receipt.sha256, receipt.spec_id)


@given(st.lists(st.integers(0, N_ROWS - 1), min_size=1, max_size=60))
def test_rows_in_any_order_are_those_that_were_written(
    shard: CheckedShard, wanted: list[int]
) -> None:
    for name, rows in tensors().items():
        found = shard.rows(name, np.array(wanted))
        assert (found.dtype, found.shape) == (rows.dtype, (len(wanted), *rows.shape[1:]))
        np.testing.assert_array_equal(found, rows[wanted])
    assert [bytes(digest).hex() for digest in shard.digests] == DIGESTS


def flip(path: Path, place: int, bit: int) -> None:
    """Flip a bit as a failing disk does: the file keeps its size and its times."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 1 << bit]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_i4_bits_flipped_after_the_first_use_are_never_returned(tmp_path: Path) -> None:
    features = fill(tmp_path, images(90)).features
    expected = {tap: features.X(tap) for tap in features.taps}
    random = np.random.default_rng(0)
    files = sorted(features.folder.iterdir())
    found: list[str] = []
    for _ in range(150):
        path = files[random.integers(len(files))]
        place, bit = int(random.integers(path.stat().st_size)), int(random.integers(8))
        flip(path, place, bit)
        for tap, rows in expected.items():
            try:
                np.testing.assert_array_equal(features.X(tap), rows)
            except StoreCorrupt as error:
                found.append(error.got)
                break
        flip(path, place, bit)
    assert len(found) > 100  # the others lie in the header or the digests, which are in memory
    assert all("it has changed since it was opened" in what for what in found)
    for tap, rows in expected.items():
        np.testing.assert_array_equal(features.X(tap), rows)


@pytest.mark.parametrize("damage", ["swap", "truncate", "remove", "empty"])
def test_i4_files_changed_after_the_first_use_are_never_returned(
    tmp_path: Path, damage: str
) -> None:
    features = fill(tmp_path, images(64)).features
    features.X("conv3/gap")
    one, other = sorted(features.folder.iterdir())
    if damage == "swap":
        data = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(data)
    elif damage == "remove":
        one.unlink()
    else:
        os.truncate(one, 0 if damage == "empty" else one.stat().st_size // 2)
    with pytest.raises(StoreCorrupt):
        features.X("conv3/gap")


def test_a_disk_that_does_not_answer_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = fill(tmp_path, images(40)).features
    expected = features.X("conv3/gap")
    real = Path.open

    def failing(path: Path, *arguments: object, **options: object) -> object:
        if path.suffix == ".safetensors":
            raise OSError(errno.EMFILE, "Too many open files")
        return real(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", failing)
    for each in (features, FeatureStore(tmp_path).open()):
        with pytest.raises(StoreError, match="Too many open files") as caught:
            each.X("conv3/gap")
        assert not isinstance(caught.value, StoreCorrupt)
    monkeypatch.setattr(Path, "open", real)
    np.testing.assert_array_equal(features.X("conv3/gap"), expected)


META = {"cutpoint": json.dumps({"spec_id": "0" * 16})}
ONE = {"dtype": "U8", "shape": [1, 32], "data_offsets": [0, 32]}
HEADERS = {
    "no JSON": b"{",
    "a list": b"[]",
    "no metadata": json.dumps({"digests": ONE}).encode(),
    "metadata of another program": json.dumps({"__metadata__": {"format": "pt"}}).encode(),
    "another spec": json.dumps(
        {"__metadata__": {"cutpoint": '{"spec_id":"1"}'}, "digests": ONE}
    ).encode(),
    "no digests": json.dumps({"__metadata__": META}).encode(),
    "an unknown type": json.dumps(
        {"__metadata__": META, "digests": {**ONE, "dtype": "I64"}}
    ).encode(),
    "a shape that is none": json.dumps(
        {"__metadata__": META, "digests": {**ONE, "shape": ["x"]}}
    ).encode(),
    "bytes beyond the end": json.dumps(
        {"__metadata__": META, "digests": {**ONE, "data_offsets": [2**60, 2**60 + 32]}}
    ).encode(),
    "fewer bytes than the shape": json.dumps(
        {"__metadata__": META, "digests": {**ONE, "shape": [9, 32]}}
    ).encode(),
    "short digests": json.dumps(
        {"__metadata__": META, "digests": {**ONE, "shape": [32, 1]}}
    ).encode(),
    "tensors of two lengths": json.dumps(
        {"__metadata__": META, "digests": ONE, "a/gap": {**ONE, "shape": [2, 16]}}
    ).encode(),
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_a_file_that_is_no_shard_is_told_though_its_digest_is_right(
    tmp_path: Path, header: bytes
) -> None:
    path = tmp_path / "views" / "x.safetensors"
    path.parent.mkdir()
    for data in (len(header).to_bytes(8, "little") + header + bytes(64), b"", b"\xff" * 40):
        path.write_bytes(data)
        with pytest.raises(StoreCorrupt):
            CheckedShard(path, sha256(data).hexdigest(), "0" * 16)


def test_only_what_a_row_takes_is_read(
    shard: CheckedShard, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_read: list[int] = []
    real = CheckedShard._read

    def counted(self: CheckedShard, file: object, start: int, stop: int) -> memoryview:
        found = real(self, file, start, stop)
        n_read.append(len(found.obj))
        return found

    monkeypatch.setattr(CheckedShard, "_read", counted)
    for name, rows in tensors().items():
        n_read.clear()
        shard.rows(name, np.array([17]))
        assert sum(n_read) <= rows[0].nbytes + 2 * BLOCK
        n_read.clear()
        shard.rows(name, np.arange(N_ROWS))
        assert sum(n_read) <= rows.nbytes + 2 * BLOCK
    n_read.clear()
    shard.rows("c/none", np.array([2, 30]))  # far apart
    assert sum(n_read) <= 2 * (tensors()["c/none"][0].nbytes + 2 * BLOCK)
