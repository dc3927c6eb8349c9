"""Small trained models on features: scikit-learn estimators."""

from cutpoint.heads.ridge import RidgeHead

__all__ = ["RidgeHead"]
