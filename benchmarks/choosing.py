"""Last layer, chosen, fused, oracle: three data sets, four sizes, five draws, paired tests.

    python benchmarks/choosing.py

Writes docs/benchmarks/choosing.md. Needs ../shared; without it nothing is written. Everything is
chosen on the drawn training rows alone; the test rows are then scored, for every candidate, so that
the oracle is known. Features are kept where `fit` keeps them ($CUTPOINT_STORE), below benchmarks/.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine  # noqa: E402
from cutpoint import api  # noqa: E402
from cutpoint.base.progress import Reporter  # noqa: E402
from cutpoint.features.extraction.request import default_store  # noqa: E402
from cutpoint.learning.choosing import ChooseOptions, rank  # noqa: E402
from cutpoint.learning.choosing.hindsight import outcomes_on  # noqa: E402
from cutpoint.learning.choosing.ranking_task import Task  # noqa: E402
from cutpoint.learning.choosing.strategies import judge_all  # noqa: E402
from cutpoint.learning.metrics import Interval, paired_bootstrap, wilson  # noqa: E402

SHARED = ROOT.parent / "shared"
OUT = ROOT / "docs" / "benchmarks" / "choosing.md"
DATA = ("dogs-vs-cats", "caltech20", "chest-xray")
SIZES = (40, 100, 400, None)
SEEDS = range(5)
POOLS = ("gap", "gmp")
QUIET = Reporter(quiet=True)
GAINS: dict[str, list[float]] = {}
LARGE: list[int] = []  # places in `GAINS` of 100 rows or more
WAYS = (
    "last tap, gap",
    "last two fused",
    "all gaps fused",
    "taken, one tap",
    "taken",
    "least error",
    "highest accuracy",
    "oracle",
)


@dataclass(frozen=True)
class Draw:
    """Which test rows each way gets right, for one draw of the training rows."""

    right: dict[str, np.ndarray]
    loo: dict[str, float]


def squeezenet() -> Any:
    """Return SqueezeNet 1.1 of the shared models, as torchvision builds it."""
    path = SHARED / "models" / "squeezenet11" / "squeezenet1_1_torch.pth"
    name = f"torch:{path}@torchvision.models:squeezenet1_1"
    return api.load(name, "imagenet", trust_weights=True)


def backbones() -> Iterator[tuple[str, Any]]:
    yield "EfficientNet-Lite0", api.load("packaged:efficientnet_lite0")
    yield "SqueezeNet 1.1", squeezenet()


def draw_rows(features: Any, size: int | None, seed: int) -> np.ndarray:
    """Return training rows, as even over the classes as can be."""
    rows = features.rows_of("train")
    if size is None:
        return rows
    random = np.random.default_rng(seed)
    labels = features.labels[rows].astype(str)
    by_class = [random.permutation(rows[labels == name]) for name in np.unique(labels)]
    turns = [each[turn] for turn in range(max(map(len, by_class))) for each in by_class
             if turn < len(each)]  # fmt: skip
    return np.sort(turns[:size])


def one_draw(features: Any, rows: np.ndarray) -> Draw:
    task = Task.of(features, ChooseOptions(), rows)
    ranking = judge_all(task, QUIET)
    tests = features.rows_of("test")
    right = {each.tap: outcomes_on(task, each, tests) for each in ranking.candidates}
    single = ranking.of_strategy("single")
    gaps = max((each for each in ranking.candidates if each.tap.startswith("fused")
                and {tap.rpartition("/")[2] for tap in each.taps} == {"gap"}),
               key=lambda each: len(each.taps))  # fmt: skip
    accurate = max(ranking.candidates, key=lambda each: each.score.value)
    picked = (
        ranking.last,
        ranking.prior,
        gaps,
        single.taken,
        ranking.taken,
        ranking.best,
        accurate,
    )
    ways = dict(zip(WAYS, picked, strict=False))
    found = {way: right[each.tap] for way, each in ways.items()}
    found["oracle"] = max(right.values(), key=lambda each: each.sum())
    loo = {way: each.score.value for way, each in ways.items()}
    return Draw(found, loo)


def table(features: Any) -> list[str]:
    n_test = len(features.rows_of("test"))
    n_all = len(features.rows_of("train"))
    lines = [f"| training rows | {' | '.join(WAYS)} |", "|---|" + "---|" * len(WAYS)]
    for size in [s for s in SIZES if s is None or s < n_all]:
        seeds = SEEDS if size else [0]
        draws = [one_draw(features, draw_rows(features, size, seed)) for seed in seeds]
        means = {way: np.mean([draw.right[way] for draw in draws], axis=0) for way in WAYS}
        LARGE.extend([len(GAINS.get(WAYS[0], []))] if size is None or size >= 100 else [])
        for way in WAYS:
            GAINS.setdefault(way, []).append(float((means[way] - means[WAYS[0]]).mean()))
        gains = {way: paired_bootstrap(means[way], means[WAYS[0]]) for way in WAYS[1:]}
        cells = [_cell(means[WAYS[0]], n_test)]
        cells += [_cell(means[way], n_test, gains[way]) for way in WAYS[1:]]
        lines.append(f"| {size or f'all ({n_all})'} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return lines


def _cell(means: np.ndarray, n_test: int, gain: Interval | None = None) -> str:
    value = float(means.mean())
    if gain is None:
        bounds = wilson(round(value * n_test), n_test)
        return f"{value:.3f} [{bounds.low:.3f}, {bounds.high:.3f}]"
    mark = "**" if gain.low > 0 else ("_" if gain.high < 0 else "")
    return f"{mark}{value:.3f}{mark} ({gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}])"


def permuted_lines(found: dict[tuple[str, str], Any]) -> list[str]:
    """Shuffle the labels: what the first candidate scores, and what the whole choice does."""
    lines = ["| data | chance | first of the candidates, LOO | chosen anew in folds |",
             "|---|---|---|---|"]  # fmt: skip
    for (network, name), features in found.items():
        if network != "EfficientNet-Lite0":
            continue
        rankings = [rank(features, QUIET, ChooseOptions(permute=seed)) for seed in SEEDS]
        best = np.array([each.best.score.value for each in rankings])
        nested = np.array([each.nested.value for each in rankings])
        n = rankings[0].n_train
        lines.append(
            f"| {name}, {n} rows, {len(rankings[0].candidates)} candidates "
            f"| {rankings[0].chance:.3f} | {best.mean():.3f} ({best.min():.3f} – {best.max():.3f}) "
            f"| {nested.mean():.3f} ({nested.min():.3f} – {nested.max():.3f}) |"
        )
        print(lines[-1], flush=True)
    return lines


def features_of(network: str, backbone: Any, name: str) -> Any:
    """Return the features of one of the shared data sets, computed once."""
    store = default_store() / "benchmarks" / network.replace(" ", "-") / name
    return api.extract(SHARED / "data" / name, backbone, "auto", POOLS, store, quiet=True)


def main() -> None:
    if not SHARED.is_dir():
        print("no ../shared beside the checkout: nothing measured, nothing written")
        return
    lines = [
        "# Which layer: last, chosen, fused, oracle",
        "",
        f"`python benchmarks/choosing.py` on {machine()}.",
        f"Taps of `auto`, pools {' and '.join(POOLS)}, ridge heads with λ by leave-one-out. Mean",
        "test accuracy over 5 draws of the training rows (all: one). In brackets the gain over the",
        "last tap's averages with its 95 % interval, paired over the test items (bootstrap; the",
        "draws of an item are averaged first); **bold** where the interval lies above 0, _slanted_",
        "where it lies below.",
        "",
        "*Last two fused*: the prior, what few items take. *Least error*: the candidate, one tap",
        "or several fused, of the least squared error of rows left out; *highest accuracy*: of the",
        "highest accuracy of rows left out. *Taken*: as `fit` takes it, the prior unless the rows",
        "show another to be better, or as good and cheaper; *one tap*: the same without fused",
        "ones, where the prior is the last tap. The *oracle* is the best on the test rows",
        "themselves: nobody can know it, and its figure flatters. That candidates are ordered by",
        "error was settled with such a table in view; [few-items.md](few-items.md) says on what",
        "the rule of what is taken was.",
        "",
    ]
    stored: dict[tuple[str, str], Any] = {}
    for network, backbone in backbones():
        for name in DATA:
            features = features_of(network, backbone, name)
            stored[network, name] = features
            n_test = len(features.rows_of("test"))
            print(f"{network} on {name}: {len(features.taps)} taps", flush=True)
            lines += [f"## {network} on {name}, {n_test} to test", "", *table(features), ""]
    lines += [
        "## All of them",
        "",
        f"Mean gain over the last tap in the {len(GAINS[WAYS[0]])} rows above, in points:",
        "; ".join(f"{way} {100 * np.mean(GAINS[way]):+.2f}" for way in WAYS[1:]) + ".",
        f"In the {len(LARGE)} of 100 rows or more:",
        "; ".join(f"{way} {100 * np.mean(np.array(GAINS[way])[LARGE]):+.2f}" for way in WAYS[1:])
        + ".",
        "",
        "## Shuffled labels",
        "",
        "The training labels shuffled, 5 seeds, all training rows, EfficientNet-Lite0: mean",
        "(least – most). The first of many candidates is above chance because it is the",
        "luckiest; chosen anew in folds, without the rows judged, luck is gone.",
        "",
        *permuted_lines(stored),
        "",
    ]
    OUT.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
