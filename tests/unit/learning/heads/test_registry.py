"""Heads by name: typed, spelled, saved, restored."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cutpoint.base.errors import DataError, PredictorError, UsageError
from cutpoint.learning.heads import HEADS, RidgeHead, head_from_state, parse_head, spell_head


def test_every_head_is_typed_by_its_kind_and_spelled_so_again() -> None:
    for kind in HEADS:
        assert parse_head(kind).kind == kind
        assert spell_head(parse_head(f" {kind}() ")) == kind


@pytest.mark.parametrize(
    ("typed", "spelled"),
    [
        ("ridge( 10 )", "ridge(alphas=10)"),
        ("ridge(alphas=0.5)", "ridge(alphas=0.5)"),
        ("learned_gem(p=3, per_channel)", "learned_gem(per_channel)"),
        ("learned_gem(layout=NHWC)", "learned_gem(layout=NHWC)"),
        ("knn(k=5:10)", "knn(k=5:10)"),
        ("ridge(alphas=0.123456789:10.5)", "ridge(alphas=0.123456789:10.5)"),
    ],
)
def test_arguments_have_one_spelling(typed: str, spelled: str) -> None:
    assert spell_head(parse_head(typed)) == spelled
    assert spell_head(parse_head(spelled)) == spelled


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("rigde", 'there is no head "rigde"; nearest: "ridge"'),
        ("ridge(width=3)", 'ridge takes alphas=None, not "width=3"'),
        ("ridge(many)", '"many" is no number'),
        ("ridge(True)", '"True" is no number'),
        ("learned_gem(per_channel=2)", '"2" is not True or False'),
        ("ridge | l2", "can't be read"),
        ("", "can't be read"),
    ],
)
def test_what_is_no_head_is_told_with_all_heads(text: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_head(text)
    assert why in str(caught.value)
    assert "ridge, " in caught.value.would_do


def test_a_state_that_does_not_fit_is_refused() -> None:
    X = np.random.default_rng(0).normal(size=(20, 3))
    fields, arrays = RidgeHead().fit(X, np.arange(20) % 2).to_state()
    json.dumps(fields)
    wrong = [
        ({**fields, "kind": "oracle"}, arrays),
        (fields, {**arrays, "coef_": arrays["coef_"][:1]}),
        (fields, {"coef_": arrays["coef_"]}),
        ({"kind": "ridge"}, arrays),
    ]
    for each in wrong:
        with pytest.raises(PredictorError, match="lacks or misspells"):
            head_from_state(*each)


def test_nan_is_told_with_its_row() -> None:
    X = np.random.default_rng(0).normal(size=(20, 3))
    head = RidgeHead().fit(X, np.arange(20) % 2)
    X[7, 1] = np.nan
    with pytest.raises(DataError, match="NaN or infinity in row 7"):
        head.fit(X, np.arange(20) % 2)
    with pytest.raises(DataError, match=r"NaN or infinity in row .*\n1 of 20 rows do"):
        head.predict(X)
