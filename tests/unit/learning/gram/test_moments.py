from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.learning.gram import Moments, Variances
from cutpoint.learning.gram.moments import BLOCK_ROWS

MIB = 2**20


def rows_of(n_rows: int = 3000, n_features: int = 20, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(size=(n_rows, n_features)) @ random.normal(size=(n_features, n_features))


def relative(found: np.ndarray, reference: np.ndarray) -> float:
    return float(np.abs(found - reference).max() / np.abs(reference).max())


def test_streamed_covariance_is_that_of_all_rows_in_memory() -> None:
    """Reference: `np.cov`. Tolerance 1e-10 of the largest entry."""
    rows = rows_of()
    moments = Moments.of(np.array_split(rows, [1, 2, 700, 701, 2900]))
    assert moments.n_items == len(rows)
    assert relative(moments.covariance(), np.cov(rows.T)) < 1e-10
    assert relative(moments.mean, rows.mean(0)) < 1e-10
    np.testing.assert_array_equal(moments.scatter, moments.scatter.T)


@given(cuts=st.lists(st.integers(0, 300), max_size=6), seed=st.integers(0, 99))
def test_neither_parts_nor_their_order_matter(cuts: list[int], seed: int) -> None:
    rows = rows_of(300, 5, seed)
    parts = np.array_split(rows, sorted(cuts))
    np.random.default_rng(seed).shuffle(parts)
    merged = Moments(5)
    for part in parts:
        merged.merge(Moments(5).add(part))
    assert relative(merged.covariance(), np.cov(rows.T)) < 1e-10
    assert relative(merged.variance(), rows.var(0)) < 1e-10


def test_merging_leaves_the_other_as_it_was() -> None:
    other = Moments.of(rows_of(10, 3))
    mean, scatter = other.mean.copy(), other.scatter.copy()
    Moments.of(rows_of(10, 3, seed=1)).merge(other)
    np.testing.assert_array_equal(other.mean, mean)
    np.testing.assert_array_equal(other.scatter, scatter)


def test_a_large_mean_costs_no_digits() -> None:
    """Mean 1e4, deviation 1. Sums of squares less squared sums would keep 8 digits of 16."""
    rows = np.random.default_rng(0).normal(1e4, 1, (50_000, 4))
    reference = np.cov(rows.T)  # centred before it is squared
    for part in (1, 37, 20_000):
        moments = Moments.of(np.array_split(rows, [part]))
        assert relative(moments.covariance(), reference) < 1e-10
    naive = (rows**2).sum(0) - rows.sum(0) ** 2 / len(rows)
    assert relative(naive / (len(rows) - 1), np.diag(reference)) > 1e-10  # the case is a hard one


def test_variances_alone_are_the_diagonal() -> None:
    rows = rows_of().astype(np.float32)
    variances, moments = Variances.of(rows), Moments.of(rows)
    assert relative(variances.variance(), rows.astype(np.float64).var(0)) < 1e-12
    assert relative(variances.variance(1), np.diag(moments.covariance())) < 1e-12


def test_the_rows_are_not_changed() -> None:
    rows = rows_of(50, 3)
    before = rows.copy()
    Moments(3).add(rows)
    np.testing.assert_array_equal(rows, before)


def test_what_is_held_does_not_grow_and_2048_features_need_66_mib() -> None:
    moments = Moments(2048)
    empty = moments.nbytes
    moments.add(np.zeros((3, 2048), np.float32))
    assert moments.nbytes == empty
    at_work = 2 * BLOCK_ROWS * 2048 * 8  # a block in float64, and with one row more
    assert empty + at_work < 66 * MIB  # of 1 M rows, which are 7813 MiB in float32


STREAM = """
import re
import numpy as np
from cutpoint.learning.gram import Moments

def peak_kib():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])

moments = Moments(512).add(np.ones((2048, 512), np.float32))
before = peak_kib()
random = np.random.default_rng(0)
for _ in range(100):
    moments.add(random.random((2048, 512), np.float32))
print(moments.n_items, peak_kib() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="VmHWM is Linux's")
def test_memory_of_a_long_stream_is_that_of_a_short_one() -> None:
    """400 MiB pass by; 8 MiB more than for the first chunk are one more chunk and slack."""
    done = subprocess.run(
        [sys.executable, "-c", STREAM], capture_output=True, text=True, check=True
    )
    n_items, grown_kib = map(int, done.stdout.split())
    assert n_items == 101 * 2048
    assert grown_kib < 8 * 1024


def test_wrong_shapes_and_too_few_rows_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(2, 4\)"):
        Moments(3).add(np.zeros((2, 4)))
    with pytest.raises(ShapeError, match=r"\(2,\)"):
        Moments.of(np.zeros(2))
    with pytest.raises(UsageError, match="1 row is too few"):
        Moments.of(np.zeros((1, 3))).covariance()
    with pytest.raises(UsageError, match="0 rows are too few"):
        Moments.of(iter(()))
