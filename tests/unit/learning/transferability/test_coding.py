from __future__ import annotations

import numpy as np
import pytest

from cutpoint.learning.transferability import transrate
from tests.references import inputs


@pytest.mark.parametrize("make", [inputs.uneven, inputs.wide])
def test_transrate_is_its_definition(make) -> None:
    """Eigenvalues of FᵀF in the place of determinants; tolerance 1e-9."""
    X, y = make()
    F = X - X.mean(axis=0)

    def rate(rows: np.ndarray) -> float:
        widths = np.linalg.svd(rows, compute_uv=False)
        return float(np.log1p(widths**2 / (len(rows) * 1e-4)).sum() / 2)

    within = sum((y == label).mean() * rate(F[y == label]) for label in np.unique(y))
    assert transrate(X, y) == pytest.approx(rate(F) - within, rel=1e-9)


def test_published_weights_reward_a_small_class() -> None:
    """270 and 30 rows: a class of few rows codes shortly, and unweighted it counts as half."""
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 64))
    y = np.repeat([0, 1], [270, 30])
    assert transrate(X, y, compat="tllib") > 2 * transrate(X, y)
