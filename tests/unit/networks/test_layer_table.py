from __future__ import annotations

import pytest

from cutpoint.base.errors import TapNotFound, UsageError
from cutpoint.networks.layer_table import (
    Layer,
    LayerTable,
    end_in_probabilities,
    human_count,
    warn_of_probabilities,
)


def table() -> LayerTable:
    rows = [
        Layer(0, "stem", "Conv2d", (None, 8, 16, 16), 2, 216, 55_296),
        Layer(1, "blocks.0", "Block", (None, 16, 8, 8), 4, 1152, 200_000, is_block=True),
        Layer(2, "blocks.1", "Block", (None, 32, 4, 4), 8, 4608, 300_000, is_block=True),
        Layer(3, "blocks", "Sequential", (None, 32, 4, 4), 8, 5760, 300_000, is_block=True),
        Layer(4, "shared", "ReLU", (None, 32, 4, 4), 8, 0, 300_000, tappable=False),
        Layer(5, "fc", "Linear", (None, 10), None, 330, 300_320),
    ]
    return LayerTable("toy", tuple(rows))


def test_layers_are_found_by_name_index_and_negative_index() -> None:
    assert table().get("blocks.1").index == 2
    assert table().get(index=-1).name == "fc"
    assert table()[0].name == "stem"


@pytest.mark.parametrize("arguments", [{}, {"name": "fc", "index": 1}])
def test_both_or_neither_is_an_error(arguments: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="Exactly one"):
        table().get(**arguments)


def test_globs_names_and_indices_select_in_execution_order_without_repeats() -> None:
    chosen = table().select("fc", "blocks.[01]", 1, -6)
    assert [layer.name for layer in chosen] == ["stem", "blocks.0", "blocks.1", "fc"]


@pytest.mark.parametrize("tap", ["blocks.2", 6, -7, "nothing*"])
def test_an_unknown_layer_lists_the_nearest(tap: str | int) -> None:
    with pytest.raises(TapNotFound, match=r"cutpoint\.load\('toy'\)\.layers\(\)"):
        table().select(tap)


def test_the_nearest_name_is_offered() -> None:
    with pytest.raises(TapNotFound, match=r'Nearest: "blocks\.1"'):
        table().by_name("blocks.12")


def test_a_layer_that_is_no_tap_is_refused() -> None:
    with pytest.raises(TapNotFound, match="No features can be read at"):
        table().select("shared")


def test_auto_taps_are_the_ends_of_the_outermost_blocks() -> None:
    assert table().auto_taps() == ("blocks.0", "blocks.1")


def test_auto_taps_look_deeper_for_blocks_that_are_alike() -> None:
    """A BERT's two outermost blocks are its embeddings and its encoder; its layers are deeper."""
    names = ["embeddings", *(f"encoder.layer.{n}" for n in range(3)), "encoder"]
    kinds = ["Embeddings", *["Layer"] * 3, "Encoder"]
    rows = tuple(
        Layer(i, name, kind, (None, 16, 32), None, 1, min(i, 3), is_block=True, layout="NTC")
        for i, (name, kind) in enumerate(zip(names, kinds, strict=True))
    )
    assert LayerTable("bert", rows).auto_taps() == tuple(names[:4])


def test_auto_taps_are_thinned_evenly_and_keep_the_deepest() -> None:
    rows = tuple(
        Layer(i, f"b.{i}", "Block", (None, i + 1, 4, 4), 2, 1, i, is_block=True) for i in range(30)
    )
    taps = LayerTable("deep", rows).auto_taps(at_most=10)
    assert len(taps) == 10
    assert taps[-1] == "b.29"


def test_the_printed_table_lines_up_and_counts_are_readable() -> None:
    lines = str(table()).splitlines()
    assert lines[0].split() == ["index", "name", "kind", "shape", "stride", "params", "MACs", "tap"]
    assert "16×8×8" in lines[2]
    assert human_count(385_187_552) == "385 M"
    assert human_count(12) == "12"
    assert [human_count(each) for each in (999, 1e3, 1e6, 1e9)] == ["999", "1 k", "1 M", "1 G"]


def test_the_notebook_table_escapes_names() -> None:
    odd = LayerTable("x", (Layer(0, "<b>", "K", (None, 1), None, 0, 0),))
    assert "&lt;b&gt;" in odd._repr_html_()


def test_a_number_that_names_a_layer_is_its_name_else_an_index() -> None:
    rows = tuple(
        Layer(i, n, "Conv", (None, 1), None, 0, i) for i, n in enumerate(["11", "12", "2", "1"])
    )
    found = LayerTable("numbers", rows)
    assert found.select("1")[0].index == 3
    assert found.select("11")[0].index == 0
    assert found.select("-1")[0].name == "1"
    assert found.select("0")[0].name == "11"
    assert found.select(1)[0].name == "12"
    with pytest.raises(TapNotFound):
        found.select(1.5)  # type: ignore[arg-type]  # what a user may type
    with pytest.raises(TapNotFound):
        LayerTable("empty", ()).select(0)


def test_side_by_side_a_bias_is_no_end_of_a_block_and_adding_branches_up_is() -> None:
    """As ONNX spells a transformer's MLP and a residual block: cost rises with each product."""
    steps = [
        ("stem", "Conv", 1, 0),
        ("fc1", "MatMul", 2, 0),
        ("bias", "Add", 2, 8),
        ("gelu", "Gelu", 2, 0),
        ("fc2", "MatMul", 3, 0),
        ("sum", "Add", 3, 0),
        ("conv1", "Conv", 4, 0),
        ("relu", "Relu", 4, 0),
        ("conv2", "Conv", 5, 0),
        ("sum2", "Add", 5, 0),
        ("out", "Relu", 5, 0),
        ("head", "Conv", 6, 0),
        ("last", "Relu", 6, 0),
    ]
    rows = [
        Layer(i, name, kind, (None, 8, 4, 4), 2, params, macs)
        for i, (name, kind, macs, params) in enumerate(steps)
    ]
    assert LayerTable("flat", tuple(rows)).inner_taps() == ("gelu", "relu")


def test_a_row_has_no_output_and_says_where_a_tensor_is_to_be_had() -> None:
    """As Keras' users type it: ``get_layer("conv1").output``."""
    row = Layer(0, "conv1", "Conv", (None, 8, 4, 4), 2, 8, 8)
    with pytest.raises(AttributeError, match=r'backbone\.symbolic\("conv1"\)'):
        _ = row.output
    assert not hasattr(row, "output")
    assert getattr(row, "output", None) is None


def test_a_layer_that_is_no_tap_says_why_and_what_is_near() -> None:
    why = "it is the network's input, before anything is computed"
    rows = (
        Layer(
            0, "input_1", "InputLayer", (None, 8, 8, 3), 1, 0, 0, False, False, "NHWC", "input", why
        ),
        Layer(1, "conv", "Conv2D", (None, 8, 8, 4), 1, 108, 6912, layout="NHWC"),
    )
    with pytest.raises(TapNotFound, match="it is the network's input") as caught:
        LayerTable("net", rows).select("input_1")
    assert caught.value.would_do == 'Nearest: "conv".'
    tapped = [line.split()[-1] for line in str(LayerTable("net", rows)).splitlines()]
    assert tapped == ["tap", "input", "yes"]


def test_the_input_of_a_graph_is_no_layer_and_says_so() -> None:
    with pytest.raises(TapNotFound, match="it is the network's input"):
        LayerTable("toy", table().rows, "pixels").select("pixels")


@pytest.mark.parametrize(
    ("kinds", "held"),
    [
        (["Linear", "Softmax"], ["features", "probabilities"]),
        (["Linear", "sigmoid", "flatten"], ["features", "probabilities", "probabilities"]),
        (["Softmax", "Linear"], ["features", "features"]),
        (["Sigmoid", "mul"], ["features", "features"]),
    ],
)
def test_what_a_final_softmax_gives_is_known(kinds: list[str], held: list[str]) -> None:
    rows = [Layer(i, kind, kind, (None, 4), None, 0, 8) for i, kind in enumerate(kinds)]
    found = end_in_probabilities(rows)
    assert [row.holds for row in found] == held
    names = [row.name for row in found if row.holds == "probabilities"]
    assert all(f'"{name}"' in warn_of_probabilities(found) for name in names)
    assert bool(warn_of_probabilities(found)) == bool(names)


def test_auto_taps_of_an_mlp_are_its_layers_after_their_activation() -> None:
    kinds = ["BatchNorm", "Linear", "ReLU", "Dropout", "Linear", "ReLU", "Linear", "Softmax"]
    costs = [0, 8, 8, 8, 16, 16, 24, 24]
    widths = [4, 8, 8, 8, 6, 6, 3, 3]
    rows = [
        Layer(i, f"{kind}{i}", kind, (None, width), None, 0, cost, layout="NC")
        for i, (kind, cost, width) in enumerate(zip(kinds, costs, widths, strict=True))
    ]
    table = LayerTable("mlp", tuple(end_in_probabilities(rows)))
    assert table.auto_taps() == ("Dropout3", "ReLU5", "Linear6")
    assert table.auto_taps(at_most=2) == ("Dropout3", "Linear6")


def test_auto_taps_of_an_mlp_of_blocks_are_their_ends() -> None:
    names = ["stem", "blocks.0", "blocks.0.fc", "blocks.1", "blocks.1.fc", "head"]
    costs = [8, 16, 16, 24, 24, 32]
    rows = tuple(
        Layer(
            i, name, "Block" if name[-1].isdigit() else "Linear", (None, 8), None, 0, cost,
            is_block=name[-1].isdigit(), layout="NC",
        )
        for i, (name, cost) in enumerate(zip(names, costs, strict=True))
    )  # fmt: skip
    assert LayerTable("mlp", rows).auto_taps() == ("blocks.0", "blocks.1")


def test_auto_taps_take_the_last_features_and_no_probabilities() -> None:
    rows = [
        Layer(i, kind, kind, (None, 4), None, 0, 8, layout="NC")
        for i, kind in enumerate(["Linear", "Softmax"])
    ]
    assert LayerTable("mlp", tuple(end_in_probabilities(rows))).auto_taps() == ("Linear",)


def test_auto_taps_leave_out_what_says_one_thing_in_many_places() -> None:
    rows = [Layer(0, "conv", "Conv", (None, 4, 8, 8), 1, 9, 8)]
    rows.append(Layer(1, "gate", "Expand", (None, 4, 8, 8), 1, 0, 9))
    assert LayerTable("net", tuple(rows)).auto_taps() == ("conv",)


def test_auto_taps_of_two_blocks_that_are_unlike_are_both() -> None:
    rows = [
        Layer(0, "conv", "Conv2d", (None, 4, 16, 16), 1, 1, 1),
        Layer(1, "stage", "Stage", (None, 8, 8, 8), 2, 1, 2, is_block=True),
        Layer(2, "neck", "Neck", (None, 16, 4, 4), 4, 1, 3, is_block=True),
        Layer(3, "last", "Conv2d", (None, 16, 2, 2), 8, 1, 4),
    ]
    assert LayerTable("unlike", tuple(rows)).auto_taps() == ("stage", "neck")


def test_inner_taps_are_whole_attentions_not_their_parts() -> None:
    parts = [("", "Layer"), (".attention", "Attention"), (".attention.self", "SelfAttention")]
    names = [(f"layer.{n}{part}", kind) for n in range(2) for part, kind in reversed(parts)]
    rows = [
        Layer(
            i, name, kind, (None, 16, 8), None, 1, i, layout="NTC", is_block=kind != "SelfAttention"
        )
        for i, (name, kind) in enumerate(names)
    ]
    found = LayerTable("bert", tuple(rows)).inner_taps()
    assert found == ("layer.0.attention", "layer.1.attention")


def test_long_names_lose_their_middle_where_the_page_is_narrow() -> None:
    long = "model.encoder.blocks.11.attention.output.dense"
    rows = (
        Layer(0, long, "Linear", (None, 64), None, 1, 1),
        Layer(1, "fc", "Linear", (None, 9), None, 1, 1),
    )
    table = LayerTable("x", rows)
    assert long in str(table)
    lines = table.lines(80)
    assert max(map(len, lines)) == 80
    assert "model.encoder" in lines[1]
    assert "…" in lines[1]
    assert "output.dense  Linear" in lines[1]
    assert max(map(len, table.lines(20))) < 80
    assert table.lines(400) == str(table).splitlines()
