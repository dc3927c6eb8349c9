"""Small trained models on features: scikit-learn estimators with one face, saved without pickle."""

from cutpoint.heads.base import Head, LinearHead
from cutpoint.heads.learned_pools import (
    AttentionPoolHead,
    EfficientProbe,
    GeMHead,
    LearnedPoolHead,
)
from cutpoint.heads.registry import HEADS, head_from_state, parse_head, spell_head
from cutpoint.heads.ridge import RidgeHead

__all__ = [
    "HEADS",
    "AttentionPoolHead",
    "EfficientProbe",
    "GeMHead",
    "Head",
    "LearnedPoolHead",
    "LinearHead",
    "RidgeHead",
    "head_from_state",
    "parse_head",
    "spell_head",
]
