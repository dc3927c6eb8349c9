"""Head2Toe's pooling: the sizes of the authors' code, and none of its losses by default."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.networks.layer_table import Layer
from cutpoint.networks.pooling import (
    canonical_pool,
    feature_names,
    parse_pool,
    pool_h2t,
    pool_h2t_compat,
    pooled_shape,
)
from cutpoint.networks.pooling.h2t import h2t_bins
from tests.unit.networks.pooling.definitions import drawn


@pytest.mark.parametrize(
    ("shape", "target", "width", "n_dropped"),
    [
        ((197, 768), 8192, 7680, 17),  # the dropped places are science.md §1's, from the code
        ((197, 768), 2048, 1536, 51),
        ((197, 768), 512, 768, 0),
        ((15, 15, 1024), 8192, 4096, 15 * 15 - 14 * 14),
        ((30, 30, 512), 8192, 8192, 30 * 30 - 28 * 28),
        ((8, 8, 2048), 512, 2048, 0),
        ((2, 2, 4), 400, 4, 0),  # a window smaller than a place is the global mean there
    ],
)
def test_compat_has_the_sizes_and_the_losses_of_the_authors_code(
    shape: tuple[int, ...], target: int, width: int, n_dropped: int
) -> None:
    """A place that is dropped leaves no trace when it alone is lit."""
    layout = "NTC" if len(shape) == 2 else "NHWC"
    assert pool_h2t_compat(np.ones((1, *shape)), layout, target=target).shape == (1, width)
    found, kept = 0, 0
    for place in np.ndindex(shape[:-1]):
        lit = np.zeros((1, *shape), np.float32)
        lit[(0, *place)] = 1
        found += pool_h2t_compat(lit, layout, target=target).max() > 0
        kept += pool_h2t(lit, layout, target=target).max() > 0
    n_places = np.prod(shape[:-1])
    assert n_places - found == n_dropped
    assert kept == n_places, "by default every place counts"


@pytest.mark.parametrize(("shape", "target"), [((9, 11, 6), 60), ((10, 10, 4), 40), ((23, 8), 45)])
def test_compat_is_keras_pooling_as_the_authors_call_it(
    shape: tuple[int, ...], target: int
) -> None:
    """Reference: Keras' own "valid" pooling with the window of ``flatten_and_concat``; 1e-6."""
    x = drawn((3, *shape))
    if len(shape) == 3:
        window = shape[1] // int(np.sqrt(target // shape[2]))
        pooled = tf.keras.layers.AveragePooling2D(window, window)(x)
    else:
        window = int(shape[0] / (target / shape[1]))
        pooled = tf.keras.layers.AveragePooling1D(window, window)(x)
    expected = tf.keras.layers.Flatten()(pooled).numpy()
    found = pool_h2t_compat(x, "NTC" if len(shape) == 2 else "NHWC", target=target)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_compat_is_typed_and_its_columns_are_named() -> None:
    assert canonical_pool("h2t(8192, compat)") == "h2t(8192,compat)"
    layer = Layer(0, "block", "Block", (None, 3, 5, 5), 4, 0, 0)
    assert pooled_shape(layer, "h2t(12,compat)") == (12,)
    names = feature_names(layer, "h2t(12,compat)")
    first = [(0, 0), (1, 0), (2, 0), (0, 1)]
    assert names[:4] == [f"block/h2t(12,compat)[{channel},0,{x}]" for channel, x in first]
    lit = np.zeros((1, 3, 5, 5), np.float32)
    lit[0, 1, 3, 2] = 1
    (found,) = np.flatnonzero(parse_pool("h2t(12,compat)")(lit)[0])
    assert names[found].endswith("[1,1,1]")
    with pytest.raises(UsageError, match=r"h2t\(T,compat\)"):
        canonical_pool("h2t(12,exact)")


def test_compat_reads_every_layout() -> None:
    maps = drawn((2, 9, 9, 3))
    moved = pool_h2t_compat(np.moveaxis(maps, 3, 1), "NCHW", target=12)
    np.testing.assert_array_equal(moved, pool_h2t_compat(maps, target=12))
    with pytest.raises(ShapeError, match=r"\(2, 3\)"):
        pool_h2t_compat(np.ones((2, 3)), "NC", target=12)


@given(
    st.integers(1, 4096),
    st.lists(st.integers(1, 60), min_size=1, max_size=3),
    st.integers(1, 20_000),
)
def test_bins_never_exceed_the_target_or_the_map(
    n_channels: int, sizes: list[int], target: int
) -> None:
    counts = h2t_bins(n_channels, sizes, target)
    assert all(1 <= count <= size for count, size in zip(counts, sizes, strict=True))
    assert n_channels * np.prod(counts) <= max(target, n_channels)
    a_side = max(counts) + 1
    is_full = all(count == size for count, size in zip(counts, sizes, strict=True))
    assert is_full or n_channels * a_side ** len(sizes) > target
