"""The page of `benchmarks/peers.py`: times, ratios, goals beside what was seen."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

OUT = Path(__file__).parents[1] / "docs" / "benchmarks"
LOOP, CHANNELS_LAST = "DataLoader(2) + eager + hooks", "the same, channels last"
KERAS = "MobileNetV2 of Keras: image_dataset_from_directory + predict"
OURS_OF_KERAS = "MobileNetV2 of Keras: cutpoint"
OURS = "EfficientNet-Lite0: cutpoint"
ENGINE, DEEPEST = "engine alone, 9 taps × 2 pools", "engine alone, deepest tap"
COLD, WARM = "cold: first run on a machine", "warm: nothing to do"


Medians = dict[str, tuple[float, float]]
"""Way → seconds on the clock and of processor time."""


def goals(medians: Medians, facts: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return (what, goal, seen on the clock, seen in processor time)."""
    middle = next(each for each in medians if each.startswith("engine alone, mid"))
    new = next(each for each in medians if each.endswith(f"new of {facts['n_photos']}"))
    share = facts["share_of_macs"]
    rows = [
        (f"{net}: {way}, against ours", goal, f"{net}: {way}", f"{net}: cutpoint")
        for net in ("EfficientNet-Lite0", "MobileNetV2")
        for way, goal in ((LOOP, "6×"), (CHANNELS_LAST, "4×"))
    ]
    rows += [
        (f"ResNet-50 {layer}: {LOOP}, against ours", goal, *_both(f"ResNet-50 {layer}"))
        for layer, goal in (("layer4", "3×"), ("layer1", "7×"))
    ]
    rows += [
        ("Keras' own dataset and predict against ours", "2.7×", KERAS, OURS_OF_KERAS),
        ("timm's forward_intermediates against ours", "–", "timm forward_intermediates", OURS),
        ("the engine alone against our run", "0.90×", ENGINE, OURS),
        ("9 taps × 2 pools against the deepest tap", "≤ 1.04×", ENGINE, DEEPEST),
        (
            f"a cut at {share:.0%} of the MACs against the whole",
            f"≤ {share + 0.1:.2f}×",
            middle,
            DEEPEST,
        ),
        ("cold against warm", "100×", COLD, WARM),
    ]
    found = [(what, goal, *_ratios(medians, over, under)) for what, goal, over, under in rows]
    limit_s = 0.015 * medians[COLD][0] + 2
    one = ("1 % new items, seconds", f"≤ {limit_s:.1f}", *(f"{each:.2f}" for each in medians[new]))
    floor_s = facts["n_photos"] * 2 * facts["macs"] / (facts["peak"] * 1e9)
    peak = f"{floor_s / medians[ENGINE][0]:.0%}"
    return [*found, one, ("the engine alone, of the matrix products' peak", "–", peak, "")]


def _both(name: str) -> tuple[str, str]:
    return f"{name}: {LOOP}", f"{name}: cutpoint"


def _ratios(medians: Medians, over: str, under: str) -> tuple[str, str]:
    clock, cpu = (a / b for a, b in zip(medians[over], medians[under], strict=True))
    return f"{clock:.3g}×", f"{cpu:.3g}×"


def write(seconds: dict[str, list[tuple[float, float]]], facts: dict[str, Any]) -> None:
    """Write peers.md and peers.svg."""
    medians: Medians = {way: _medians(each) for way, each in seconds.items()}
    text = "\n".join([*_head(facts), *_times(medians, seconds, facts), *_goals(medians, facts)])
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "peers.md").write_text(text + "\n")
    _picture(medians, facts["n_photos"])
    print(text)


def _medians(rounds: list[tuple[float, float]]) -> tuple[float, float]:
    clock, cpu = (statistics.median(each) for each in zip(*rounds, strict=True))
    return clock, cpu


def _head(facts: dict[str, Any]) -> list[str]:
    before, after = facts["load"]
    near = ", ".join(f"{way} {value:.5f}" for way, value in facts["near"].items())
    return [
        "# Beside others",
        "",
        f"`python benchmarks/peers.py` on {facts['machine']}.",
        f"Load average before {before:.1f}, after {after:.1f}: above 1 before, others were there.",
        f"{facts['n_photos']} photos, {facts['n_resnet']} for ResNet-50; {facts['rounds']} rounds, "
        "interleaved, medians",
        "(least–most); cold and new once, warm five times. EfficientNet-Lite0 where no network",
        "is named; 9 taps × 2 pools unless a layer is. Ours goes into a store, gate and set-up",
        "counted;",
        "the loops, ready arrays and decoding stay in memory. timm's call reads the deepest map.",
        "Beside others read processor time (child processes counted); it is less moved by them.",
        "",
        f"Smallest cosine with our features, looked at before any time: {near}.",
        "",
    ]


def _times(
    medians: Medians, seconds: dict[str, list[tuple[float, float]]], facts: dict[str, Any]
) -> list[str]:
    lines = ["| way | seconds | photos/s | processor seconds |", "|---|---|---|---|"]
    for way, (clock, cpu) in medians.items():
        every = [each for each, _ in seconds[way]]
        span = f"{clock:.2f} ({min(every):.2f}–{max(every):.2f})"
        n_photos = facts["n_resnet" if way.startswith("ResNet") else "n_photos"]
        lines.append(f"| {way} | {span} | {n_photos / clock:.0f} | {cpu:.2f} |")
    return [*lines, "", "![photos per second](peers.svg)", ""]


def _goals(medians: Medians, facts: dict[str, Any]) -> list[str]:
    lines = [
        "## Goals",
        "",
        f"Matrix products in float32 reach {facts['peak']:.0f} Gflop/s here; the network takes "
        f"{2 * facts['macs'] / 1e9:.2f} Gflop a photo.",
        "",
        "| what | goal | seen, clock | seen, processors |",
        "|---|---|---|---|",
    ]
    return lines + [f"| {' | '.join(row)} |" for row in goals(medians, facts)]


def _picture(medians: Medians, n_photos: int) -> None:
    from matplotlib.figure import Figure

    ways = [way for way in medians if way.startswith(("EfficientNet", "cutpoint", "timm"))]
    ways.sort(key=lambda way: medians[way][0], reverse=True)
    figure = Figure(figsize=(7, 3.0), layout="constrained")
    axes = figure.subplots()
    axes.barh(ways, [n_photos / medians[way][0] for way in ways], color="#1f5fa8")
    axes.set_xlabel("photos per second, from files to features")
    figure.savefig(OUT / "peers.svg", metadata={"Date": None})
