"""Stores of ragged rows, shard format 2: killed while they are written, and damaged by chance."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
from pathlib import Path
from typing import Any

from cutpoint.features.store import FeatureStore, verify_store
from tests.torture.damages import BY_CHANCE
from tests.torture.ground import Ground
from tests.torture.kills import acknowledged, commits_told, killed_at
from tests.torture.tally import CRASHED, LOST, WRONG, Tally
from tests.torture.trial import attempt, command
from tests.unit.features.store.ragged import fill_ragged, sentences

N_ITEMS = 40
_N_CALLS = 300  # to the disk that a whole run makes, about
_IDS = sentences(N_ITEMS)[0]


def run(ground: Ground, n_trials: int, seed: int) -> Tally:
    """Kill writers and damage stores, `n_trials` in all."""
    tally, random_ = Tally("ragged"), random.Random(seed)
    whole = ground.folder / "ragged"
    made = attempt(ground.folder, lambda: _filled(whole))
    assert made.code == 0, made.said
    for number in range(n_trials):
        tally.n_tried += 1
        store = ground.folder / "ragged-now"
        if number % 2:
            _kill(ground, tally, random_, store, made.value)
        else:
            shutil.copytree(whole, store)
            _damage(ground, tally, random_, store, made.value)
        shutil.rmtree(store, ignore_errors=True)
    return tally


def _filled(store: Path) -> str:
    fill_ragged(store, _IDS)
    return _answer(store)


def _answer(store: Path) -> str:
    """Return the digest of all rows, with their shapes and keys."""
    features, digest = FeatureStore(store).open(), hashlib.sha256()
    for tap in features.taps:
        for key, row in zip(features.keys, features.rows(tap), strict=True):
            digest.update(f"{key} {row.shape} {row.dtype}".encode() + row.tobytes())
    return digest.hexdigest()


def _kill(ground: Ground, tally: Tally, random_: random.Random, store: Path, expected: str) -> None:
    log = ground.folder / "ragged.acknowledged"
    log.unlink(missing_ok=True)

    def fill() -> None:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with commits_told(lambda unit: os.write(handle, f"{json.dumps(unit)}\n".encode())):
            fill_ragged(store, _IDS)

    number = random_.randrange(_N_CALLS)
    ended = attempt(ground.folder, lambda: killed_at(number, store, fill))
    tally.n_hit += ended.code == -signal.SIGKILL
    looked = attempt(ground.folder, lambda: _known(store))
    if tally.check(not looked.crash, CRASHED, f"verify after a kill: {looked.crash}"):
        known = looked.value or []
        lost = [digest for *_, unit in acknowledged(log) for digest in unit if digest not in known]
        tally.check(not lost, LOST, f"{len(lost)} acknowledged rows after a kill")
    more = attempt(ground.folder, lambda: _filled(store))
    tally.check(more.value == expected, WRONG, f"rows after a kill: {more.said[-200:]}")


def _known(store: Path) -> list[str]:
    """Return the payloads of a store, which must be whole."""
    found = FeatureStore(store)
    if not found.exists():
        return []
    assert verify_store(found).is_whole
    return [digest for spec_id in found.catalog.specs() for digest in found.places(spec_id)]


def _damage(
    ground: Ground, tally: Tally, random_: random.Random, store: Path, expected: str
) -> None:
    what = random_.choice(BY_CHANCE)(store, random_)
    before = _files(store)
    read = attempt(ground.folder, lambda: _answer(store))
    tally.check(not read.crash, CRASHED, f"read with {what}: {read.crash}")
    tally.check(read.value in (None, expected), WRONG, f"rows read with {what}")
    tally.n_hit += read.value is None
    tally.check(_files(store) == before, LOST, f"reading writes, with {what}")
    words: list[Any] = random_.choice(([], ["--rebuild"], ["--mend"]))
    told = attempt(ground.folder, lambda: command("store", "verify", *words, store))
    tally.check(not told.crash, CRASHED, f"verify {words} with {what}: {told.crash}")
    more = attempt(ground.folder, lambda: _filled(store))
    tally.check(not more.crash, CRASHED, f"extract with {what}: {more.crash}")
    tally.check(more.value in (None, expected), WRONG, f"rows after extract with {what}")
    tally.check(more.code != 0 or more.value == expected, LOST, f"rows with {what}")


def _files(store: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in store.rglob("*") if path.is_file()}
