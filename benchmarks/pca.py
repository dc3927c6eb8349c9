"""PCA 2048 → 256 of 200,000 rows, streamed, against scikit-learn's in memory.

    python benchmarks/pca.py [N_ROWS]

Writes docs/benchmarks/pca.md. Each way runs in a process of its own and reads the same file; time
is that of reading and fitting, memory its `VmHWM`. The rows are drawn, with variances that fall as
1/i and by half behind the 256th, so that the subspace to be found is well defined.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine  # noqa: E402

OUT = ROOT / "docs" / "benchmarks" / "pca.md"
N_ROWS, N_FEATURES, N_COMPONENTS, CHUNK_ROWS = 200_000, 2048, 256, 2048
MEAN = 0.06


def write_rows(path: Path, n_rows: int) -> None:
    """Write float32 rows, mixed by one reflection so that no column stands alone.

    Each column's mean is about its deviation, as in pooled features behind a ReLU.
    """
    random = np.random.default_rng(0)
    variances = 1.0 / np.arange(1, N_FEATURES + 1)
    variances[N_COMPONENTS:] /= 2
    mirror = random.normal(size=N_FEATURES)
    mirror = (mirror / np.linalg.norm(mirror)).astype(np.float32)
    with path.open("wb") as file:
        for start in range(0, n_rows, CHUNK_ROWS):
            size = (min(CHUNK_ROWS, n_rows - start), N_FEATURES)
            rows = random.standard_normal(size, np.float32) * np.sqrt(variances, dtype=np.float32)
            rows -= 2 * np.outer(rows @ mirror, mirror)
            (rows + np.float32(MEAN)).tofile(file)


def chunks(path: Path) -> Iterator[np.ndarray]:
    """Yield chunks read into memory of their own: mapped pages would count as ours."""
    with path.open("rb") as file:
        while (rows := np.fromfile(file, np.float32, CHUNK_ROWS * N_FEATURES)).size:
            yield rows.reshape(-1, N_FEATURES)


def cutpoint_stream(path: Path) -> np.ndarray:
    from cutpoint.learning.transforms import PCA

    return PCA(N_COMPONENTS).fit_stream(chunks(path)).components_


def sklearn_covariance(path: Path) -> np.ndarray:
    return _sklearn(path, "covariance_eigh")


def sklearn_covariance_float64(path: Path) -> np.ndarray:
    return _sklearn(path, "covariance_eigh", np.float64)


def sklearn_randomized(path: Path) -> np.ndarray:
    return _sklearn(path, "randomized")


def _sklearn(path: Path, solver: str, dtype: type = np.float32) -> np.ndarray:
    from sklearn.decomposition import PCA

    rows = np.fromfile(path, np.float32).reshape(-1, N_FEATURES).astype(dtype, copy=False)
    model = PCA(N_COMPONENTS, svd_solver=solver, random_state=0, copy=False)
    return np.asarray(model.fit(rows).components_)


WAYS: dict[str, Callable[[Path], np.ndarray]] = {
    "cutpoint, streamed": cutpoint_stream,
    "scikit-learn, covariance_eigh": sklearn_covariance,
    "scikit-learn, covariance_eigh, float64": sklearn_covariance_float64,
    "scikit-learn, randomized": sklearn_randomized,
}


def run_one(name: str, rows: Path, out: Path) -> None:
    """Fit one way in this process; write its components, print seconds and peak bytes."""
    import sklearn.decomposition  # noqa: F401  no import within the time

    import cutpoint.learning.transforms  # noqa: F401

    start = time.perf_counter()
    components = WAYS[name](rows)
    seconds = time.perf_counter() - start
    np.save(out, components.astype(np.float64))
    status = Path("/proc/self/status").read_text()
    peak = re.search(r"VmHWM:\s+(\d+)", status)
    assert peak
    print(json.dumps({"seconds": seconds, "bytes": int(peak[1]) * 1024}))


def measure(name: str, rows: Path, out: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", name, str(rows), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def largest_angle(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest principal angle between two subspaces, radians, by its sine."""
    return float(np.arcsin(min(1.0, np.linalg.norm(other - (other @ one.T) @ one, 2))))


def main(n_rows: int) -> None:
    lines = [
        f"# PCA {N_FEATURES} → {N_COMPONENTS}",
        "",
        f"`python benchmarks/pca.py {n_rows}` on {machine()}.",
        f"{n_rows:,} drawn float32 rows ({n_rows * N_FEATURES * 4 / 1e9:.2f} GB), from a file;",
        "each way in a process of its own, once, on a machine shared with others. Time: reading",
        "and fitting. Memory: the process's peak (`VmHWM`), Python and libraries included. Angle:",
        "the largest principal angle to the subspace that the first way found.",
        "",
        "| way | time | peak memory | angle |",
        "|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.f32"
        write_rows(rows, n_rows)
        first: np.ndarray | None = None
        for number, name in enumerate(WAYS):
            out = Path(folder) / f"{number}.npy"
            found = measure(name, rows, out)
            components = np.load(out)
            first = components if first is None else first
            angle = "" if components is first else f"{largest_angle(first, components):.1e} rad"
            figures = f"{found['seconds']:.1f} s | {found['bytes'] / 1e6:.0f} MB | {angle}"
            lines.append(f"| {name} | {figures} |")
            print(lines[-1], flush=True)
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        run_one(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else N_ROWS)
