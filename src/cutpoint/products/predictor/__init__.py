"""The fitted artefact: preprocess + cut + pool + head; scores items, saved without pickle."""

from cutpoint.products.predictor.card import Card
from cutpoint.products.predictor.format import HEAD, MANIFEST, refuse_foreign, signed
from cutpoint.products.predictor.loading import load_predictor, read_recipe
from cutpoint.products.predictor.prediction import (
    AnyPrediction,
    LabelsPrediction,
    Prediction,
    ValuePrediction,
)
from cutpoint.products.predictor.predictor import Predictor, short_digest
from cutpoint.products.predictor.scorer import Scorer, said_by

__all__ = [
    "HEAD",
    "MANIFEST",
    "AnyPrediction",
    "Card",
    "LabelsPrediction",
    "Prediction",
    "Predictor",
    "Scorer",
    "ValuePrediction",
    "load_predictor",
    "read_recipe",
    "refuse_foreign",
    "said_by",
    "short_digest",
    "signed",
]
