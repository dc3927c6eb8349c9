from __future__ import annotations

import inspect
import json
from pathlib import Path

import numpy as np
import pytest

import cutpoint.learning.transforms as module
from cutpoint.base.errors import PredictorError, UsageError
from cutpoint.learning.transforms import (
    PCA,
    TRANSFORMS,
    FTestSelect,
    GaussianProjection,
    GroupLasso,
    Transform,
    ZScore,
    from_bytes,
    from_state,
    load,
    save,
    to_bytes,
)


def fitted_pca() -> PCA:
    return PCA(2).fit(np.random.default_rng(0).normal(size=(20, 4)))


def test_every_transform_is_registered_under_its_kind() -> None:
    public = {
        each
        for _, each in inspect.getmembers(module, inspect.isclass)
        if issubclass(each, Transform) and each is not Transform
    }
    assert set(TRANSFORMS.values()) == public
    assert all(name == each.kind for name, each in TRANSFORMS.items())


def test_state_is_json_and_arrays() -> None:
    fields, arrays = fitted_pca().to_state()
    assert json.loads(json.dumps(fields)) == fields
    assert set(arrays) == {
        "mean_", "components_", "explained_variance_", "explained_variance_ratio_"
    }  # fmt: skip


def test_a_file_gives_the_same_transform_and_the_same_bytes(tmp_path: Path) -> None:
    X = np.random.default_rng(1).normal(size=(5, 4))
    pca = fitted_pca()
    save(pca, tmp_path / "pca.safetensors")
    again = load(tmp_path / "pca.safetensors")
    assert again.get_params() == pca.get_params()
    np.testing.assert_array_equal(again.transform(X), pca.transform(X))
    assert to_bytes(again) == to_bytes(pca)


def test_tuples_and_names_of_columns_come_back() -> None:
    import pandas

    random = np.random.default_rng(0)
    frame = pandas.DataFrame(random.normal(size=(30, 3)), columns=["a/gap[0]", "a/gap[1]", "b[0]"])
    y = (frame["b[0]"] > 0).astype(int)
    fitted = GroupLasso(keep=1, blocks=(2, 1)).fit(frame, y)
    again = from_bytes(to_bytes(fitted))
    assert again.blocks == (2, 1)
    assert again.get_feature_names_out().tolist() == ["b[0]"]
    assert not hasattr(again, "coef_")  # of the head that is thrown away


def test_a_generator_instead_of_a_seed_is_refused_as_it_can_not_be_saved() -> None:
    with pytest.raises(UsageError, match="random_state=0"):
        GaussianProjection(2, random_state=np.random.RandomState(0)).fit(np.eye(4))


def test_what_is_not_fitted_can_not_be_saved() -> None:
    with pytest.raises(ValueError, match="not fitted"):
        to_bytes(PCA())


def test_foreign_and_damaged_bytes_are_refused() -> None:
    data = to_bytes(fitted_pca())
    for wrong in (
        b"",
        b"\x80\x04pickle",
        data[:-1],
        data.replace(b'\\"format\\":1', b'\\"format\\":9'),
    ):
        with pytest.raises(PredictorError, match="can't be"):
            from_bytes(wrong)


def test_unknown_kinds_and_parameters_are_refused() -> None:
    fields, arrays = fitted_pca().to_state()
    for wrong in ({**fields, "kind": "os"}, {**fields, "parameters": {"x": 1}}, {"kind": "pca"}):
        with pytest.raises(PredictorError, match="lacks or misspells"):
            from_state(wrong, arrays)


def test_nothing_but_learned_names_is_set() -> None:
    fields, arrays = ZScore().fit(np.eye(3)).to_state()
    fields["learned"] |= {"transform": 1, "__class__": 2, "_unsaved": 3}
    again = from_state(fields, arrays)
    assert {"transform", "_unsaved"}.isdisjoint(vars(again))
    assert type(again) is ZScore


def test_infinite_scores_are_saved_as_numbers() -> None:
    X = np.array([[0.0, 1.0], [0.0, 2.0], [1.0, 1.5], [1.0, 2.5]])  # column 0 is the class
    fitted = FTestSelect(1).fit(X, [0, 0, 1, 1])
    assert np.isfinite(fitted.scores_).all()
    assert from_bytes(to_bytes(fitted)).get_support().tolist() == [True, False]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_was_learned_is_finite_or_refused(value: float) -> None:
    fields, arrays = ZScore().fit(np.eye(3)).to_state()
    for name in arrays:
        wrong = {each: array.astype(float) for each, array in arrays.items()}
        wrong[name].flat[0] = value
        with pytest.raises(PredictorError, match=f"{name} holds NaN or infinity"):
            from_state(fields, wrong)
    with pytest.raises(PredictorError, match="x_ holds NaN or infinity"):
        from_state({**fields, "learned": {**fields["learned"], "x_": [1.0, [value]]}}, arrays)


@pytest.mark.parametrize("shape", [(3, 1), (2, 1), (1, 3, 1), (2, 3), (3, 3)])
def test_what_was_learned_makes_one_row_of_one_or_is_refused(shape: tuple[int, ...]) -> None:
    fields, arrays = ZScore().fit(np.eye(3)).to_state()
    with pytest.raises(PredictorError, match="can't be"):
        from_state(fields, {**arrays, "scale_": np.ones(shape)})
    one_column, arrays = ZScore().fit(np.eye(3)[:, :1]).to_state()
    with pytest.raises(PredictorError, match="can't be"):
        from_state(one_column, {**arrays, "scale_": np.ones((1, 2))})
