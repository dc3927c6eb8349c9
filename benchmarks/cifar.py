"""CIFAR-10, 100 a class: last layer, best of 45, all layers fused; five draws.

    python benchmarks/cifar.py

SqueezeNet 1.1 at 128 pixels, 9 layers × 5 pools, ridge heads, λ by leave-one-out squared error.
Draws 100 a class from the training part with seeds 0–4, tests on all 2000 test images. Writes
docs/benchmarks/cifar.md. Needs ../shared; without it nothing is written.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine  # noqa: E402
from cutpoint import api  # noqa: E402
from cutpoint.base.spec import PreprocessSpec  # noqa: E402
from cutpoint.learning.choosing.candidate import Candidate  # noqa: E402
from cutpoint.learning.choosing.hindsight import outcomes_on  # noqa: E402
from cutpoint.learning.choosing.judge_taps import judge_set  # noqa: E402
from cutpoint.learning.choosing.ranking_task import ChooseOptions, Task  # noqa: E402
from cutpoint.learning.metrics import mcnemar, paired_bootstrap  # noqa: E402
from cutpoint.learning.recipe import Recipe  # noqa: E402

SHARED = ROOT.parent / "shared"
OUT = ROOT / "docs" / "benchmarks" / "cifar.md"
SIDE_PX = 128
# The first convolution's ReLU, then fire2 … fire9.
LAYERS = ("features.1", *(f"features.{n}" for n in (3, 4, 6, 7, 9, 10, 11, 12)))
POOLS = ("gap", "gmp", "gem", "spp(2)", "spp(3)")
SEEDS = range(5)
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
LAST = "features.12/gap"
FUSED = {"all layers, gap": POOLS[:1], "all layers, gap and 2×2": ("gap", "spp(2)"),
         "all layers, five pools": POOLS}  # fmt: skip


def backbone() -> Any:
    path = SHARED / "models" / "squeezenet11" / "squeezenet1_1_torch.pth"
    spec = PreprocessSpec(SIDE_PX, SIDE_PX, "bilinear", MEAN, STD, fit="squash")
    return api.load(f"torch:{path}@torchvision.models:squeezenet1_1", spec, trust_weights=True)


def draw(features: Any, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    rows = features.rows_of("train")
    labels = features.labels[rows].astype(str)
    picks = [random.permutation(rows[labels == name])[:100] for name in np.unique(labels)]
    return np.sort(np.concatenate(picks))


def one_seed(features: Any, seed: int) -> dict[str, Any]:
    """Return accuracy and right rows by name, with τ of the 45 candidates against the test."""
    task = Task.of(features, ChooseOptions(), draw(features, seed))
    tests = features.rows_of("test")

    def right(each: Candidate) -> np.ndarray:
        return outcomes_on(task, each, tests)

    single = {tap: judge_set(task, (tap,), Recipe()) for tap in task.taps}
    outcomes = {tap: right(each) for tap, each in single.items()}
    truth = np.array([outcomes[tap].mean() for tap in single])
    picked = max(single, key=lambda tap: single[tap].score.value)
    oracle = max(outcomes, key=lambda tap: outcomes[tap].mean())
    found = {"last layer, gap": outcomes[LAST], "first of 45 by LOO": outcomes[picked],
             "oracle of 45": outcomes[oracle]}  # fmt: skip
    loo = {}
    for name, pools in FUSED.items():
        taps = [tap for tap in task.taps if tap.rpartition("/")[2] in pools]
        fused = judge_set(task, taps, Recipe().fused(), "fused")
        found[name], loo[name] = right(fused), fused.score.value
    taus = {
        "LOO error²": kendalltau([-each.error for each in single.values()], truth).statistic,
        "LOO accuracy": kendalltau([e.score.value for e in single.values()], truth).statistic,
        "evidence": kendalltau([e.evidence for e in single.values()], truth).statistic,
    }
    names = {"first of 45 by LOO": picked, "oracle of 45": oracle}
    return {"right": found, "loo": loo, "taus": taus, "names": names}


def main() -> None:
    if not SHARED.is_dir():
        print("no ../shared beside the checkout: nothing measured, nothing written")
        return
    with tempfile.TemporaryDirectory() as scratch:
        features = api.extract(SHARED / "data" / "cifar10", backbone(), LAYERS, POOLS, scratch)
        seeds = [one_seed(features, seed) for seed in SEEDS]
    lines = [
        "# CIFAR-10, 100 a class",
        "",
        f"`python benchmarks/cifar.py` on {machine()}.",
        f"SqueezeNet 1.1 (3 MB, ImageNet), photos of 32 pixels enlarged to {SIDE_PX}; "
        f"{len(LAYERS)} layers × {len(POOLS)} pools;",
        "ridge, λ by leave-one-out squared error; 1000 training rows drawn with seeds 0–4, 2000 to",
        "test (one standard error of a figure is about 1 point).",
        "",
        "| way | "
        + " | ".join(f"seed {seed}" for seed in SEEDS)
        + " | mean | gain over the last layer |",
        "|---|" + "---|" * (len(SEEDS) + 2),
    ]
    last = np.mean([each["right"]["last layer, gap"] for each in seeds], axis=0)
    for name in seeds[0]["right"]:
        values = [100 * each["right"][name].mean() for each in seeds]
        gain = paired_bootstrap(np.mean([e["right"][name] for e in seeds], axis=0), last)
        shown = f"{100 * gain.value:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"
        cells = " | ".join(f"{value:.1f}" for value in values)
        lines.append(f"| {name} | {cells} | **{np.mean(values):.1f}** | {shown} |")
    p_values = [
        mcnemar(each["right"]["all layers, five pools"], each["right"]["last layer, gap"]).p_value
        for each in seeds
    ]
    lines += [
        "",
        "All layers with five pools against the last layer, exact McNemar: "
        f"p ≤ {max(p_values):.1g} in every draw.",
        "",
        "| what ranks the 45 | Kendall's τ with test accuracy, mean of the draws |",
        "|---|---|",
    ]
    for name in seeds[0]["taus"]:
        lines.append(f"| {name} | {np.mean([each['taus'][name] for each in seeds]):.3f} |")
    picks = [
        f"{each['names']['first of 45 by LOO']} (oracle {each['names']['oracle of 45']})"
        for each in seeds
    ]
    lines += ["", f"Picked, seed by seed: {'; '.join(picks)}.", ""]
    OUT.write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
