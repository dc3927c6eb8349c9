"""The pictures of the guide, from real features: EfficientNet-Lite0 on three data sets.

    python benchmarks/guide_pictures.py [STORE]

Writes docs/pictures/*.svg and prints the figures of their captions. Needs ../shared; without
it nothing is written. All that learns, learns from training rows. Takes about 5 minutes on 2 cores.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from sklearn.neighbors import KNeighborsClassifier

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine  # noqa: E402
from cutpoint import api  # noqa: E402
from cutpoint.learning.heads import GeMHead  # noqa: E402
from cutpoint.learning.recipe import fit_recipe, parse_recipe  # noqa: E402
from cutpoint.learning.transforms import PCA, UMAP, TSNEPicture  # noqa: E402

SHARED = ROOT.parent / "shared"
OUT = ROOT / "docs" / "pictures"
DATA = ("dogs-vs-cats", "caltech20", "chest-xray")
COLOURS = dict(zip(DATA, ("#1f5fa8", "#c0562f", "#4b8b3b"), strict=True))
LAYERS = ("bn1", *(f"blocks.{n}" for n in range(7)), "bn2")

Features = dict[str, Any]
"""Data set → its stored features, gap of all layers."""


def main() -> None:
    if not SHARED.is_dir():
        print("no ../shared beside the checkout: nothing measured, nothing written")
        return
    mpl.rcParams["svg.hashsalt"] = "cutpoint"  # equal pictures are equal bytes
    OUT.mkdir(exist_ok=True)
    print(machine())
    with tempfile.TemporaryDirectory() as scratch:
        store = Path(sys.argv[1] if len(sys.argv) > 1 else scratch)
        backbone = api.load("packaged:efficientnet_lite0")
        features = {
            name: api.extract(SHARED / "data" / name, backbone, LAYERS, "gap", store / name)
            for name in DATA
        }
        maps = {
            name: api.extract(SHARED / "data" / name, backbone, ["bn2"], "none", store / name)
            for name in DATA
        }
        half_precision(backbone, store)
        exponents(maps)
        layer_weights(features)
        kept_by_depth(features)
        spectrum(features)
        layouts(features)


def half_precision(backbone: Any, store: Path) -> None:
    """Print how far whole maps in half precision lie from those in single."""
    taps = ["blocks.1", "blocks.3", "blocks.6", "bn2"]
    photos = sorted((SHARED / "data" / "dogs-vs-cats" / "test").rglob("*.jpg"))[:40]
    whole = api.extract(photos, backbone, taps, "none", store / "whole", storage="fp32")
    for tap in whole.taps:
        single = whole.X(tap).reshape(len(photos), -1).astype(np.float64)
        half = single.astype(np.float32).astype(np.float16).astype(np.float64)
        apart = np.abs(half - single)
        relative = float((apart / np.maximum(np.abs(single), 1e-30))[np.abs(single) > 1e-4].max())
        lengths = np.linalg.norm(single, axis=1) * np.linalg.norm(half, axis=1)
        cosine = float(((single * half).sum(axis=1) / lengths).min())
        largest = np.abs(single).max()
        print(f"half precision, {tap}: relative {relative:.2g}, 1 - cosine {1 - cosine:.2g}, "
              f"largest value {largest:.3g}")  # fmt: skip


def exponents(maps: Features) -> None:
    """Learn an exponent for each channel of the last map."""
    figure, axes = drawing(6.4, 3.0)
    bins = np.linspace(0, 8, 65)
    for name, features in maps.items():
        X, y = training(features, "bn2/none")
        head = GeMHead(per_channel=True).fit(X, y)
        found = np.sort(head.p_)
        print(f"exponents, {name}: 5 % {found[64]:.2f}, median {np.median(found):.2f}, "
              f"95 % {found[-64]:.2f}, {head.chosen}")  # fmt: skip
        axes.hist(found, bins, histtype="step", color=COLOURS[name], label=name)
    axes.axvline(3, color="#8a8f98", linewidth=0.8, linestyle=":")
    axes.set(xlabel="learned exponent p of a channel (start: 3)", ylabel="channels of 1280")
    axes.legend(frameon=False)
    save(figure, "gem_exponents")


def layer_weights(features: Features) -> None:
    """Learn SUPERB's weighted sum of all layers, from the training rows."""
    figure, axes = drawing(6.4, 3.0)
    recipe = parse_recipe("gap | orthogonal(40) | softmax(norm)")
    layers = LAYERS[3:]  # those of 40 channels and more
    for number, (name, found) in enumerate(features.items()):
        weights = fitted(recipe, found, layers).after[0].weights_
        print(f"weights, {name}: " + ", ".join(f"{w:.3f}" for w in weights))
        places = np.arange(len(layers)) + 0.27 * (number - 1)
        axes.bar(places, weights, 0.26, color=COLOURS[name], label=name)
    axes.axhline(1 / len(layers), color="#8a8f98", linewidth=0.8, linestyle=":")
    axes.set_xticks(range(len(layers)), layers)
    axes.set(ylabel="weight of the layer")
    axes.legend(frameon=False)
    save(figure, "layer_weights")


def kept_by_depth(features: Features) -> None:
    """Keep a tenth of the columns of all layers by group lasso; say where they come from."""
    figure, axes = drawing(6.4, 3.0)
    recipe = parse_recipe("gap | l2 | concat | group_lasso(0.1)")
    for number, (name, found) in enumerate(features.items()):
        lasso = fitted(recipe, found).after[0]
        shares = lasso.kept_blocks_ / lasso.kept_blocks_.sum()
        print(f"kept, {name}: {lasso.kept_blocks_.tolist()} of {lasso.blocks}")
        places = np.arange(len(LAYERS)) + 0.27 * (number - 1)
        axes.bar(places, shares, 0.26, color=COLOURS[name], label=name)
    widths = np.array(lasso.blocks) / sum(lasso.blocks)
    axes.plot(range(len(LAYERS)), widths, "k_", markersize=16, label="share of all columns")
    axes.set_xticks(range(len(LAYERS)), LAYERS)
    axes.set(ylabel="share of the columns kept")
    axes.legend(frameon=False)
    save(figure, "kept_by_depth")


def spectrum(features: Features) -> None:
    """Variances along the principal axes of training rows, and of test rows after whitening."""
    figure, axes = drawing(6.4, 3.0)
    for name, found in features.items():
        X, _ = training(found, "bn2/gap")
        others = found.X("bn2/gap", found.rows_of("test"))
        pca = PCA(256).fit(X)
        shares = pca.explained_variance_ratio_
        n_half, n_most = (int(np.searchsorted(np.cumsum(shares), at)) + 1 for at in (0.5, 0.9))
        whitened = PCA(256, whiten=True).fit(X).transform(others).var(axis=0)
        first, last = whitened[:32].mean(), whitened[-32:].mean()
        print(f"spectrum, {name}: half in {n_half}, 90 % in {n_most} of the axes")
        print(f"whitened test rows: first 32 axes {first:.2f}, last 32 {last:.2f}")
        axes.plot(pca.explained_variance_ / pca.explained_variance_[0], color=COLOURS[name],
                  label=f"{name}, as it is")  # fmt: skip
        axes.plot(whitened, color=COLOURS[name], linewidth=0.7, alpha=0.6)
    axes.plot([], [], color="black", linewidth=0.7, alpha=0.6, label="test rows, whitened")
    axes.set(yscale="log", ylim=(2e-4, 2), xlabel="principal axis", ylabel="variance (first = 1)")
    axes.legend(frameon=False)
    save(figure, "spectrum")


def layouts(features: Features) -> None:
    """Lay the training rows of caltech20 out in two columns, in three ways."""
    X, y = training(features["caltech20"], "bn2/gap")
    tests = features["caltech20"].rows_of("test")
    others = features["caltech20"].X("bn2/gap", tests)
    truth = features["caltech20"].labels[tests].astype(str)
    figure = Figure(figsize=(8.4, 3.1), layout="constrained")
    kinds = {"PCA": PCA(2), "UMAP": UMAP(2), "t-SNE (for pictures only)": TSNEPicture(2)}
    for axes, (title, layout) in zip(figure.subplots(1, 3), kinds.items(), strict=True):
        places = layout.fit_transform(X)
        if title.startswith("t-SNE"):
            score = "no new rows"
        else:
            nearest = KNeighborsClassifier(5).fit(layout.transform(X), y)
            right = nearest.predict(layout.transform(others)) == truth
            score = f"{right.mean():.2f} of {len(tests)} test rows"
        print(f"layout, {title}: five nearest neighbours on its two columns right on {score}")
        classes = np.unique(y, return_inverse=True)[1]
        axes.scatter(*places.T, s=3, c=classes, cmap="tab20", linewidths=0, rasterized=True)
        axes.set(title=title, xticks=[], yticks=[])
    save(figure, "layouts")


def training(features: Any, tap: str) -> tuple[Any, Any]:
    """Return the training rows of a tap, and their labels."""
    rows = features.rows_of("train")
    return features.X(tap, rows), features.labels[rows].astype(str)


def fitted(recipe: Any, features: Any, layers: tuple[str, ...] = LAYERS) -> Any:
    taps = [f"{layer}/gap" for layer in layers]
    return fit_recipe(recipe, features, taps, features.rows_of("train"))[0]


def drawing(width: float, height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    return figure, axes


def save(figure: Figure, name: str) -> None:
    figure.savefig(OUT / f"{name}.svg", metadata={"Date": None}, dpi=150)


if __name__ == "__main__":
    main()
