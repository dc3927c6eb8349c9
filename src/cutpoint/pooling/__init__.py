"""Activation → vector. Each pool is one function, written in operations every framework has."""

from cutpoint.pooling.cls import pool_cls
from cutpoint.pooling.gap import pool_gap
from cutpoint.pooling.gem import pool_gem
from cutpoint.pooling.gmp import pool_gmp
from cutpoint.pooling.gram import pool_gram
from cutpoint.pooling.none import pool_none
from cutpoint.pooling.ops import NUMPY, NumpyOps, Ops, space_axes
from cutpoint.pooling.parse import (
    POOLS,
    apply_pool,
    canonical_pool,
    parse_pool,
    pools_of,
)

__all__ = [
    "NUMPY",
    "POOLS",
    "NumpyOps",
    "Ops",
    "apply_pool",
    "canonical_pool",
    "parse_pool",
    "pool_cls",
    "pool_gap",
    "pool_gem",
    "pool_gmp",
    "pool_gram",
    "pool_none",
    "pools_of",
    "space_axes",
]
