"""Between features and a head: scikit-learn transformers that normalise, select and reduce."""

from cutpoint.learning.transforms.base import Transform, feature_names
from cutpoint.learning.transforms.fuse import Fuse
from cutpoint.learning.transforms.layout import UMAP, TSNEPicture
from cutpoint.learning.transforms.mix import SoftmaxSum
from cutpoint.learning.transforms.normalise import (
    L2,
    Scale,
    SignedPower,
    TapL2,
    ZScore,
    l2_normalise,
    signed_power,
)
from cutpoint.learning.transforms.project import (
    GaussianProjection,
    OrthogonalProjection,
    SparseProjection,
)
from cutpoint.learning.transforms.reduce import (
    PCA,
    Autoencoder,
    LearnedProjection,
    RandomisedSVD,
)
from cutpoint.learning.transforms.ridge_norm import RidgeNormSelect
from cutpoint.learning.transforms.saving import (
    TRANSFORMS,
    from_bytes,
    from_state,
    load,
    save,
    to_bytes,
)
from cutpoint.learning.transforms.select import (
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
