"""Activation → vector. Each pool is one function, written in operations every framework has."""

from cutpoint.base.ops import NUMPY, NumpyOps, Ops, space_axes
from cutpoint.networks.pooling.cls import pool_cls
from cutpoint.networks.pooling.flatten import pool_flatten
from cutpoint.networks.pooling.gap import pool_gap
from cutpoint.networks.pooling.gem import pool_gem
from cutpoint.networks.pooling.gmp import pool_gmp
from cutpoint.networks.pooling.gram import pool_gram
from cutpoint.networks.pooling.grid import pool_grid
from cutpoint.networks.pooling.h2t import pool_h2t, pool_h2t_compat
from cutpoint.networks.pooling.last import pool_last
from cutpoint.networks.pooling.mean import pool_cls_mean, pool_mean
from cutpoint.networks.pooling.none import pool_none
from cutpoint.networks.pooling.parse import (
    POOLS,
    REVISION,
    apply_pool,
    canonical_pool,
    keeps_space,
    kind_of,
    loses_sign,
    parse_pool,
    pools_of,
    read_pool,
    revision_of,
)
from cutpoint.networks.pooling.rmac import pool_rmac
from cutpoint.networks.pooling.sgem import pool_sgem
from cutpoint.networks.pooling.signed import SignedActivationWarning, warn_if_signed
from cutpoint.networks.pooling.spp import pool_spp
from cutpoint.networks.pooling.st import pool_st
from cutpoint.networks.pooling.weightedmean import pool_weightedmean
from cutpoint.networks.pooling.widths import (
    feature_names,
    free_rows,
    map_layouts,
    pooled_shape,
    pooled_width,
)

__all__ = [
    "NUMPY",
    "POOLS",
    "REVISION",
    "NumpyOps",
    "Ops",
    "SignedActivationWarning",
    "apply_pool",
    "canonical_pool",
    "feature_names",
    "free_rows",
    "keeps_space",
    "kind_of",
    "loses_sign",
    "map_layouts",
    "parse_pool",
    "pool_cls",
    "pool_cls_mean",
    "pool_flatten",
    "pool_gap",
    "pool_gem",
    "pool_gmp",
    "pool_gram",
    "pool_grid",
    "pool_h2t",
    "pool_h2t_compat",
    "pool_last",
    "pool_mean",
    "pool_none",
    "pool_rmac",
    "pool_sgem",
    "pool_spp",
    "pool_st",
    "pool_weightedmean",
    "pooled_shape",
    "pooled_width",
    "pools_of",
    "read_pool",
    "revision_of",
    "space_axes",
    "warn_if_signed",
]
