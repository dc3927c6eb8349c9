"""Pictures for the report, as SVG text."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cutpoint.evaluation import Evaluation
from cutpoint.metrics import reliability
from cutpoint.progress import printable
from cutpoint.spec import TapSpec

_BLUE, _GREY = "#1f5fa8", "#8a8f98"
_MANY_CLASSES = 25  # beyond it, cell counts in the confusion matrix would not be readable


def candidates_plot(
    candidates: Sequence[Mapping[str, Any]], order: Sequence[str], taken: str, how: str = "LOO"
) -> str:
    """Accuracy on rows left out, with its interval, against depth; one line a pool.

    Parameters
    ----------
    candidates : sequence of mappings
        As in `Ranking.to_json`.
    order : sequence of str
        Layers from shallow to deep.
    taken : str
        What was chosen.
    how : str
        How rows were left out.
    """
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    axes = figure.subplots()
    place = {layer: number for number, layer in enumerate(order)}
    by_pool: dict[str, list[tuple[float, Mapping[str, Any]]]] = {}
    for candidate in candidates:
        tap = TapSpec.from_name(candidate["taps"][-1])
        by_pool.setdefault(tap.pool, []).append((place[tap.layer], candidate["loo_accuracy"]))
    for number, (pool, points) in enumerate(sorted(by_pool.items())):
        points.sort(key=lambda point: point[0])
        x = np.array([depth for depth, _ in points]) + 0.08 * (number - len(by_pool) / 2)
        y = np.array([found["value"] for _, found in points])
        low = y - [found["low"] for _, found in points]
        high = np.array([found["high"] for _, found in points]) - y
        axes.errorbar(x, y, (low, high), marker="o", markersize=4, capsize=2, label=pool)
    chosen = next(each for each in candidates if each["tap"] == taken)
    deepest = TapSpec.from_name(chosen["taps"][-1]).layer
    axes.axvline(place[deepest], color=_GREY, linestyle=":", label="taken")
    axes.set_xticks(range(len(order)), order, rotation=30, ha="right")
    axes.set_ylabel(f"{how} accuracy")
    axes.set_xlabel("layer, shallow to deep")
    axes.grid(alpha=0.25)
    axes.legend(title="pool")
    return _svg(figure, "candidates")


def confusion_plot(evaluation: Evaluation) -> str:
    """Confusion matrix; colour is the share of the true class."""
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
