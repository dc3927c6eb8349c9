"""Calls to the disk that fail: each in turn, once or from then on."""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutpoint.features.store import FeatureStore
from cutpoint.products.predictor import load_predictor
from tests.torture.calls import Call, watched
from tests.torture.ground import Ground, answer, predictions
from tests.torture.kills import acknowledged, check_predictor, committed, logged, lost_of
from tests.torture.tally import CRASHED, LOST, WRONG, Tally
from tests.torture.trial import attempt, command, ended_well

# What each call is known to fail with; see its manual page.
ERRORS = {
    "open": (errno.EIO, errno.EMFILE, errno.EACCES, errno.ENOMEM),
    "list": (errno.EIO, errno.EMFILE, errno.EACCES, errno.ENOMEM),
    "read": (errno.EIO, errno.ENOMEM),
    "stat": (errno.EIO, errno.EACCES, errno.ENOMEM),
    "mmap": (errno.EIO, errno.EMFILE, errno.EACCES, errno.ENOMEM),
    "lock": (errno.EIO,),
    "write": (errno.EIO, errno.ENOSPC),
    "truncate": (errno.EIO, errno.ENOSPC),
    "fsync": (errno.EIO, errno.ENOSPC),
    "mkdir": (errno.EIO, errno.EACCES, errno.ENOSPC),
    "rename": (errno.EIO, errno.EACCES, errno.ENOSPC),
    "rmdir": (errno.EIO, errno.EACCES),
    "unlink": (errno.EIO, errno.EACCES),
}


@dataclass(frozen=True)
class Operation:
    """What is done while the disk fails.

    Attributes
    ----------
    name : str
    start : Path or None
        What is copied to where it is done; nothing is there if None.
    work : callable
        Given that place and a file for what is acknowledged; returns an answer, or None.
    answers : tuple
        What `work` may return.
    """

    name: str
    start: Path | None
    work: Callable[[Path, Path], Any]
    answers: tuple[Any, ...] = (None,)


def operations(ground: Ground) -> list[Operation]:
    """Return all that touches a store or a predictor."""
    whole, part = ground.store, ground.part
    old, new = ground.predictors
    newer = load_predictor(new)
    right = (ground.answers["all"],)
    return [
        Operation("extract", None, lambda path, log: logged(log, ground, path)),
        Operation("extract more", part, lambda path, log: logged(log, ground, path)),
        Operation("extract again", whole, lambda path, log: logged(log, ground, path)),
        Operation("read", whole, lambda path, log: answer(FeatureStore(path).open()), right),
        Operation("info", whole, lambda path, log: command("store", "info", path)),
        Operation("verify", whole, lambda path, log: command("store", "verify", path)),
        Operation(
            "rebuild", whole, lambda path, log: command("store", "verify", "--rebuild", path)
        ),
        Operation("save", old, lambda path, log: newer.save(path)),
        Operation(
            "predict", new, lambda path, log: predictions(ground, path), ground.predicted[1:]
        ),
    ]


def run(ground: Ground, step: int, seed: int) -> Tally:
    """Let one of `step` calls of each operation fail."""
    tally, random_ = Tally("faults"), random.Random(seed)
    for operation in operations(ground):
        n_calls = _count(ground, operation)
        for number in range(random_.randrange(step), n_calls, step):
            _fail(ground, tally, operation, number, random_)
    return tally


def _count(ground: Ground, operation: Operation) -> int:
    """Return how many calls the operation makes undisturbed."""
    place, log = _prepare(ground, operation)
    calls: list[Call] = []

    def counted() -> int:
        with watched(_roots(ground, operation, place), calls.append):
            ended_well(lambda: operation.work(place, log))
        return len(calls)

    found = attempt(ground.folder, counted)
    assert found.code == 0, found.said
    return int(found.value)


def _prepare(ground: Ground, operation: Operation) -> tuple[Path, Path]:
    """Return the place of the operation, made anew, and the file for what is acknowledged."""
    place, log = ground.folder / "failing", ground.folder / "failing.acknowledged"
    shutil.rmtree(place, ignore_errors=True)
    log.unlink(missing_ok=True)
    if operation.start is not None:
        shutil.copytree(operation.start, place)
    return place, log


def _roots(ground: Ground, operation: Operation, place: Path) -> tuple[str, ...]:
    """Return the folders whose disk fails; those of pictures and temporary files, too."""
    others = ("tmp",) if operation.name == "predict" else ("tmp", "data")  # it names bad pictures
    return (str(place), *(str(ground.folder / other) for other in others))


class _BrokenDisk:
    """Lets one call fail; if it is lasting, that call and all after it that can fail so."""

    def __init__(self, number: int, wish: float, is_lasting: bool) -> None:
        self.left, self.wish, self.is_lasting = number, wish, is_lasting
        self.code, self.hit = 0, ""

    def __call__(self, call: Call) -> None:
        self.left -= 1
        if self.left == -1:
            errors = ERRORS[call.kind]
            self.code = errors[int(self.wish * len(errors))]
            lasting = "from then on" if self.is_lasting else "once"
            self.hit = f"{errno.errorcode[self.code]} {lasting} at {call.by} {call.kind}"
        if self.left == -1 or (self.left < 0 and self._lasts(call)):
            raise OSError(self.code, os.strerror(self.code), call.path)

    def _lasts(self, call: Call) -> bool:
        return self.is_lasting and self.code in ERRORS[call.kind]


def _fail(
    ground: Ground, tally: Tally, operation: Operation, number: int, random_: random.Random
) -> None:
    place, log = _prepare(ground, operation)
    wish, is_lasting = random_.random(), random_.random() < 0.3

    def failing() -> Any:
        broken = _BrokenDisk(number, wish, is_lasting)
        try:
            with watched(_roots(ground, operation, place), broken):
                return [operation.work(place, log), broken.hit]
        finally:
            print(f"\nhit: {broken.hit}", flush=True)

    ended = attempt(ground.folder, failing)
    what = ended.said.rpartition("hit: ")[2].strip().splitlines()[0]
    tally.n_tried += 1
    tally.n_hit += bool(what)
    how = f"{what or 'nothing'} in {operation.name}"
    tally.check(not ended.crash, CRASHED, f"{how}: {ended.crash}")
    if ended.code == 0 and ended.value and ended.value[0] is not None:
        tally.check(ended.value[0] in operation.answers, WRONG, f"answer after {how}")
    _check_healed(ground, tally, operation, place, log, ended.code == 0, how)


def _check_healed(
    ground: Ground,
    tally: Tally,
    operation: Operation,
    place: Path,
    log: Path,
    is_done: bool,
    how: str,
) -> None:
    """The disk works again: all that was there is there, and the same command ends well."""
    if operation.name in ("save", "predict"):
        is_saved = is_done or operation.name == "predict"
        check_predictor(ground, tally, place, is_saved, f"after {how}")
        return
    units = acknowledged(log) + (committed(operation.start) if operation.start else [])

    def healed() -> list[Any]:
        lost = lost_of(ground, place, units)
        ended_well(lambda: ground.extract(place))
        return [lost, answer(FeatureStore(place).open())]

    found = attempt(ground.folder, healed)
    if tally.check(found.code == 0, LOST, f"no way on after {how}: {found.said[-300:]}"):
        for what in found.value[0]:
            tally.add(LOST, f"after {how}: {what}")
        tally.check(found.value[1] == ground.answers["all"], WRONG, f"rows after {how}")
