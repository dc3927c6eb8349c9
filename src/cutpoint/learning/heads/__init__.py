"""Small trained models on features: scikit-learn estimators with one face, saved without pickle."""

from cutpoint.learning.heads.base import Head, LinearHead
from cutpoint.learning.heads.centroid import CentroidHead
from cutpoint.learning.heads.classes import Classifier
from cutpoint.learning.heads.knn import KNNHead, KNNRegressor
from cutpoint.learning.heads.labels import Labeller
from cutpoint.learning.heads.learned_pools import (
    AttentionPoolHead,
    EfficientProbe,
    GeMHead,
    LearnedPoolHead,
)
from cutpoint.learning.heads.logistic import LogisticHead
from cutpoint.learning.heads.mlp import MLPHead, MLPRegressor
from cutpoint.learning.heads.protocol_run import ProtocolResult, fit_protocol, run_protocol
from cutpoint.learning.heads.protocols import PROTOCOLS, Protocol, find_protocol
from cutpoint.learning.heads.registry import (
    HEADS,
    HEADS_OF,
    head_from_state,
    parse_head,
    spell_head,
)
from cutpoint.learning.heads.ridge import RidgeHead, RidgeLabeller, RidgeRegressor
from cutpoint.learning.heads.svm import SVMHead, SVMRegressor
from cutpoint.learning.heads.values import Regressor

__all__ = [
    "HEADS",
    "HEADS_OF",
    "PROTOCOLS",
    "AttentionPoolHead",
    "CentroidHead",
    "Classifier",
    "EfficientProbe",
    "GeMHead",
    "Head",
    "KNNHead",
    "KNNRegressor",
    "Labeller",
    "LearnedPoolHead",
    "LinearHead",
    "LogisticHead",
    "MLPHead",
    "MLPRegressor",
    "Protocol",
    "ProtocolResult",
    "Regressor",
    "RidgeHead",
    "RidgeLabeller",
    "RidgeRegressor",
    "SVMHead",
    "SVMRegressor",
    "find_protocol",
    "fit_protocol",
    "head_from_state",
    "parse_head",
    "run_protocol",
    "spell_head",
]
