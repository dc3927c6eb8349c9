"""The pages name everything there is."""

from __future__ import annotations

import re
from importlib.metadata import entry_points

from tests.conftest import ROOT

from cutpoint.choosing.scores import SCORES
from cutpoint.pooling import POOLS
from cutpoint.preprocess import RECIPES
from cutpoint.recipe import AGGREGATES, NAMED
from cutpoint.transforms import TRANSFORMS


def test_every_source_and_every_recipe_of_preprocessing_is_documented() -> None:
    page = (ROOT / "docs" / "backbones.md").read_text()
    sources = entry_points(group="cutpoint.sources").names - {"fake"}  # for tests of programs
    for name in [*sources, *RECIPES]:
        assert re.search(rf"^\| `{name}` \|", page, re.MULTILINE), name


def test_every_pool_stage_and_named_recipe_is_documented() -> None:
    page = (ROOT / "docs" / "features.md").read_text()
    for name in [*POOLS, *TRANSFORMS, *AGGREGATES, *NAMED]:
        assert re.search(rf"`{re.escape(name)}[`(]", page), name


def test_every_score_every_variant_and_every_distance_is_documented() -> None:
    page = (ROOT / "docs" / "scores.md").read_text()
    for name, score in SCORES.items():
        (row,) = re.findall(rf"^\| `{name}` \|.*$", page, re.MULTILINE)
        assert all(f"`{each}`" in row.split("|")[-2] for each in score.compat), name
    for name in {
        "weighted_tau",
        "null_band",
        "static_ranking",
        "mmd2",
        "kid",
        "cmmd",
        "fid",
        "coral",
        "proxy_a_distance",
    }:
        assert re.search(rf"`{name}[`(]", page), name
