"""Values and several labels an item, from items to test scores, beside plain scikit-learn.

    python benchmarks/targets.py

Writes docs/benchmarks/targets.md. Needs ../shared; without it nothing is written. Values are prices
of California's districts, of which a frozen random layer makes features; labels are those of two
CIFAR-10 photos side by side, as a frozen EfficientNet-Lite0 sees them. cutpoint's figures are those
of `fit`; scikit-learn gets the same features of the same rows.
"""

from __future__ import annotations

import csv
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import RidgeClassifierCV, RidgeCV
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import cutpoint as cp  # noqa: E402
from benchmarks.machine import machine  # noqa: E402
from cutpoint.base.spec import ArraySpec  # noqa: E402
from cutpoint.learning.metrics import best_threshold, score_labels, score_values  # noqa: E402

DATA = ROOT.parent / "shared" / "data"
OUT = ROOT / "docs" / "benchmarks" / "targets.md"
N_VALUES = (2000, 2000)  # rows to train and to test
N_PAIRS = (1000, 500)
WIDTH = 256

VALUE_HEADS = ("ridge", "knn", "svm", "mlp", "auto")
VALUE_PEERS = {
    "`RidgeCV`, 13 λ": make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 13))),
    "`KNeighborsRegressor`, k = 10": KNeighborsRegressor(10),
    "`SVR`, RBF": make_pipeline(StandardScaler(), SVR()),
    "`MLPRegressor`, early stopping": make_pipeline(
        StandardScaler(), MLPRegressor(early_stopping=True, max_iter=500, random_state=0)
    ),
}
LABEL_PEERS = {
    "`RidgeClassifierCV`, 13 λ": make_pipeline(
        StandardScaler(), RidgeClassifierCV(np.logspace(-1, 5, 13))
    ),
    "`KNeighborsClassifier`, k = 10": KNeighborsClassifier(10),
    "`MLPClassifier`, early stopping": make_pipeline(
        StandardScaler(), MLPClassifier(early_stopping=True, max_iter=500, random_state=0)
    ),
}


def houses() -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return eight standardised columns, the price in 100,000 dollars, and splits."""
    file = next((DATA / "california-housing").glob("*.csv"))
    with file.open(newline="") as table:
        rows = [row for row in csv.DictReader(table) if row["total_bedrooms"]]
    names = [name for name in rows[0] if name not in ("median_house_value", "ocean_proximity")]
    chosen = np.random.default_rng(0).permutation(len(rows))[: sum(N_VALUES)]
    X = np.array([[float(rows[n][name]) for name in names] for n in chosen])
    X = (X - X[: N_VALUES[0]].mean(axis=0)) / X[: N_VALUES[0]].std(axis=0)
    y = np.array([float(rows[n]["median_house_value"]) / 1e5 for n in chosen])
    return X.astype(np.float32), y, ["train"] * N_VALUES[0] + ["test"] * N_VALUES[1]


def random_layer(n_columns: int) -> cp.Backbone:
    """Return a frozen network of one random layer: features anyone can make again."""
    import torch

    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(n_columns, WIDTH), torch.nn.ReLU())
    return cp.load(network.eval(), ArraySpec((n_columns,)))


def pairs(folder: Path) -> Iterator[tuple[Path, list[str], str]]:
    """Write two photos side by side and yield the file, the classes of both, and the split."""
    random = np.random.default_rng(0)
    for split, n_pairs in zip(("train", "test"), N_PAIRS, strict=True):
        photos = sorted((DATA / "cifar10" / split).glob("*/*"))
        for number in range(n_pairs):
            two = [photos[n] for n in random.choice(len(photos), 2, replace=False)]
            image = Image.new("RGB", (64, 32))
            for place, photo in enumerate(two):
                image.paste(Image.open(photo).convert("RGB"), (32 * place, 0))
            path = folder / f"{split}{number:04d}.png"
            image.save(path)
            yield path, sorted({photo.parent.name for photo in two}), split


def values_table(scratch: Path) -> list[str]:
    X, y, splits = houses()
    given: dict[str, Any] = {"labels": list(y), "splits": splits, "store": scratch / "values"}
    network, lines = random_layer(X.shape[1]), []
    for head in VALUE_HEADS:
        model = cp.fit(list(X), None, network, [-1], "none", head=head, quiet=True, **given)
        scores = model.card.evaluation["scores"]
        text = head if head != "auto" else f"auto, which took {model.card.head['text']}"
        lines.append(f"| cutpoint, `--head {text}` | {_shown(scores['r2'])} | "
                     f"{_shown(scores['mae'])} |")  # fmt: skip
    features = cp.extract(list(X), network, [-1], "none", quiet=True, **given)
    rows, tests = features.rows_of("train"), features.rows_of("test")
    Z = features.X(features.taps[-1])
    for name, peer in VALUE_PEERS.items():
        found = score_values(peer.fit(Z[rows], y[rows]).predict(Z[tests]), y[tests])
        lines.append(f"| scikit-learn {name} | {found.r2} | {found.mae} |")
    return [
        f"## Values: prices of {N_VALUES[0]} districts to train, {N_VALUES[1]} to test",
        "",
        "| head | R², 95 % | mean absolute error, 100,000 dollars |",
        "|---|---|---|",
        *lines,
        "",
    ]


def labels_table(scratch: Path) -> list[str]:
    (scratch / "pairs").mkdir()
    files, labels, splits = (list(each) for each in zip(*pairs(scratch / "pairs"), strict=True))
    given: dict[str, Any] = {"labels": labels, "splits": splits, "store": scratch / "labels"}
    name = "packaged:efficientnet_lite0"
    model = cp.fit(files, None, name, ["bn2"], "gap", quiet=True, **given)
    scores = model.card.evaluation["scores"]
    figures = [_shown(scores["micro_f1"]), _shown(scores["macro_f1"])]
    figures.append(f"{scores['mean_average_precision']:.3f}")
    lines = [f"| cutpoint, `--head ridge` | {' | '.join(figures)} |"]
    features = cp.extract(files, name, ["bn2"], "gap", quiet=True, **given)
    rows, tests = features.rows_of("train"), features.rows_of("test")
    Z, names = features.X("bn2/gap"), model.labels
    Y = np.array([[each in own for each in names] for own in labels], int)
    for text, peer in LABEL_PEERS.items():
        method = "predict_proba" if "Ridge" not in text else "decision_function"
        plain = np.full(len(names), 0.5 if method == "predict_proba" else 0.0)
        likely = _scores(getattr(peer.fit(Z[rows], Y[rows]), method)(Z[tests]))
        left_out = _scores(cross_val_predict(peer, Z[rows], Y[rows], cv=5, method=method))
        tuned = [best_threshold(left_out[:, c], Y[rows, c]) for c in range(len(names))]
        for how, thresholds in (("", plain), (", thresholds by F1 in 5 folds", np.array(tuned))):
            found = score_labels(likely, Y[tests], thresholds, names)
            figures = [str(found.micro_f1), str(found.macro_f1)]
            figures.append(f"{found.mean_average_precision:.3f}")
            lines.append(f"| scikit-learn {text}{how} | {' | '.join(figures)} |")
    return [
        f"## Labels: two photos side by side, {N_PAIRS[0]} pairs to train, {N_PAIRS[1]} to test, "
        f"{len(names)} labels",
        "",
        "| head | micro F1, 95 % | macro F1, 95 % | mean average precision |",
        "|---|---|---|---|",
        *lines,
        "",
    ]


def _scores(found: Any) -> np.ndarray:
    """Return scores or probabilities as (n_items, n_labels); neighbours give a pair a label."""
    return np.stack([each[:, 1] for each in found], 1) if isinstance(found, list) else found


def _shown(found: dict[str, float]) -> str:
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def main() -> None:
    if not DATA.is_dir():
        sys.exit("../shared is not there")
    warnings.simplefilter("ignore", ConvergenceWarning)
    with tempfile.TemporaryDirectory() as folder:
        tables = [*values_table(Path(folder)), *labels_table(Path(folder))]
    head = [
        "# Values and labels beside scikit-learn",
        "",
        f"`python benchmarks/targets.py` on {machine()}. The same features of the same rows for",
        "all; scikit-learn's columns are standardised, save for neighbours. Intervals by bootstrap",
        "of the test items. Where intervals overlap there is no winner. Of labels scikit-learn's",
        "thresholds are its own, halfway, unless it is said that they were tuned on training rows,",
        "as cutpoint's always are.",
        "",
    ]
    text = "\n".join([*head, *tables]).rstrip() + "\n"
    print(text)
    OUT.write_text(text)


if __name__ == "__main__":
    main()
