"""I1: killed at any instant, the store opens and keeps every acknowledged unit bit for bit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from cutpoint.features.store import FeatureStore, verify_store
from cutpoint.features.store.shard import read_header
from tests.unit.features.store.helpers import CountingBackbone, fill, images, same

N_ITEMS = 80 * 16
N_KILLS = 40

# One process makes many short-lived writers by fork, so a kill costs milliseconds, not an import.
# Small units make many commits, so that kills land before, in and after them.
DRIVER = """
import json, os, random, signal, sys, time
from pathlib import Path
import cutpoint.features.extraction.plan as plan
plan.UNIT_SIZE = 16
from tests.unit.features.store.helpers import fill, images
from cutpoint.features.store import FeatureStore, verify_store

path, n_kills, n_items = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
batch = images(n_items)
random.seed(7)
fill(path / "warm", batch[:16], n_workers=1)  # what is imported late is imported now, not a fork
start = time.perf_counter()
pid = os.fork()
if pid == 0:
    fill(path / "timing", batch, n_workers=1)
    os._exit(0)
os.waitpid(pid, 0)
whole_s = time.perf_counter() - start
log = []
for number in range(n_kills):
    target = path / "store"
    if number % 8 == 0:  # begin anew, so that every stage of a run is hit
        target = path / f"store{number}"
        current = target
    pid = os.fork()
    if pid == 0:
        fill(current, batch, n_workers=1)
        os._exit(0)
    time.sleep(random.uniform(0, whole_s / 2.5))
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    store = FeatureStore(current)
    report = verify_store(store)
    specs = store.catalog.specs() if store.catalog.exists() else {}
    n_known = sum(len(store.places(spec)) for spec in specs)
    hot = (current / "catalog.sqlite-journal").exists()
    log.append([os.WIFSIGNALED(status), report.n_rows, n_known, len(report.damaged), hot])
print(json.dumps(log))
"""


def test_i1_forty_kills_lose_nothing_acknowledged(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DRIVER, str(tmp_path), str(N_KILLS), str(N_ITEMS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=500)
    log = json.loads(done.stdout.splitlines()[-1])
    assert len(log) == N_KILLS
    assert sum(killed for killed, *_ in log) >= N_KILLS // 2, "too few kills hit a running writer"
    assert all(n_damaged == 0 for *_, n_damaged, _ in log)
    assert all(n_rows == n_known for _, n_rows, n_known, _, _ in log)
    assert any(0 < n_rows < N_ITEMS for _, n_rows, *_ in log), "no kill hit the middle of a run"
    for start in range(0, N_KILLS, 8):  # within one store, acknowledged rows only grow
        counts = [n_rows for _, n_rows, *_ in log[start : start + 8]]
        assert counts == sorted(counts)
    reference = fill(tmp_path / "reference", images(N_ITEMS)).features
    for start in range(0, N_KILLS, 8):
        store = FeatureStore(tmp_path / f"store{start}")
        acknowledged = log[start + 7][1]
        left = [store.path / "shards" / name for name in verify_store(store).orphans]
        n_left = sum(len(read_header(path)[1]) for path in left)  # written, not yet committed
        counting = CountingBackbone()
        resumed = fill(store.path, images(N_ITEMS), counting)
        # I2: neither committed units are redone, nor whole ones that the kill left uncommitted.
        assert resumed.n_forward == N_ITEMS - acknowledged - n_left
        same(resumed.features, reference)
        assert verify_store(store).is_whole
        assert not list(store.path.rglob("*.tmp"))
