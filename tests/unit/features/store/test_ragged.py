"""Whole activations of items that differ in length: shard format 2."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save

import cutpoint as cp
from cutpoint.base.errors import ShapeError, StoreCorrupt, StoreError, UsageError
from cutpoint.base.spec import FeatureSpec, canonical_json
from cutpoint.features.extraction.unit import describe
from cutpoint.features.store import FeatureStore, mend_store, rebuild_catalog, verify_store
from cutpoint.features.store.checked import CheckedShard
from cutpoint.features.store.ragged import Ragged, concatenated
from cutpoint.features.store.shard import read_header, write_shard
from cutpoint.items.reading import read_dataset
from cutpoint.learning.choosing import precision
from cutpoint.learning.choosing.ranking_task import is_vector
from cutpoint.learning.recipe import fit_recipe, parse_recipe
from tests.unit.features.store.helpers import fill, images
from tests.unit.features.store.ragged import (
    N_IDS,
    Sentences,
    fill_ragged,
    sentences,
    whole,
)

N_ITEMS = 300
TAPS = ("tokens/none", "time/none")


def check_rows(features: object, ids: np.ndarray) -> None:
    for tap in TAPS:
        found = features.rows(tap)
        assert [row.dtype for row in found] == [np.float16] * len(ids)
        for row, expected in zip(found, whole(ids, tap), strict=True):
            np.testing.assert_array_equal(row, expected)


def test_rows_are_as_long_as_their_items_and_hold_no_padding(tmp_path: Path) -> None:
    ids, _ = sentences(N_ITEMS)
    features = fill_ragged(tmp_path, ids).features
    check_rows(features, ids)
    means = np.stack([Sentences().network[row[row != 0]].mean(0) for row in ids])
    np.testing.assert_allclose(features.X("tokens/gap"), means, atol=1e-6)
    np.testing.assert_array_equal(np.stack(features.rows("tokens/gap")), features.X("tokens/gap"))
    assert [features.is_ragged(tap) for tap in features.taps] == [
        tap.endswith("/none") for tap in features.taps
    ]


def test_rows_are_given_in_any_order_and_by_mask(tmp_path: Path) -> None:
    ids, _ = sentences(N_ITEMS)
    features = fill_ragged(tmp_path, ids).features
    draw = np.random.default_rng(0)
    for rows in (draw.permutation(N_ITEMS), draw.integers(-N_ITEMS, N_ITEMS, 50), [3, 3], [],
                 draw.random(N_ITEMS) < 0.3):  # fmt: skip
        which = np.asarray(rows) if len(rows) else np.empty(0, int)
        expected = [whole(ids, "time/none")[row] for row in np.arange(N_ITEMS)[which]]
        found = features.rows("time/none", which)
        assert len(found) == len(expected)
        assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))


def test_a_matrix_of_rows_that_differ_in_length_is_refused_by_name(tmp_path: Path) -> None:
    features = fill_ragged(tmp_path, sentences(40)[0]).features
    for ask in (lambda: features.X(TAPS[0]), lambda: next(features.chunks(TAPS[0]))):
        with pytest.raises(ShapeError, match='tap "tokens/none" are no one array') as caught:
            ask()
        assert 'features.rows("tokens/none")' in caught.value.type_next


def test_format_1_is_written_as_ever_where_rows_are_of_one_shape(tmp_path: Path) -> None:
    """Equal bytes: the shard of maps of one size says nothing of ragged rows."""
    features = fill(tmp_path, images(20)).features
    (path,) = features.folder.glob("*.safetensors")
    with safe_open(path, "numpy") as file:
        header = json.loads(file.metadata()["cutpoint"])
        names = set(file.keys())
    assert header.keys() == {"format", "spec_id", "spec", "engine"}
    assert header["format"] == 1
    assert names == {"digests", *features.taps}


def test_format_2_reads_with_safetensors_alone_as_the_page_says(tmp_path: Path) -> None:
    ids, _ = sentences(20)
    features = fill_ragged(tmp_path, ids).features
    (path,) = features.folder.glob("*.safetensors")
    with safe_open(path, "numpy") as file:
        header = json.loads(file.metadata()["cutpoint"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert header["format"] == 2
    assert header["ragged"] == {"tokens/none": 0, "time/none": 1}
    assert header["spec"]["revision"] == 2
    digests = [digest.tobytes().hex() for digest in tensors["digests"]]
    row = digests.index(features.digests[7])
    start, stop = tensors["time/none:offsets"][row : row + 2]
    assert tensors["time/none:offsets"].dtype == np.int64
    np.testing.assert_array_equal(tensors["time/none"][start:stop].T, whole(ids, "time/none")[7])


def test_a_second_run_computes_nothing_and_more_items_only_theirs(tmp_path: Path) -> None:
    ids, _ = sentences(100)
    n_first, n_all = (len({row.tobytes() for row in part}) for part in (ids[:60], ids))
    assert fill_ragged(tmp_path, ids[:60]).n_forward == n_first
    assert fill_ragged(tmp_path, ids[:60]).n_forward == 0
    more = fill_ragged(tmp_path, ids)
    assert more.n_forward == n_all - n_first > 30
    check_rows(more.features, ids)


def test_each_of_60_flipped_bits_is_found_and_mended(tmp_path: Path) -> None:
    ids, _ = sentences(60)
    fill_ragged(tmp_path / "whole", ids)
    draw = random.Random(0)
    for trial in range(60):
        place = tmp_path / str(trial)
        shutil.copytree(tmp_path / "whole", place)
        (path, *_) = FeatureStore(place).shard_files()
        data = bytearray(path.read_bytes())
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        path.write_bytes(data)
        assert not verify_store(FeatureStore(place)).is_whole
        with pytest.raises(StoreCorrupt):
            FeatureStore(place).open().rows(TAPS[0])
        check_rows(fill_ragged(place, ids).features, ids)
        assert verify_store(FeatureStore(place)).is_whole
        shutil.rmtree(place)


def test_a_byte_that_changes_while_features_are_open_is_found(tmp_path: Path) -> None:
    features = fill_ragged(tmp_path, sentences(30)[0]).features
    features.rows(TAPS[0])
    (path,) = features.folder.glob("*.safetensors")
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(StoreCorrupt, match="changed since it was opened"):
        [features.rows(tap) for tap in features.taps]


def test_the_catalog_is_made_again_and_shards_left_over_are_taken_in(tmp_path: Path) -> None:
    ids, _ = sentences(200)
    features = fill_ragged(tmp_path, ids).features
    store = FeatureStore(tmp_path)
    store.catalog.path.unlink()
    assert rebuild_catalog(store).is_whole
    check_rows(store.open(), ids)
    spec_id = features.spec.fingerprint()
    store.catalog.drop(spec_id, [store.catalog.shards(spec_id)[0].name])
    assert len(verify_store(store).orphans) == 1
    assert any("taken into the catalog" in line for line in mend_store(store))
    check_rows(store.open(), ids)


WRONG = {
    "no offsets": (lambda t, h: t.pop("tokens/none:offsets"), "no tensor"),
    "offsets of another type": (
        lambda t, h: t.update({"tokens/none:offsets": t["tokens/none:offsets"].astype("f4")}),
        "is float32",
    ),
    "offsets too few": (
        lambda t, h: t.update({"tokens/none:offsets": t["tokens/none:offsets"][1:]}),
        "one length",
    ),
    "a first row that begins later": (
        lambda t, h: t["tokens/none:offsets"].__setitem__(0, 1),
        "do not begin where",
    ),
    "rows that go backwards": (
        lambda t, h: t["tokens/none:offsets"].__setitem__(1, 10**6),
        "do not begin where",
    ),
    "places beyond the last row": (
        lambda t, h: t.update({"tokens/none": np.repeat(t["tokens/none"], 2, 0)}),
        "do not begin where",
    ),
    "an axis that is none": (lambda t, h: h["ragged"].update({"tokens/none": 2}), "ragged rows"),
    "a negative axis": (lambda t, h: h["ragged"].update({"tokens/none": -1}), "ragged rows"),
    "an axis that is no number": (
        lambda t, h: h["ragged"].update({"tokens/none": True}),
        "no shard of this format",
    ),
    "a tap that is not of the spec": (
        lambda t, h: h["ragged"].update({"digests": 0}),
        "no tensor",
    ),
    "no ragged tap": (lambda t, h: h.pop("ragged"), "no shard of this format"),
    "an empty list": (lambda t, h: h["ragged"].clear(), "no shard of this format"),
    "the format of equal rows": (lambda t, h: h.update(format=1), "tensor"),
    "values of another type": (
        lambda t, h: t.update({"tokens/none": t["tokens/none"].astype("f4")}),
        "is float32",
    ),
}


@pytest.mark.parametrize("fault", WRONG)
def test_what_is_not_as_the_page_says_is_damage_though_its_digest_is_right(
    tmp_path: Path, fault: str
) -> None:
    change, words = WRONG[fault]
    features = fill_ragged(tmp_path, sentences(10)[0]).features
    (path,) = features.folder.glob("*.safetensors")
    with safe_open(path, "numpy") as file:
        header = json.loads(file.metadata()["cutpoint"])
        tensors = {name: file.get_tensor(name).copy() for name in file.keys()}  # noqa: SIM118
    change(tensors, header)
    data = save(tensors, metadata={"cutpoint": canonical_json(header)})
    path.write_bytes(data)
    with pytest.raises(StoreCorrupt, match=words):
        read_header(path)


def test_a_later_format_asks_to_upgrade(tmp_path: Path) -> None:
    features = fill_ragged(tmp_path, sentences(10)[0]).features
    (path,) = features.folder.glob("*.safetensors")
    with safe_open(path, "numpy") as file:
        header = json.loads(file.metadata()["cutpoint"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    path.write_bytes(save(tensors, metadata={"cutpoint": canonical_json({**header, "format": 3})}))
    with pytest.raises(StoreError, match="It reads formats 1 to 2") as caught:
        read_header(path)
    assert not isinstance(caught.value, StoreCorrupt)


def spec_of(taps: list[str]) -> FeatureSpec:
    return Sentences().feature_spec(taps, ["none"])


@given(st.lists(st.integers(0, 400), min_size=1, max_size=30), st.data())
def test_rows_of_any_lengths_come_back_from_one_shard(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], data: st.DataObject
) -> None:
    """Rows without any place among them, and rows longer than a block."""
    draw = np.random.default_rng(len(lengths))
    rows = [draw.normal(size=(9, n)).astype(np.float16) for n in lengths]
    spec = spec_of(["time"])
    folder = tmp_path_factory.mktemp("shard") / spec.fingerprint()
    digests = [f"{n:064x}" for n in range(len(rows))]
    receipt = write_shard(folder, spec, digests, {"time/none": Ragged.of(rows, 1)}, "native")
    shard = CheckedShard(folder / receipt.name, receipt.sha256, receipt.spec_id)
    wanted = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=20))
    found = shard.rows("time/none", np.array(wanted, np.intp))
    assert len(found) == len(wanted)
    for row, number in zip(found.rows(), wanted, strict=True):
        np.testing.assert_array_equal(row, rows[number])


@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=5), min_size=1, max_size=4))
def test_parts_are_joined_row_by_row(parts: list[list[int]]) -> None:
    rows = [[np.full((n, 2), i) for i, n in enumerate(lengths)] for lengths in parts]
    found = concatenated([Ragged.of(each, 0) for each in rows]).rows()
    expected = [row for each in rows for row in each]
    assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))


def test_an_item_with_values_beyond_half_precision_is_bad_and_the_others_are_kept() -> None:
    ids, lengths = sentences(5)
    lengths[2] = max(lengths[2], 1)

    def run(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        rows = np.repeat(batch["array"][:, :, None], 3, 2).astype(np.float32)
        rows[2] *= 1e6
        return {"tokens/none": rows}

    spec = Sentences().spec.preprocess
    free = {"tokens/none": 0}
    items = read_dataset(ids, kind="array").items
    found = describe(items, spec, run, "auto", 8, free=free)
    assert found.places == [0, 1, 3, 4]
    assert [place for place, _ in found.bad] == [2]
    assert "beyond" in found.bad[0][1]
    kept = [row.shape for row in found.features["tokens/none"].rows()]
    assert kept == [(lengths[place], 3) for place in found.places]


def test_padding_that_can_not_be_told_at_a_tap_is_refused_by_name() -> None:
    """A layer with fewer places than its padded items has no mask of its own."""
    ids, _ = sentences(4)
    halved = lambda batch: {"conv/none": np.ones((len(batch["array"]), 4, 3), np.float32)}  # noqa: E731
    spec, free = Sentences().spec.preprocess, {"conv/none": 0}
    with pytest.raises(ShapeError, match='padding of items is not known at "conv/none"'):
        describe(read_dataset(ids, kind="array").items, spec, halved, "auto", 8, free=free)


def test_choosing_takes_the_vectors_beside_ragged_rows(tmp_path: Path) -> None:
    features = fill_ragged(tmp_path, sentences(20)[0]).features
    taken = [tap for tap in features.taps if is_vector(features, tap)]
    assert taken == [tap for tap in features.taps if not tap.endswith("/none")]


def test_a_lower_precision_is_compared_on_ragged_rows_too(tmp_path: Path) -> None:
    """Against rows of other items of the same lengths, and against themselves."""
    ids, _ = sentences(20)
    others = np.where(ids > 0, ids % (N_IDS - 1) + 1, 0)
    one, other = (
        fill_ragged(tmp_path / str(number), each, ["none"]).features
        for number, each in enumerate((ids, others))
    )
    rows = np.arange(20)
    assert precision._compared(one, one, rows, rows).cosine > 0.999
    assert precision._compared(one, other, rows, rows).cosine < 0.9


def test_a_head_that_pools_maps_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    ids, lengths = sentences(40)
    labels = ["long" if each > 4 else "short" for each in lengths]
    options = {"pool": ["none"], "head": "attention_pool", "store": tmp_path / "s", "quiet": True}
    with pytest.raises(UsageError, match='"tokens/none": its rows differ in length') as caught:
        cp.fit(ids, None, Sentences(), labels=labels, **options)
    assert "pool='gap'" in caught.value.type_next
    assert not (tmp_path / "s").exists()


def test_a_pool_that_learns_refuses_rows_that_differ_in_length(tmp_path: Path) -> None:
    features = fill_ragged(tmp_path, sentences(60)[0]).features
    with pytest.raises(ShapeError, match='can\'t be fitted on tap "tokens/none": its rows differ'):
        fit_recipe(parse_recipe("none | attention_pool"), features, ["tokens/none"], np.arange(60))


def test_the_same_input_of_a_fixed_size_keeps_its_rows_as_they_were(tmp_path: Path) -> None:
    """Rows of padded items of one size are stored as before: padding and all, format 1."""
    ids, _ = sentences(20)
    backbone = Sentences()
    features = fill(tmp_path, ids, backbone, backbone.feature_spec(["tokens"], ["none"])).features
    assert features.X("tokens/none").shape == (20, 9, 4)
    assert not features.is_ragged("tokens/none")
