"""Change the sources in small ways and count which changes the tests of the same path notice.

``python -m tests.mutation [--seed N] [--count N] [--processes N] [--under gram/]``. Sources are
changed in copies. What was found is kept in ``build/mutation`` and not computed again while source
and tests are the same. Changes that change nothing stand in ``equivalent.txt``, with the reason.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import os
import queue
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from coverage import CoverageData

from tests.mutation.covered import OPTIONS, tests_of
from tests.mutation.mutants import Mutant, sample
from tests.mutation.paths import PACKAGE, ROOT, own_tests

KEPT = ROOT / "build" / "mutation" / "results.jsonl"
EQUIVALENT = Path(__file__).with_name("equivalent.txt")
LIMIT_S = 120  # of the processor: what else runs on the machine decides nothing
WHOLE_LIMIT_S = 1200  # of all tests of a source, on the source as it is
PATIENCE = 8  # times that on the clock, of a mutant that waits for ever
GOAL = 0.85
KILLED, SURVIVED, TAKEN_OUT = "killed", "survived", "equivalent"
PYTEST = ("-m", "pytest", "-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider")
PYTEST += ("-m", "not shared")  # real data and networks take minutes, and notice little more


class Copy:
    """A copy of the sources, one file of which is changed at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "src"
        shutil.copytree(ROOT / "src", self.folder, ignore=shutil.ignore_patterns("__pycache__"))
        self.coverage = folder / "coverage"
        self._stamp = time.time()

    def covered(self, tests: tuple[str, ...]) -> CoverageData | None:
        """Return which test runs which line; None if they fail on the source as it is."""
        if not self.passes((*OPTIONS, *tests), WHOLE_LIMIT_S):
            return None
        data = CoverageData(str(self.coverage))
        data.read()
        return data

    def source(self, module: str) -> Path:
        return self.folder / Path(PACKAGE).name / module

    def write(self, module: str, text: str) -> None:
        """Change a file. Its time is new, so that no compiled one is taken for it."""
        path = self.source(module)
        path.write_text(text)
        self._stamp += 2
        os.utime(path, (self._stamp, self._stamp))

    def passes(self, tests: Sequence[str], limit_s: int = LIMIT_S) -> bool | None:
        """Say whether tests pass on this copy; None if they take too long."""
        paths = os.pathsep.join((str(self.folder), str(ROOT)))
        settings = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        settings["COVERAGE_FILE"] = str(self.coverage)
        with tempfile.TemporaryDirectory(prefix="mutation-") as scratch:
            command = [sys.executable, *PYTEST, f"--basetemp={scratch}/tests", *tests]
            try:
                done = subprocess.run(
                    command,
                    cwd=ROOT,
                    env=settings,
                    capture_output=True,
                    timeout=PATIENCE * limit_s,
                    preexec_fn=partial(_limit, limit_s),
                )
            except subprocess.TimeoutExpired:
                return None
        return None if done.returncode == -signal.SIGXCPU else done.returncode == 0


def _limit(seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))


@dataclass
class Run:
    """Judges mutants, several at a time, each on a copy of its own."""

    copies: queue.Queue[Copy]
    kept: dict[str, str]
    covered: dict[tuple[str, ...], tuple[Path, CoverageData]] = field(default_factory=dict)
    locks: defaultdict[tuple[str, ...], threading.Lock] = field(
        default_factory=lambda: defaultdict(threading.Lock)
    )

    def judge(self, mutant: Mutant) -> str:
        """Return `KILLED` or `SURVIVED`."""
        tests = own_tests(mutant.module)
        key = _key(mutant, tests)
        if key not in self.kept:
            copy = self.copies.get()
            try:
                found = self._on(copy, mutant, tests)
            finally:
                self.copies.put(copy)
            self._keep(key, mutant, found)
        return self.kept[key]

    def _on(self, copy: Copy, mutant: Mutant, tests: tuple[str, ...]) -> str:
        with self.locks[tests]:  # once, though several wait for it
            if tests not in self.covered:
                data = copy.covered(tests)
                if data is None:
                    raise SystemExit(f"these tests fail, or take too long, as they are: {tests}")
                self.covered[tests] = copy.folder, data
        folder, data = self.covered[tests]
        ran = folder / copy.source(mutant.module).relative_to(copy.folder)
        judges = tests_of(mutant, data, ran, tests)
        original = (ROOT / PACKAGE / mutant.module).read_text()
        copy.write(mutant.module, mutant.text)
        try:
            # Tests that end in time on the whole sources and hang on the mutant have noticed it;
            # whole files of tests may take longer than that by themselves.
            limit_s = LIMIT_S if judges != list(tests) else WHOLE_LIMIT_S
            return SURVIVED if copy.passes(judges, limit_s) else KILLED
        finally:
            copy.write(mutant.module, original)

    def _keep(self, key: str, mutant: Mutant, found: str) -> None:
        with self.locks[()]:
            self.kept[key] = found
            with KEPT.open("a") as file:
                print(json.dumps({"key": key, "name": mutant.name, "found": found}), file=file)
            print(f"{found}: {mutant.name}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--under", default="", help="of the package, a folder or a file")
    given = parser.parse_args()
    reasons = equivalent()
    chosen = sample(ROOT / PACKAGE, given.count, given.seed, given.under)
    left = [mutant for mutant in chosen if mutant.name not in reasons]
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        run = Run(queue.Queue(), _kept())
        for number in range(given.processes):
            run.copies.put(Copy(Path(folder) / str(number)))
        with ThreadPoolExecutor(given.processes) as pool:
            found = dict(zip(left, pool.map(run.judge, left), strict=True))
    found |= {mutant: TAKEN_OUT for mutant in chosen if mutant.name in reasons}
    print(_report(found, given.seed))
    return 0 if _share(list(found.values())) >= GOAL else 1


def equivalent() -> dict[str, str]:
    """Return name → reason of the changes that change nothing; a reason is indented."""
    found: dict[str, str] = {}
    name = ""
    for line in EQUIVALENT.read_text().splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line.startswith(" "):
            found[name] = f"{found[name]} {line.strip()}".strip()
        else:
            name = line
            found[name] = ""
    return found


def _key(mutant: Mutant, tests: tuple[str, ...]) -> str:
    """Return what a result holds for: the changed source, and the tests."""
    parts = [mutant.text.encode(), *((ROOT / test).read_bytes() for test in tests)]
    return hashlib.sha256(b"\0".join([mutant.module.encode(), *parts])).hexdigest()[:32]


def _kept() -> dict[str, str]:
    lines = KEPT.read_text().splitlines() if KEPT.exists() else []
    found = [json.loads(line) for line in lines]
    return {each["key"]: each["found"] for each in found if each["found"] in (KILLED, SURVIVED)}


def _share(found: list[str]) -> float:
    judged = [each for each in found if each != TAKEN_OUT]
    return judged.count(KILLED) / len(judged) if judged else 1.0


def _report(found: dict[Mutant, str], seed: int) -> str:
    """Return counts by folder as a Markdown table, and each survivor as a diff."""
    folders: dict[str, list[str]] = defaultdict(list)
    for mutant, verdict in found.items():
        folders[mutant.module.partition("/")[0]].append(verdict)
    kinds = (KILLED, SURVIVED, TAKEN_OUT)
    lines = ["", f"| of seed {seed} | mutants | {' | '.join(kinds)} | share killed |"]
    lines.append("|" + " --- |" * (len(kinds) + 3))
    rows = [*sorted(folders.items()), ("all", list(found.values()))]
    for name, verdicts in rows:
        counts = " | ".join(str(verdicts.count(kind)) for kind in kinds)
        lines.append(f"| {name} | {len(verdicts)} | {counts} | {_share(verdicts):.0%} |")
    survivors = [mutant for mutant, verdict in found.items() if verdict == SURVIVED]
    return "\n".join([*lines, *map(_diff, survivors)])


def _diff(mutant: Mutant) -> str:
    original = (ROOT / PACKAGE / mutant.module).read_text()
    lines = difflib.unified_diff(original.splitlines(), mutant.text.splitlines(), lineterm="", n=2)
    return "\n".join(["", mutant.name, *list(lines)[2:]])


if __name__ == "__main__":
    sys.exit(main())
