"""What leaves Python gives what stages and heads give, in float64, folded or not."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import issparse
from sklearn.datasets import load_digits

from cutpoint.base.errors import UsageError
from cutpoint.learning.heads import HEADS_OF, Classifier, Head, parse_head
from cutpoint.learning.recipe import FittedRecipe, chain_of, parse_recipe
from cutpoint.learning.shared.steps import Affine, fold, run_steps
from cutpoint.learning.transforms import L2, PCA, TRANSFORMS, Scale, Transform, ZScore, l2_normalise
from cutpoint.networks.frameworks.torch.ops import TorchOps

RANDOM = np.random.default_rng(0)
# Of few steps; a stage or head that is not named here is made as it comes.
MADE: dict[str, list[dict[str, Any]]] = {
    "l2": [{}, {"blocks": (20, 44)}],
    "zscore": [{}, {"floor": 0.1}],
    "scale": [{}, {"blocks": (20, 44)}],
    "power": [{"alpha": 0.3}],
    "fuse": [{"blocks": (20, 44), "weights": (2.0, 1.0)}],
    "mask": [{"n_steps": 5, "penalty": 1e-3}, {"n_steps": 5, "penalty": 1e-3, "soft": True}],
    "pca": [{"n_components": 7}, {"n_components": 7, "whiten": True}],
    "softmax": [
        {"n_steps": 5, "blocks": (32, 32)},
        {"n_steps": 5, "blocks": (32, 32), "norm": True},
    ],
    "autoencoder": [{"n_components": 5, "n_hidden": 8, "n_steps": 5}],
    "projection": [{"n_components": 5, "n_steps": 5}],
    "l1": [{"C": 10.0}],
}  # fmt: skip
TYPED = {
    "mlp": "mlp(hidden=16, max_epochs=3)",
    "learned_gem": "learned_gem(max_epochs=1)",
    "attention_pool": "attention_pool(4, max_epochs=1)",
    "efficient_probe": "efficient_probe(4, max_epochs=1)",
}
STAY = {"umap", "knn", "learned_gem", "attention_pool", "efficient_probe"}
TRANSFORMERS = [
    pytest.param(kind, how, id=f"{kind}-{number}")
    for kind in TRANSFORMS
    for number, how in enumerate(MADE.get(kind, [{}]))
]
ALL_HEADS = [(target, kind) for target, heads in HEADS_OF.items() for kind in heads]


def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Rows of columns whose scales and means differ, and classes that can be told apart."""
    X = RANDOM.normal(size=(120, 64)) * np.geomspace(0.1, 30, 64) + np.linspace(-3, 3, 64)
    y = np.arange(120) % 3
    X[np.arange(120), y] += 2
    return X, y


def digits() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    return X[:400], y[:400]


def assert_equal(found: Any, expected: Any, rtol: float = 1e-9) -> None:
    """Compare to `rtol` of the largest number: a zero may be a rounding of others."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=rtol * np.abs(expected).max())


def assert_affine_where_it_is(made: Any) -> None:
    """One affine step is what `affine` gives; of anything else there is none."""
    steps = made.steps()
    if len(steps) == 1 and isinstance(steps[0], Affine):
        W, b = made.affine()
        assert W.dtype == b.dtype == np.float64
        assert W.shape == (made.n_features_in_, len(b))
    else:
        with pytest.raises(UsageError, match="is no affine map"):
            made.affine()


def fitted_transform(kind: str, how: dict[str, Any], X: np.ndarray, y: np.ndarray) -> Transform:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer than asked for, unsettled solvers
        return TRANSFORMS[kind](**how).fit(X, y)


def fitted_head(target: str, kind: str, X: np.ndarray, y: np.ndarray) -> Head:
    head = parse_head(TYPED.get(kind, kind), target)
    if head.takes == "maps":
        X = np.abs(X).reshape(len(X), 8, 8)
    truth = {"classes": y, "labels": np.stack([y % 2, y == 1], 1), "values": X[:, 0] + y}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few steps
        return head.fit(X, truth[target] if head.takes != "maps" else y)


@pytest.mark.parametrize("rows", [drawn, digits])
@pytest.mark.parametrize(("kind", "how"), TRANSFORMERS)
def test_every_stage_leaves_as_it_is_or_says_why_not(
    kind: str, how: dict[str, Any], rows: Any
) -> None:
    X, y = rows()
    if kind in STAY:
        with pytest.raises(UsageError, match=f"{kind} can't leave Python: ."):
            TRANSFORMS[kind]().steps()
        return
    made = fitted_transform(kind, how, X, y)
    assert_equal(run_steps(made.steps(), X), made.transform(X))
    assert_affine_where_it_is(made)
    floats = X.astype(np.float32)  # the stage's own arithmetic is then float32 at its ends
    assert_equal(run_steps(made.steps(), X), made.transform(floats), 1e-5)


@pytest.mark.parametrize("rows", [drawn, digits])
@pytest.mark.parametrize(("target", "kind"), ALL_HEADS)
def test_every_head_leaves_as_it_is_or_says_why_not(target: str, kind: str, rows: Any) -> None:
    X, y = rows()
    if kind in STAY:
        with pytest.raises(UsageError, match=f"{kind} can't leave Python: ."):
            parse_head(kind, target).steps()
        return
    head: Any = fitted_head(target, kind, X, y)
    assert_equal(run_steps(head.steps(), X), head.outputs(X))
    assert_affine_where_it_is(head)
    steps = fold((*head.steps(), *head.closing_steps()))
    told = head.predict(X)[:, None] if target == "values" else head.predict_proba(X)
    assert_equal(run_steps(steps, X), told)


def test_centroids_of_squared_distances_are_one_affine_map() -> None:
    X, y = drawn()
    head = parse_head("centroid(metric=euclidean)").fit(X, y)
    assert_affine_where_it_is(head)
    assert len(head.steps()) == 1
    assert_equal(run_steps(head.steps(), X), head.outputs(X))


RECIPES = [
    "gap | l2 | concat | power(0.5) | pca(6, whiten) | l2",
    "gap | zscore | mean | pca(5)",
    "gap | scale | max | f_test(0.5)",
    "gap | pca(6) | softmax(n_steps=3)",
    "gap | pca(6) | softmax(norm, n_steps=3)",
    "gap | zscore | pca(6) | concat | fuse | variance(8)",
    "gap | concat | tap_l2 | group_lasso(0.5, penalty=1e-6) | scale",
]


def fitted_recipe(text: str) -> tuple[FittedRecipe, dict[str, np.ndarray], np.ndarray]:
    """Fit each stage on what the one before gives, as `fit_recipe` does from a store."""
    recipe, (X, y) = parse_recipe(text), digits()
    features = {"a/gap": X[:, :32], "b/gap": X[:, 32:]}

    def through(stages: Any, rows: np.ndarray, blocks: tuple[int, ...]) -> Any:
        made = []
        for stage in stages:
            own = blocks if sum(blocks) == rows.shape[1] else (rows.shape[1],)
            made.append(stage.make(own).fit(rows, y))
            rows = made[-1].transform(rows)
        return tuple(made), rows

    before, parts = zip(*(through(recipe.before, each, ()) for each in features.values()))  # noqa: B905
    joined = np.concatenate(parts, axis=1)
    if recipe.aggregate in ("mean", "max"):
        joined = getattr(np.stack(parts), recipe.aggregate)(axis=0)
    after, _ = through(recipe.after, joined, tuple(part.shape[1] for part in parts))
    return FittedRecipe(recipe, tuple(features), before, after), features, y


@pytest.mark.parametrize("text", RECIPES)
def test_a_recipe_with_its_head_is_one_chain_folded_or_not(text: str) -> None:
    recipe, features, y = fitted_recipe(text)
    rows = recipe.transform(features)
    head = parse_head("logistic").fit(rows, y)
    folded, apart = chain_of(recipe, head), chain_of(recipe, head, is_folded=False)
    assert_equal(apart.run(features), head.predict_proba(rows))
    assert_equal(folded.run(features), apart.run(features))
    assert_equal(chain_of(recipe).run(features), rows)


class TorchRowOps(TorchOps):
    """What an export to PyTorch adds to the operations of pools; float32."""

    def constant(self, values: Any) -> torch.Tensor:
        dense = values.toarray() if issparse(values) else values
        return torch.from_numpy(np.asarray(dense, np.float32))

    def softmax(self, x: torch.Tensor) -> torch.Tensor:
        return x.softmax(1)

    def sigmoid(self, x: torch.Tensor) -> torch.Tensor:
        return x.sigmoid()

    def tanh(self, x: torch.Tensor) -> torch.Tensor:
        return x.tanh()


@pytest.mark.parametrize("text", RECIPES)
@pytest.mark.parametrize("kind", ["ridge", "centroid", "mlp(8, max_epochs=3)"])
def test_the_same_chain_runs_in_another_frameworks_operations(text: str, kind: str) -> None:
    """In float32, and of a row of zeros without NaN."""
    recipe, features, y = fitted_recipe(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few steps
        head = parse_head(kind).fit(recipe.transform(features), y)
    rows = {name: np.concatenate([each[:40], 0 * each[:1]]) for name, each in features.items()}
    tensors = {name: torch.from_numpy(each.astype(np.float32)) for name, each in rows.items()}
    found = chain_of(recipe, head).run(tensors, TorchRowOps()).numpy()
    np.testing.assert_allclose(found, head.predict_proba(recipe.transform(rows)), atol=2e-4)


def test_affine_stages_of_several_taps_and_a_head_are_one_map() -> None:
    recipe, features, y = fitted_recipe("gap | zscore | pca(6) | concat | fuse | variance(8)")
    head = parse_head("ridge").fit(recipe.transform(features), y)
    chain = chain_of(recipe, head)
    assert chain.before == ((), ())
    assert [type(step).__name__ for step in chain.steps] == ["Affine", "Softmax"]
    first = chain.steps[0]
    assert isinstance(first, Affine)
    assert first.W.shape == (64, 10)


def test_what_stays_is_named_when_a_chain_is_asked_for() -> None:
    X, y = digits()
    recipe = FittedRecipe.plain("a/gap")
    with pytest.raises(UsageError, match="knn can't leave Python: each row is compared"):
        chain_of(recipe, parse_head("knn").fit(X, y))
    with pytest.raises(UsageError, match="l2 is no affine map"):
        L2().fit(X).affine()


def test_a_narrow_middle_is_not_folded_into_something_larger() -> None:
    X, _ = drawn()
    narrow = PCA(2).fit(X)
    wide = TRANSFORMS["orthogonal"](64).fit(narrow.transform(X))
    assert len(fold((*narrow.steps(), *wide.steps()))) == 2
    assert len(fold((*ZScore().fit(X).steps(), *narrow.steps()))) == 1
    assert len(fold((*Scale().fit(X).steps(), *ZScore().fit(X).steps()))) == 1


def test_a_row_of_zeros_keeps_its_zeros_and_tiny_rows_their_direction() -> None:
    X = np.array([[0.0, 0.0], [3e-12, 4e-12], [3.0, 4.0]])
    steps = L2().fit(X).steps()
    assert_equal(run_steps(steps, X), l2_normalise(X))


def test_a_classifiers_closing_step_is_its_temperature() -> None:
    X, y = digits()
    head = parse_head("ridge").fit(X, y)
    assert isinstance(head, Classifier)
    closing = head.closing_steps()[0]
    assert isinstance(closing, Affine)
    np.testing.assert_allclose(closing.W.diagonal(), 1 / head.temperature_)
