"""The pages name everything there is."""

from __future__ import annotations

import re
from importlib.metadata import entry_points

from cutpoint.items.kinds.image import RECIPES
from cutpoint.learning.heads import HEADS, PROTOCOLS, parse_head
from cutpoint.learning.recipe import AGGREGATES, NAMED, parse_recipe
from cutpoint.learning.transferability import SCORES
from cutpoint.learning.transforms import TRANSFORMS
from cutpoint.networks.pooling import POOLS
from tests.conftest import ROOT


def test_every_source_and_every_recipe_of_preprocessing_is_documented() -> None:
    page = (ROOT / "docs" / "backbones.md").read_text()
    sources = entry_points(group="cutpoint.sources").names - {"fake"}  # for tests of programs
    for name in [*sources, *RECIPES]:
        assert re.search(rf"^\| `{name}` \|", page, re.MULTILINE), name


GUIDE = ("features", "pooling", "aggregating", "selecting", "reducing")


def guide_pages() -> str:
    return "\n".join((ROOT / "docs" / f"{name}.md").read_text() for name in GUIDE)


def test_every_pool_stage_and_named_recipe_is_documented() -> None:
    for name in [*POOLS, *TRANSFORMS, *AGGREGATES, *NAMED]:
        assert re.search(rf"`{re.escape(name)}[`(]", guide_pages()), name
    for kind, head in HEADS.items():
        assert head.takes != "maps" or f"| `{kind}` |" in guide_pages(), kind


def test_what_the_guide_says_to_type_can_be_typed() -> None:
    pages = guide_pages()
    for text in re.findall(r'--recipe "([^"]+)"', pages):
        parse_recipe(text)
    for text in re.findall(r"--head (\w+)", pages):
        parse_head(text)
    for code in re.findall(r"```python\n(.*?)```", pages, re.DOTALL):
        if "photos/" not in code:  # the reader's own
            exec(compile(code, "guide", "exec"), {})


def test_the_pictures_are_there_and_small() -> None:
    for name in re.findall(r"!\[[^\]]+\]\((pictures/[^)]+)\)", guide_pages()):
        assert 1000 < (ROOT / "docs" / name).stat().st_size < 150_000, name


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


def test_every_head_and_protocol_is_documented() -> None:
    page = (ROOT / "docs" / "heads.md").read_text()
    for name in [*HEADS, *PROTOCOLS]:
        assert re.search(rf"^\| `{re.escape(name)}[`(]", page, re.MULTILINE), name
