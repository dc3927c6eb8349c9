"""Shards and manifests of TF.js models."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cutpoint.base.errors import WeightsError
from cutpoint.networks.sources.tfjs_weights import model_files, read_weights


def write(folder: Path, groups: list[tuple[list[dict[str, Any]], dict[str, bytes]]]) -> Path:
    """Write a model.json of (weights, shards by name) groups, and return its path."""
    manifest = [{"weights": weights, "paths": list(shards)} for weights, shards in groups]
    for _, shards in groups:
        for name, data in shards.items():
            (folder / name).write_bytes(data)
    path = folder / "model.json"
    path.write_text(json.dumps({"weightsManifest": manifest}))
    return path


def tensor(name: str, shape: list[int], dtype: str = "float32", **quantization: Any) -> Any:
    fields = {"name": name, "shape": shape, "dtype": dtype}
    return {**fields, "quantization": quantization} if quantization else fields


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def test_a_tensor_may_lie_across_two_shards(tmp_path: Path) -> None:
    data = floats(1, 2, 3, 4, 5, 6)
    weights = [tensor("a", [2]), tensor("b", [2, 2])]
    path = write(tmp_path, [(weights, {"1": data[:14], "2": data[14:]})])
    found = read_weights(path)
    np.testing.assert_array_equal(found["a"], np.array([1, 2], "float32"))
    np.testing.assert_array_equal(found["b"], np.array([[3, 4], [5, 6]], "float32"))
    assert [file.name for file in model_files(path)] == ["model.json", "1", "2"]


def test_groups_start_at_their_own_shards(tmp_path: Path) -> None:
    groups = [([tensor("a", [1])], {"1": floats(1)}), ([tensor("b", [])], {"2": floats(2)})]
    found = read_weights(write(tmp_path, groups))
    assert found["a"].tolist() == [1.0]
    assert found["b"].shape == ()
    assert float(found["b"]) == 2.0


@pytest.mark.parametrize(
    ("fields", "data", "expected"),
    [
        (tensor("w", [2], "int32"), struct.pack("<2i", -7, 2**31 - 1), [-7, 2**31 - 1]),
        (tensor("w", [2], "bool"), bytes([0, 1]), [False, True]),
        (tensor("w", [1], "complex64"), floats(1, -2), [1 - 2j]),
    ],
)
def test_types_on_disk(tmp_path: Path, fields: Any, data: bytes, expected: Any) -> None:
    path = write(tmp_path, [([fields], {"1": data})])
    assert read_weights(path)["w"].tolist() == expected


def test_a_quantisation_without_a_type_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, [([tensor("w", [1], scale=0.5)], {"1": bytes([1])})])
    with pytest.raises(WeightsError, match="can't be read: KeyError"):
        read_weights(path)


@pytest.mark.parametrize(
    ("dtype", "stored", "data", "expected"),
    [
        ("float32", "uint8", bytes([0, 10, 255]), [-1.0, 4.0, 126.5]),
        ("float32", "uint16", struct.pack("<3H", 0, 10, 65535), [-1.0, 4.0, 32766.5]),
        ("float32", "float16", struct.pack("<3e", 1.5, -2, 0.25), [1.5, -2.0, 0.25]),
        # Math.round takes halves up: −1 + .5 is −0.5 and becomes 0.
        ("int32", "uint8", bytes([1, 3, 4]), [0, 1, 1]),
    ],
)
def test_quantised_tensors(
    tmp_path: Path, dtype: str, stored: str, data: bytes, expected: list[float]
) -> None:
    quantization = {"dtype": stored, "scale": 0.5, "min": -1.0}
    fields = {"name": "w", "shape": [3], "dtype": dtype, "quantization": quantization}
    found = read_weights(write(tmp_path, [([fields], {"1": data})]))["w"]
    assert found.dtype == dtype
    assert found.tolist() == expected


def test_strings_are_length_and_bytes(tmp_path: Path) -> None:
    data = b"".join(struct.pack("<I", len(text)) + text for text in (b"cat", b""))
    path = write(tmp_path, [([tensor("labels", [2], "string")], {"1": data})])
    assert read_weights(path)["labels"].tolist() == [b"cat", b""]


def test_a_short_shard_is_named_with_the_offset(tmp_path: Path) -> None:
    weights = [tensor("a", [2]), tensor("b", [4])]
    path = write(tmp_path, [(weights, {"1": b"\0" * 8, "2": b"\0" * 4, "3": b"\0" * 8})])
    with pytest.raises(WeightsError, match='"2" is short: weight "b" is 16 bytes from offset 8'):
        read_weights(path)


def test_bytes_too_many_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, [([tensor("a", [1])], {"1": floats(1, 2)})])
    with pytest.raises(WeightsError, match='"1" ends 4 bytes after'):
        read_weights(path)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, [([tensor("a", [1])], {"1": floats(1)})])
    (tmp_path / "1").unlink()
    with pytest.raises(WeightsError, match='"1" is not there'):
        read_weights(path)


@pytest.mark.parametrize("shard", ["../secret", "/etc/hostname", "a/../../secret"])
def test_shards_outside_the_folder_are_refused(tmp_path: Path, shard: str) -> None:
    (tmp_path / "secret").write_bytes(floats(1))
    folder = tmp_path / "model"
    folder.mkdir()
    manifest = [{"weights": [tensor("a", [1])], "paths": [shard]}]
    (folder / "model.json").write_text(json.dumps({"weightsManifest": manifest}))
    with pytest.raises(WeightsError, match="leads out"):
        read_weights(folder / "model.json")


def test_a_shape_bomb_costs_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, [([tensor("a", [2**40, 2**20])], {"1": floats(1)})])
    with pytest.raises(WeightsError, match="is short"):
        read_weights(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    path = write(tmp_path, [([tensor("a", [2])], {"1": floats(1, value)})])
    with pytest.raises(WeightsError, match=r'"a" of TF\.js model .* holds NaN or infinity'):
        read_weights(path)


@pytest.mark.parametrize("text", ["[]", "{", '{"weightsManifest": [{}]}', '{"modelTopology": {}}'])
def test_a_damaged_model_json_is_an_error_of_ours(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(WeightsError):
        read_weights(tmp_path / "model.json")


def test_two_weights_of_one_name_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, [([tensor("a", [1]), tensor("a", [1])], {"1": floats(1, 2)})])
    with pytest.raises(WeightsError, match='Two weights are called "a"'):
        read_weights(path)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("folder", "n_tensors"),
    [("mobilenet_v1_025_tfjs", 137), ("nsfw_mobilenet_v2_tfjs", 266)],
)
def test_real_models_are_read_to_the_last_byte(shared: Path, folder: str, n_tensors: int) -> None:
    path = shared / "models" / folder / "model.json"
    assert len(read_weights(path)) == n_tensors
