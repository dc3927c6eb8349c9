"""Small trained models on features: scikit-learn estimators with one face, saved without pickle."""

from cutpoint.heads.base import Head, LinearHead
from cutpoint.heads.centroid import CentroidHead
from cutpoint.heads.knn import KNNHead
from cutpoint.heads.learned_pools import (
    AttentionPoolHead,
    EfficientProbe,
    GeMHead,
    LearnedPoolHead,
)
from cutpoint.heads.logistic import LogisticHead
from cutpoint.heads.mlp import MLPHead
from cutpoint.heads.protocol_run import ProtocolResult, fit_protocol, run_protocol
from cutpoint.heads.protocols import PROTOCOLS, Protocol, find_protocol
from cutpoint.heads.registry import HEADS, head_from_state, parse_head, spell_head
from cutpoint.heads.ridge import RidgeHead
from cutpoint.heads.svm import SVMHead

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
