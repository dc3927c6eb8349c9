"""Runs that are killed at any moment go on to the same bits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from tests.conftest import ROOT

_HERE = "tests.unit.learning.finetune.test_kills"


def finish(path: Path | None) -> dict[str, np.ndarray]:
    """Train a tiny suffix for 12 epochs, a checkpoint after every step."""
    from cutpoint.base.contracts import ACTIVATION
    from cutpoint.learning.finetune import Checkpoint, Plan, StoredRows, run
    from tests.unit.networks.frameworks.test_torch_suffix import network, suffix_of, tuning

    suffix = suffix_of(network(), "blocks.1", "blocks.2/gap")
    random = np.random.default_rng(0)
    views = [{ACTIVATION: random.normal(size=(40, 8, 4, 4)).astype(np.float16)} for _ in range(2)]
    trainer = suffix.trainer(tuning(suffix, ("blocks.2/gap",), 8, dropout=0.2))
    blocks = {each.name: "blocks.2" for each in suffix.parameters}
    plan, targets = Plan(1e-2, 12, 8, schedule="gradual"), np.arange(40) % 3
    kept = Checkpoint(path, every_s=0.0)
    after = lambda trainer, epoch: (float(epoch), {"scores": np.full((1, 2), epoch)})  # noqa: E731
    ran = run(trainer, StoredRows(views), np.arange(40), targets, plan, blocks, after, kept)
    assert len(ran.epochs) == 12
    assert len(ran.kept["scores"]) == 12
    losses = np.array([each.loss for each in ran.epochs])
    return {**trainer.weights(), "losses": losses}


def kill_and_compare(folder: Path, n_kills: int) -> tuple[int, int]:
    """Return how many kills hit a run, and how many ends differed from the undisturbed one.

    In this process PyTorch has one thread and was not run in more, so that it can be forked.
    """
    expected = finish(None)
    begun = time.perf_counter()
    finish(folder / "timed.safetensors")
    seconds = time.perf_counter() - begun
    random, n_hit, n_wrong = np.random.default_rng(0), 0, 0
    for number in range(n_kills):
        path = folder / f"{number}.safetensors"
        child = os.fork()
        if child == 0:
            finish(path)
            os._exit(0)
        time.sleep(seconds * random.uniform(0.05, 0.95))
        os.kill(child, signal.SIGKILL)
        n_hit += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        found = finish(path)
        n_wrong += any(not np.array_equal(found[name], each) for name, each in expected.items())
    return n_hit, n_wrong


def test_a_killed_run_goes_on_to_bit_equal_weights(tmp_path: Path) -> None:
    """Real SIGKILLs; the long form is ``python -m tests.unit.learning.finetune.test_kills 20``."""
    command = [sys.executable, "-m", _HERE, "4", str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    n_hit, n_wrong = map(int, done.stdout.split())
    assert n_hit
    assert not n_wrong


def main() -> None:
    import torch

    torch.set_num_threads(1)
    n_hit, n_wrong = kill_and_compare(Path(sys.argv[2]), int(sys.argv[1]))
    sys.stdout.write(f"{n_hit} {n_wrong}\n")


if __name__ == "__main__":
    main()
