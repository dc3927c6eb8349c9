"""Networks in 8-bit integers: the one that was made is the one that runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cutpoint.base.errors import MissingExtra, UsageError
from cutpoint.networks.engines import Checked, QuantisedCut, checked_engine, quantise, truncate
from cutpoint.networks.engines.parity import MIN_COSINES
from cutpoint.networks.frameworks.torch import TorchCut
from cutpoint.testing import FakeBackbone
from tests.conftest import fed
from tests.unit.networks.frameworks.test_torch_cut import BATCH, resnet, taps, torch_cut

NAMES = ("relu/gmp", "layer1/gap", "layer1/gmp")


@pytest.fixture(scope="module")
def cut() -> TorchCut:
    return torch_cut(resnet(), taps(*NAMES))


@pytest.fixture(scope="module")
def network(cut: TorchCut) -> bytes:
    return quantise(cut, [fed(each) for each in BATCH])


@pytest.fixture(scope="module")
def checked(cut: TorchCut, network: bytes) -> Checked:
    return checked_engine(QuantisedCut(cut, network), "openvino", 1, fed(BATCH), "int8")


def test_eight_bits_are_near_the_framework_and_not_equal(checked: Checked) -> None:
    """Eight bits round by 1/256 of a range, 4e-3; seen here: cosine 0.9998, relative error 3e-2."""
    assert checked.engine.name == "openvino"
    assert checked.parity.cosine > 0.99
    assert 1e-3 < checked.parity.relative_error < 0.1
    assert all(rows.dtype == np.float32 for rows in checked.features.values())


def test_rows_do_not_depend_on_batch_mates(checked: Checked) -> None:
    run = checked.engine.session()
    alone = [run(fed(BATCH[row : row + 1])) for row in range(len(BATCH))]
    for name, rows in run(fed(BATCH)).items():
        assert np.array_equal(rows, np.concatenate([each[name] for each in alone]))


def test_the_same_items_give_the_same_numbers(cut: TorchCut, checked: Checked) -> None:
    again = QuantisedCut(cut, quantise(cut, [fed(each) for each in BATCH]))
    found = checked_engine(again, "openvino", 1, fed(BATCH), "int8").features
    assert all(np.array_equal(found[name], checked.features[name]) for name in NAMES)


def test_a_truncated_network_gives_the_same_numbers_in_the_order_asked_for(
    network: bytes, checked: Checked
) -> None:
    names = [NAMES[2], NAMES[0]]
    part = QuantisedCut(torch_cut(resnet(), taps(*names)), truncate(network, [2, 0]))
    found = checked_engine(part, "openvino", 1, fed(BATCH), "int8").features
    assert list(found) == names
    assert all(np.array_equal(found[name], checked.features[name]) for name in names)


def test_what_is_broken_is_refused_with_the_figure(
    cut: TorchCut, network: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MIN_COSINES, "int8", 1.1)
    with pytest.raises(UsageError, match="refused by the parity gate \\(cosine"):
        checked_engine(QuantisedCut(cut, network), "openvino", 1, fed(BATCH), "int8")


def test_a_cut_openvino_can_not_run_is_refused() -> None:
    with pytest.raises(UsageError, match="The engine native can't compute in precision"):
        quantise(FakeBackbone().cut("conv1"), [])


def test_a_missing_nncf_names_the_extra(cut: TorchCut, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(MissingExtra, match=r"cutpoint-ml\[int8\]"):
        quantise(cut, [fed(each) for each in BATCH])


# Without pytest, in whose presence NNCF reports nothing anyway.
ALONE = """
import socket
def refuse(*a, **k): raise AssertionError("network")
socket.socket.connect = socket.getaddrinfo = refuse
import numpy, sys, torch
import cutpoint as cp
from cutpoint.networks.engines import quantise
from cutpoint.base.spec import ArraySpec
network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 8))
cut = cp.load(network, ArraySpec((4,))).cut(-1, pool="none")
quantise(cut, [{"array": row} for row in numpy.eye(4, dtype="float32")])
import nncf.telemetry
assert not {"pytest", "openvino_telemetry"} & set(sys.modules)
assert type(nncf.telemetry.telemetry).__name__ != "NNCFTelemetry"
"""


def test_nncf_reports_to_nobody_and_prints_nothing(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", ALONE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "intel").exists()
