"""Small trained models on features: scikit-learn estimators with one face, saved without pickle."""

from cutpoint.learning.heads.base import Head, LinearHead
from cutpoint.learning.heads.centroid import CentroidHead
from cutpoint.learning.heads.knn import KNNHead
from cutpoint.learning.heads.learned_pools import (
    AttentionPoolHead,
    EfficientProbe,
    GeMHead,
    LearnedPoolHead,
)
from cutpoint.learning.heads.logistic import LogisticHead
from cutpoint.learning.heads.mlp import MLPHead
from cutpoint.learning.heads.protocol_run import ProtocolResult, fit_protocol, run_protocol
from cutpoint.learning.heads.protocols import PROTOCOLS, Protocol, find_protocol
from cutpoint.learning.heads.registry import HEADS, head_from_state, parse_head, spell_head
from cutpoint.learning.heads.ridge import RidgeHead
from cutpoint.learning.heads.svm import SVMHead

__all__ = [
    "HEADS",
    "PROTOCOLS",
    "AttentionPoolHead",
    "CentroidHead",
    "EfficientProbe",
    "GeMHead",
    "Head",
    "KNNHead",
    "LearnedPoolHead",
    "LinearHead",
    "LogisticHead",
    "MLPHead",
    "Protocol",
    "ProtocolResult",
    "RidgeHead",
    "SVMHead",
    "find_protocol",
    "fit_protocol",
    "head_from_state",
    "parse_head",
    "run_protocol",
    "spell_head",
]
