"""Networks in ``.onnx`` files: real ones, and ones that mean harm."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import cutpoint as cp
from cutpoint.base.errors import BackboneNotFound, UsageError, WeightsError
from cutpoint.base.spec import ArraySpec, Preprocess, PreprocessSpec
from cutpoint.items.kinds.image import prepare_image
from cutpoint.networks.backbone import Backbone, LoadOptions
from cutpoint.networks.frameworks.torch.torchvision_shim import import_with_shim
from cutpoint.networks.layer_table import ClassProbabilities
from cutpoint.networks.sources import load_backbone
from tests.conformance.networks.onnx import (
    PREPROCESS,
    convnet,
    model_of,
    normalised,
    own_output,
)
from tests.conftest import shape_of

BATCH = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
# As Caffe's SqueezeNet was trained; SOURCES.md.
CAFFE = PreprocessSpec(224, 224, "bilinear", (104, 117, 123), (1, 1, 1), channels="BGR")


def load(path: Path, preprocess: str | Preprocess | None = PREPROCESS) -> Backbone:
    return load_backbone(f"onnx:{path}", LoadOptions(preprocess=preprocess))


def saved(path: Path, model: onnx.ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def with_external(folder: Path, location: str = "weights.bin", **fields: object) -> Path:
    """Save the tiny network with ``conv2_w`` in another file, said to be at `location`."""
    folder.mkdir(parents=True, exist_ok=True)
    model = convnet()
    tensor = next(each for each in model.graph.initializer if each.name == "conv2_w")
    (folder / "weights.bin").write_bytes(b"\0" * 64 + tensor.raw_data)
    said = {"location": location, "offset": 64, "length": len(tensor.raw_data), **fields}
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in said.items():
        tensor.external_data.add(key=key, value=str(value))
    return saved(folder / "network.onnx", model)


# What a file says of itself


def test_a_file_is_a_backbone_wherever_it_lies(tmp_path: Path) -> None:
    one = load(saved(tmp_path / "net.onnx", convnet()))
    (tmp_path / "elsewhere").mkdir()
    two = load(saved(tmp_path / "elsewhere" / "net.onnx", convnet()))
    assert one.spec == two.spec
    assert (one.spec.id, one.spec.modality) == ("onnx:net.onnx", "image")
    assert one.load_name == f"onnx:{tmp_path}/net.onnx"
    again = cp.load(str(tmp_path / "net.onnx"), preprocess=PREPROCESS)
    assert again.spec == one.spec


def test_other_weights_are_another_spec(tmp_path: Path) -> None:
    one = load(saved(tmp_path / "net.onnx", convnet())).spec
    changed = convnet()
    values = numpy_helper.to_array(changed.graph.initializer[0]) + 1
    changed.graph.initializer[0].raw_data = values.tobytes()
    assert load(saved(tmp_path / "net.onnx", changed)).spec != one


def test_preprocessing_is_never_guessed_and_must_fit(tmp_path: Path) -> None:
    path = saved(tmp_path / "net.onnx", convnet())
    with pytest.raises(UsageError, match="preprocess='imagenet'"):
        load(path, None)
    with pytest.raises(UsageError, match=r"\(3, 224, 224\)(.|\n)*float32 of shape 1×3×32×32"):
        load(path, PreprocessSpec(256, 224, "bilinear", (0, 0, 0), (1, 1, 1)))
    assert shape_of(load(path, "tf").spec.preprocess) == (32, 32, 3)
    with pytest.raises(UsageError, match=r"\(3, 16, 16\)(.|\n)*float32 of shape 1×3×32×32"):
        load(path, ArraySpec((3, 16, 16)))
    ready = load(path, ArraySpec((3, 32, 32))).cut("relu2", pool="none")
    pixels = normalised(BATCH).astype(np.float32)
    truth = own_output(convnet(), "relu2", pixels)
    np.testing.assert_allclose(ready(pixels)["relu2/none"], truth, atol=1e-5)


def test_where_height_and_width_are_free_the_stated_preprocessing_decides(tmp_path: Path) -> None:
    model = convnet()
    for dim, name in zip(model.graph.input[0].type.tensor_type.shape.dim, "nchw", strict=True):
        if name != "c":
            dim.dim_param = name
    path = saved(tmp_path / "net.onnx", model)
    assert load(path).layers()["relu2"].shape == (None, 16, 8, 8)
    assert load(path, "imagenet").layers()["relu2"].shape == (None, 16, 56, 56)


def test_a_size_that_is_left_open_is_free_unless_one_is_stated(tmp_path: Path) -> None:
    model = model_of([helper.make_node("Relu", ["pixels"], ["out"])], {}, ["n", "t"], "out")
    path = saved(tmp_path / "net.onnx", model)
    assert load(path, "none").spec.preprocess == ArraySpec((None,))
    assert load(path, "none").layers()["out"].shape == (None, None)
    stated = tmp_path / "items.json"
    stated.write_text('{"shape": [7], "dtype": "float32"}')
    assert load(path, str(stated)).layers()["out"].shape == (None, 7)


def test_token_ids_stay_whole_numbers(tmp_path: Path) -> None:
    table = np.random.default_rng(0).normal(0, 1, (9, 4)).astype(np.float32)
    node = helper.make_node("Gather", ["table", "pixels"], ["embedded"])
    model = model_of([node], {"table": table}, ["n", 5], "embedded", rank=3)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    backbone = load(saved(tmp_path / "net.onnx", model), "none")
    assert backbone.spec.preprocess == ArraySpec((5,), "int64")
    tokens = np.array([[0, 8, 3, 3, 1]])
    found = backbone.cut("embedded", pool="none")(tokens)["embedded/none"]
    np.testing.assert_array_equal(found, table[tokens])
    with pytest.raises(UsageError, match="the preprocessing gives float32"):
        load(tmp_path / "net.onnx", ArraySpec((5,)))


def test_several_inputs_are_told_unless_all_but_one_have_defaults(tmp_path: Path) -> None:
    model = convnet()
    mask = helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1, 4])
    model.graph.input.append(mask)
    path = saved(tmp_path / "net.onnx", model)
    with pytest.raises(UsageError, match=r"pixels \(float32 of shape 3×32×32\), mask \(float32"):
        load(path)
    held = load_backbone(f"onnx:{path}", LoadOptions(PREPROCESS, inputs={"mask": "ones"}))
    assert len(held.layers()) == 7
    model.graph.initializer.append(numpy_helper.from_array(np.ones((1, 4), np.float32), "mask"))
    assert len(load(saved(path, model)).layers()) == 7


def test_functions_are_written_out_so_that_their_tensors_can_be_tapped(tmp_path: Path) -> None:
    twice = helper.make_function(
        "own",
        "Twice",
        ["x"],
        ["y"],
        [helper.make_node("Relu", ["x"], ["inner"]), helper.make_node("Neg", ["inner"], ["y"])],
        [helper.make_opsetid("", 17)],
    )
    model = model_of([helper.make_node("Relu", ["pixels"], ["out"])], {}, ["n", 4], "out")
    model.graph.node[0].op_type, model.graph.node[0].domain = "Twice", "own"
    model.opset_import.append(helper.make_opsetid("own", 1))
    model.functions.append(twice)
    rows = load(saved(tmp_path / "net.onnx", model), "none").layers()
    assert [row.kind for row in rows] == ["Relu", "Neg"]
    assert rows[-1].name == "out"


# Files that are broken or mean harm


def test_external_data_inside_the_folder_is_read_and_hashed(tmp_path: Path) -> None:
    backbone = load(with_external(tmp_path / "model"))
    found = backbone.cut("relu2", pool="none")(BATCH)["relu2/none"]
    truth = own_output(convnet(), "relu2", normalised(BATCH).astype(np.float32))
    assert np.abs(found - truth).max() <= 1e-5 * truth.max()
    data = tmp_path / "model" / "weights.bin"
    data.write_bytes(b"\1" + data.read_bytes()[1:])
    assert load(tmp_path / "model" / "network.onnx").spec != backbone.spec


@pytest.mark.parametrize(
    "location",
    ["../canary", "a/../../canary", "{canary}", "link", "hard", "linked/canary", "", ".", "a\0b"],
)
def test_external_data_never_leads_elsewhere(tmp_path: Path, location: str) -> None:
    """Case 54; the canary holds what would be weights of the right size."""
    size = 16 * 8 * 9 * 4
    canary = tmp_path / "canary"
    canary.write_bytes(bytes(64 + size))
    folder = tmp_path / "model"
    path = with_external(folder, location.format(canary=canary))
    (folder / "a").mkdir()
    (folder / "link").symlink_to(canary)
    (folder / "linked").symlink_to(tmp_path)
    os.link(canary, folder / "hard")
    canary_time = canary.stat().st_atime_ns
    with pytest.raises(WeightsError):
        load(path)
    assert canary.stat().st_atime_ns == canary_time
    assert canary.read_bytes() == bytes(64 + size)


@pytest.mark.parametrize(
    "fields",
    [
        {"offset": 65},
        {"offset": -64},
        {"offset": 2**62},
        {"offset": "x"},
        {"length": 4},
        {"length": 2**62},
        {"length": -1},
    ],
)
def test_external_data_must_have_the_declared_size(
    tmp_path: Path, fields: dict[str, object]
) -> None:
    with pytest.raises(WeightsError, match="conv2_w"):
        load(with_external(tmp_path, **fields))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_file_cut_short_is_named(tmp_path: Path, share: float) -> None:
    path = saved(tmp_path / "short.onnx", convnet())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(WeightsError, match=r"short\.onnx"):
        load(path)


@pytest.mark.parametrize("content", [b"garbage" * 99, b"\x89PNG\r\n\x1a\n", bytes(1000)])
def test_garbage_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "garbage.onnx").write_bytes(content)
    with pytest.raises(WeightsError, match=r"garbage\.onnx"):
        load(tmp_path / "garbage.onnx")
    with pytest.raises(WeightsError, match="it is no file"):
        load(tmp_path)
    with pytest.raises(BackboneNotFound):
        load(tmp_path / "absent.onnx")


def nan_weight(model: onnx.ModelProto) -> None:
    values = numpy_helper.to_array(model.graph.initializer[2]).copy()
    values[0, 0, 0, 0] = np.nan
    model.graph.initializer[2].raw_data = values.tobytes()


def nan_constant(model: onnx.ModelProto) -> None:
    value = numpy_helper.from_array(np.array([np.nan], np.float16), "conv2_w")
    node = helper.make_node("Constant", [], ["conv2_w"], value=value)
    model.graph.node.insert(0, node)


@pytest.mark.parametrize("spoil", [nan_weight, nan_constant])
def test_nan_weights_are_refused(tmp_path: Path, spoil: Callable[[onnx.ModelProto], None]) -> None:
    model = convnet()
    spoil(model)
    with pytest.raises(WeightsError, match='"conv2_w", that holds NaN'):
        load(saved(tmp_path / "net.onnx", model))


def test_infinity_may_stand_in_a_mask(tmp_path: Path) -> None:
    node = helper.make_node("Max", ["pixels", "least"], ["out"])
    held = {"least": np.array([-np.inf, 0, -np.inf], np.float32)}
    model = model_of([node], held, ["n", 3], "out")
    cut = load(saved(tmp_path / "net.onnx", model), "none").cut("out", pool="none")
    found = cut(np.full((1, 3), -5, np.float32))["out/none"]
    np.testing.assert_array_equal(found, [[-5, 0, -5]])


def declares_more(model: onnx.ModelProto) -> None:
    model.graph.initializer[2].dims[0] = 2**40


def declares_less_than_nothing(model: onnx.ModelProto) -> None:
    model.graph.initializer[2].dims[0] = -1


def declares_more_numbers_than_listed(model: onnx.ModelProto) -> None:
    del model.graph.initializer[2].dims[:]
    model.graph.initializer[2].dims.extend([2**31, 2**31])
    model.graph.initializer[2].ClearField("raw_data")
    model.graph.initializer[2].float_data.append(1.0)


def is_sparse(model: onnx.ModelProto) -> None:
    sparse = model.graph.sparse_initializer.add(dims=[2**20, 2**20])
    sparse.values.name = "sparse"


def has_a_sparse_constant(model: onnx.ModelProto) -> None:
    node = helper.make_node("Constant", [], ["sparse"])
    attribute = node.attribute.add(name="sparse_value", type=onnx.AttributeProto.SPARSE_TENSOR)
    attribute.sparse_tensor.dims.extend([2**20, 2**20])
    model.graph.node.insert(0, node)


def is_of_no_type(model: onnx.ModelProto) -> None:
    model.graph.initializer[2].data_type = 999


@pytest.mark.parametrize(
    "spoil",
    [
        declares_more,
        declares_less_than_nothing,
        declares_more_numbers_than_listed,
        is_sparse,
        has_a_sparse_constant,
        is_of_no_type,
    ],
)
def test_a_bomb_is_refused_within_a_memory_cap(
    tmp_path: Path, spoil: Callable[[onnx.ModelProto], None]
) -> None:
    """The process may address 1 GiB beyond its imports and needs none of it."""
    model = convnet()
    spoil(model)
    path = saved(tmp_path / "bomb.onnx", model)
    program = (
        "import resource, sys; from cutpoint.networks.sources import load_backbone;"
        "from cutpoint.networks.backbone import LoadOptions; import onnx, onnxruntime;"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize();"
        f"resource.setrlimit(resource.RLIMIT_AS, (used + {2**30}, {resource.RLIM_INFINITY}));"
        "load_backbone('onnx:' + sys.argv[1], LoadOptions(preprocess='tf'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "cutpoint.base.errors.WeightsError" in done.stderr
    assert "bomb.onnx" in done.stderr
    assert "MemoryError" not in done.stderr


def test_an_absent_package_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "net.onnx", convnet())
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(cp.errors.MissingExtra, match=r"cutpoint-ml\[onnx\]"):
        load(path)


# Real weights


@pytest.fixture
def squeezenet(shared: Path) -> Backbone:
    return load(shared / "models" / "squeezenet11" / "squeezenet11_fp16.onnx", CAFFE)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("photo", "name", "at_least"), [("kitten_224.png", "tabby", 0.9), ("fish.png", "tench", 0.3)]
)
def test_real_squeezenet_names_the_photos(
    shared: Path, squeezenet: Backbone, photo: str, name: str, at_least: float
) -> None:
    """SOURCES.md: kitten → tabby .94. Seen here: .939; the fish is barracouta .67, tench .33."""
    folder = shared / "models" / "squeezenet11"
    image, _ = prepare_image((folder / photo).read_bytes(), CAFFE)
    with pytest.warns(ClassProbabilities):
        cut = squeezenet.cut("softmaxout_1", pool="none")
    probabilities = cut(image[None])["softmaxout_1/none"].reshape(-1)
    names = json.loads((folder / "imagenet_labels.json").read_text())
    (place,) = (int(p) for p in np.argsort(-probabilities)[:2] if name in names[str(p)])
    assert probabilities[place] > at_least
    assert probabilities.sum() == pytest.approx(1, abs=5e-3)


@pytest.mark.shared
def test_real_squeezenet_equals_its_pytorch_twin(shared: Path, squeezenet: Backbone) -> None:
    """Reference: torchvision's squeezenet1_1 with the same weights, RGB, torchvision's mean.

    Seen: 2.3e-4 (conv1) to 1.07e-3 (fire9) of the largest value; a digit of float16 is 9.8e-4.
    At 224 px every pool divides evenly, so that torch's `ceil_mode` plays no part.
    """
    folder = shared / "models" / "squeezenet11"
    network = import_with_shim("torchvision").models.squeezenet1_1(weights=None).eval()
    stored = torch.load(folder / "squeezenet1_1_torch.pth", weights_only=True)
    network.load_state_dict(stored, strict=True)
    photos = [Image.open(folder / name).convert("RGB") for name in ("kitten_224.png", "fish.png")]
    batch = np.stack([np.asarray(photo) for photo in photos])
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    pixels = torch.from_numpy(np.moveaxis((batch / 255 - mean) / std, 3, 1).astype(np.float32))
    twins = {"conv1_2": 1, "fire2/concat_1": 3, "fire4/concat_1": 6, "fire9/concat_1": 12}
    found = squeezenet.cut(*twins, pool="none")(batch)
    with torch.inference_mode():
        for layer, place in twins.items():
            truth = network.features[: place + 1](pixels).numpy()
            error = np.abs(found[f"{layer}/none"] - truth).max() / np.abs(truth).max()
            assert error <= 2e-3, layer
    rows = squeezenet.layers()
    assert sum(row.params for row in rows) == sum(p.numel() for p in network.parameters())


@pytest.mark.shared
@pytest.mark.parametrize(
    ("file", "layer", "at_most"),
    [
        ("basic_pitch/nmp.onnx", "Relu__42:0", 1e-5),
        ("speech_embedding/embedding_model.onnx", "model/max_pooling2d_2/MaxPool:0", 1e-5),
        (
            "yamnet/yamnet_256_64x96_tl.onnx",
            "model_1/sequential_2/global_average_pooling2d_3/Mean_Squeeze__119:0",
            1e-5,
        ),
    ],
)
def test_real_audio_networks_equal_onnxruntime_at_an_inner_tensor(
    shared: Path, file: str, layer: str, at_most: float
) -> None:
    path = shared / "models" / file
    backbone = load(path, "none")
    assert backbone.spec.modality == "array"
    items = np.random.default_rng(0).normal(0, 1, (3, *shape_of(backbone.spec.preprocess)))
    cut = backbone.cut(layer, pool="none")
    found = cut(items.astype(np.float32))[f"{layer}/none"]
    truth = own_output(onnx.load(path), layer, items.astype(np.float32))
    assert found.shape == truth.shape
    assert np.abs(found - truth).max() <= at_most * np.abs(truth).max()
    assert cut.why_native == ""
    computed = {name for node in cut.model.graph.node for name in node.output}
    assert not computed.issuperset(info.name for info in backbone.network.graph.output)


@pytest.mark.shared
def test_a_real_front_end_that_mixes_the_batch_is_run_item_by_item(shared: Path) -> None:
    """Its decibels end 80 below the loudest of the whole batch; 1e-5."""
    path = shared / "models" / "speech_embedding" / "melspectrogram.onnx"
    cut = load(path, ArraySpec((16000,))).cut("output", pool="none")
    assert "depends on its batch mates" in cut.why_native
    random = np.random.default_rng(0)
    items = np.stack([random.normal(0, scale, 16000) for scale in (1e4, 1e-3)]).astype(np.float32)
    truth = own_output(onnx.load(path), "output", items)
    found = cut(items)["output/none"]
    assert np.abs(found - truth).max() <= 1e-5 * np.abs(truth).max()


@pytest.mark.shared
def test_a_real_file_with_its_weights_moved_out_is_the_same_network(
    tmp_path: Path, shared: Path, squeezenet: Backbone
) -> None:
    source = shared / "models" / "squeezenet11" / "squeezenet11_fp16.onnx"
    shutil.copy(source, tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    onnx.save_model(model, tmp_path / "net.onnx", save_as_external_data=True, location="net.data")
    moved = load(tmp_path / "net.onnx", CAFFE)
    assert (tmp_path / "net.data").stat().st_size > 2 * 10**6
    one, two = (each.cut("fire9/concat_1", pool="gap") for each in (squeezenet, moved))
    assert one.state_sha256() == two.state_sha256()


@pytest.mark.parametrize("kind", ["RandomNormalLike", "RandomUniformLike", "Bernoulli"])
def test_a_network_that_draws_lots_is_refused(tmp_path: Path, kind: str) -> None:
    model = convnet()
    model.graph.node.append(helper.make_node(kind, [model.graph.output[0].name], ["luck"], "dice"))
    with pytest.raises(WeightsError, match=f'"dice" is {kind}'):
        load(saved(tmp_path / "network.onnx", model))
