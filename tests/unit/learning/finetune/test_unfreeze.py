"""What is unfrozen by which words, and which layers make a block."""

from __future__ import annotations

import pytest

from cutpoint.base.contracts import Parameter
from cutpoint.base.errors import UsageError
from cutpoint.learning.finetune import Blocks, parse_unfreeze, unfrozen
from cutpoint.learning.finetune.blocks import STEM
from cutpoint.networks.layer_table import Layer, LayerTable


def row(index: int, name: str, macs: int, is_block: bool = False, width: int = 8) -> Layer:
    return Layer(index, name, "Layer", (None, width, 4, 4), 4, 1, macs, is_block=is_block)


MODULES = LayerTable(
    "net",
    (
        row(0, "stem", 10),
        *(
            each
            for n in range(3)
            for each in (
                row(1 + 4 * n, f"blocks.{n}.conv", 100 * (n + 1), width=32),
                row(2 + 4 * n, f"blocks.{n}.norm", 100 * (n + 1), width=32),
                row(3 + 4 * n, f"blocks.{n}.query", 100 * (n + 1) + 50),
                row(4 + 4 * n, f"blocks.{n}", 100 * (n + 1) + 50, is_block=True),
            )
        ),
        row(13, "last", 500),
        row(14, "classifier", 600),
    ),
)
ROLES = {"norm": "norm", "query": "query"}
KNOWN = tuple(
    Parameter(f"{each.name}.weight", each.name, (2, 2), ROLES.get(each.name.rpartition(".")[2], ""))
    for each in MODULES
    if not each.is_block
)
KERAS = LayerTable(
    "mobilenet",
    tuple(
        row(index, name, macs)
        for index, (name, macs) in enumerate(
            [
                *(("conv1", 1), ("conv1_bn", 1), ("conv_dw_1", 2), ("conv_dw_1_bn", 2)),
                *(("conv_pw_1", 3), ("conv_pw_1_relu", 3), ("conv_dw_2", 4), ("conv_pw_2", 5)),
                *(("conv_pw_2_relu", 5), ("conv_preds", 6)),
            ]
        )
    ),
)


def names(text: str, end: str = "last", table: LayerTable = MODULES) -> list[str]:
    found = unfrozen(parse_unfreeze(text), KNOWN, table, end, "net")
    return [each.name.removesuffix(".weight") for each in found.trainable]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("last:1", ["blocks.2.conv", "blocks.2.norm", "blocks.2.query", "last"]),
        ("norm", ["blocks.2.norm"]),
        ("norm:2", ["blocks.1.norm", "blocks.2.norm"]),
        ("last:2layers", ["blocks.2.query", "last"]),
        ("from:blocks.2", ["blocks.2.conv", "blocks.2.norm", "blocks.2.query", "last"]),
        ("from:-2", ["last"]),
        ("from: 11", ["blocks.2.query", "last"]),
        ("lora(4)", ["blocks.0.query", "blocks.1.query", "blocks.2.query"]),
    ],
)
def test_words_say_what_is_trained(text: str, expected: list[str]) -> None:
    assert names(text) == expected


def test_all_is_all_up_to_the_end() -> None:
    assert names("all") == [p.name.removesuffix(".weight") for p in KNOWN][:-1]
    assert names("all", "blocks.0") == ["stem", "blocks.0.conv", "blocks.0.norm", "blocks.0.query"]


def test_blocks_are_counted_from_the_end_that_is_used() -> None:
    assert names("last:1", "blocks.1") == ["blocks.1.conv", "blocks.1.norm", "blocks.1.query"]


@pytest.mark.parametrize(
    "text", ["last", "last:0", "norm:0", "lora", "lora(0)", "half", "", "from:"]
)
def test_other_words_are_refused_and_all_that_can_be_said_is_listed(text: str) -> None:
    with pytest.raises(UsageError, match=r"last:Nlayers, from:LAYER"):
        parse_unfreeze(text)


@pytest.mark.parametrize(
    "text", ["norm", "norm:2", "last:3", "last:10layers", "from:-4", "lora(8)"]
)
def test_it_prints_as_it_is_typed(text: str) -> None:
    assert str(parse_unfreeze(text)) == text


def test_more_blocks_than_there_are_is_refused() -> None:
    with pytest.raises(UsageError, match="last:4 is more than the network has: 3 blocks"):
        names("last:4")


def test_nothing_to_train_is_refused() -> None:
    bare = tuple(Parameter(p.name, p.layer, p.shape) for p in KNOWN)
    with pytest.raises(UsageError, match="no projections of attention"):
        unfrozen(parse_unfreeze("lora(2)"), bare, MODULES, "last", "net")


def test_the_cut_is_where_least_is_stored_from_the_block_before_on() -> None:
    blocks = Blocks(MODULES, 13)
    found = unfrozen(parse_unfreeze("norm"), KNOWN, MODULES, "last", "net")
    # blocks.2.conv, just before the norm, is four times as wide.
    assert found.cuts(MODULES, blocks)[:2] == ["blocks.1", "blocks.2.conv"]
    whole = unfrozen(parse_unfreeze("all"), KNOWN, MODULES, "last", "net")
    assert whole.cuts(MODULES, blocks) == []


def test_layers_side_by_side_make_blocks_by_the_numbers_in_their_names() -> None:
    blocks = Blocks(KERAS, 8)
    assert blocks.names == ("1", "2")
    assert blocks.of("conv1") == STEM
    assert [blocks.of(name) for name in ("conv_dw_1", "conv_pw_1_relu")] == ["1", "1"]
    assert [blocks.of(name) for name in ("conv_dw_2", "conv_preds")] == ["2", "2"]
