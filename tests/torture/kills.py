"""Processes that are killed or interrupted, at any moment and before any call to the disk."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from cutpoint.features.store import FeatureStore, Receipt, verify_store
from cutpoint.products.predictor import load_predictor
from cutpoint.testing import FakeCut
from tests.torture.calls import Call, watched
from tests.torture.ground import Ground, answer, picture_id, predictions
from tests.torture.tally import CRASHED, LOST, WRONG, Tally
from tests.torture.trial import Outcome, attempt, command, ended_well, kill_after

INTERRUPTED = 130  # the exit code after Ctrl-C
PER_STORE = 5  # kills of a store before it is left to end: runs that resume are killed, too

Unit = tuple[str, str, list[str]]  # spec id, shard, payload digests


def run(ground: Ground, n_kills: int, seed: int) -> Tally:
    """Kill extractions, rebuilt catalogs and savings of predictors, `n_kills` in all."""
    tally, random_ = Tally("kills"), random.Random(seed)
    n_saves = n_rebuilds = n_kills // 5
    for number in range(-(-(n_kills - n_saves - n_rebuilds) // PER_STORE)):
        _kill_extractions(ground, tally, random_, ground.folder / f"killed{number}")
    for _ in range(n_rebuilds):
        _kill_rebuild(ground, tally, random_)
    for _ in range(n_saves):
        _kill_save(ground, tally, random_)
    return tally


# -- extraction ----------------------------------------------------------------------------


def _kill_extractions(ground: Ground, tally: Tally, random_: random.Random, store: Path) -> None:
    log = store.with_suffix(".acknowledged")
    for _ in range(PER_STORE):
        kind = random_.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGINT))
        ended = _killed(ground, random_, kind, 300, store, lambda: logged(log, ground, store))
        tally.n_tried += 1
        tally.n_hit += ended.code in (-signal.SIGKILL, INTERRUPTED)
        if kind == signal.SIGINT:
            is_told = ended.code in (0, INTERRUPTED) and "Traceback" not in ended.said
            tally.check(is_told, CRASHED, f"interrupted extract {ended.crash}")
            _check_interrupted(ground, tally, store)
        _check_acknowledged(ground, tally, store, log)
    _check_resumed(ground, tally, store, log)
    shutil.rmtree(store)


def _killed(
    ground: Ground,
    random_: random.Random,
    kind: int,
    n_calls: int,
    where: Path,
    work: Callable[[], Any],
) -> Outcome:
    """Kill `work` at a random moment or, where that is possible, before a random call."""
    if kind == signal.SIGKILL and random_.random() < 0.7:
        number = random_.randrange(n_calls)
        return attempt(ground.folder, lambda: killed_at(number, where, work))
    seconds = random_.uniform(0, ground.run_s)
    return attempt(ground.folder, work, kill_after(seconds, kind))


def killed_at(number: int, where: Path, work: Callable[[], Any]) -> Any:
    """Do `work` and die before the call of that number."""
    left = number

    def before(call: Call) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    with watched((str(where),), before):
        return work()


def logged(log: Path, ground: Ground, store: Path) -> None:
    """Extract, and write down each unit whose commit returned."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with commits_told(lambda unit: os.write(handle, f"{json.dumps(unit)}\n".encode())):
        ground.extract(store)


@contextmanager
def commits_told(tell: Callable[[Unit], object]) -> Iterator[None]:
    """Tell each unit as soon as its commit has returned."""
    commit = FeatureStore.commit

    def told(self: FeatureStore, *args: Any, **named: Any) -> None:
        commit(self, *args, **named)
        for each in (*args, *named.values()):
            if isinstance(each, Receipt):
                tell((each.spec_id, each.name, list(each.digests)))

    with mock.patch.object(FeatureStore, "commit", told):
        yield


def acknowledged(log: Path) -> list[Unit]:
    """Return (spec id, shard, payload digests) of the units whose commit returned."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [tuple(json.loads(line)) for line in lines]


def lost_of(ground: Ground, store: Path, units: list[Unit]) -> list[str]:
    """Return which of the units' rows are gone, or not bit for bit what they were."""
    if not units:
        return []
    opened = FeatureStore(store)
    lost = []
    for spec_id, shard, digests in units:
        places = opened.places(spec_id)
        path = opened.shard_path(spec_id, shard)
        if not path.exists() or not path.name.startswith(_sha256(path)[:32]):
            lost.append("an acknowledged shard")
        lost += ["an acknowledged row" for digest in digests if digest not in places]
    damaged = verify_store(opened).damaged
    return lost + [f"damaged: {what}" for _, what in damaged]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _check_interrupted(ground: Ground, tally: Tally, store: Path) -> None:
    """What was computed before Ctrl-C is committed; a kill may leave a shard uncommitted."""
    before = set(store.glob("shards/*/*.safetensors")) if store.exists() else set()
    named = attempt(ground.folder, lambda: [unit[1] for unit in committed(store)] if before else [])
    if named.code == 0:
        left = {path.name for path in before} - set(named.value)
        tally.check(not left, LOST, f"{len(left)} units computed before Ctrl-C")


def _check_acknowledged(ground: Ground, tally: Tally, store: Path, log: Path) -> None:
    opened = attempt(ground.folder, lambda: lost_of(ground, store, acknowledged(log)))
    if tally.check(opened.code == 0, CRASHED, f"open after a kill {opened.crash}{opened.said}"):
        for what in opened.value:
            tally.add(LOST, f"after a killed extract: {what}")


def _check_resumed(ground: Ground, tally: Tally, store: Path, log: Path) -> None:
    """Let the extraction end; nothing acknowledged may go through the network again."""
    before = {digest for _, _, digests in acknowledged(log) for digest in digests}
    resumed = attempt(ground.folder, lambda: counted(ground, store))
    if not tally.check(resumed.code == 0, CRASHED, f"resumed extract {resumed.crash}"):
        return
    found, seen = resumed.value
    tally.check(not before & set(seen), LOST, "an acknowledged row was computed again")
    tally.check(found == ground.answers["all"], WRONG, "rows after kills and a resumed extract")
    left = list(store.rglob("*.tmp"))
    tally.check(not left, LOST, "half-written files stay behind")


def counted(ground: Ground, store: Path) -> tuple[str, list[str]]:
    """Extract; return the answer, and the payloads that went through the network."""
    seen: list[str] = []
    run_cut = FakeCut.__call__

    def watched_cut(self: FakeCut, batch: Any) -> Any:
        seen.extend(ground.payload_of.get(picture_id(row), "") for row in batch["image"])
        return run_cut(self, batch)

    FakeCut.__call__ = watched_cut  # type: ignore[method-assign]  # of this fork alone
    ended_well(lambda: ground.extract(store))
    return answer(FeatureStore(store).open()), seen


# -- a rebuilt catalog ---------------------------------------------------------------------


def _kill_rebuild(ground: Ground, tally: Tally, random_: random.Random) -> None:
    store = ground.folder / "rebuilt"
    shutil.copytree(ground.store, store)
    units = committed(store)
    work = lambda: command("store", "verify", "--rebuild", store)  # noqa: E731
    ended = _killed(ground, random_, signal.SIGKILL, 300, store, work)
    tally.n_tried += 1
    tally.n_hit += ended.code == -signal.SIGKILL
    opened = attempt(ground.folder, lambda: lost_of(ground, store, units))
    if tally.check(opened.code == 0, CRASHED, f"open after a killed rebuild {opened.crash}"):
        for what in opened.value:
            tally.add(LOST, f"after a killed rebuild: {what}")
    _check_read(ground, tally, store, "after a killed rebuild")
    shutil.rmtree(store)


def committed(store: Path) -> list[Unit]:
    """Return (spec id, shard, payload digests) of all that a whole store's catalog names."""
    opened = FeatureStore(store)
    units = []
    for row in opened.catalog.shards():
        places = opened.places(row.spec_id)
        own = [digest for digest, place in places.items() if place.shard == row.name]
        units.append((row.spec_id, row.name, own))
    return units


def _check_read(ground: Ground, tally: Tally, store: Path, when: str) -> None:
    read = attempt(ground.folder, lambda: answer(FeatureStore(store).open()))
    tally.check(not read.crash, CRASHED, f"read {when} {read.crash}")
    if read.code == 0:
        tally.check(read.value == ground.answers["all"], WRONG, f"rows {when}")


# -- a saved predictor ---------------------------------------------------------------------


def _kill_save(ground: Ground, tally: Tally, random_: random.Random) -> None:
    old, new = ground.predictors
    target = ground.folder / "target.cutpoint"
    shutil.copytree(old, target)
    predictor = load_predictor(new)
    ended = _killed(ground, random_, signal.SIGKILL, 24, target, lambda: predictor.save(target))
    tally.n_tried += 1
    tally.n_hit += ended.code == -signal.SIGKILL
    check_predictor(ground, tally, target, ended.code == 0, "after a killed save")
    shutil.rmtree(target)


def check_predictor(ground: Ground, tally: Tally, path: Path, is_saved: bool, when: str) -> None:
    """Check that a predictor is the older or the newer one; after its saving, the newer one."""
    loaded = attempt(ground.folder, lambda: predictions(ground, path))
    if not tally.check(not loaded.crash, CRASHED, f"predict {when} {loaded.crash}"):
        return
    if tally.check(loaded.code == 0, LOST, f"no predictor {when}: {loaded.said[:200]}"):
        allowed = ground.predicted[1:] if is_saved else ground.predicted
        tally.check(loaded.value in allowed, WRONG, f"predictions {when}")
