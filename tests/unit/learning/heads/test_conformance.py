from __future__ import annotations

from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from cutpoint.learning.heads import CentroidHead, KNNHead, LogisticHead, MLPHead, RidgeHead, SVMHead

# Few steps, as the checks fit each of them a hundred times.
ESTIMATORS = [
    RidgeHead(),
    LogisticHead(C=[0.1, 10.0]),
    SVMHead(C=[0.1, 10.0]),
    KNNHead(),
    CentroidHead(),
    CentroidHead("euclidean"),
    MLPHead(16, dropout=0.0, max_epochs=30, batch_size=16, learning_rate=0.03),
]


# Labels of some checks are drawn: there is nothing to learn, and whether the MLP says so depends on
# the machine's last digits.
@pytest.mark.filterwarnings("ignore:mlp tells nothing about:UserWarning")
@parametrize_with_checks(ESTIMATORS)
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(estimator)
