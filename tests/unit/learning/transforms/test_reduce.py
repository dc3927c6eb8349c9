from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import decomposition
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import DataDimensionalityWarning
from sklearn.pipeline import make_pipeline
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

import cutpoint as cp
from cutpoint.base.errors import DataError, ShapeError, UsageError
from cutpoint.learning.gram import Moments
from cutpoint.learning.heads import RidgeHead
from cutpoint.learning.transforms import (
    L2,
    PCA,
    UMAP,
    Autoencoder,
    GaussianProjection,
    LearnedProjection,
    RandomisedSVD,
    SparseProjection,
    TSNEPicture,
    from_bytes,
    from_state,
    to_bytes,
)
from cutpoint.learning.transforms.training import STARTS


def rows_of(n_rows: int = 300, n_features: int = 12, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(size=(n_rows, n_features)) * np.arange(1, n_features + 1) + 3


def digits() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    return X[:600] / 16, y[:600]


def signed_alike(found: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return `found` with each column's sign as in `reference`."""
    return found * np.sign((found * reference).sum(axis=0))


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("shape", [(300, 12), (12, 12), (10, 40)])
def test_pca_is_scikit_learns(shape: tuple[int, int], whiten: bool) -> None:
    """Reference: `sklearn.decomposition.PCA`, full SVD. Tolerance 1e-6, up to sign."""
    X = rows_of(*shape)
    reference = decomposition.PCA(6, whiten=whiten, svd_solver="full").fit(X)
    found = PCA(6, whiten=whiten).fit(X)
    expected = reference.transform(X)
    np.testing.assert_allclose(signed_alike(found.transform(X), expected), expected, atol=1e-6)
    for name in ("explained_variance_", "explained_variance_ratio_"):
        np.testing.assert_allclose(getattr(found, name), getattr(reference, name), rtol=1e-6)


def test_pca_of_real_digits_is_scikit_learns() -> None:
    X, _ = digits()
    expected = decomposition.PCA(20, svd_solver="full").fit_transform(X)
    found = PCA(20).fit_transform(X)
    np.testing.assert_allclose(signed_alike(found, expected), expected, atol=1e-6)


def test_whitening_then_l2_is_the_published_definition() -> None:
    """y = Λ^(−1/2) Vᵀ (x − m), then length 1; by NumPy's eigh of the covariance, ≤ 1e-6."""
    X = rows_of()
    mean = X.mean(axis=0)
    values, vectors = np.linalg.eigh((X - mean).T @ (X - mean) / len(X))
    whitened = (X - mean) @ vectors[:, ::-1][:, :5] / np.sqrt(values[::-1][:5])
    expected = whitened / np.linalg.norm(whitened, axis=1, keepdims=True)
    found = make_pipeline(PCA(5, whiten=True), L2()).fit_transform(X)
    np.testing.assert_allclose(signed_alike(found, expected), expected, atol=1e-6)


def test_streamed_pca_is_that_in_memory_in_any_order() -> None:
    """Tolerance 1e-10 of the largest output; signs included."""
    X = rows_of(2000)
    expected = PCA(5).fit(X).transform(X)
    parts = np.array_split(X, [3, 900, 901])
    merged = Moments.of(parts[2:]).merge(Moments.of(parts[:2]))
    for fitted in (PCA(5).fit_stream(reversed(parts)), PCA(5).fit_moments(merged)):
        error = np.abs(fitted.transform(X) - expected).max()
        assert error < 1e-10 * np.abs(expected).max()


def test_a_large_mean_does_not_blur_float32_rows() -> None:
    """Mean 1e3: float32 rows keep four digits behind the point, and so do the components."""
    X = (rows_of(2000) + 1000).astype(np.float32)
    reference = decomposition.PCA(4, svd_solver="full").fit(X.astype(np.float64))
    found = PCA(4).fit(X)
    cosines = np.abs(np.sum(found.components_ * reference.components_, axis=1))
    np.testing.assert_allclose(cosines, 1, atol=1e-9)
    assert found.transform(X).dtype == np.float32


def test_a_share_of_the_variance_is_reached_and_not_by_more_than_one() -> None:
    X = rows_of()
    fitted = PCA(0.9).fit(X)
    assert fitted.explained_variance_ratio_.sum() >= 0.9
    assert fitted.explained_variance_ratio_[:-1].sum() < 0.9


def test_more_components_than_the_rows_vary_along_are_capped_aloud() -> None:
    with pytest.warns(UserWarning, match="64 principal components.*along 7 only"):
        fitted = PCA(64, whiten=True).fit(rows_of(8, 100))
    assert fitted.transform(rows_of(8, 100)).shape == (8, 7)
    deep = rows_of(50, 3) @ np.ones((3, 10))  # rank 1
    with pytest.warns(UserWarning, match="along 1 only"):
        assert np.isfinite(PCA(5, whiten=True).fit_transform(deep)).all()


@pytest.mark.parametrize("n_components", [0, -1, 1.5, 0.0])
def test_counts_that_are_none_are_refused(n_components: float) -> None:
    with pytest.raises(UsageError, match=f"n_components={n_components}"):
        PCA(n_components).fit(rows_of())


def test_equal_rows_have_no_components() -> None:
    for shape in [(20, 4), (4, 20)]:
        with pytest.raises(UsageError, match="Rows that are all equal"):
            PCA().fit(np.full(shape, 0.1))


def test_randomised_svd_is_near_the_exact_one_and_is_scikit_learns() -> None:
    """Scikit-learn's exact solver to 1e-6 on a spectrum that falls; `TruncatedSVD` to 1e-10."""
    X = rows_of(400, 60) * 0.8 ** np.arange(60)
    exact = np.linalg.svd(X, full_matrices=False)
    found = RandomisedSVD(4, n_iter=20).fit(X)
    expected = X @ exact.Vh[:4].T
    np.testing.assert_allclose(signed_alike(found.transform(X), expected), expected, atol=1e-6)
    reference = decomposition.TruncatedSVD(
        4, n_iter=20, random_state=0, power_iteration_normalizer="QR"
    ).fit(X)
    np.testing.assert_allclose(found.transform(X), reference.transform(X), atol=1e-10)


@pytest.mark.parametrize(
    ("ours", "reference"),
    [(GaussianProjection, GaussianRandomProjection), (SparseProjection, SparseRandomProjection)],
)
def test_random_projections_are_scikit_learns(ours: type, reference: type) -> None:
    X = rows_of(30, 200)
    expected = reference(20, random_state=3).fit_transform(X)
    np.testing.assert_allclose(ours(20, random_state=3).fit_transform(X), expected, atol=1e-10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataDimensionalityWarning)  # of the reference
        up = reference(300, random_state=3).fit_transform(X)
    np.testing.assert_allclose(ours(300, random_state=3).fit_transform(X), up, atol=1e-10)


def test_random_projections_keep_distances_roughly() -> None:
    X = np.random.default_rng(0).normal(size=(40, 3000))
    for projection in (GaussianProjection(500), SparseProjection(500)):
        found = projection.fit_transform(X)
        ratio = np.linalg.norm(found[1:] - found[:-1], axis=1) / np.linalg.norm(
            X[1:] - X[:-1], axis=1
        )
        assert 0.85 < ratio.min() < ratio.max() < 1.15


def test_an_autoencoder_keeps_more_than_chance_and_is_the_same_each_time() -> None:
    """Of real digits, 16 codes give back more than half of the variance."""
    X, y = digits()
    fitted = Autoencoder(16, 64).fit(X)
    assert fitted.loss_ < 0.5
    again = clone(fitted).fit(X)
    np.testing.assert_array_equal(fitted.transform(X), again.transform(X))
    head = RidgeHead().fit(fitted.transform(X[:400]), y[:400])
    assert head.score(fitted.transform(X[400:]), y[400:]) > 0.7


def test_the_autoencoder_in_numpy_is_the_one_trained_in_pytorch() -> None:
    """Tolerance 1e-5: float32 there, float64 here."""
    import torch

    X, _ = digits()
    fitted = Autoencoder(5, 16, n_steps=30).fit(X)
    rows = torch.from_numpy(((X - fitted.mean_) / fitted.scale_).astype(np.float32))
    weights = [fitted.hidden_, fitted.hidden_bias_, fitted.middle_, fitted.middle_bias_]
    w1, b1, w2, b2 = map(torch.from_numpy, weights)
    expected = (torch.tanh(rows @ w1 + b1) @ w2 + b2).numpy()
    np.testing.assert_allclose(fitted.transform(X), expected, atol=1e-5)


def test_the_autoencoder_reconstructs_as_pytorch_does() -> None:
    """Tolerance 1e-5; the error left is the loss of training, up to the batch it was taken on."""
    import torch

    X, _ = digits()
    fitted = Autoencoder(16, 64).fit(X)
    codes = fitted.transform(X)
    found = fitted.inverse_transform(codes)
    weights = [fitted.unfolded_, fitted.unfolded_bias_, fitted.output_, fitted.output_bias_]
    w3, b3, w4, b4 = map(torch.from_numpy, weights)
    middle = torch.from_numpy(codes.astype(np.float32))
    expected = (torch.tanh(middle @ w3 + b3) @ w4 + b4).numpy() * fitted.scale_ + fitted.mean_
    np.testing.assert_allclose(found, expected, atol=1e-5)
    left = np.square(found - X).mean() / X.var(axis=0).mean()
    assert left == pytest.approx(fitted.loss_, rel=0.1)
    assert left < 0.5
    assert fitted.inverse_transform(codes.astype(np.float32)).dtype == np.float32
    again: Any = from_bytes(to_bytes(fitted))
    np.testing.assert_array_equal(again.inverse_transform(codes), found)


def test_rows_that_no_decoder_can_take_are_refused() -> None:
    X, _ = digits()
    fitted = Autoencoder(3, 8, n_steps=2).fit(X)
    with pytest.raises(ShapeError, match="Rows of 4 columns can't be decoded"):
        fitted.inverse_transform(np.zeros((2, 4)))
    with pytest.raises(DataError, match="holds NaN or infinity in row 1"):
        fitted.inverse_transform(np.array([[0, 0, 0], [0, np.nan, 0]]))
    fields, arrays = fitted.to_state()
    encoder = {n: each for n, each in arrays.items() if not n.startswith(("unfolded", "output"))}
    older = from_state(fields, encoder)  # as earlier releases saved it
    np.testing.assert_array_equal(older.transform(X), fitted.transform(X))
    with pytest.raises(UsageError, match="its decoder was not kept"):
        older.inverse_transform(np.zeros((2, 3)))  # type: ignore[attr-defined]  # Transform has none


@pytest.mark.parametrize(("n_in", "n_out"), [(40, 12), (12, 40), (7, 7)])
def test_projections_start_as_pytorch_starts_linear_layers(n_in: int, n_out: int) -> None:
    """Of `torch.nn.init`: `orthogonal_` up to the lot drawn, `xavier_uniform_` in its bound."""
    import torch

    random = np.random.default_rng(0)
    ours = STARTS["orthogonal"](random, n_in, n_out)
    theirs = torch.nn.init.orthogonal_(torch.empty(n_out, n_in, dtype=torch.float64)).numpy().T
    for weights in (ours, theirs):
        fewer = weights if n_in >= n_out else weights.T
        np.testing.assert_allclose(fewer.T @ fewer, np.eye(min(n_in, n_out)), atol=1e-12)
    evenly = np.concatenate([STARTS["xavier"](random, n_in, n_out).ravel() for _ in range(40)])
    other = torch.nn.init.xavier_uniform_(torch.empty(40 * n_out, n_in))
    bound = np.sqrt(6 / (n_in + n_out))
    assert 0.98 * bound < np.abs(evenly).max() < bound
    assert other.shape == (40 * n_out, n_in)  # its own bound is that of the larger layer
    assert evenly.std() == pytest.approx(bound / np.sqrt(3), rel=0.05)


@pytest.mark.parametrize("init", ["orthogonal", "xavier"])
def test_a_learned_projection_begins_where_it_is_told_to(init: str) -> None:
    """One step of a rate that has fallen to nothing moves no weight by more than 1e-3."""
    X, y = digits()
    fitted = LearnedProjection(5, n_steps=1, init=init, random_state=4).fit(X, y)
    start = STARTS[init](np.random.default_rng(4), X.shape[1], 5)
    np.testing.assert_allclose(fitted.projection_, start, atol=2e-3)
    usual = LearnedProjection(5, n_steps=1, random_state=4).fit(X, y)
    assert np.abs(usual.projection_ - start).max() > 0.05


def test_a_learned_projection_goes_up_too() -> None:
    X, y = digits()
    wide = LearnedProjection(100, n_steps=20).fit(X, y)
    assert wide.transform(X).shape == (len(X), 100)


def test_a_learned_projection_beats_a_random_one_of_its_width() -> None:
    X, y = digits()

    def accuracy(projection: LearnedProjection | GaussianProjection) -> float:
        pipeline = make_pipeline(projection, RidgeHead())
        return float(pipeline.fit(X[:400], y[:400]).score(X[400:], y[400:]))

    assert accuracy(LearnedProjection(5)) > accuracy(GaussianProjection(5)) + 0.1


def test_a_new_row_lies_where_umap_itself_would_start_it() -> None:
    """Reference: `UMAP.transform` of umap-learn, its descent left out. Tolerance 1e-4."""
    from cutpoint.networks.runtimes.umap import import_umap

    X, _ = digits()
    noise = np.random.default_rng(0).normal(0, 1e-3, X.shape)  # no two neighbours equally near
    X = (X + noise).astype(np.float32)
    fitted = UMAP().fit(X[:300])
    umap = import_umap()
    reference = umap.UMAP(random_state=0, n_jobs=1, init="pca").fit(X[:300])
    np.testing.assert_array_equal(fitted.embedding_, reference.embedding_)
    reference.transform_mode = "graph"
    graph = reference.transform(X[300:]).tocsr()
    graph.eliminate_zeros()
    expected = umap.init_graph_transform(graph, reference.embedding_)
    # A row with a neighbour of membership 1 is put on top of it there, though it lies elsewhere.
    is_apart = graph.max(axis=1).toarray().ravel() < 1
    assert is_apart.sum() > 50
    found = fitted.transform(X[300:])
    np.testing.assert_allclose(found[is_apart], expected[is_apart], atol=1e-4)


def test_umap_keeps_digits_together_and_training_rows_in_place() -> None:
    """Seen: 0.785 of 200 new digits lie nearest to one of their class; chance is 0.1."""
    X, y = digits()
    fitted = UMAP(n_neighbors=10).fit(X[:400])
    np.testing.assert_array_equal(fitted.transform(X[:400]), fitted.embedding_)
    near = np.linalg.norm(fitted.transform(X[400:])[:, None] - fitted.embedding_, axis=2).argmin(1)
    assert (y[:400][near] == y[400:]).mean() > 0.7


def test_umap_brings_no_deep_learning_framework_along() -> None:
    code = (
        "import sys; from cutpoint.networks.runtimes.umap import import_umap; import_umap();"
        "print([name for name in ('tensorflow', 'torch', 'keras') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_t_sne_is_for_pictures_and_says_so() -> None:
    X, _ = digits()
    picture = TSNEPicture(perplexity=10).fit(X[:60])
    assert picture.embedding_.shape == (60, 2)
    with pytest.raises(UsageError, match=r"learns no map(.|\n)*Type, for example") as caught:
        picture.transform(X)
    assert len(str(caught.value).splitlines()) == 4
    assert not hasattr(picture, "transform")  # so no pipeline takes it
    with pytest.raises(TypeError):
        make_pipeline(TSNEPicture(), RidgeHead()).fit(X[:20], [0, 1] * 10)


def test_mixed_columns_are_named_after_what_mixed_them() -> None:
    X = rows_of()
    names = [f"blocks.3/gap[{i}]" for i in range(12)]
    assert PCA(2).fit(X).get_feature_names_out(names).tolist() == ["pca[0]", "pca[1]"]
    fitted = SparseProjection(2).fit(X)
    assert fitted.get_feature_names_out().tolist() == ["sparse[0]", "sparse[1]"]


@pytest.mark.shared
def test_components_of_real_features_are_scikit_learns(shared: Path, tmp_path: Path) -> None:
    """EfficientNet-Lite0 of 50 photos; float32 rows. Tolerance 1e-5 of the largest, up to sign."""
    photos = sorted(shared.glob("data/dogs-vs-cats/train/*/*.jpg"))[::20]
    features = cp.extract(
        photos, "packaged:efficientnet_lite0", taps=[-1], pool="auto", store=tmp_path, quiet=True
    )
    X = features.X(features.taps[0])
    assert X.dtype == np.float32
    assert len(X) == len(photos) == 50
    expected = decomposition.PCA(10, svd_solver="full").fit_transform(X.astype(np.float64))
    found = PCA(10).fit_transform(X)
    error = np.abs(signed_alike(found, expected) - expected).max()
    assert error < 1e-5 * np.abs(expected).max()


# Computed by `pcawhitenlearn` and `whitenapply` of `cirtorch.utils.whiten` (cnnimageretrieval-
# pytorch at 22b8678): the first three of the rows below, three components, each row of length 1.
CIRTORCH_WHITENED = [
    [-0.6457488, -0.1025105, -0.7566365],
    [0.4878791, -0.7788158, -0.3942321],
    [-0.9641408, 0.2213552, 0.1464003],
]


def test_whitening_is_the_retrieval_codes_after_l2() -> None:
    """Up to the sign of a component, 1e-5: its covariance is over n, which the length undoes."""
    X = np.cos(np.arange(150, dtype=np.float64) ** 2 / 7).reshape(30, 5) * [1, 2, 3, 4, 5]
    found = L2().fit_transform(PCA(3, whiten=True).fit(X).transform(X[:3]))
    signs = np.sign(found[0]) * np.sign(CIRTORCH_WHITENED[0])
    np.testing.assert_allclose(found * signs, CIRTORCH_WHITENED, atol=1e-5)
