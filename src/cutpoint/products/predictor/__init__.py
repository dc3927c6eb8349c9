"""The fitted artefact: preprocess + cut + pool + head; scores items, saved without pickle."""

from cutpoint.products.predictor.card import Card
from cutpoint.products.predictor.format import HEAD, MANIFEST, refuse_foreign, signed
from cutpoint.products.predictor.loading import load_predictor, read_recipe
from cutpoint.products.predictor.predictor import Predictor, short_digest
from cutpoint.products.predictor.scorer import Prediction, Scorer

__all__ = [
    "HEAD",
    "MANIFEST",
    "Card",
    "Prediction",
    "Predictor",
    "Scorer",
    "load_predictor",
    "read_recipe",
    "refuse_foreign",
    "short_digest",
    "signed",
]
