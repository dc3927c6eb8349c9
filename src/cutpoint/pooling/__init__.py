"""Activation → vector. Each pool is one function that NumPy arrays and torch tensors both take."""

from cutpoint.pooling.gap import pool_gap
from cutpoint.pooling.gem import pool_gem
from cutpoint.pooling.gmp import pool_gmp
from cutpoint.pooling.none import pool_none
from cutpoint.pooling.parse import POOLS, canonical_pool, parse_pool

__all__ = [
    "POOLS",
    "canonical_pool",
    "parse_pool",
    "pool_gap",
    "pool_gem",
    "pool_gmp",
    "pool_none",
]
