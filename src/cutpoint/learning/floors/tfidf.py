"""A linear SVM on tf-idf of words and pairs of words: what a text tells without any network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC, LinearSVR

from cutpoint.base.types import Array, Float64
from cutpoint.items.kinds.text.read import texts_of
from cutpoint.items.reading import Item, read_payload
from cutpoint.learning.metrics import softmax

SAYS = "a linear SVM on tf-idf of words and pairs of words"
IS_QUICK, IS_BLIND = True, False


class _SVM(LinearSVC):  # type: ignore[misc]  # scikit-learn is untyped
    """`LinearSVC` whose classes have shares: of its margins, so only their order means much."""

    def predict_proba(self, X: Any) -> Float64:
        margins: Array = self.decision_function(X)
        both = np.stack([-margins, margins], axis=1) if margins.ndim == 1 else margins
        return softmax(both, 1.0)


def make(target: str) -> Any:
    """Return an estimator of items; see `cutpoint.learning.floors`."""
    words = TfidfVectorizer(ngram_range=(1, 2))
    return make_pipeline(FunctionTransformer(_texts), words, _MACHINES[target]())


def _values() -> Any:
    # Its loss is that of values near 1, so they are scaled.
    return TransformedTargetRegressor(LinearSVR(), transformer=StandardScaler())


def _labels() -> Any:
    return OneVsRestClassifier(LinearSVC())


_MACHINES = {"classes": _SVM, "labels": _labels, "values": _values}


def _texts(items: Sequence[Item]) -> list[str]:
    """Return what is written, of a pair both."""
    pairs = (texts_of(read_payload(item)) for item in items)
    return ["\n".join(text for text in pair if text is not None) for pair in pairs]
