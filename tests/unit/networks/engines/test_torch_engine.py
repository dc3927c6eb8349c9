"""PyTorch for inference alone: threads, the gate, and when it is chosen."""

from __future__ import annotations

import importlib.util
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import cutpoint as cp
from cutpoint.base.errors import UsageError
from cutpoint.networks.engines import KeptModel, checked_engine, known_engine, preferred_engine
from cutpoint.networks.frameworks.torch import TorchCut, convert
from tests.conftest import fed
from tests.unit.networks.frameworks.test_torch_cut import BATCH, SPEC, resnet, taps, torch_cut
from tests.unit.networks.frameworks.test_torch_fusion import drawn


@pytest.fixture(scope="module")
def cut() -> TorchCut:
    return torch_cut(resnet(), taps("layer1/gmp", "layer2/none", "layer4/gap"))


def test_it_passes_the_gate_and_items_do_not_depend_on_their_batch_mates(cut: TorchCut) -> None:
    checked = checked_engine(cut, "torch", 2, fed(BATCH))
    assert (checked.engine.name, checked.refused) == ("torch", "")
    assert checked.parity.relative_error <= 1e-4
    run = checked.engine.session()
    together = run(fed(BATCH))
    for row in range(len(BATCH)):
        alone = run(fed(BATCH[row : row + 1]))
        assert all(np.abs(alone[n][0] - together[n][row]).max() <= 1e-5 for n in together)


class CountsThreads(nn.Module):
    seen: list[tuple[int, int]] = []  # noqa: RUF012  the class's own, so that copies share it

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append((threading.get_ident(), torch.get_num_threads()))
        return x + 1


@pytest.fixture
def _three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_three_threads")
def test_each_worker_computes_in_one_thread_and_no_other_thread_notices() -> None:
    """The process is set to three, as a user's own loop might be."""
    parts = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), CountsThreads(), nn.Conv2d(4, 4, 1))
    engine = checked_engine(torch_cut(nn.Sequential(*parts), taps("3/gap")), "torch", 2, fed(BATCH))
    assert engine.engine.name == "torch"
    CountsThreads.seen.clear()
    both, counts_after = threading.Barrier(2), []

    def work() -> None:
        run = engine.engine.session()
        both.wait(60)
        for _ in range(3):
            run(fed(BATCH))
        counts_after.append(torch.get_num_threads())

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(work) for _ in range(2)]:
            future.result()
        assert torch.get_num_threads() == 3
    assert {count for _, count in CountsThreads.seen} == {1}
    assert len({thread for thread, _ in CountsThreads.seen}) == 2
    assert counts_after == [3, 3]
    engine.engine.session()(fed(BATCH))  # by the caller itself
    assert CountsThreads.seen[-1] == (threading.get_ident(), 1)
    assert torch.get_num_threads() == 3
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == 3


def test_a_wrong_fold_is_refused_with_the_figure_and_native_runs(
    cut: TorchCut, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgets_the_norm(pair: tuple[nn.Module, nn.Module]) -> None:
        pair[1].__dict__["forward"] = lambda x: x

    monkeypatch.setattr(convert, "fuse", forgets_the_norm)
    checked = checked_engine(cut, "torch", 1, fed(BATCH))
    assert checked.engine.name == "native"
    assert "engine torch refused by the parity gate (cosine" in checked.refused


def test_a_network_it_fails_on_runs_natively_and_that_is_said(
    cut: TorchCut, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(module: object, inputs: object) -> object:
        raise RuntimeError("no such kernel")

    monkeypatch.setitem(convert.CONVERTERS, "torch", fails)
    checked = checked_engine(cut, "torch", 1, fed(BATCH))
    assert checked.engine.name == "native"
    assert "engine torch can't run this cut (RuntimeError: no such kernel)" in checked.refused


def test_auto_takes_it_where_openvino_is_absent_and_norms_can_be_folded(
    cut: TorchCut, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert preferred_engine("auto", cut) == ("openvino", "")
    assert preferred_engine("torch", cut) == ("torch", "")
    real = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda n: None if n == "openvino" else real(n))
    name, note = preferred_engine("auto", cut)
    assert name == "torch"
    assert note.endswith("running by torch")
    bare = torch_cut(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), taps("1/gap"))
    name, note = preferred_engine("auto", bare)
    assert name == "native"
    assert note.endswith("running natively")
    with pytest.raises(UsageError, match="Engines for this cut: openvino, native"):
        preferred_engine("torch", bare)


def test_an_engine_that_passed_before_is_made_again_and_gives_the_same_bits(cut: TorchCut) -> None:
    first = checked_engine(cut, "torch", 2, fed(BATCH))
    again = known_engine(cut, "torch", 2, "fp32", KeptModel(Path("nowhere")))
    assert again is not None
    for name, rows in again.session()(fed(BATCH)).items():
        np.testing.assert_array_equal(rows, first.features[name])


def test_it_does_without_onednn(cut: TorchCut, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert checked_engine(cut, "torch", 1, fed(BATCH)).parity.relative_error <= 1e-4


def test_it_computes_in_fp32_alone(cut: TorchCut) -> None:
    with pytest.raises(UsageError, match="The engine torch can't compute in precision"):
        checked_engine(cut, "torch", 1, fed(BATCH), "bf16")


def test_an_extraction_by_it_gives_the_native_rows(tmp_path: Path, colour_folder) -> None:
    """Whole maps too, which lie channels last in memory; the gate's figure is 1e-3."""
    torch.manual_seed(0)
    parts = (nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 1))
    backbone = cp.load(drawn(nn.Sequential(*parts)), preprocess=SPEC)
    found = {
        engine: cp.extract(
            colour_folder(5), backbone, ["1", "3"], pool=["none", "gap"],
            store=tmp_path / engine, engine=engine, quiet=True,
        )
        for engine in ("native", "torch")
    }  # fmt: skip
    for tap in found["native"].taps:
        ours, theirs = found["torch"].X(tap), found["native"].X(tap)
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3 * np.abs(theirs).max())
