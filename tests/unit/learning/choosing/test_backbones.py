"""Several backbones in one table; and what is known before measuring."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cutpoint as cp
from cutpoint.base.errors import DataError, UsageError
from cutpoint.base.tongue import in_shell
from cutpoint.learning.choosing import BackboneRanking, Ranking, prior_advice, rank_backbones
from cutpoint.testing import FakeBackbone
from tests.unit.learning.choosing.test_picking import candidate, ranking, repeated


def backbone(seed: int, accuracy: float | None = None) -> FakeBackbone:
    found = FakeBackbone(seed)
    found.source_accuracy = accuracy
    return found


def ranked(pairs: Sequence[tuple[FakeBackbone, Ranking]]) -> BackboneRanking:
    """Without features, which no table needs."""
    return rank_backbones([(network, each, None) for network, each in pairs])  # type: ignore[misc]  # as the docstring says


def test_backbones_are_ordered_by_the_error_of_their_own_choice() -> None:
    good, poor = ranking(candidate(190, 1, 500)), ranking(candidate(150, 1, 100))
    found = ranked([(backbone(0, 0.7), poor), (backbone(1, 0.6), good)])
    assert [each.backbone for each in found.entries] == ["fake:seed1", "fake:seed0"]
    assert found.taken.backbone == "fake:seed1"
    assert found.static_is == "ImageNet top-1"
    assert "By ImageNet top-1 alone it would have been fake:seed0." in found.verdict()
    assert max(map(len, str(found).splitlines())) <= 100


def test_of_two_that_few_rows_can_not_tell_apart_the_static_ranking_s_is_taken() -> None:
    """It sees no rows, and is a strong baseline; the cheaper one was taken before."""
    dear, cheap = ranking(candidate(190, 1, 500)), ranking(candidate(190, 1, 100))
    found = ranked([(backbone(0, 0.7), dear), (backbone(1, 0.6), cheap)])
    assert found.taken.backbone == "fake:seed0"
    assert "none is shown to be better, or as good and cheaper" in found.verdict()


def test_the_cheaper_of_two_that_many_rows_show_to_be_alike_is_taken() -> None:
    dear, cheap = (
        replace(ranking(repeated(candidate(190, 1, macs), 2)), n_train=400) for macs in (500, 100)
    )
    found = ranked([(backbone(0, 0.7), dear), (backbone(1, 0.6), cheap)])
    assert found.taken.backbone == "fake:seed1"
    assert "cheaper and shown to score no more than 1 point below" in found.verdict()


def test_order_beside_a_static_one_needs_three_that_differ() -> None:
    rankings = [ranking(candidate(n, 1, 500)) for n in (190, 170, 150)]
    ordered = ranked(list(zip(map(backbone, range(3)), rankings, strict=True)))
    assert ordered.agreement is None  # equal parameters: no order
    assert "nan" not in str(ordered)
    json.dumps(ordered.to_json(), allow_nan=False)
    pairs = [
        (backbone(n, a), r) for n, (a, r) in enumerate(zip((0.8, 0.7, 0.6), rankings, strict=True))
    ]
    assert ranked(pairs).agreement == pytest.approx(1.0)


def test_different_rows_are_refused() -> None:
    one = ranking(candidate(190, 1, 500))
    other = type(one)(one.candidates, 199, 20, is_grouped=False)
    with pytest.raises(DataError, match="199, 200 rows"):
        ranked([(backbone(0), one), (backbone(1), other)])


@pytest.mark.parametrize(
    ("n_items", "similarity", "says"),
    [
        (300, "near", "Keep the network frozen"),
        (300, "far", "all depths and at layers fused"),
        (5_000, "far", "head-first fine-tuning"),
        (50_000, "far", "expect fine-tuning to win"),
    ],
)
def test_advice_beforehand_depends_on_size_and_likeness(
    n_items: int, similarity: str, says: str
) -> None:
    advice = prior_advice(n_items, 5, similarity)
    assert says in " ".join(advice.advice)
    assert all(source.says for source in advice.sources)
    assert max(map(len, str(advice).splitlines())) <= 100


def test_an_unknown_likeness_is_refused() -> None:
    with pytest.raises(UsageError, match="near, far, unknown"):
        prior_advice(10, 2, "middling")


def test_python_compares_backbones_as_the_command_line_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (40, 32, 32, 3)).astype(np.uint8), [*"ab"] * 20
    images[::2, :16] //= 2  # something to see
    found = cp.choose(
        images,
        backbones=["fake:seed0", "fake:seed1"],
        taps=["conv2"],
        pool="gap",
        store=tmp_path,
        labels=labels,
        quiet=True,
    )
    assert isinstance(found, BackboneRanking)
    assert {each.backbone for each in found.entries} == {"fake:seed0", "fake:seed1"}
    one = found.entries[0]
    again = cp.choose(one.features, quiet=True)
    assert again.to_json()["candidates"] == one.ranking.to_json()["candidates"]
    assert one.ranking.items_per_s.keys() >= {"conv2"}


def test_what_stored_features_can_not_follow_is_refused_in_the_reader_s_words(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (8, 32, 32, 3)).astype(np.uint8)
    features = cp.extract(
        images, "fake:seed0", ["conv2"], "gap", tmp_path, labels=[*"ab"] * 4, quiet=True
    )
    for data in (features, tmp_path):
        with pytest.raises(UsageError, match="Leave out labels, taps, n_workers"):
            cp.choose(data, taps=["conv1"], n_workers=1, labels=[*"ab"] * 4, quiet=True)
    with in_shell(), pytest.raises(UsageError, match="Leave out --tap, --workers"):
        cp.choose(tmp_path, taps=["conv1"], n_workers=1, quiet=True)


def test_a_backbone_is_not_compared_with_itself() -> None:
    with pytest.raises(UsageError, match="is there twice"):
        cp.choose([b"a", b"b"], backbones=["fake:seed0", "fake:seed0"], labels=[0, 1], quiet=True)
