"""Memory of an extraction, by how many files there are; and how long starting takes.

    python benchmarks/footprint.py

Writes docs/benchmarks/footprint.md. Each figure is of a process of its own.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine  # noqa: E402  the repository is no package
from benchmarks.photos import photos  # noqa: E402

N_PHOTOS = 1000
COUNTS = (1_000, 20_000)
OUT = ROOT / "docs" / "benchmarks" / "footprint.md"


# VmHWM, not ru_maxrss: the latter is inherited from the process that started this one.
_EXTRACT_AND_TELL_PEAK = """
import sys
from cutpoint import api
def peak_kb():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
backbone = api.load("packaged:efficientnet_lite0")
backbone.layers()
before = peak_kb()
features = api.extract(sys.argv[1], backbone, pool=("gap", "gmp"), store=sys.argv[2])
assert len(features) == int(sys.argv[3])
print(before, peak_kb())
"""


def peak_memory(files: list[Path], scratch: Path) -> dict[str, float]:
    """Return peak RSS in MB of extracting few and many distinct files, each in its own process."""
    found = {}
    for count in COUNTS:
        folder = scratch / f"files{count}"
        folder.mkdir()
        for number in range(count):
            # Trailing bytes after the JPEG's end make each file a payload of its own.
            data = files[number % len(files)].read_bytes() + f"#{number}".encode()
            (folder / f"{number:06d}.jpg").write_bytes(data)
        words = [str(folder), str(scratch / f"rss{count}"), str(count)]
        command = [sys.executable, "-c", _EXTRACT_AND_TELL_PEAK, *words]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        before_kb, peak_kb = map(int, done.stdout.split())
        found[f"{count:,} files"] = peak_kb / 1024
        found[f"{count:,} files, above the loaded network"] = (peak_kb - before_kb) / 1024
        print(f"peak RSS, {count} files: {peak_kb / 1024:.0f} MB", flush=True)
    return found


def start_up() -> dict[str, float]:
    """Return median seconds of ``import cutpoint`` and ``cutpoint --help`` in fresh processes."""
    codes = {
        "import cutpoint": "import cutpoint",
        "cutpoint --help": "import sys; sys.argv = ['cutpoint', '--help']; "
        "from cutpoint.cli import main; main()",
        "python itself": "pass",
    }
    seconds: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(9):
        for name, code in codes.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        (scratch / "photos").mkdir()
        lines = [
            "# Memory and start-up",
            "",
            f"`python benchmarks/footprint.py` on {machine()}.",
            "EfficientNet-Lite0, 9 layers × 2 pools.",
            "",
            "| start-up | seconds |",
            "|---|---|",
            *(f"| {name} | {seconds:.3f} |" for name, seconds in start_up().items()),
            "",
            "| peak memory of `extract` | MB |",
            "|---|---|",
        ]
        memory = peak_memory(photos(scratch / "photos", N_PHOTOS), scratch)
    lines += [f"| {name} | {value:.0f} |" for name, value in memory.items()]
    few, many = (memory[f"{count:,} files"] for count in COUNTS)
    lines += ["", f"{COUNTS[1]:,} files against {COUNTS[0]:,}: **{many / few:.2f}×**."]
    OUT.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
