"""The page of `benchmarks/peers.py`: times, ratios, goals beside what was seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

OUT = Path(__file__).parents[1] / "docs" / "benchmarks"
LOOP, OURS = "DataLoader(2) + eager + hooks", "cutpoint"
KERAS = "Keras image_dataset_from_directory + predict"
DECODE = ("decode + resize, Pillow alone", "decode + resize, ours (simplejpeg)")
ENGINE, DEEPEST = "engine alone, 9 taps × 2 pools", "engine alone, deepest tap"
COLD, WARM = "cold: first run on a machine", "warm: nothing to do"


def goals(medians: dict[str, float], facts: dict[str, Any]) -> list[tuple[str, str, float, str]]:
    """Return (what, goal, value seen, its unit)."""
    n = facts["n_photos"]
    floor_s = n * 2 * facts["macs"] / (facts["peak"] * 1e9)
    middle = next(each for each in medians if each.startswith("engine alone, mid"))
    new = next(each for each in medians if each.endswith(f"new of {n}"))
    rows = [
        ("the plain loop against ours", "6×", LOOP, OURS),
        ("the plain loop, channels last, against ours", "4×", "the same, channels last", OURS),
        ("timm's forward_intermediates against ours", "4×", "timm forward_intermediates", OURS),
        ("Keras predict against ours", "2.5×", KERAS, "cutpoint, MobileNetV2 of Keras"),
        ("decode + resize: Pillow against ours", "2.5×", *DECODE),
        ("our run against its engine alone", "≤ 1.2×", OURS, ENGINE),
        ("9 taps × 2 pools against the deepest tap", "≤ 1.1×", ENGINE, DEEPEST),
        ("mid depth against the deepest tap", "≤ 0.7×", middle, DEEPEST),
        ("cold against warm", "≥ 50×", COLD, WARM),
        ("1 % new against cold", "≤ 0.1×", new, COLD),
    ]
    found = [(what, goal, medians[over] / medians[under], "×") for what, goal, over, under in rows]
    share = 100 * floor_s / medians[ENGINE]
    found.append(("engine alone, of the matrix products' peak", "≥ 60 %", share, " %"))
    return found


def write(
    medians: dict[str, float], seconds: dict[str, list[float]], facts: dict[str, Any]
) -> None:
    """Write peers.md and peers.svg."""
    text = "\n".join([*_head(facts), *_times(medians, seconds, facts), *_goals(medians, facts)])
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "peers.md").write_text(text + "\n")
    _picture(medians, facts["n_photos"])
    print(text)


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
        "",
        f"Smallest cosine with our features, looked at before any time: {near}.",
        "",
    ]


def _times(
    medians: dict[str, float], seconds: dict[str, list[float]], facts: dict[str, Any]
) -> list[str]:
    lines = ["| way | seconds | photos/s |", "|---|---|---|"]
    for way, median in medians.items():
        span = f"{median:.2f} ({min(seconds[way]):.2f} – {max(seconds[way]):.2f})"
        lines.append(f"| {way} | {span} | {facts['n_photos'] / median:.0f} |")
    return [*lines, "", "![photos per second](peers.svg)", ""]


def _goals(medians: dict[str, float], facts: dict[str, Any]) -> list[str]:
    lines = [
        "## Goals",
        "",
        f"Matrix products in float32 reach {facts['peak']:.0f} Gflop/s here; the network takes "
        f"{2 * facts['macs'] / 1e9:.2f} Gflop a photo.",
        "",
        "| what | goal | seen |",
        "|---|---|---|",
    ]
    rows = goals(medians, facts)
    return lines + [f"| {what} | {goal} | {seen:.2g}{unit} |" for what, goal, seen, unit in rows]


def _picture(medians: dict[str, float], n_photos: int) -> None:
    from matplotlib.figure import Figure

    ways = [way for way in medians if way.startswith(("cutpoint", "Keras", "timm", "the same"))]
    ways = sorted([*ways, LOOP], key=lambda way: medians[way], reverse=True)
    figure = Figure(figsize=(7, 3.0), layout="constrained")
    axes = figure.subplots()
    axes.barh(ways, [n_photos / medians[way] for way in ways], color="#1f5fa8")
    axes.set_xlabel("photos per second, from files to features")
    figure.savefig(OUT / "peers.svg", metadata={"Date": None})
