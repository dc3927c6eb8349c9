"""I10: stores written by one release open in all later ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from cutpoint.features.store import FeatureStore, verify_store
from tests.golden.make import row_sums
from tests.unit.features.store.ragged import fill_ragged, sentences

GOLDEN = Path(__file__).parents[3] / "golden"


def test_the_golden_store_opens_whole_and_gives_the_features_it_did(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "store-v1", tmp_path / "store")
    store = FeatureStore(tmp_path / "store")
    assert verify_store(store).is_whole
    features = store.open()
    expected = json.loads((GOLDEN / "features-v1.json").read_text())
    assert list(features.taps) == list(expected)
    assert len(features) == 60
    for tap, sums in expected.items():
        np.testing.assert_allclose(row_sums(features.X(tap)), sums, rtol=1e-5)
        assert features.X(tap).dtype == ("float16" if "grid" in tap else "float32")


def test_the_golden_store_of_ragged_rows_opens_whole_and_gives_the_rows_it_did(
    tmp_path: Path,
) -> None:
    shutil.copytree(GOLDEN / "store-v2", tmp_path / "store")
    store = FeatureStore(tmp_path / "store")
    assert verify_store(store).is_whole
    features = store.open()
    expected = json.loads((GOLDEN / "features-v2.json").read_text())
    assert list(features.taps) == list(expected)
    for tap, rows in expected.items():
        found = features.rows(tap)
        assert [list(row.shape) for row in found] == [shape for shape, _ in rows]
        sums = [row.sum(dtype=np.float64) for row in found]
        np.testing.assert_allclose(sums, [each for _, each in rows], rtol=1e-5)
        assert {str(row.dtype) for row in found} == {"float16" if "none" in tap else "float32"}


def test_ragged_rows_are_written_as_they_were(tmp_path: Path) -> None:
    """Equal rows give equal bytes, and so the same name, in this format, too."""
    fill_ragged(tmp_path / "new", sentences(40)[0])
    new, old = FeatureStore(tmp_path / "new"), FeatureStore(GOLDEN / "store-v2")
    assert [path.name for path in new.shard_files()] == [path.name for path in old.shard_files()]
    assert [path.name for path in new.views()] == [path.name for path in old.views()]
