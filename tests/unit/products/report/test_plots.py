"""What the report's plots show, seen in their axes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from cutpoint.learning.metrics import score
from cutpoint.products.report import plots


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures as they are drawn, before they are text."""
    found: list[Figure] = []
    drawn = plots._svg

    def kept(figure: Figure, prefix: str) -> str:
        found.append(figure)
        return drawn(figure, prefix)

    monkeypatch.setattr(plots, "_svg", kept)
    return found


def evaluation() -> Any:
    """Of two classes: half the rows right, at a confidence that falls to a fifth."""
    confidence = np.linspace(0.2, 1, 60)
    scores = score(np.eye(2)[[0, 0, 1] * 20], np.repeat([0, 1], 30))
    return SimpleNamespace(
        classes=("cat", "dog"),
        scores=scores,
        confidence=confidence,
        is_right=np.arange(60) % 2 == 0,
    )


def test_calibrated_confidence_lies_on_the_diagonal_and_every_bin_is_seen(
    figures: list[Figure],
) -> None:
    assert plots.reliability_plot(evaluation()).startswith("<svg")
    (axes,) = figures[0].axes
    calibrated, measured = axes.lines
    np.testing.assert_array_equal(calibrated.get_xydata(), [[0, 0], [1, 1]])
    points = np.asarray(measured.get_xydata())
    for low, high in (axes.get_xlim(), axes.get_ylim()):
        assert low < points.min()
        assert high > 1
    assert points.min() < 0.45


def test_both_axes_of_the_confusion_matrix_have_the_names_of_the_classes(
    figures: list[Figure],
) -> None:
    assert plots.confusion_plot(evaluation()).startswith("<svg")
    axes = figures[0].axes[0]
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text() for label in labels] == ["cat", "dog"]
    assert [text.get_text() for text in axes.texts] == ["20", "10", "20", "10"]
