"""Networks with several inputs, free sizes and constants, in every framework.

References: onnxruntime, transformers, Keras and torch on the whole network; tolerance 1e-5.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

import cutpoint as cp
from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.base.spec import ArraySpec, ArraysSpec, BackboneSpec
from cutpoint.base.types import InputSpec
from cutpoint.networks.backbone import Backbone
from cutpoint.networks.constants import constant_array, read_constants
from cutpoint.networks.engines import ENGINES
from cutpoint.networks.runtimes.keras import import_keras
from cutpoint.networks.sources.hf_networks import import_transformers

RANDOM = np.random.default_rng(0)
IDS = RANDOM.integers(1, 50, (3, 11))
MASK = np.ones((3, 11), np.int64)
MASK[1, 6:] = 0
TYPES = np.zeros_like(IDS)
NAMES = ("input_ids", "attention_mask", "token_type_ids")


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, atol=1e-5)


def masked_mean(tokens: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return (tokens * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)


class Called(nn.Module):
    """A network of transformers whose arguments have the names and order of the file."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
        found = self.network(
            input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        )
        return found.last_hidden_state


def exported(network: nn.Module, given: tuple[Any, ...], path: Path, **how: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own remarks on its exporter
        torch.onnx.export(network, given, path, opset_version=14, dynamo=False, **how)
    return path


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Module]:
    """Return a tiny BERT as ONNX with free batch and length, and the network itself."""
    transformers = import_transformers("bert")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=60,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    network = transformers.BertModel(config, add_pooling_layer=False).eval()
    ones = torch.ones(2, 8, dtype=torch.long)
    path = exported(
        Called(network).eval(),
        (ones, ones, torch.zeros_like(ones)),
        tmp_path_factory.mktemp("bert") / "bert.onnx",
        input_names=list(NAMES),
        output_names=["out"],
        dynamic_axes={name: {0: "batch", 1: "sequence"} for name in NAMES},
    )
    return path, network


def hidden(network: nn.Module, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        found = network(torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))
    return np.asarray(found.last_hidden_state)


def test_a_bert_in_onnx_is_listed_and_cut_with_all_its_inputs(bert: tuple[Path, Any]) -> None:
    backbone = cp.load(str(bert[0]), "none")
    assert list(backbone.spec.preprocess.inputs) == list(NAMES)
    assert backbone.spec.preprocess.inputs["attention_mask"].mask_of == "input_ids"
    last = backbone.layers().rows[-1]
    assert (last.name, last.shape, last.layout) == ("out", (None, None, 16), "NTC")
    cut = backbone.cut("out", pool=["gap", "cls"])
    assert cut.why_native == ""
    found = cut({"input_ids": IDS, "attention_mask": MASK, "token_type_ids": TYPES})
    own = onnxruntime.InferenceSession(bert[0]).run(
        None, {"input_ids": IDS, "attention_mask": MASK, "token_type_ids": TYPES}
    )[0]
    close(own, hidden(bert[1], IDS, MASK))
    close(found["out/gap"], masked_mean(own, MASK))
    close(found["out/cls"], own[:, 0])


def test_its_rows_depend_on_no_batch_mate_and_on_no_length(
    bert: tuple[Path, Any], tmp_path: Path
) -> None:
    backbone = cp.load(str(bert[0]), "none", inputs={"token_type_ids": "zeros"})
    lengths = (5, 9, 5, 12, 7, 9, 30)
    items = [{"input_ids": RANDOM.integers(1, 50, length)} for length in lengths]
    features = cp.extract(items, backbone, ["out"], "gap", tmp_path / "store", quiet=True)
    for row, item in zip(features.X("out/gap"), items, strict=True):
        ids = item["input_ids"][None]
        close(row, hidden(bert[1], ids, np.ones_like(ids)).mean(1)[0])
    alone = cp.extract(items[3:4], backbone, ["out"], "gap", tmp_path / "other", quiet=True)
    close(alone.X("out/gap")[0], features.X("out/gap")[3])


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "native"])
def test_engines_are_given_inputs_by_name(bert: tuple[Path, Any], engine: str) -> None:
    cut = cp.load(str(bert[0]), "none").cut("out", pool="gap")
    run = ENGINES[engine](cut, 1).session()
    batch = {"input_ids": IDS, "attention_mask": MASK, "token_type_ids": TYPES}
    close(run(batch)["out/gap"], masked_mean(hidden(bert[1], IDS, MASK), MASK))
    shorter = {name: each[:, :4] for name, each in batch.items()}
    close(run(shorter)["out/gap"], hidden(bert[1], IDS[:, :4], MASK[:, :4]).mean(1))


def test_what_is_not_said_is_asked_for_with_names_shapes_and_what_to_type(
    bert: tuple[Path, Any],
) -> None:
    with pytest.raises(UsageError) as caught:
        cp.load(str(bert[0]))
    told = str(caught.value)
    assert "input_ids (int64 of shape ?), attention_mask (int64 of shape ?, the mask of" in told
    assert "preprocess='none'" in told
    assert "inputs={'token_type_ids': 'zeros'}" in told
    with pytest.raises(UsageError, match="is a recipe of photos"):
        cp.load(str(bert[0]), "imagenet")
    with pytest.raises(UsageError, match='"types" is no input of'):
        cp.load(str(bert[0]), "none", inputs={"types": "zeros"})


def test_a_json_file_says_inputs_by_name_and_masks_made_of_padding(
    bert: tuple[Path, Any], tmp_path: Path
) -> None:
    said = tmp_path / "bert.json"
    said.write_text(
        '{"inputs": {"input_ids": {"shape": [11], "dtype": "int64"}, '
        '"attention_mask": {"shape": [11], "dtype": "int64", "mask_of": "input_ids", "pad_id": 0}}}'
    )
    backbone = cp.load(str(bert[0]), str(said), inputs={"token_type_ids": "zeros"})
    padded = np.where(MASK == 1, IDS, 0)
    found = backbone.cut("out", pool="mean")(padded)["out/mean"]
    close(found, masked_mean(hidden(bert[1], IDS, MASK), MASK))
    said.write_text('{"inputs": {"ids": {"shape": [11], "dtype": "int64"}}}')
    with pytest.raises(UsageError, match="gives ids"):
        cp.load(str(bert[0]), str(said))


def test_constants_are_part_of_the_id_and_absent_where_there_are_none(
    bert: tuple[Path, Any],
) -> None:
    plain = cp.load(str(bert[0]), "none").spec
    held = cp.load(str(bert[0]), "none", inputs={"token_type_ids": "zeros"})
    assert "constants" not in plain.to_json()
    assert held.spec.to_json()["constants"] == {"token_type_ids": "zeros"}
    assert BackboneSpec.from_json(held.spec.to_json()) == held.spec
    assert held.load_words[-2:] == ["--input", "token_type_ids=zeros"]
    assert "inputs={'token_type_ids': 'zeros'}" in held.load_call


class Vad(nn.Module):
    """As voice activity detectors are: sound, a state, and a rate that is a number."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 8, 5, stride=2)
        self.rnn = nn.GRU(8, 6, batch_first=True)
        self.out = nn.Linear(6, 2)

    def forward(self, sound: Any, state: Any, sr: Any) -> Any:
        inner = torch.relu(self.conv(sound[:, None])) * (sr / 8000.0)
        steps, _ = self.rnn(inner.transpose(1, 2), state)
        return self.out(steps[:, -1])


@pytest.fixture(scope="module")
def vad(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Vad]:
    torch.manual_seed(0)
    network = Vad().eval()
    path = exported(
        network,
        (torch.zeros(1, 64), torch.zeros(1, 1, 6), torch.tensor(16000)),
        tmp_path_factory.mktemp("vad") / "vad.onnx",
        input_names=["sound", "state", "sr"],
        output_names=["voice"],
        dynamic_axes={"sound": {0: "batch"}, "state": {1: "batch"}},
    )
    return path, network


SOUND = RANDOM.normal(size=(3, 64)).astype("float32")


def test_inputs_without_data_take_constants(vad: tuple[Path, Vad]) -> None:
    """A state for one item at a time: items are run so, and that is said."""
    with pytest.raises(UsageError, match=r'"sr" .* takes no batch of arrays') as caught:
        cp.load(str(vad[0]), "none", inputs={"state": "zeros"})
    assert "inputs={'sr': 'zeros'}" in caught.value.type_next
    assert "sound (float32 of shape ?×64)" in str(caught.value)
    backbone = cp.load(str(vad[0]), "none", inputs={"state": "zeros", "sr": 16000})
    assert backbone.spec.preprocess == ArraySpec((64,))
    cut = backbone.cut("voice", pool="none")
    assert "one by one" in cut.why_native
    session = onnxruntime.InferenceSession(vad[0])
    state, rate = np.zeros((1, 1, 6), "float32"), np.array(16000)
    own = [
        session.run(None, {"sound": SOUND[row : row + 1], "state": state, "sr": rate})[0]
        for row in range(3)
    ]
    close(cut(SOUND)["voice/none"], np.concatenate(own))


def test_torch_takes_constants_by_the_names_of_its_arguments(vad: tuple[Path, Vad]) -> None:
    inputs = {"state": "zeros(1,3,6)", "sr": 16000}
    backbone = cp.load(vad[1], ArraySpec((64,)), inputs={**inputs, "state": "zeros(1,1,6)"})
    assert "conv" in {row.name for row in backbone.layers()}
    with torch.inference_mode():
        own = vad[1](torch.from_numpy(SOUND[:1]), torch.zeros(1, 1, 6), 16000)
    close(backbone.cut("out", pool="none")(SOUND[:1])["out/none"], own)
    with pytest.raises(UsageError, match='has no input "rate"'):
        cp.load(vad[1], ArraySpec((64,)), inputs={"rate": 1}).layers()


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(60, 6)
        self.last = nn.Linear(6, 6)

    def forward(self, ids: Any, attention_mask: Any, weights: Any) -> Any:
        return self.last(self.embed(ids) * attention_mask[..., None] + weights[:, None])


def test_torch_is_given_several_arrays_by_name(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Two().eval()
    spec = ArraysSpec(
        (
            ("ids", InputSpec((None,), "int64")),
            ("attention_mask", InputSpec((None,), "int64", "ids")),
            ("weights", InputSpec((6,))),
        )
    )
    backbone = cp.load(network, spec)
    assert backbone.layers()["last"].shape == (None, None, 6)
    items = [
        {"ids": RANDOM.integers(1, 50, n), "weights": RANDOM.normal(size=6)} for n in (4, 7, 4, 9)
    ]
    features = cp.extract(items, backbone, ["last"], "gap", tmp_path, quiet=True)
    for row, item in zip(features.X("last/gap"), items, strict=True):
        ids = torch.from_numpy(item["ids"])[None]
        with torch.inference_mode():
            own = network(ids, torch.ones_like(ids), torch.tensor(item["weights"])[None].float())
        close(row, own.mean(1)[0])
    with pytest.raises(ShapeError, match="mappings of ids"):
        cp.extract([{"ids": np.ones(4, int)}], backbone, ["last"], "gap", tmp_path, quiet=True)


@pytest.fixture(scope="module")
def attention() -> Any:
    """Return a functional network of ids and their mask."""
    keras = import_keras()
    keras.utils.set_random_seed(0)
    ids = keras.Input((None,), dtype="int32", name="ids")
    mask = keras.Input((None,), dtype="int32", name="padding_mask")
    embedded = keras.layers.Embedding(60, 8, name="embed")(ids)
    attend = keras.layers.MultiHeadAttention(2, 4, name="attend")
    seen = attend(embedded, embedded, attention_mask=keras.ops.expand_dims(mask, 1))
    summed = keras.layers.Add(name="sum")([embedded, seen])
    return keras.Model([ids, mask], summed)


def _of_keras(network: Any, folder: Path) -> Backbone:
    return cp.load(network, "none")


def _of_saved_model(network: Any, folder: Path) -> Backbone:
    network.export(folder / "saved", verbose=False)
    return cp.load(f"savedmodel:{folder / 'saved'}", "none", trust_weights=True)


@pytest.mark.parametrize("make", [_of_keras, _of_saved_model])
def test_keras_and_graphs_too(
    make: Callable[[Any, Path], Backbone], attention: Any, tmp_path: Path
) -> None:
    backbone = make(attention, tmp_path)
    assert backbone.spec.preprocess.inputs["padding_mask"].mask_of == "ids"
    tap = next(row.name for row in backbone.layers() if row.name.partition("/")[0] == "sum"
               or (row.name.endswith("/Add") and row.shape == (None, None, 8)))  # fmt: skip
    cut = backbone.cut(tap, pool=["gap", "cls"])
    found = cut({"ids": IDS, "padding_mask": MASK})
    own = attention([IDS, MASK]).numpy()
    close(found[f"{tap}/gap"], masked_mean(own, MASK))
    close(found[f"{tap}/cls"], own[:, 0])
    alone = cut({"ids": IDS[1:2, :6], "padding_mask": MASK[1:2, :6]})
    close(alone[f"{tap}/gap"], found[f"{tap}/gap"][1:2])


def test_keras_takes_constants(attention: Any) -> None:
    backbone = cp.load(attention, "none", inputs={"padding_mask": "ones(1,1)"})
    assert backbone.spec.preprocess == ArraySpec((None,), "int64")
    found = backbone.cut("sum", pool="gap")(IDS)["sum/gap"]
    close(found, attention([IDS, np.ones_like(IDS)]).numpy().mean(1))


def test_a_source_that_gives_no_constants_says_so() -> None:
    with pytest.raises(UsageError, match="give no input a constant"):
        cp.load("fake:seed0", inputs={"state": "zeros"})


@pytest.mark.parametrize("value", ["nothing", "zeros(", None, float("nan"), [1, 2]])
def test_what_is_no_constant_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match="is no constant"):
        cp.load("fake:seed0", inputs={"state": value})


@pytest.mark.parametrize("given", [["state=zeros"], "state=zeros", {"state": "zeros(100000000,8)"}])
def test_constants_without_names_and_huge_ones_are_refused_at_once(given: Any) -> None:
    with pytest.raises(UsageError, match=r"gives no input its constant|can't be given"):
        read_constants(given)


@pytest.mark.parametrize(
    ("value", "shape", "dtype"),
    [
        *[("zeros(3,1)", (None, 8), "float32"), ("zeros(8)", (None, 8), "float32")],
        *[(1e39, (1,), "float32"), (2.5, (1,), "int64"), (300, (1,), "uint8"), (7, (1,), "bool")],
    ],
)
def test_a_constant_that_the_network_does_not_take_is_refused(
    value: Any, shape: tuple[int | None, ...], dtype: str
) -> None:
    with pytest.raises(UsageError, match='"state" can\'t be given'):
        constant_array("state", value, shape, dtype)


def test_a_constant_may_say_what_is_free_and_is_rounded_to_floats() -> None:
    assert constant_array("state", "ones(3,8)", (None, 8), "float32").shape == (3, 8)
    assert constant_array("state", "ones(3,1)", (), "float32").shape == (3, 1)
    assert constant_array("state", 0.1, (2,), "float16").dtype == np.float16
