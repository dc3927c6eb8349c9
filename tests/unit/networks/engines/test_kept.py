"""Compiled models between runs: the very one that passed, or none."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from cutpoint.networks.engines import KeptModel, checked_engine, kept, known_engine, select
from cutpoint.networks.engines.openvino import OpenVINOEngine
from cutpoint.networks.frameworks.torch import TorchCut
from tests.conftest import fed
from tests.unit.networks.frameworks.test_torch_cut import BATCH, resnet, taps, torch_cut


@pytest.fixture(scope="module")
def cut() -> TorchCut:
    return torch_cut(resnet(), taps("layer1/gmp", "layer4/gap"))


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def place(tmp_path: Path, said: list[str]) -> KeptModel:
    return KeptModel(tmp_path / "models" / "abc.model", said.append)


@pytest.fixture
def conversions(cut: TorchCut, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which conversions were asked for."""
    asked: list[str] = []
    real = cut.convert

    def convert(engine: str) -> object:
        asked.append(engine)
        return real(engine)

    monkeypatch.setattr(cut, "convert", convert)
    return asked


def test_a_kept_model_is_not_converted_again_and_gives_the_same_bits(
    cut: TorchCut, place: KeptModel, conversions: list[str]
) -> None:
    made = checked_engine(cut, "openvino", 2, fed(BATCH), kept=place)
    assert conversions == ["openvino"]
    again = checked_engine(cut, "openvino", 2, fed(BATCH), kept=place)
    known = known_engine(cut, "openvino", 1, "fp32", place)
    assert conversions == ["openvino"]
    assert known is not None
    truth = made.engine.session()(fed(BATCH))
    for engine in (again.engine, known):
        found = engine.session()(fed(BATCH))
        assert all(np.array_equal(found[name], truth[name]) for name in truth)


@pytest.mark.parametrize("harm", ["flip", "cut short", "empty", "of another name"])
def test_a_damaged_model_is_made_again_and_said(
    cut: TorchCut, place: KeptModel, said: list[str], conversions: list[str], harm: str
) -> None:
    checked_engine(cut, "openvino", 1, fed(BATCH), kept=place)
    data = bytearray(place.path.read_bytes())
    data[len(data) // 2] ^= 1
    harmed = {"flip": bytes(data), "cut short": bytes(data[:-1]), "empty": b""}
    other = KeptModel(place.path.with_name("other.model"))
    other.write(b"the export of another network")
    place.path.write_bytes(harmed.get(harm, other.path.read_bytes()))
    assert known_engine(cut, "openvino", 1, "fp32", place) is None
    assert said == [f"The kept model {place.path} is damaged: made again"]
    assert checked_engine(cut, "openvino", 1, fed(BATCH), kept=place).engine.name == "openvino"
    assert conversions == ["openvino"] * 2
    assert known_engine(cut, "openvino", 1, "fp32", place) is not None


def test_a_whole_file_that_openvino_cannot_load_is_made_again_and_said(
    cut: TorchCut, place: KeptModel, said: list[str]
) -> None:
    place.write(b"whole, but no model")
    assert checked_engine(cut, "openvino", 1, fed(BATCH), kept=place).engine.name == "openvino"
    assert "can't be loaded" in said[0]


def test_a_kept_model_of_other_numbers_does_not_pass_the_gate(
    cut: TorchCut, place: KeptModel, said: list[str]
) -> None:
    """As when a network's code has changed and its weights have not."""
    other = torch_cut(resnet(seed=1), taps("layer1/gmp", "layer4/gap"))
    place.write(OpenVINOEngine(other, 1).export())
    assert checked_engine(cut, "openvino", 1, fed(BATCH), kept=place).engine.name == "openvino"
    assert said == [f"The kept model {place.path} no longer agrees with the framework: made again"]


def test_a_model_that_does_not_pass_is_not_kept(
    cut: TorchCut, place: KeptModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(OpenVINOEngine):
        def session(self) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
            run = super().session()
            return lambda batch: {name: rows * 1.01 for name, rows in run(batch).items()}

    monkeypatch.setitem(select.ENGINES, "openvino", Wrong)
    assert checked_engine(cut, "openvino", 1, fed(BATCH), kept=place).engine.name == "native"
    assert not place.path.exists()


def test_a_folder_that_cannot_be_written_stops_nothing(
    cut: TorchCut, tmp_path: Path, said: list[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    place = KeptModel(tmp_path / "file" / "abc.model", said.append)
    assert checked_engine(cut, "openvino", 1, fed(BATCH), kept=place).engine.name == "openvino"
    assert "is not kept for the next run" in said[0]


def test_the_place_depends_on_spec_engine_machine_and_versions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def name(spec_id: str = "a", engine: str = "openvino 1 on x") -> str:
        return KeptModel.of(spec_id, engine, print).path.name

    names = [name(), name("b"), name(engine="openvino 2 on x")]
    monkeypatch.setattr(kept, "_machine", lambda: "flags: sse2")
    names.append(name())
    monkeypatch.setattr(kept, "_versions", lambda: {"torch": "1"})
    names.append(name())
    assert len(set(names)) == 5


def test_models_unused_for_longest_go_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MAX_BYTES", 3 * (100 + 32))
    places = [KeptModel(tmp_path / f"{number}.model") for number in range(4)]
    for age, place in enumerate(places[:3]):
        place.write(bytes(100))
        os.utime(place.path, (age, age))
    assert places[0].read() == bytes(100)  # and so used just now
    places[3].write(bytes(100))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.model", "2.model", "3.model"]


def test_the_versions_are_those_of_the_packages_that_are_here() -> None:
    found = kept._versions()
    assert found["torch"] == version("torch")
    assert found["openvino"] == version("openvino")
    assert "cutpoint" in kept._PACKAGES.split()


def test_a_kept_model_that_cannot_be_removed_stops_nothing(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = KeptModel(tmp_path / "a.model", said.append)
    place.path.write_bytes(b"damaged")

    def refuse(*given: object, **more: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    assert place.read() is None
    assert said == [
        f"The kept model {place.path} is damaged: made again, "
        "and can't be removed: Permission denied"
    ]


def test_a_model_that_another_run_trims_meanwhile_is_passed_over(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone.model").symlink_to(tmp_path / "nowhere")  # listed, and not there
    KeptModel(tmp_path / "a.model", said.append).write(b"export")
    assert said == []
