from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, log_loss, precision_score

from cutpoint.learning.metrics import score_labels

NAMES = ("a", "b", "c")
THRESHOLDS = np.array([0.5, 0.4, 0.7])


def drawn(n: int = 100) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    truth = (random.random((n, 3)) < [0.5, 0.2, 0.1]).astype(float)
    return np.clip(0.3 * truth + 0.7 * random.random((n, 3)), 0, 1), truth


def test_figures_are_those_of_scikit_learn() -> None:
    likely, truth = drawn()
    said = likely >= THRESHOLDS
    found = score_labels(likely, truth, THRESHOLDS, NAMES)
    assert found.micro_f1.value == pytest.approx(f1_score(truth, said, average="micro"))
    assert found.macro_f1.value == pytest.approx(f1_score(truth, said, average="macro"))
    mean_ap = average_precision_score(truth, likely, average="macro")
    assert found.mean_average_precision == pytest.approx(mean_ap)
    losses = [log_loss(truth[:, c], likely[:, c]) for c in range(3)]
    assert found.log_loss == pytest.approx(np.mean(losses))
    assert found.exact == pytest.approx((said == truth).all(axis=1).mean())
    assert [each.precision for each in found.labels] == pytest.approx(
        precision_score(truth, said, average=None).tolist()
    )


def test_intervals_hold_the_figure_and_are_those_of_items_drawn_again() -> None:
    likely, truth = drawn()
    found = score_labels(likely, truth, THRESHOLDS, NAMES)
    random = np.random.default_rng(1)
    again = []
    for _ in range(1000):
        rows = random.integers(0, len(truth), len(truth))
        again.append(f1_score(truth[rows], likely[rows] >= THRESHOLDS, average="micro"))
    low, high = np.quantile(again, [0.025, 0.975])
    assert found.micro_f1.low == pytest.approx(low, abs=0.02)
    assert found.micro_f1.high == pytest.approx(high, abs=0.02)
    assert found.macro_f1.low < found.macro_f1.value < found.macro_f1.high


def test_a_label_that_no_item_has_is_left_out_of_means_and_said_so() -> None:
    likely, truth = drawn()
    truth[:, 2] = 0
    found = score_labels(likely, truth, THRESHOLDS, NAMES)
    assert found.labels[2].average_precision is None
    assert found.table()[3][-1] == "–"
    two = score_labels(likely[:, :2], truth[:, :2], THRESHOLDS[:2], NAMES[:2])
    assert found.macro_f1.value == pytest.approx(two.macro_f1.value)
    assert found.mean_average_precision == pytest.approx(two.mean_average_precision)
