"""What a result must beat: held to scikit-learn's own."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from cutpoint.base.errors import BadItem, UsageError
from cutpoint.items.reading import Item
from cutpoint.learning.floors import FLOORS, find_floor

LABELS = np.array([*"aab"])


def items(n: int) -> list[Item]:
    return [Item(str(place), b"junk") for place in range(n)]


def test_the_majority_answers_with_training_frequencies_and_reads_nothing() -> None:
    found = find_floor("majority").make("classes").fit(items(3), LABELS)
    np.testing.assert_allclose(found.predict_proba(items(2)), [[2 / 3, 1 / 3]] * 2)
    values = find_floor("majority").make("values").fit(items(3), [1.0, 2.0, 6.0])
    np.testing.assert_allclose(values.predict(items(2)), [3, 3])
    labels = find_floor("majority").make("labels").fit(items(3), [[1, 0], [1, 1], [0, 0]])
    np.testing.assert_allclose(labels.predict(items(1)), [[2 / 3, 1 / 3]])


def test_pixels_are_as_good_as_scikit_learns_ridge_on_the_digits_themselves() -> None:
    """The digits are 8 × 8; here they are drawn on 64 × 64 and read back as 16 × 16."""
    images, y = load_digits().images, load_digits().target
    drawn = [
        Item(
            str(place),
            Image.fromarray((image * 15.9).astype(np.uint8)).resize((64, 64), Image.NEAREST),
        )
        for place, image in enumerate(images)
    ]
    train, test = train_test_split(np.arange(len(y)), test_size=0.3, random_state=0, stratify=y)
    floor = find_floor("pixels").make("classes")
    floor.fit([drawn[row] for row in train], y[train].astype(str))
    probabilities = floor.predict_proba([drawn[row] for row in test])
    found = np.mean(floor.classes_[probabilities.argmax(axis=1)].astype(int) == y[test])
    X = images.reshape(len(y), -1)
    theirs = RidgeClassifierCV(np.logspace(-3, 3, 7)).fit(X[train], y[train])
    assert found == pytest.approx(theirs.score(X[test], y[test]), abs=0.02)  # .944, .941
    assert found > 0.9


def test_what_can_not_be_read_is_no_row_of_zeros() -> None:
    with pytest.raises(BadItem):
        find_floor("pixels").make("classes").fit(items(3), LABELS)


TEXTS = [
    f"{('good', 'dull')[n % 2]} {('film', 'book', 'meal')[n % 3]} no {('more', 'less')[n // 2 % 2]}"
    for n in range(24)
]


def written(texts: list[str]) -> list[Item]:
    """Return texts as a str, as bytes of a file, and as pairs, by turns."""
    ways = (lambda text: text, str.encode, lambda text: tuple(f"{text} ".split(" ", 1)))
    return [Item(str(n), ways[n % 3](text)) for n, text in enumerate(texts)]


@pytest.mark.parametrize("n_classes", [2, 3])
def test_tf_idf_is_scikit_learns_own(n_classes: int) -> None:
    names = np.array([TEXTS[n].split()[n_classes - 2] for n in range(24)])
    floor = find_floor("tfidf").make("classes").fit(written(TEXTS), names)
    theirs = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LinearSVC()).fit(TEXTS, names)
    new = ["a good long meal", "no dull book", "film"]
    likely = floor.predict_proba(written(new))
    np.testing.assert_array_equal(floor.classes_[likely.argmax(axis=1)], theirs.predict(new))
    np.testing.assert_allclose(likely.sum(axis=1), 1)


def test_tf_idf_tells_labels_and_values() -> None:
    has = np.array([["good" in text, "film" in text] for text in TEXTS])
    labels = find_floor("tfidf").make("labels").fit(written(TEXTS), has.astype(float))
    np.testing.assert_array_equal(labels.predict(written(TEXTS)), has)
    years = 2000 + 10.0 * has[:, 0]
    values = find_floor("tfidf").make("values").fit(written(TEXTS), years)
    np.testing.assert_allclose(values.predict(written(TEXTS)), years, atol=2)


def test_every_floor_says_what_it_is_and_others_are_refused() -> None:
    assert all(floor.SAYS for floor in FLOORS.values())
    with pytest.raises(UsageError, match="majority, pixels, tfidf"):
        find_floor("tea leaves")
