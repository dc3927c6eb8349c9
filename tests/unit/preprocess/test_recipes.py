from __future__ import annotations

from pathlib import Path

import pytest

from cutpoint.errors import UsageError
from cutpoint.preprocess import stated_preprocess

FIELDS = (
    '"resize_px": 32, "crop_px": 32, "interpolation": "bilinear", "mean": [0, 0, 0], '
    '"std": [255, 255, 255]'
)


def test_a_field_said_twice_is_refused_where_json_takes_the_last(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(f"{{{FIELDS}}}")
    bad.write_text(f'{{{FIELDS}, "std": [1, 1, 1]}}')
    assert stated_preprocess(str(good), "x").std == (255.0,) * 3  # type: ignore[union-attr]  # an image's
    with pytest.raises(UsageError, match="said twice: std"):
        stated_preprocess(str(bad), "x")
