from __future__ import annotations

from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from cutpoint.learning.transforms import (
    L2,
    PCA,
    UMAP,
    Autoencoder,
    FTestSelect,
    Fuse,
    GaussianProjection,
    GroupLasso,
    L1Select,
    LearnedMask,
    LearnedProjection,
    MutualInfoSelect,
    OrthogonalProjection,
    RandomisedSVD,
    RecursiveSelect,
    RidgeNormSelect,
    Scale,
    SignedPower,
    SoftmaxSum,
    SparseProjection,
    TapL2,
    TSNEPicture,
    VarianceSelect,
    ZScore,
)

# As few components and steps as the checks' own small matrices bear.
ESTIMATORS = [
    L2(),
    TapL2(),
    ZScore(),
    ZScore(floor=0.1),
    Scale(),
    SignedPower(),
    Fuse(),
    VarianceSelect(),
    FTestSelect(),
    MutualInfoSelect(),
    RecursiveSelect(),
    L1Select(C=10.0),
    LearnedMask(penalty=0.01, n_steps=20),
    LearnedMask(penalty=0.01, n_steps=20, soft=True),
    VarianceSelect(threshold=0.01),
    GaussianProjection(30),
    SparseProjection(30),
    OrthogonalProjection(30),
    LearnedProjection(30, n_steps=20, init="orthogonal"),
    LearnedProjection(3, n_steps=20, init="xavier"),
    GroupLasso(),
    RidgeNormSelect(),
    PCA(),
    PCA(whiten=True),
    RandomisedSVD(1),
    GaussianProjection(1),
    SparseProjection(1),
    OrthogonalProjection(1),
    Autoencoder(1, 8, n_steps=20),
    LearnedProjection(1, n_steps=20),
    SoftmaxSum(n_steps=20),
    SoftmaxSum(norm=True, n_steps=20),
    UMAP(1, n_neighbors=3),
    TSNEPicture(perplexity=1),
]


# The checks' columns are of several scales, on which l1 says that it did not settle.
@pytest.mark.filterwarnings("ignore:l1 did not settle")
@parametrize_with_checks(ESTIMATORS)
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(estimator)
