"""Small trained models on features: scikit-learn estimators."""

from cutpoint.heads.learned_pools import (
    AttentionPoolHead,
    EfficientProbe,
    GeMHead,
    LearnedPoolHead,
)
from cutpoint.heads.ridge import RidgeHead

__all__ = ["AttentionPoolHead", "EfficientProbe", "GeMHead", "LearnedPoolHead", "RidgeHead"]
