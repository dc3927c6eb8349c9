"""Between features and a head: scikit-learn transformers that normalise, select and reduce."""

from cutpoint.transforms.base import Transform, feature_names
from cutpoint.transforms.fuse import Fuse
from cutpoint.transforms.layout import UMAP, TSNEPicture
from cutpoint.transforms.mix import SoftmaxSum
from cutpoint.transforms.normalise import (
    L2,
    Scale,
    SignedPower,
    TapL2,
    ZScore,
    l2_normalise,
    signed_power,
)
from cutpoint.transforms.project import (
    GaussianProjection,
    OrthogonalProjection,
    SparseProjection,
)
from cutpoint.transforms.reduce import (
    PCA,
    Autoencoder,
    LearnedProjection,
    RandomisedSVD,
)
from cutpoint.transforms.ridge_norm import RidgeNormSelect
from cutpoint.transforms.saving import TRANSFORMS, from_bytes, from_state, load, save, to_bytes
from cutpoint.transforms.select import (
    FTestSelect,
    GroupLasso,
    L1Select,
    LearnedMask,
    MutualInfoSelect,
    RecursiveSelect,
    VarianceSelect,
)

__all__ = [
    "L2",
    "PCA",
    "TRANSFORMS",
    "UMAP",
    "Autoencoder",
    "FTestSelect",
    "Fuse",
    "GaussianProjection",
    "GroupLasso",
    "L1Select",
    "LearnedMask",
    "LearnedProjection",
    "MutualInfoSelect",
    "OrthogonalProjection",
    "RandomisedSVD",
    "RecursiveSelect",
    "RidgeNormSelect",
    "Scale",
    "SignedPower",
    "SoftmaxSum",
    "SparseProjection",
    "TSNEPicture",
    "TapL2",
    "Transform",
    "VarianceSelect",
    "ZScore",
    "feature_names",
    "from_bytes",
    "from_state",
    "l2_normalise",
    "load",
    "save",
    "signed_power",
    "to_bytes",
]
