"""What holds of every transform, whatever the rows."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from cutpoint.base.errors import DataError
from cutpoint.learning.transforms import (
    L2,
    PCA,
    TRANSFORMS,
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
    Transform,
    VarianceSelect,
    ZScore,
    from_bytes,
    to_bytes,
)

# Weak penalties: labels drawn at random tell nothing, and what keeps no column is an error.
QUICK = [
    L2(), TapL2(), ZScore(), ZScore(floor=0.1), Scale(), SignedPower(0.3), Fuse(),
    VarianceSelect(), FTestSelect(0.4), MutualInfoSelect(3), RecursiveSelect(2),
    L1Select(C=1e5), GroupLasso(0.5, penalty=1e-6),
    RidgeNormSelect(0.5),
    PCA(3), PCA(2, whiten=True), RandomisedSVD(2), GaussianProjection(2), SparseProjection(2),
    OrthogonalProjection(2), GaussianProjection(40), SparseProjection(40), OrthogonalProjection(40),
    VarianceSelect(threshold=0.0),
]  # fmt: skip
SLOW = [
    LearnedMask(penalty=1e-3, n_steps=5), LearnedMask(n_steps=5, soft=True),
    Autoencoder(2, 8, n_steps=5), LearnedProjection(30, n_steps=5, init="xavier"),
    LearnedProjection(2, n_steps=5), UMAP(2, n_neighbors=5),
    SoftmaxSum(n_steps=5), SoftmaxSum(norm=True, n_steps=5),
]  # fmt: skip


@st.composite
def rows(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Rows of any scale and mean, with ties, zeros and constant columns; labels of 2–3 classes."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.integers(12, 30)), draw(st.integers(4, 20))
    scale = 10.0 ** draw(st.integers(-3, 3))
    X = random.normal(draw(st.sampled_from([0.0, 1.0])) * scale, scale, shape)
    if draw(st.booleans()):
        X = np.maximum(X, 0)
    if draw(st.booleans()):
        X[:, 0] = draw(st.sampled_from([0.0, scale]))
    y = np.arange(shape[0]) % draw(st.integers(2, 3))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    return X.astype(dtype), random.permutation(y)


def check(transform: Transform, data: tuple[np.ndarray, np.ndarray], order: int) -> None:
    X, y = data
    before = X.copy()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*(are kept|are possible)", UserWarning)
        warnings.filterwarnings("ignore", "l1 did not settle")
        fitted = clone(transform).fit(X, y)
    found = fitted.transform(X)
    assert found.shape == (len(X), len(fitted.get_feature_names_out()))
    assert found.dtype == X.dtype
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(X, before)
    scale = max(np.abs(found).max(), 1e-30) * float(np.finfo(X.dtype).eps)
    shuffled = np.random.default_rng(order).permutation(len(X))
    np.testing.assert_allclose(fitted.transform(X[shuffled]), found[shuffled], atol=10 * scale)
    np.testing.assert_allclose(fitted.transform(X[:1]), found[:1], atol=10 * scale)
    again: Any = from_bytes(to_bytes(fitted))
    np.testing.assert_array_equal(again.transform(X), found)
    assert again.get_feature_names_out().tolist() == fitted.get_feature_names_out().tolist()


def test_every_transform_is_among_them() -> None:
    assert {type(each) for each in QUICK + SLOW} == set(TRANSFORMS.values())


@pytest.mark.parametrize("transform", QUICK + SLOW, ids=str)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_that_are_not_finite_are_named(transform: Transform, value: float) -> None:
    X, y = np.random.default_rng(0).normal(size=(20, 6)), np.arange(20) % 2
    X[3, 2] = value
    with pytest.raises(DataError, match=r"holds NaN or infinity in row 3\.\n1 of 20 rows do"):
        clone(transform).fit(X, y)


@pytest.mark.parametrize("transform", QUICK, ids=str)
@given(data=rows(), order=st.integers(0, 9))
@settings(max_examples=12)
def test_shape_type_order_and_saving(
    transform: Transform, data: tuple[np.ndarray, np.ndarray], order: int
) -> None:
    check(transform, data, order)


@pytest.mark.parametrize("transform", SLOW, ids=str)
@given(data=rows(), order=st.integers(0, 9))
@settings(max_examples=4)
def test_shape_type_order_and_saving_of_what_trains(
    transform: Transform, data: tuple[np.ndarray, np.ndarray], order: int
) -> None:
    check(transform, data, order)
