"""The page of `benchmarks/peers.py`: times, ratios, goals beside what was seen."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

OUT = Path(__file__).parents[1] / "docs" / "benchmarks"
LOOP, OURS = "DataLoader(2) + eager + hooks", "cutpoint"
KERAS = "Keras image_dataset_from_directory + predict"
ENGINE, DEEPEST = "engine alone, 9 taps × 2 pools", "engine alone, deepest tap"
COLD, WARM = "cold: first run on a machine", "warm: nothing to do"


Medians = dict[str, tuple[float, float]]
"""Way → seconds on the clock and of processor time."""


def goals(medians: Medians, facts: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return (what, goal, seen on the clock, seen in processor time)."""
    n = facts["n_photos"]
    middle = next(each for each in medians if each.startswith("engine alone, mid"))
    new = next(each for each in medians if each.endswith(f"new of {n}"))
    rows = [
        ("the plain loop against ours", "6×", LOOP, OURS),
        ("the plain loop, channels last, against ours", "4×", "the same, channels last", OURS),
        ("timm's forward_intermediates against ours", "4×", "timm forward_intermediates", OURS),
        ("Keras predict against ours", "2.5×", KERAS, "cutpoint, MobileNetV2 of Keras"),
        ("our run against its engine alone", "≤ 1.2×", OURS, ENGINE),
        ("9 taps × 2 pools against the deepest tap", "≤ 1.1×", ENGINE, DEEPEST),
        ("mid depth against the deepest tap", "≤ 0.7×", middle, DEEPEST),
        ("cold against warm", "≥ 50×", COLD, WARM),
        ("1 % new against cold", "≤ 0.1×", new, COLD),
    ]
    found = []
    for what, goal, over, under in rows:
        clock, cpu = (a / b for a, b in zip(medians[over], medians[under], strict=True))
        found.append((what, goal, f"{clock:.2g}×", f"{cpu:.2g}×"))
    floor_s = n * 2 * facts["macs"] / (facts["peak"] * 1e9)
    share = f"{floor_s / medians[ENGINE][0]:.0%}"
    return [*found, ("engine alone, of the matrix products' peak", "≥ 60 %", share, "")]


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
        f"{facts['n_photos']} photos; {facts['rounds']} interleaved rounds, medians (least–most);",
        "cold, warm and new once. EfficientNet-Lite0, 9 taps × 2 pools, into a store, unless said",
        "otherwise; ready arrays and decoding stay in memory. timm's call reads the deepest map.",
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
        lines.append(f"| {way} | {span} | {facts['n_photos'] / clock:.0f} | {cpu:.2f} |")
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

    ways = [way for way in medians if way.startswith(("cutpoint", "Keras", "timm", "the same"))]
    ways = sorted([*ways, LOOP], key=lambda way: medians[way][0], reverse=True)
    figure = Figure(figsize=(7, 3.0), layout="constrained")
    axes = figure.subplots()
    axes.barh(ways, [n_photos / medians[way][0] for way in ways], color="#1f5fa8")
    axes.set_xlabel("photos per second, from files to features")
    figure.savefig(OUT / "peers.svg", metadata={"Date": None})
