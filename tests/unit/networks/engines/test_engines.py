"""OpenVINO against the framework, and the gate between them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from cutpoint.base.errors import MissingExtra, UsageError
from cutpoint.networks.engines import (
    KeptModel,
    Parity,
    checked_engine,
    compare,
    known_engine,
    preferred_engine,
    select,
)
from cutpoint.networks.engines.native import NativeEngine
from cutpoint.networks.engines.parity import MIN_COSINES
from cutpoint.networks.frameworks.torch import TorchCut
from cutpoint.testing import FakeBackbone
from tests.conftest import fed
from tests.unit.networks.frameworks.test_torch_cut import BATCH, resnet, taps, torch_cut


@pytest.fixture(scope="module")
def cut() -> TorchCut:
    return torch_cut(resnet(), taps("layer1/gmp", "layer2/none", "layer4/gap", "layer4/gem"))


def test_openvino_agrees_with_torch_at_every_batch_size(cut: TorchCut) -> None:
    """Tolerance of the gate: cosine 0.9999, relative error 1e-3; seen below 1e-5."""
    checked = checked_engine(cut, "openvino", 2, fed(BATCH))
    assert (checked.engine.name, checked.refused) == ("openvino", "")
    run = checked.engine.session()
    for size in (1, 2, 5):
        parity = compare(run(fed(BATCH[:size])), cut(BATCH[:size]))
        assert parity.cosine > 0.999999
        assert parity.relative_error < 1e-4


def test_openvino_features_do_not_depend_on_batch_mates(cut: TorchCut) -> None:
    run = checked_engine(cut, "openvino", 1, fed(BATCH)).engine.session()
    together = run(fed(BATCH))
    for row in range(len(BATCH)):
        alone = run(fed(BATCH[row : row + 1]))
        assert all(np.abs(alone[n][0] - together[n][row]).max() <= 1e-5 for n in together)


def test_results_of_one_batch_survive_the_next(cut: TorchCut) -> None:
    run = checked_engine(cut, "openvino", 1, fed(BATCH)).engine.session()
    first = run(fed(BATCH[:2]))
    kept = {name: rows.copy() for name, rows in first.items()}
    run(fed(BATCH[2:4]))
    assert all(np.array_equal(first[name], kept[name]) for name in kept)


class Wrong(NativeEngine):
    """An engine whose numbers are off."""

    name = "openvino"

    def session(self):
        def run(batch):
            return {name: rows * np.float32(1.01) for name, rows in self._cut(batch).items()}

        return run


def test_an_engine_that_is_off_is_refused_with_the_figure(
    cut: TorchCut, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(select.ENGINES, "openvino", Wrong)
    checked = checked_engine(cut, "openvino", 1, fed(BATCH))
    assert checked.engine.name == "native"
    assert "refused by the parity gate" in checked.refused
    assert "relative error 1.0e-02" in checked.refused


@pytest.mark.parametrize(
    ("rows", "passes"),
    [
        ([[1.0, 2.0], [0.0, 0.0]], True),
        ([[1.0, 2.0002], [0.0, 0.0]], True),
        ([[1.0, 2.01], [0.0, 0.0]], False),
        ([[1.0, np.nan], [0.0, 0.0]], False),
        ([[1.0, 2.0], [0.0, 1e-3]], False),
    ],
)
def test_the_gate(rows: list[list[float]], passes: bool) -> None:
    reference = {"a/gap": np.array([[1.0, 2.0], [0.0, 0.0]])}
    assert compare({"a/gap": np.array(rows)}, reference).passes is passes


def test_parity_prints_both_figures() -> None:
    assert str(Parity(0.99995, 2e-4)) == "cosine 0.999950, relative error 2.0e-04"


def test_auto_prefers_openvino_and_says_why_not(
    cut: TorchCut, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert preferred_engine("auto", cut) == ("openvino", "")
    assert preferred_engine("auto", FakeBackbone().cut("conv1")) == ("native", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    name, note = preferred_engine("auto", cut)
    assert name == "native"
    assert "OpenVINO is absent" in note


def test_an_engine_asked_for_by_name_must_be_installed(
    cut: TorchCut, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"cutpoint-ml\[openvino\]"):
        preferred_engine("openvino", cut)


def test_an_unknown_engine_lists_the_known(cut: TorchCut) -> None:
    with pytest.raises(UsageError, match="Engines: auto, openvino, onnxruntime, torch, native"):
        preferred_engine("tensorrt", cut)


def test_openvino_reports_to_nobody(tmp_path: Path) -> None:
    """Imported and converted in a fresh process, it opens no connection and writes nothing home."""
    import subprocess

    code = """
import socket
def refuse(*a, **k): raise AssertionError("network")
socket.socket.connect = refuse
from tests.unit.networks.engines.test_engines import *
cut = torch_cut(resnet(), taps("layer1/gap"))
assert checked_engine(cut, "openvino", 1, fed(BATCH)).engine.name == "openvino"
import importlib.util
import sys
assert "openvino_telemetry" not in sys.modules
"""
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "intel").exists()


def test_a_missing_openvino_names_the_extra(cut: TorchCut, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtra, match=r"cutpoint-ml\[openvino\]"):
        checked_engine(cut, "openvino", 1, fed(BATCH))


def test_without_openvino_an_onnx_cut_runs_by_onnxruntime(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from cutpoint.base.spec import TapSpec
    from cutpoint.networks.frameworks.onnx import OnnxCut, list_layers
    from tests.conformance.networks.onnx import PREPROCESS, convnet

    model = convnet()
    made = OnnxCut(model, PREPROCESS, [TapSpec("relu2", "gap")], list_layers(model, PREPROCESS))
    assert preferred_engine("auto", made) == ("openvino", "")
    real = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda n: None if n == "openvino" else real(n))
    name, note = preferred_engine("auto", made)
    assert name == "onnxruntime"
    assert note.endswith("running by onnxruntime")
    assert known_engine(made, name, 1, "fp32", KeptModel(Path("nowhere"))) is not None


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_lower_precision_is_other_numbers_and_says_how_far(cut: TorchCut, precision: str) -> None:
    """bf16 keeps 8 bits, fp16 11: far from the gate's 1e-3 or near it, never equal to fp32."""
    from cutpoint.networks.runtimes.openvino import import_openvino

    able = import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision.upper() not in able:
        with pytest.raises(UsageError, match=r"in precision .* on this processor"):
            checked_engine(cut, "openvino", 1, fed(BATCH), precision)
        return
    checked = checked_engine(cut, "openvino", 1, fed(BATCH), precision)
    assert checked.engine.name == "openvino"
    assert checked.parity.cosine > 0.9
    assert checked.parity.relative_error > 1e-5
    assert all(rows.dtype == np.float32 for rows in checked.features.values())


def test_a_precision_the_engine_lacks_is_refused_not_replaced(cut: TorchCut) -> None:
    with pytest.raises(UsageError, match="The engine native can't compute in precision"):
        checked_engine(cut, "native", 1, fed(BATCH), "bf16")


def test_a_precision_that_breaks_the_features_is_refused_with_the_figure(
    cut: TorchCut, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever this processor computes in: a cosine of 1.1 is above all of them."""
    monkeypatch.setattr(
        "cutpoint.networks.engines.openvino._refuse_unknown", lambda precision, core: None
    )
    monkeypatch.setitem(MIN_COSINES, "bf16", 1.1)
    with pytest.raises(UsageError, match="refused by the parity gate \\(cosine"):
        checked_engine(cut, "openvino", 1, fed(BATCH), "bf16")
