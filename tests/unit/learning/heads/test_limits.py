"""What a head's parameters and groups may be: refused with the parameter, and what to type."""

from __future__ import annotations

import numpy as np
import pytest

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.learning.heads import HEADS, MLPHead, parse_head
from cutpoint.learning.shared.limits import SEED
from tests.heads.settings import items, typed


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("mlp(batch_size=1)", "=1 is not a whole number, 2 or more"),
        ("mlp(hidden=0)", "=0 is not a whole number, 1 or more"),
        ("mlp(hidden=2.5)", "=2.5 is not a whole number"),
        ("mlp(dropout=2)", "=2 is not a number from 0 to 0.99"),
        ("mlp(validation_fraction=1)", "=1 is not a number from 0 to 0.9"),
        ("mlp(learning_rate=-1)", "=-1 is not a number between 0 and 1"),
        ("mlp(learning_rate=1e9)", "between 0 and 1"),
        ("mlp(max_epochs=0)", "=0 is not a whole number, 1 or more"),
        ("learned_gem(p=0)", "=0 is not a number above 0"),
        ("attention_pool(n_hidden=0)", "=0 is not a whole number, 1 or more"),
        ("efficient_probe(0)", "=0 is not a whole number, 1 or more"),
        ("logistic(random_state=-1)", "=-1 is not a whole number from 0"),
        ("logistic(tol=0)", "=0 is not a number between 0 and 1"),
        ("svm(C=inf)", "C=inf is not a number above 0, or several of them"),
        ("ridge(alphas=-1)", "alphas=-1 is not a number above 0"),
        ("ridge(alphas=inf)", "alphas=inf is not a number above 0"),
        ("ridge(alphas=1:-1)", "is not a number above 0, or several"),
    ],
)
def test_what_a_parameter_cannot_be_is_refused_with_what_to_type(text: str, why: str) -> None:
    head = parse_head(text)
    with pytest.raises(UsageError) as caught:
        head.fit(*items(head.kind))
    assert why in caught.value.got
    assert f"head='{head.kind}(" in caught.value.type_next


@pytest.mark.parametrize("kind", list(HEADS))
def test_groups_are_one_a_row_and_two_or_more(kind: str) -> None:
    X, y = items(kind)
    with pytest.raises(ShapeError, match="90 rows"):
        parse_head(typed(kind)).fit(X, y, groups=[1, 2])
    with pytest.raises(UsageError, match="of one group"):
        parse_head(typed(kind)).fit(X, y, groups=np.zeros(90))


@pytest.mark.parametrize("n_items", [3, 7, 19])
def test_no_batch_is_of_one_row(n_items: int) -> None:
    X, y = items("learned_gem", n_items)
    for text in ("learned_gem", "mlp"):
        head = parse_head(f"{text}(batch_size=2, max_epochs=1, validation_fraction=0)")
        head.fit(X if text == "learned_gem" else X.reshape(n_items, -1), y)


def test_neighbours_are_counted_in_whole_numbers() -> None:
    X, y = items("knn")
    assert parse_head("knn(5.0)").fit(X, y).k_ == 5
    with pytest.raises(UsageError, match=r"k can't be 2\.5"):
        parse_head("knn(2.5)").fit(X, y)


@pytest.mark.filterwarnings("ignore:.*tells nothing about")  # few rows, few passes
def test_the_mlp_does_not_care_for_the_features_scale() -> None:
    """Standardised by the fitted rows: equal scores to 1e-3 from 1e-4 to 1e4 times."""
    X, y = items("mlp")
    expected = MLPHead(8, max_epochs=10).fit(X, y).outputs(X)
    for scale in np.float32([1e-4, 1e4]):
        found = MLPHead(8, max_epochs=10).fit(X * scale, y).outputs(X * scale)
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_seeds_are_all_that_numpy_takes() -> None:
    """`numpy.random.RandomState`: from 0 to 2³² − 1."""
    assert [SEED.holds(each) for each in (-1, 0, 2**32 - 1, 2**32)] == [False, True, True, False]
    np.random.RandomState(2**32 - 1)
    with pytest.raises(ValueError, match="between 0 and"):
        np.random.RandomState(2**32)
