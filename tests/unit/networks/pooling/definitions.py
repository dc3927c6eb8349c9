"""The pools as published, written out in plain loops over float64, and their other frameworks."""

from __future__ import annotations

import itertools
import math

import numpy as np

from cutpoint.networks.pooling import parse_pool

SPACE = "HWDT"
SHAPES = {
    "NCHW": [(3, 5, 8, 8), (2, 3, 5, 7), (2, 3, 4, 13)],
    "NHWC": [(3, 8, 8, 5), (2, 5, 7, 3)],
    "NTC": [(3, 9, 5)],
    "NCT": [(2, 4, 7)],
}
MAP_POOLS = [
    "gap",
    "gmp",
    "gem",
    "gem(2)",
    "sgem",
    "sgem(2.5)",
    "spp",
    "spp(max)",
    "spp(1,3)",
    "spp(adaptive)",
    "spp(1,3,max,adaptive)",
    "rmac",
    "rmac(2)",
    "h2t(40)",
    "h2t(4)",
    "h2t(40,compat)",
    "gram",
    "flatten",
    "grid(3)",
    "none",
]
TOKEN_POOLS = [
    "gap",
    "gmp",
    "gem",
    "sgem",
    "cls",
    "mean",
    "cls+mean",
    "last",
    "st",
    "weightedmean",
    "h2t(20)",
    "h2t(20,compat)",
    "gram",
    "flatten",
    "none",
]
TIME_POOLS = ["spp", "spp(1,3,max)", "spp(adaptive)", "grid(3)"]
POOLS_OF = {"NTC": TOKEN_POOLS, "NCT": TOKEN_POOLS + TIME_POOLS}
CASES = [
    (pool, layout, shape)
    for layout, shapes in SHAPES.items()
    for shape in shapes
    for pool in POOLS_OF.get(layout, MAP_POOLS)
]


def drawn(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(7).normal(size=shape).astype(np.float32)


def by_definition(pool: str, activation: np.ndarray, layout: str) -> np.ndarray:
    """Return what `pool` gives, item by item and channel by channel."""
    name, _, rest = pool.partition("(")
    words = rest.rstrip(")").split(",") if rest else []
    if name == "none":
        return activation.astype(np.float64)
    order = [0, layout.index("C"), *(axis for axis, each in enumerate(layout) if each in SPACE)]
    first = activation.astype(np.float64).transpose(order)
    found = np.stack([FORMULAE[name](item, *words) for item in first])
    if name != "grid":
        return found
    letters = [layout[axis] for axis in order]
    return found.transpose([letters.index(letter) for letter in layout])


def _each(function):
    return lambda item, *words: np.array([function(channel.ravel(), *words) for channel in item])


def _gem(values: np.ndarray, p: str = "3") -> float:
    raised = [max(value, 1e-6) ** float(p) for value in values]
    return (sum(raised) / len(raised)) ** (1 / float(p))


def _sgem(values: np.ndarray, p: str = "3") -> float:
    raised = [math.copysign(abs(value) ** float(p), value) for value in values]
    mean = sum(raised) / len(raised)
    return math.copysign(abs(mean) ** (1 / float(p)), mean)


def _bin_of(place: int, size: int, n_bins: int) -> int:
    """The bin that holds a place: the last that starts at it or before."""
    return max(each for each in range(n_bins) if each * size // n_bins <= place)


def _bins(channel: np.ndarray, counts: tuple[int, ...], how: str = "mean") -> np.ndarray:
    held: dict[tuple[int, ...], list[float]] = {}
    for place, value in np.ndenumerate(channel):
        key = tuple(map(_bin_of, place, channel.shape, counts))
        held.setdefault(key, []).append(value)
    assert len(held) == math.prod(counts)
    assert sum(map(len, held.values())) == channel.size, "every place once"
    reduce = {"mean": lambda values: sum(values) / len(values), "max": max}[how]
    keys = itertools.product(*map(range, counts))
    return np.array([reduce(held[key]) for key in keys]).reshape(counts)


def _spp(item: np.ndarray, *words: str) -> np.ndarray:
    how = "max" if "max" in words else "mean"
    levels = [int(word) for word in words if word.isdigit()] or [1, 2, 4]
    if "adaptive" in words:
        return np.concatenate([_overlapping(channel, n, how) for channel in item for n in levels])
    parts = [_bins(channel, (level,) * channel.ndim, how) for level in levels for channel in item]
    return np.concatenate([part.ravel() for part in parts])


def _overlapping(channel: np.ndarray, n_bins: int, how: str) -> np.ndarray:
    """Bins from the last place at or before the exact border to the first at or after it."""
    starts = [[math.floor(n * size / n_bins) for n in range(n_bins)] for size in channel.shape]
    stops = [[math.ceil(n * size / n_bins) for n in range(1, n_bins + 1)] for size in channel.shape]
    slices = [list(map(slice, *each)) for each in zip(starts, stops, strict=True)]
    bins = [channel[places] for places in itertools.product(*slices)]
    return np.array([each.max() if how == "max" else each.sum() / each.size for each in bins])


def _h2t(item: np.ndarray, target: str, compat: str = "") -> np.ndarray:
    if compat:
        return _h2t_compat(item, int(target))
    n_bins = max(int(target) // len(item), 1)
    a_side = n_bins if item.ndim == 2 else math.isqrt(n_bins)
    counts = tuple(min(a_side, size) for size in item.shape[1:])
    return np.concatenate([_bins(channel, counts).ravel() for channel in item])


def _h2t_compat(item: np.ndarray, target: int) -> np.ndarray:
    """Windows of one size from the first place on; place by place, then channel by channel."""
    n_channels, *sizes = item.shape
    if n_channels >= target:
        return item.reshape(n_channels, -1).mean(1)
    if item.ndim == 2:
        window = int(sizes[0] / (target / n_channels))
    else:
        window = sizes[1] // math.isqrt(target // n_channels)
    if window == 0:
        return item.reshape(n_channels, -1).mean(1)
    starts = itertools.product(*(range(0, size - window + 1, window) for size in sizes))
    windows = (item[(slice(None), *(slice(s, s + window) for s in start))] for start in starts)
    return np.concatenate([each.reshape(n_channels, -1).mean(1) for each in windows])


def _rmac(item: np.ndarray, n_scales: str = "3") -> np.ndarray:
    _, height, width = item.shape
    shorter, longer = min(height, width), max(height, width)
    extra = 0
    if longer > shorter:
        overlaps = [1 - (longer - shorter) / count / shorter for count in range(1, 7)]
        extra = int(np.abs(np.array(overlaps) - 0.4).argmin()) + 1
    vectors = [item.max((1, 2))]
    for scale in range(1, int(n_scales) + 1):
        side = math.floor(2 * shorter / (scale + 1))
        n_down = scale + (extra if height > width else 0)
        n_along = scale + (extra if width > height else 0)
        for down, along in itertools.product(range(n_down), range(n_along)):
            top = math.floor(down * (height - side) / max(n_down - 1, 1) + 1e-9)
            left = math.floor(along * (width - side) / max(n_along - 1, 1) + 1e-9)
            if side:
                vectors.append(item[:, top : top + side, left : left + side].max((1, 2)))
    return sum(vector / np.sqrt((vector**2).sum()) for vector in vectors)


def _gram(item: np.ndarray) -> np.ndarray:
    rows = item.reshape(len(item), -1)
    return np.array([[(x * y).mean() for y in rows] for x in rows])


FORMULAE = {
    "gap": _each(lambda values: values.sum() / values.size),
    "gmp": _each(max),
    "gem": _each(_gem),
    "sgem": _each(_sgem),
    "spp": _spp,
    "rmac": _rmac,
    "h2t": _h2t,
    "cls": lambda item: item[:, 0],
    "mean": lambda item: item.mean(1),
    "cls+mean": lambda item: np.concatenate([item[:, 0], item.mean(1)]),
    "last": lambda item: item[:, -1],
    "st": lambda item: item.mean(1) / np.linalg.norm(item.mean(1)),
    "weightedmean": lambda item: np.average(item, 1, np.arange(1, item.shape[1] + 1)),
    "gram": _gram,
    "flatten": lambda item: item.ravel(),
    "grid": lambda item, n: np.stack([_bins(each, (int(n),) * each.ndim) for each in item]),
}


Mask = np.ndarray | None


def _masked(mask: object) -> dict[str, object]:
    return {} if mask is None else {"mask": mask}


def in_numpy(pool: str, activation: np.ndarray, layout: str, mask: Mask = None) -> np.ndarray:
    return parse_pool(pool)(activation, layout, **_masked(mask))


def in_torch(pool: str, activation: np.ndarray, layout: str, mask: Mask = None) -> np.ndarray:
    import torch

    from cutpoint.networks.frameworks.torch.ops import TORCH

    told = _masked(None if mask is None else torch.from_numpy(mask))
    return parse_pool(pool)(torch.from_numpy(activation), layout, TORCH, **told).numpy()


def in_keras(pool: str, activation: np.ndarray, layout: str, mask: Mask = None) -> np.ndarray:
    from cutpoint.networks.frameworks.keras.ops import KERAS, ops

    told = _masked(None if mask is None else ops.convert_to_tensor(mask))
    found = parse_pool(pool)(ops.convert_to_tensor(activation), layout, KERAS, **told)
    return ops.convert_to_numpy(found)


def in_tensorflow(pool: str, activation: np.ndarray, layout: str, mask: Mask = None) -> np.ndarray:
    """In a graph whose batch is open."""
    from cutpoint.networks.frameworks.tfgraph.ops import TENSORFLOW, tf

    given = [activation] if mask is None else [activation, mask]

    def pooled(x: object, mask: object = None) -> object:
        return parse_pool(pool)(x, layout, TENSORFLOW, **_masked(mask))

    signature = [tf.TensorSpec((None, *each.shape[1:]), "float32") for each in given]
    return tf.function(pooled, input_signature=signature)(*given).numpy()


def in_onnx(
    pool: str, activation: np.ndarray, layout: str, mask: Mask = None, opset: int = 13
) -> np.ndarray:
    """By onnxruntime, in a graph whose batch is open."""
    import onnxruntime
    from onnx import checker, helper

    from cutpoint.networks.frameworks.onnx.ops import Builder, OnnxOps, Value, tensor_info

    given = {"x": activation} if mask is None else {"x": activation, "m": mask}
    builder = Builder(opset, set(given), "test")
    shapes = {name: (None, *each.shape[1:]) for name, each in given.items()}
    values = {name: Value(name, shape) for name, shape in shapes.items()}
    told = _masked(values.get("m"))
    pooled = parse_pool(pool)(values["x"], layout, OnnxOps(builder), **told)
    last = builder.add("Identity", pooled.name, result="y")
    graph = helper.make_graph(
        builder.nodes,
        "pool",
        [tensor_info(name, "float32", shape) for name, shape in shapes.items()],
        [tensor_info(last, "float32", (None, *pooled.shape[1:]))],
        builder.constants,
    )
    # IR 8 belongs to opset 15; onnxruntime reads it with any older one.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (found,) = session.run(None, given)
    return found


FRAMEWORKS = {
    "numpy": in_numpy,
    "torch": in_torch,
    "keras": in_keras,
    "tensorflow": in_tensorflow,
    "onnx": in_onnx,
}
