"""What `fit` says of methods that need no network: the plainest, and the kind's own where quick."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from cutpoint.items.reading import Item, Label
from cutpoint.learning.metrics import wilson
from cutpoint.products.fitting.floor import floor_line

TEXTS = [
    f"{('good', 'dull')[n % 2]} {('film', 'book', 'meal')[n % 3]} number {n % 7}" for n in range(60)
]
SAID = "a linear SVM on tf-idf of words and pairs of words"


def items(labels: list[Label]) -> tuple[list[Item], list[Item]]:
    """Return items to learn from and others."""
    found = [Item(str(n), TEXTS[n], label) for n, label in enumerate(labels)]
    return found[:40], found[40:]


def predictor(target: str, kind: str = "text", **more: Any) -> Any:
    return SimpleNamespace(target=target, backbone=SimpleNamespace(kind=kind), **more)


def test_texts_have_the_score_of_tf_idf_with_its_interval_on_the_same_rows() -> None:
    labels = [text.split()[1] if n % 5 else "book" for n, text in enumerate(TEXTS)]
    train, test = items(labels)
    found = floor_line(predictor("classes", classes=("meal", "film", "book")), train, test)
    theirs = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LinearSVC())
    right = theirs.fit(TEXTS[:40], labels[:40]).predict(TEXTS[40:]) == labels[40:]
    majority = np.mean([label == "book" for label in labels[40:]])
    assert found == (
        f"Floor, the same answer for every item: accuracy {majority:.3f}; "
        f"{SAID}: accuracy {wilson(int(right.sum()), 20)}"
    )


@pytest.mark.parametrize("kind", ["image", "array"])
def test_other_kinds_have_the_plainest_alone(kind: str) -> None:
    train, test = items([text.split()[0] for text in TEXTS])
    found = floor_line(predictor("classes", kind, classes=("dull", "good")), train, test)
    assert found == "Floor, the same answer for every item: accuracy 0.500"


def test_values_and_several_labels_have_tf_idf_too() -> None:
    values = items([3.0 if text.startswith("good") else 1.0 for text in TEXTS])
    assert f"{SAID}: R² 1.000 [1.000, 1.000]" in floor_line(predictor("values"), *values)
    labels = items([";".join(text.split()[:2]) for text in TEXTS])
    names = ("good", "dull", "film", "book", "meal")
    found = floor_line(predictor("labels", labels=names), *labels)
    assert found.startswith(f"Floor, {SAID}: ")
    assert "1.000" in found


def test_texts_without_a_word_have_no_tf_idf_and_it_is_said() -> None:
    train, test = ([Item(str(n), "😀", f"c{n % 2}") for n in range(9)] for _ in range(2))
    found = floor_line(predictor("classes", classes=("c0", "c1")), train, test)
    assert f"{SAID}: none (empty vocabulary" in found
