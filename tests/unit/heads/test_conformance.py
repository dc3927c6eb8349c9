from __future__ import annotations

from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

from cutpoint.heads import CentroidHead, KNNHead, LogisticHead, MLPHead, RidgeHead, SVMHead

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


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(estimator)
