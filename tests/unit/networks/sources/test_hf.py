"""transformers' networks, made here, saved, and loaded as from anywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import cutpoint as cp
from cutpoint.base.errors import ShapeError, UsageError, WeightsError
from cutpoint.base.spec import ArraySpec, PreprocessSpec, TapSpec
from cutpoint.base.types import checked_batch
from cutpoint.features.extraction.unit import describe
from cutpoint.items.kinds.image import prepare_image
from cutpoint.items.reading import read_dataset
from cutpoint.networks.backbone import Backbone
from cutpoint.networks.engines import ENGINES
from cutpoint.networks.frameworks.torch.torchvision_shim import import_with_shim
from cutpoint.testing import FakeBackbone
from tests.unit.networks.sources.training import refused_after_a_step_of_training

import_with_shim("torchvision")
transformers = import_with_shim("transformers")

SIDE = 32
BATCH = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3)).astype(np.uint8)
HALF = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.5, 0.6, 0.7]}


def vit() -> Any:
    return transformers.ViTModel(
        transformers.ViTConfig(
            hidden_size=16,
            num_hidden_layers=3,
            num_attention_heads=2,
            intermediate_size=32,
            image_size=SIDE,
            patch_size=8,
        )
    )


def dinov2() -> Any:
    return transformers.Dinov2Model(
        transformers.Dinov2Config(
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=SIDE,
            patch_size=8,
        )
    )


def convnext() -> Any:
    config = transformers.ConvNextConfig(hidden_sizes=[8, 12, 16, 20], depths=[1, 1, 2, 1])
    return transformers.ConvNextModel(config)


def resnet() -> Any:
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 12], depths=[1, 2], layer_type="basic"
    )
    return transformers.ResNetModel(config)


def swin() -> Any:
    config = transformers.SwinConfig(
        image_size=SIDE, patch_size=2, embed_dim=8, depths=[1, 2], num_heads=[1, 2], window_size=4
    )
    return transformers.SwinModel(config)


def mobilenet() -> Any:
    return transformers.MobileNetV2Model(
        transformers.MobileNetV2Config(image_size=SIDE, depth_multiplier=0.25)
    )


def bert() -> Any:
    config = transformers.BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=12,
    )
    return transformers.BertModel(config)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Return a maker of folders as `save_pretrained` leaves them."""

    def save(make: Callable[[], Any], processor: Any = None) -> Path:
        torch.manual_seed(0)
        network = make()
        folder = tmp_path / make.__name__
        network.save_pretrained(folder)
        if processor is not None:
            processor.save_pretrained(folder)
        return folder

    return save


def vit_processor(**more: Any) -> Any:
    size = {"height": SIDE, "width": SIDE}
    return transformers.ViTImageProcessor(**{"size": size, **HALF, **more})


def reference(network: Any, batch: np.ndarray = BATCH) -> Any:
    """transformers' own word, on pixels normalised by hand."""
    mean, std = (np.array(HALF[part]) for part in ("image_mean", "image_std"))
    pixels = np.moveaxis((batch / 255 - mean) / std, 3, 1).astype(np.float32)
    with torch.inference_mode():
        return network.eval()(torch.from_numpy(pixels), output_hidden_states=True)


def close(found: np.ndarray, truth: torch.Tensor) -> None:
    expected = truth.numpy()
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("make", "layers", "states"),
    [
        (vit, ["embeddings", "layers.0", "layers.1", "layers.2"], [0, 1, 2, 3]),
        (dinov2, ["embeddings", "encoder.layer.0", "encoder.layer.1"], [0, 1, 2]),
        (convnext, ["encoder.stages.0", "encoder.stages.2"], [1, 3]),
        (resnet, ["embedder", "encoder.stages.0", "encoder.stages.1"], [0, 1, 2]),
        (swin, ["encoder.layers.0", "encoder.layers.1"], [1, 2]),
    ],
)
def test_hidden_states_are_layers(
    saved: Callable[..., Path], make: Callable[[], Any], layers: list[str], states: list[int]
) -> None:
    """Reference: ``output_hidden_states=True`` of transformers; tolerance 1e-5 relative."""
    folder = saved(make, vit_processor())
    backbone = cp.load(f"hf:{folder}")
    names = {row.name for row in backbone.layers() if row.tappable}
    assert set(layers) <= names
    found = backbone.cut(*layers, pool="none")(BATCH)
    hidden = reference(type(backbone.network).from_pretrained(folder)).hidden_states
    for layer, state in zip(layers, states, strict=True):
        close(found[f"{layer}/none"], hidden[state])


def test_after_training_it_is_no_longer_taken_for_the_folders_network(
    saved: Callable[..., Path],
) -> None:
    folder = saved(convnext, vit_processor())
    refused_after_a_step_of_training(cp.load(f"hf:{folder}"), "encoder.stages.1")


def test_mobilenet_gives_maps_that_pool(saved: Callable[..., Path]) -> None:
    folder = saved(mobilenet, vit_processor())
    backbone = cp.load(str(folder))  # a folder with config.json is one of transformers'
    assert backbone.load_name == f"hf:{folder}"
    (last,) = backbone.layers().select("conv_1x1")
    assert (last.layout, last.stride) == ("NCHW", None)  # 32 px at stride 32 is one pixel
    result = reference(type(backbone.network).from_pretrained(folder))
    truth = result.last_hidden_state.mean((2, 3))
    close(backbone.cut("conv_1x1", pool="gap")(BATCH)["conv_1x1/gap"], truth)


def test_networks_of_text_take_token_ids(saved: Callable[..., Path]) -> None:
    folder = saved(bert)
    backbone = cp.load(f"hf:{folder}")
    assert backbone.spec.preprocess == ArraySpec((12,), "int64", pad_id=0)
    assert backbone.spec.modality == "array"
    ids = np.random.default_rng(0).integers(1, 50, (4, 12))
    found = backbone.cut("encoder.layer.0", "encoder.layer.1", pool=["none", "cls"])(ids)
    with torch.inference_mode():
        hidden = (
            transformers.BertModel.from_pretrained(folder)
            .eval()(torch.from_numpy(ids), output_hidden_states=True)
            .hidden_states
        )
    close(found["encoder.layer.0/none"], hidden[1])
    close(found["encoder.layer.1/cls"], hidden[2][:, 0])
    shorter = cp.load(f"hf:{folder}", preprocess=ArraySpec((7,), "int64"))
    assert shorter.layers()["encoder.layer.1"].shape == (None, 7, 16)


def test_padding_is_neither_attended_to_nor_averaged(saved: Callable[..., Path]) -> None:
    """Reference: the mean pooling of sentence-transformers, of the network given its mask."""
    folder = saved(bert)
    backbone = cp.load(f"hf:{folder}")
    random = np.random.default_rng(0)
    ids = random.integers(1, 50, (4, 12))
    for row, n_valid in enumerate((12, 7, 3, 1)):
        ids[row, n_valid:] = 0
    pools = ["mean", "gap", "cls+mean", "cls"]
    found = backbone.cut("encoder.layer.0", "encoder.layer.1", pool=pools)(ids)
    tokens = torch.from_numpy(ids)
    attended = (tokens != 0).long()
    with torch.inference_mode():
        hidden = (
            transformers.BertModel.from_pretrained(folder)
            .eval()(tokens, attention_mask=attended, output_hidden_states=True)
            .hidden_states
        )
    for layer, state in (("encoder.layer.0", hidden[1]), ("encoder.layer.1", hidden[2])):
        expanded = attended.unsqueeze(-1).expand(state.size()).float()
        mean = torch.sum(state * expanded, 1) / torch.clamp(expanded.sum(1), min=1e-9)
        close(found[f"{layer}/mean"], mean)
        close(found[f"{layer}/gap"], mean)
        close(found[f"{layer}/cls+mean"], torch.cat([state[:, 0], mean], 1))
        close(found[f"{layer}/cls"], state[:, 0])
    # What stands behind padding, and who is in the batch, changes nothing.
    alone = backbone.cut("encoder.layer.1", pool="mean")(ids[2:3])
    np.testing.assert_allclose(
        alone["encoder.layer.1/mean"], found["encoder.layer.1/mean"][2:3], atol=1e-5
    )
    shorter = cp.load(f"hf:{folder}", preprocess=ArraySpec((3,), "int64", pad_id=0))
    cut_short = shorter.cut("encoder.layer.1", pool="mean")(ids[2:3, :3])
    np.testing.assert_allclose(
        cut_short["encoder.layer.1/mean"], found["encoder.layer.1/mean"][2:3], atol=1e-5
    )
    everything = cp.load(f"hf:{folder}", preprocess=ArraySpec((12,), "int64"))
    counted = everything.cut("encoder.layer.1", pool="mean")(ids)
    assert np.abs(counted["encoder.layer.1/mean"] - found["encoder.layer.1/mean"])[2].max() > 1e-3


def plain_torch(pool: str, tokens: torch.Tensor) -> torch.Tensor:
    """A pool of the tokens of one sentence, (n_tokens, channels), as its paper has it."""
    if pool == "gmp":
        return tokens.max(0).values
    if pool == "gem":
        return tokens.clamp(min=1e-6).pow(3).mean(0).pow(1 / 3)
    if pool == "sgem":
        powers = (tokens.sign() * tokens.abs().pow(3)).mean(0)
        return powers.sign() * powers.abs().pow(1 / 3)
    if pool == "gram":
        return tokens.T @ tokens / len(tokens)
    assert pool == "h2t(32)"  # two bins of 16 channels
    middle = len(tokens) // 2
    return torch.stack([tokens[:middle].mean(0), tokens[middle:].mean(0)], 1).flatten()


def test_pools_of_padded_text_are_those_of_the_sentence_alone(saved: Callable[..., Path]) -> None:
    """Reference: transformers' own network of each unpadded sentence, pooled in plain PyTorch."""
    folder = saved(bert)
    backbone = cp.load(f"hf:{folder}")
    ids = np.random.default_rng(0).integers(1, 50, (4, 12))
    lengths = (12, 7, 3, 2)
    for row, n_valid in enumerate(lengths):
        ids[row, n_valid:] = 0
    pools = ["gmp", "gem", "sgem", "gram", "h2t(32)"]
    found = backbone.cut("encoder.layer.1", pool=pools)(ids)
    network = transformers.BertModel.from_pretrained(folder).eval()
    for row, n_valid in enumerate(lengths):
        with torch.inference_mode():
            alone = network(torch.from_numpy(ids[row : row + 1, :n_valid])).last_hidden_state[0]
        for pool in pools:
            close(found[f"encoder.layer.1/{pool}"][row], plain_torch(pool, alone))


def test_rows_of_padded_text_from_before_keep_their_id_and_their_numbers(
    saved: Callable[..., Path],
) -> None:
    """By a spec of the first revision padding is counted by all but means, as it was."""
    backbone = cp.load(f"hf:{saved(bert)}")
    means = backbone.feature_spec("encoder.layer.1", ["mean", "cls", "gap"])
    assert means.revision == 1
    assert "revision" not in means.to_json()
    now = backbone.feature_spec("encoder.layer.1", ["gmp", "mean"])
    before = replace(now, taps=tuple(replace(tap, revision=1) for tap in now.taps))
    assert now.to_json() == {**before.to_json(), "revision": 2}
    assert now.fingerprint() != before.fingerprint()
    for spec in (now, before):
        assert type(spec).from_json(spec.to_json()) == spec
    ids = np.random.default_rng(0).integers(1, 50, (4, 12))
    full = [backbone.cut_at(spec.taps)(ids) for spec in (now, before)]
    ids[1, 5:] = 0
    short = [backbone.cut_at(spec.taps)(ids) for spec in (now, before)]
    for tap, is_changed in zip(now.taps, (True, False), strict=True):
        close(full[0][tap.name], torch.from_numpy(full[1][tap.name]))
        moved = np.abs(short[0][tap.name] - short[1][tap.name])
        assert (moved[1].max() > 1e-3) == is_changed
    everything = backbone.cut_at([TapSpec(now.taps[0].layer, "none")])(ids)
    close(short[1][now.taps[0].name], torch.from_numpy(*everything.values()).amax(1))


def test_whole_tokens_of_sentences_are_kept_as_long_as_each(saved: Callable[..., Path]) -> None:
    """Reference: transformers' own network of each unpadded sentence; half precision, 2e-3."""
    folder = saved(bert)
    backbone = cp.load(f"hf:{folder}")
    ids = np.random.default_rng(0).integers(1, 50, (4, 12))
    for row, n_valid in enumerate((12, 7, 3, 2)):
        ids[row, n_valid:] = 0
    tap = "encoder.layer.1/none"
    cut, items = backbone.cut("encoder.layer.1", pool="none"), read_dataset(ids).items
    found = describe(items, backbone.spec.preprocess, cut, "auto", 3, free={tap: 0})
    network = transformers.BertModel.from_pretrained(folder).eval()
    for row, own in zip(found.features[tap].rows(), ids, strict=True):
        with torch.inference_mode():
            alone = network(torch.from_numpy(own[own != 0][None])).last_hidden_state[0]
        assert row.dtype == np.float16
        np.testing.assert_allclose(row, alone.numpy(), atol=2e-3)


def test_head2toes_own_windows_of_padded_text_are_refused(saved: Callable[..., Path]) -> None:
    backbone = cp.load(f"hf:{saved(bert)}")
    cut = backbone.cut("encoder.layer.1", pool="h2t(32,compat)")
    with pytest.raises(ShapeError, match="does not know padding"):
        cut(np.ones((1, 12), np.int64))


def test_padding_survives_conversion(saved: Callable[..., Path]) -> None:
    """OpenVINO's own answer, whatever the parity gate would say of it; 1e-4."""
    backbone = cp.load(f"hf:{saved(bert)}")
    cut = backbone.cut("encoder.layer.1", pool=["mean", "gmp", "gem", "gram", "h2t(32)"])
    ids = np.random.default_rng(0).integers(1, 50, (4, 12))
    ids[1, 5:] = 0
    run = ENGINES["openvino"](cut, 1).session()
    found, expected = run(checked_batch(ids, cut.inputs)), cut(ids)
    for tap, rows in found.items():
        np.testing.assert_allclose(rows, expected[tap], atol=1e-4)


def test_other_frameworks_refuse_padding_they_would_count(tmp_path: Path) -> None:
    class Padded(FakeBackbone):
        def __init__(self) -> None:
            super().__init__()
            self.spec = replace(self.spec, preprocess=ArraySpec((8,), "int64", pad_id=0))

    with pytest.raises(UsageError, match="attention mask"):
        Padded().cut("conv1")


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        (lambda: transformers.ViTImageProcessor(), (224, 224, "bilinear", "squash")),
        (lambda: transformers.BitImageProcessor(), (224, 224, "bicubic", "crop")),
        (lambda: transformers.MobileNetV2ImageProcessor(), (256, 224, "bilinear", "crop")),
        (
            lambda: transformers.ConvNextImageProcessor(
                size={"shortest_edge": 224}, crop_pct=0.875, resample=3
            ),
            (256, 224, "bicubic", "crop"),
        ),
        (lambda: transformers.ConvNextImageProcessor(resample=1), (384, 384, "lanczos", "squash")),
    ],
)
def test_pixels_are_those_of_the_processor(
    saved: Callable[..., Path], processor: Callable[[], Any], expected: tuple[Any, ...]
) -> None:
    """Reference: the image processor itself, on an image of odd sides.

    torchvision resizes in its backend, Pillow here: 3 levels of 255, and 0.4 on average.
    """
    made = processor()
    spec = cp.load(f"hf:{saved(convnext, made)}").spec.preprocess
    assert isinstance(spec, PreprocessSpec)
    assert (spec.resize_px, spec.crop_px, spec.interpolation, spec.fit) == expected
    random = np.random.default_rng(0)
    small = Image.fromarray(random.integers(0, 256, (40, 50, 3)).astype(np.uint8))
    image = small.resize((501, 399), Image.Resampling.BICUBIC)
    pixels, _ = prepare_image(image, spec)
    found = (pixels - np.array(spec.mean)) / np.array(spec.std)
    truth = made(image, return_tensors="np")["pixel_values"][0]
    difference = np.abs(np.moveaxis(found, 2, 0) - truth) * np.array(spec.std)[:, None, None]
    assert difference.max() <= 3
    assert difference.mean() <= 0.4


def test_flags_of_the_processor_count(saved: Callable[..., Path]) -> None:
    plain = vit_processor(do_normalize=False, do_rescale=False)
    spec = cp.load(f"hf:{saved(vit, plain)}").spec.preprocess
    assert isinstance(spec, PreprocessSpec)
    assert (spec.mean, spec.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    scaled = vit_processor(do_normalize=False, rescale_factor=1 / 127.5)
    spec = cp.load(f"hf:{saved(vit, scaled)}").spec.preprocess
    assert isinstance(spec, PreprocessSpec)
    assert (spec.mean, spec.std) == ((0.0, 0.0, 0.0), (127.5, 127.5, 127.5))


@pytest.mark.parametrize(
    "processor",
    [
        lambda: vit_processor(do_resize=False),
        lambda: vit_processor(size={"height": 32, "width": 48}),
        lambda: transformers.DeiTImageProcessor(),  # a square, and then a crop of it
        lambda: transformers.BitImageProcessor(do_center_crop=False),
        lambda: transformers.LevitImageProcessor(),
    ],
    ids=["no resize", "no square", "squash and crop", "no crop", "unknown"],
)
def test_what_cannot_be_said_is_asked_for(
    saved: Callable[..., Path], processor: Callable[[], Any]
) -> None:
    folder = saved(vit, processor())
    with pytest.raises(UsageError, match="preprocess='imagenet'"):
        cp.load(f"hf:{folder}")
    stated = PreprocessSpec(SIDE, SIDE, "bilinear", (0.0,) * 3, (255.0,) * 3)
    assert cp.load(f"hf:{folder}", preprocess=stated).spec.preprocess == stated


def test_without_a_processor_file_the_recipe_is_asked_for(saved: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match="preprocess='imagenet'"):
        cp.load(f"hf:{saved(vit)}")


def rewrite(folder: Path, key: str, change: Callable[[torch.Tensor], torch.Tensor | None]) -> None:
    """Change the one weight whose name ends with `key`, or drop it if `change` gives None."""
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    (name,) = (name for name in state if name.endswith(key))
    changed = change(state.pop(name))
    if changed is not None:
        state[name] = changed
    save_file(state, folder / "model.safetensors", {"format": "pt"})


def test_missing_weights_are_listed_never_drawn(saved: Callable[..., Path]) -> None:
    """Case 58."""
    folder = saved(convnext, vit_processor())
    rewrite(folder, "stages.1.layers.0.dwconv.weight", lambda tensor: None)
    with pytest.raises(
        WeightsError, match=r"lacks 1 weights(.|\n)*stages\.1\.layers\.0\.dwconv\.weight"
    ):
        cp.load(f"hf:{folder}")


def test_weights_of_another_shape_are_refused(saved: Callable[..., Path]) -> None:
    folder = saved(convnext, vit_processor())
    rewrite(folder, "stages.1.layers.0.dwconv.weight", lambda tensor: tensor[:, :, :3].contiguous())
    with pytest.raises(
        WeightsError, match=r"dwconv\.weight \(\[12, 1, 3, 7\] for \[12, 1, 7, 7\]\)"
    ):
        cp.load(f"hf:{folder}")


def test_a_pooler_without_weights_is_left_out(saved: Callable[..., Path]) -> None:
    folder = saved(vit, vit_processor())
    rewrite(folder, "pooler.dense.weight", lambda tensor: None)
    rewrite(folder, "pooler.dense.bias", lambda tensor: None)
    backbone = cp.load(f"hf:{folder}")
    assert backbone.layers()["layers.2"].tappable
    assert not [row.name for row in backbone.layers() if "pooler" in row.name]


def test_weights_that_are_not_finite_are_refused(saved: Callable[..., Path]) -> None:
    folder = saved(vit, vit_processor())
    rewrite(folder, "pooler.dense.bias", lambda tensor: tensor * float("nan"))
    with pytest.raises(WeightsError, match="NaN"):
        cp.load(f"hf:{folder}")


def test_pickled_weights_are_refused_and_do_not_run(
    saved: Callable[..., Path], tmp_path: Path
) -> None:
    """Case 51."""
    folder, canary = saved(vit, vit_processor()), tmp_path / "canary"
    (folder / "model.safetensors").unlink()

    class Touches:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch {canary}",)

    torch.save({"layernorm.bias": Touches()}, folder / "pytorch_model.bin")
    for is_trusted in (False, True):
        with pytest.raises(WeightsError, match="safetensors"):
            cp.load(f"hf:{folder}", trust_weights=is_trusted)
    assert not canary.exists()


def test_code_that_comes_with_weights_runs_only_if_trusted(
    saved: Callable[..., Path], tmp_path: Path
) -> None:
    folder, canary = saved(vit, vit_processor()), tmp_path / "canary"
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "unheard_of", "auto_map": {"AutoConfig": "evil.EvilConfig"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text(f"open({str(canary)!r}, 'w')\n")
    with pytest.raises(WeightsError, match="trust_weights=True"):
        cp.load(f"hf:{folder}")
    assert not canary.exists()


@pytest.mark.parametrize("kind", ["truncated", "overlap", "not there", "link", "climbs"])
def test_files_that_lie_are_refused(saved: Callable[..., Path], tmp_path: Path, kind: str) -> None:
    folder = saved(vit, vit_processor())
    weights = folder / "model.safetensors"
    if kind == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif kind == "overlap":
        header = {
            name: {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]} for name in ("a", "b")
        }
        text = json.dumps(header).encode()
        weights.write_bytes(len(text).to_bytes(8, "little") + text + bytes(64))
    elif kind == "link":
        shutil.move(weights, tmp_path / "elsewhere")
        weights.symlink_to(tmp_path / "elsewhere")
    else:
        weights.unlink()
    if kind == "climbs":
        index = {"metadata": {}, "weight_map": {"layernorm.bias": "../elsewhere.safetensors"}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(WeightsError, match=folder.name):
        cp.load(f"hf:{folder}")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}"]
    + [f'{{"weight_map": {names}}}' for names in ("3", "{}", '{"a": []}', '{"a": 1}')],
)
def test_a_broken_index_is_named(saved: Callable[..., Path], text: str) -> None:
    folder = saved(vit, vit_processor())
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(text)
    with pytest.raises(WeightsError, match=r"index\.json can't be read"):
        cp.load(f"hf:{folder}")


def t5() -> Any:
    config = transformers.T5Config(
        vocab_size=50, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2
    )
    return transformers.T5Model(config)


def clip() -> Any:
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2}
    text = {**sizes, **heads, "vocab_size": 50, "max_position_embeddings": 12}
    vision = {**sizes, **heads, "image_size": SIDE, "patch_size": 8}
    return transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=vision))


@pytest.mark.parametrize("make", [t5, clip])
def test_networks_that_need_more_than_one_input_say_so(
    saved: Callable[..., Path], make: Callable[[], Any]
) -> None:
    ids = ArraySpec((12,), "int64")
    with pytest.raises(UsageError, match=r"fed one item of 12 int64\.\n.*\n.* that alone"):
        cp.load(f"hf:{saved(make)}", preprocess=ids).layers()


def test_the_digest_is_of_every_file_that_counts(saved: Callable[..., Path]) -> None:
    folder = saved(vit, vit_processor())
    first = cp.load(f"hf:{folder}").spec
    moved = folder.parent / "elsewhere" / folder.name
    shutil.copytree(folder, moved)
    assert cp.load(f"hf:{moved}").spec == first
    rewrite(moved, "pooler.dense.bias", lambda tensor: tensor + 1)
    changed = cp.load(f"hf:{moved}").spec
    assert changed.weights_sha256 != first.weights_sha256
    sharded = folder.parent / "sharded" / folder.name
    cp.load(f"hf:{folder}").network.save_pretrained(sharded, max_shard_size="10KB")
    assert len(list(sharded.glob("*.safetensors"))) > 1
    shutil.copy(folder / "preprocessor_config.json", sharded)
    found = cp.load(f"hf:{sharded}").cut("layers.2", pool="cls")(BATCH)
    expected = cp.load(f"hf:{folder}").cut("layers.2", pool="cls")(BATCH)
    np.testing.assert_array_equal(found["layers.2/cls"], expected["layers.2/cls"])


def test_half_precision_files_are_computed_in_single(saved: Callable[..., Path]) -> None:
    folder = saved(lambda: vit().half(), vit_processor())
    backbone: Backbone = cp.load(f"hf:{folder}")
    assert {tensor.dtype for tensor in backbone.network.parameters()} == {torch.float32}


def test_a_hub_name_is_looked_for_on_the_hub_and_nowhere_else(tmp_path: Path) -> None:
    """The real call, up to the download: offline, the hub's client says so."""
    code = (
        "import cutpoint as cp\n"
        "try: cp.load('hf:google/vit-base-patch16-224')\n"
        "except cp.errors.WeightsError as error: print(error)\n"
    )
    away = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **away},
        capture_output=True,
        text=True,
        check=True,
    )
    assert 'Backbone "hf:google/vit-base-patch16-224" can\'t be loaded.' in run.stdout
