"""Names as people type them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cutpoint.base.errors import BackboneNotFound, CutpointError, WeightsError
from cutpoint.networks.sources import load_backbone


@pytest.mark.parametrize("suffix", [".th", ".pth", ".pt", ".bin", ".PTH"])
def test_a_file_of_torch_needs_no_source_before_it(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="can't be read"):
        load_backbone(str(path))


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("resnet50", ("torchvision:resnet50", "timm:resnet50", "keras:ResNet50")),
        ("MobileNet-V2", ("torchvision:mobilenet_v2", "keras:MobileNetV2")),
        ("efficientnet_lite0", ("packaged:efficientnet_lite0", "timm:efficientnet_lite0")),
    ],
)
def test_a_name_alone_finds_its_sources(typed: str, names: tuple[str, ...]) -> None:
    with pytest.raises(BackboneNotFound) as caught:
        load_backbone(typed)
    assert all(name in caught.value.would_do for name in names)
    advice = caught.value.type_next
    assert any(f"cutpoint.load({name!r}).layers()" in advice for name in names)


def test_a_misspelt_name_finds_the_nearest() -> None:
    with pytest.raises(BackboneNotFound, match=r"Nearest: .*keras:MobileNet"):
        load_backbone("mobilnet")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("my net.tflite", "python -m tf2onnx.convert --tflite '{}' --output '{}.onnx'"),
        ("notes.md", "If it holds weights of PyTorch, say so:  torch:{}"),
    ],
)
def test_a_file_no_source_reads_is_told_so_with_its_whole_path(
    tmp_path: Path, name: str, advice: str
) -> None:
    path = tmp_path / name
    path.write_bytes(b"")
    with pytest.raises(BackboneNotFound, match=f'^No source reads the file ".*{name}"') as caught:
        load_backbone(str(path))
    assert ".onnx" in caught.value.would_do
    assert advice.format(path, path) in caught.value.type_next


def test_a_folder_no_source_reads_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(BackboneNotFound, match=r"^No source reads the folder") as caught:
        load_backbone(str(tmp_path))
    assert caught.value.type_next.endswith(f"ls {tmp_path}")


def test_an_empty_name_is_no_folder() -> None:
    with pytest.raises(BackboneNotFound, match="It names no source"):
        load_backbone("")


@pytest.mark.shared
def test_a_bare_checkpoint_asks_for_its_network(shared: Path) -> None:
    with pytest.raises(CutpointError, match="holds weights alone"):
        load_backbone(str(shared / "models/resnet20_cifar10/resnet20.th"))
