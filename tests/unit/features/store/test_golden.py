"""I10: stores written by one release open in all later ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from cutpoint.features.store import FeatureStore, verify_store
from tests.golden.make import row_sums

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
