from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import entropy

from cutpoint.learning.transferability import nce
from tests.references import inputs


def test_nce_is_the_difference_of_two_entropies() -> None:
    """H(Y|Z) = H(Y, Z) − H(Z), by `scipy.stats.entropy`; tolerance 1e-12."""
    P, y = inputs.source_probabilities()
    source = P.argmax(axis=1)
    joint = np.bincount(source * 5 + y, minlength=50)
    expected = entropy(joint) - entropy(np.bincount(source))
    assert nce(P, y) == pytest.approx(-expected, abs=1e-12)
