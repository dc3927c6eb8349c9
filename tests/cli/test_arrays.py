"""Arrays from the command line: folders of .npy, manifests, one .npz; constants of inputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.cli.test_commands import run

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(24, 6)).astype("float32")
Y = np.array(["low", "high"])[(X[:, 0] > 0).astype(int)]


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUTPOINT_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("CUTPOINT_MODELS", str(tmp_path / "models"))


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """Return an .onnx of two layers that takes rows of six numbers, and a gain."""
    weights = {"w": RANDOM.normal(size=(6, 8)), "v": RANDOM.normal(size=(8, 8))}
    nodes = [
        helper.make_node("MatMul", ["rows", "w"], ["first"]),
        helper.make_node("Mul", ["first", "gain"], ["scaled"]),
        helper.make_node("Relu", ["scaled"], ["act"]),
        helper.make_node("MatMul", ["act", "v"], ["last"]),
    ]
    number = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "network",
        [
            helper.make_tensor_value_info("rows", number, ["n", 6]),
            helper.make_tensor_value_info("gain", number, []),
        ],
        [helper.make_tensor_value_info("last", number, ["n", 8])],
        [numpy_helper.from_array(each.astype("float32"), name) for name, each in weights.items()],
    )
    path = tmp_path / "net.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path
    )
    return path


def folder(root: Path) -> Path:
    for number, (row, label) in enumerate(zip(X, Y, strict=True)):
        (root / label).mkdir(parents=True, exist_ok=True)
        np.save(root / label / f"{number:03}.npy", row)
    (root / "low" / "photo.jpg").write_bytes(b"no array by its name")
    return root


def manifest(root: Path) -> Path:
    folder(root)
    lines = [f"{label}/{n:03}.npy,{label}" for n, label in enumerate(Y)]
    path = root / "items.csv"
    path.write_text("\n".join(["path,label", *lines]) + "\n")
    return path


def archive(root: Path) -> Path:
    root.mkdir()
    path = root / "data.npz"
    np.savez(path, X=X, y=Y)
    return path


@pytest.mark.parametrize("make", [folder, manifest, archive])
def test_arrays_go_the_whole_way(
    make: Callable[[Path], Path], network: Path, tmp_path: Path
) -> None:
    data, model = make(tmp_path / "data"), tmp_path / "m"
    how = ("--preprocess", "none", "--input", "gain=2")
    fitted = run("fit", data, "-o", model, "-b", network, *how, "--tap", "act")
    assert "accuracy" in fitted.stdout
    assert ".jpg 1" in fitted.stderr if make is folder else True
    report = (model / "report.html").read_text()
    assert "--input gain=2" in report
    predicted = run("predict", model, data)
    assert len(predicted.stdout.splitlines()) == 24
    scored = run("evaluate", model, data, "--split", "test")
    assert "accuracy" in scored.stdout
    assert "act" in run("layers", network, *how).stdout
    assert "all stored already" in run("extract", data, network, *how, "--tap", "act").stderr


def test_the_three_ways_give_one_set_of_features(network: Path, tmp_path: Path) -> None:
    how = (network, "--preprocess", "none", "--input", "gain=2", "--tap", "act")
    run("extract", folder(tmp_path / "folder"), *how)
    told = run("extract", manifest(tmp_path / "manifest"), *how).stderr
    assert "all stored already" in told


def test_inputs_that_carry_no_data_are_asked_for(network: Path, tmp_path: Path) -> None:
    data = archive(tmp_path / "data")
    told = run("extract", data, network, "--preprocess", "none", code=2).stderr
    assert '"gain"' in told
    assert "--input gain=zeros" in told
    for wrong in ("gain", "gain=", "other=1"):
        run("extract", data, network, "--preprocess", "none", "--input", wrong, code=2)


def test_an_archive_of_another_shape_is_refused_with_what_it_holds(
    network: Path, tmp_path: Path
) -> None:
    path = tmp_path / "bad.npz"
    how = (network, "--preprocess", "none", "--input", "gain=2")
    np.savez(path, X=X, y=Y[:3])
    assert "y 3" in run("extract", path, *how, code=1).stderr
    np.savez(path, X=X, labels=Y)
    assert "it holds X, labels" in run("extract", path, *how, code=1).stderr
    path.write_bytes(b"no archive")
    assert "can't be read" in run("extract", path, *how, code=1).stderr


def test_arrays_are_no_images(tmp_path: Path) -> None:
    told = run("extract", archive(tmp_path / "data"), "fake:seed0", code=2).stderr
    assert "kind image" in told
