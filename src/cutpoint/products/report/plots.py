"""Pictures for the report, as SVG text."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cutpoint.base.spec import TapSpec
from cutpoint.base.text import printable
from cutpoint.base.types import Float64
from cutpoint.learning.choosing import STRATEGIES
from cutpoint.learning.metrics import LabelScores, Scores, reliability
from cutpoint.products.evaluation import Evaluation

_BLUE, _GREY = "#1f5fa8", "#8a8f98"
_MANY_CLASSES = 25  # beyond it, cell counts in the confusion matrix would not be readable


def candidates_plot(
    candidates: Sequence[Mapping[str, Any]],
    order: Sequence[str],
    taken: str,
    label: str = "LOO accuracy",
) -> str:
    """Score on rows left out, with its interval, against depth and against cost.

    Parameters
    ----------
    candidates : sequence of mappings
        As in `Ranking.to_json`.
    order : sequence of str
        Layers from shallow to deep.
    taken : str
        What was chosen.
    label : str
        What the score is.
    """
    has_costs = all(each["macs"] is not None for each in candidates)
    figure = Figure(figsize=(11.0 if has_costs else 7.2, 3.6), layout="constrained")
    grid = figure.subplots(1, 2 if has_costs else 1, sharey=True, squeeze=False)
    by_depth, *rest = grid[0]
    _draw_depths(by_depth, candidates, order)
    chosen = next(each for each in candidates if each["tap"] == taken)
    by_depth.axhline(chosen["score"]["value"], color=_GREY, linestyle=":", label="taken")
    by_depth.set_ylabel(label)
    by_depth.legend(title="pool")
    for axes in rest:
        _draw_costs(axes, candidates, chosen)
    return _svg(figure, "candidates")


def _draw_depths(axes: Any, candidates: Sequence[Mapping[str, Any]], order: Sequence[str]) -> None:
    by_pool: dict[str, list[tuple[float, Mapping[str, Any]]]] = {}
    for candidate in candidates:
        pool = TapSpec.from_name(candidate["taps"][-1]).pool
        name = pool if candidate["strategy"] == "single" else candidate["strategy"]
        by_pool.setdefault(name, []).append((candidate["depth"], candidate["score"]))
    for number, (pool, points) in enumerate(sorted(by_pool.items())):
        points.sort(key=lambda point: point[0])
        x = np.array([depth for depth, _ in points]) + 0.08 * (number - len(by_pool) / 2)
        if pool in STRATEGIES:  # several at one depth
            x = x + 0.12 * np.arange(len(x))
        y = np.array([found["value"] for _, found in points])
        low = y - [found["low"] for _, found in points]
        high = np.array([found["high"] for _, found in points]) - y
        line = "none" if pool in STRATEGIES else "-"
        axes.errorbar(
            x, y, (low, high), marker="o", markersize=4, capsize=2, label=pool, linestyle=line
        )
    axes.set_xticks(range(len(order)), list(map(printable, order)), rotation=30, ha="right")
    axes.set_xlabel("layer, shallow to deep")
    axes.grid(alpha=0.25)


def _draw_costs(
    axes: Any, candidates: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any]
) -> None:
    costs = np.array([each["macs"] for each in candidates]) / 1e6
    scores = np.array([each["score"]["value"] for each in candidates])
    axes.plot(costs, scores, "o", color=_GREY, markersize=4, label="candidates")
    order = np.lexsort((-scores, costs))
    best = np.maximum.accumulate(scores[order])
    axes.step(costs[order], best, where="post", color=_BLUE, label="best up to this cost")
    axes.plot(chosen["macs"] / 1e6, chosen["score"]["value"], "D", color=_BLUE, label="taken")
    axes.set_xlabel("cost, million multiply-accumulates an item")
    axes.grid(alpha=0.25)
    axes.legend()


def error_plots(evaluation: Evaluation) -> list[str]:
    """Return what shows how a predictor errs: of classes, labels or values."""
    if isinstance(evaluation.scores, Scores):
        return [confusion_plot(evaluation), reliability_plot(evaluation)]
    if isinstance(evaluation.scores, LabelScores):
        return [labels_plot(evaluation.scores)]
    return [values_plot(evaluation), residuals_plot(evaluation)]


def values_plot(evaluation: Evaluation) -> str:
    """Draw predicted against true values."""
    truth, said = _values(evaluation)
    figure = Figure(figsize=(3.9, 3.4), layout="constrained")
    axes = figure.subplots()
    ends = [min(truth.min(), said.min()), max(truth.max(), said.max())]
    axes.plot(ends, ends, color=_GREY, linestyle=":", label="equal")
    axes.plot(truth, said, "o", color=_BLUE, markersize=3, alpha=0.5)
    axes.set(xlabel="true", ylabel="predicted")
    axes.grid(alpha=0.25)
    axes.legend()
    return _svg(figure, "values")


def residuals_plot(evaluation: Evaluation) -> str:
    """Draw predicted minus true values against predicted ones: a trend is what the head missed."""
    truth, said = _values(evaluation)
    figure = Figure(figsize=(3.9, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.axhline(0, color=_GREY, linestyle=":")
    axes.plot(said, said - truth, "o", color=_BLUE, markersize=3, alpha=0.5)
    axes.set(xlabel="predicted", ylabel="predicted − true")
    axes.grid(alpha=0.25)
    return _svg(figure, "residuals")


def labels_plot(scores: LabelScores) -> str:
    """Draw F1 and average precision of each label, the most common one first."""
    order = sorted(scores.labels, key=lambda each: -each.n_with)[:_MANY_CLASSES]
    figure = Figure(figsize=(6.4, 1.2 + 0.28 * len(order)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(order))[::-1]
    axes.barh(places, [each.f1 for each in order], 0.6, color=_BLUE, label="F1")
    precision = [np.nan if (p := e.average_precision) is None else p for e in order]
    axes.plot(precision, places, "D", color="black", markersize=4, label="average precision")
    names = [f"{printable(each.name)} ({each.n_with})" for each in order]
    axes.set_yticks(places, names, parse_math=False)
    axes.set(xlim=(0, 1.02))
    axes.grid(alpha=0.25, axis="x")
    axes.legend()
    return _svg(figure, "labels")


def _values(evaluation: Evaluation) -> tuple[Float64, Float64]:
    truth = np.array([verdict.truth for verdict in evaluation.verdicts], np.float64)
    return truth, np.array([verdict.predicted for verdict in evaluation.verdicts], np.float64)


def confusion_plot(evaluation: Evaluation) -> str:
    """Confusion matrix; colour is the share of the true class."""
    assert isinstance(evaluation.scores, Scores), "labels and values have none"
    counts = np.array(evaluation.scores.confusion)
    n_classes = len(counts)
    side = min(3.0 + 0.28 * n_classes, 11.0)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, label="share of the true class", shrink=0.8)
    ticks = range(n_classes)
    # A `$` in a class name is no formula.
    names = [printable(name) for name in evaluation.classes]
    axes.set_xticks(ticks, names, rotation=45, ha="right", parse_math=False)
    axes.set_yticks(ticks, names, parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if n_classes <= _MANY_CLASSES:
        for row, column in zip(*np.nonzero(counts), strict=True):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
    return _svg(figure, "confusion")


def reliability_plot(evaluation: Evaluation) -> str:
    """Accuracy against confidence in equal-mass bins."""
    bins = reliability(evaluation.confidence, evaluation.is_right)
    figure = Figure(figsize=(3.9, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=_GREY, linestyle=":", label="calibrated")
    axes.plot(bins[:, 0], bins[:, 1], marker="o", color=_BLUE, label="measured")
    low = min(0.45, float(bins[:, :2].min()) - 0.05)
    axes.set(xlim=(low, 1.02), ylim=(low, 1.02), xlabel="confidence", ylabel="accuracy")
    axes.grid(alpha=0.25)
    axes.legend()
    return _svg(figure, "reliability")


def _svg(figure: Figure, prefix: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    # Ids are unique in a figure only; several figures share the page.
    text = re.sub(r'id="', f'id="{prefix}-', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}-", text)
    return text[text.index("<svg") :]
