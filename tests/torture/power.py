"""Power that fails: what was not made durable is lost in part, in any order.

All calls of an operation are recorded. At a cut, of each file only what an fsync of it followed is
sure to be there, of each folder only the names that an fsync of the folder followed. Of everything
else a random part survives, writes torn at their sectors. That is more than any file system loses.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cutpoint.features.store import FeatureStore
from cutpoint.products.predictor import load_predictor
from tests.torture.calls import Call, watched
from tests.torture.ground import Ground, answer
from tests.torture.kills import Unit, check_predictor, commits_told, committed, lost_of
from tests.torture.tally import LOST, WRONG, Tally
from tests.torture.trial import attempt, command, ended_well

SECTOR = 512
CHANGES = ("open", "write", "truncate", "fsync", "rename", "mkdir", "rmdir", "unlink")
DONE = "done"


@dataclass
class Recording:
    """What an operation did to a folder.

    Attributes
    ----------
    root : Path
    start : Files
        What was there before.
    events : list of Call, Unit or `DONE`
        A unit stands where its commit returned, `DONE` where the operation ended.
    before : list of Unit
        What was acknowledged before.
    """

    name: str
    root: Path
    start: dict[str, bytes | None]
    events: list[Any] = field(default_factory=list)
    before: list[Unit] = field(default_factory=list)


def run(ground: Ground, n_cuts: int, seed: int) -> Tally:
    """Cut the power `n_cuts` times, at random places of four operations."""
    tally, random_ = Tally("power"), random.Random(seed)
    recordings = [
        _record(ground, "extract", None, lambda path: ground.extract(path)),
        _record(ground, "extract more", ground.part, lambda path: ground.extract(path)),
        _record(
            ground,
            "rebuild",
            ground.store,
            lambda path: command("store", "verify", "--rebuild", path),
        ),
        _record(
            ground,
            "save",
            ground.predictors[0],
            lambda path: load_predictor(ground.predictors[1]).save(path),
        ),
    ]
    for number in range(n_cuts):
        _cut(ground, tally, recordings[number % len(recordings)], random_)
    return tally


# -- recording -----------------------------------------------------------------------------


def _record(
    ground: Ground, name: str, start: Path | None, work: Callable[[Path], Any]
) -> Recording:
    """Return all that `work` does to a copy of `start`."""
    root = ground.folder / f"recorded {name}"
    root.mkdir()
    place = root / "place"
    if start is not None:
        shutil.copytree(start, place)
    found = Recording(name, root, snapshot(root))
    if start is not None and name != "save":
        found.before = committed(start)

    def after(call: Call) -> None:
        if call.kind in CHANGES:
            found.events.append(call)

    with (
        commits_told(found.events.append),
        contextlib.redirect_stdout(io.StringIO()),
        watched((str(root),), after=after),
    ):
        ended_well(lambda: work(place))
    found.events.append(DONE)
    whole = Disk.after(found, len(found.events)).files(str(root), lambda: True)
    assert whole == snapshot(root), "a call that changed the disk was not seen"
    return found


def snapshot(root: Path) -> dict[str, bytes | None]:
    """Return path → bytes of all files below `root`; of folders, None."""
    found = sorted(root.rglob("*"))
    return {str(path): None if path.is_dir() else path.read_bytes() for path in found}


# -- what is on the disk -------------------------------------------------------------------


@dataclass
class Node:
    """A file or a folder: what is sure to survive, and what is not.

    Attributes
    ----------
    is_folder : bool
    data : bytes
        Of a file, what was synced.
    names : dict of name → Node
        Of a folder, likewise.
    pending : list of callables
        Changes that were not synced. Each is given the state and whether it is torn.
    """

    is_folder: bool
    data: bytearray = field(default_factory=bytearray)
    names: dict[str, Node] = field(default_factory=dict)
    pending: list[Any] = field(default_factory=list)

    def sync(self) -> None:
        for change in self.pending:
            change(self.names if self.is_folder else self.data)
        self.pending.clear()


class Disk:
    """A disk, call by call."""

    def __init__(self, root: str, start: dict[str, bytes | None]) -> None:
        self.live = {root: Node(True)}  # as running programs see it
        for path, data in start.items():
            node = Node(data is None, bytearray(data or b""))
            self.live[path] = node
            self._folder(path).names[os.path.basename(path)] = node

    @classmethod
    def after(cls, recording: Recording, n_events: int) -> Disk:
        disk = cls(str(recording.root), recording.start)
        for event in recording.events[:n_events]:
            if isinstance(event, Call):
                getattr(disk, f"_{event.kind}")(event)
        return disk

    def files(self, root: str, survives: Callable[[], bool]) -> dict[str, bytes | None]:
        """Return path → bytes of what is found when the power is back; of folders, None."""
        found: dict[str, bytes | None] = {}
        names = dict(self.live[root].names) if root in self.live else {}
        self._walk(self.live[root], root, survives, found)
        del names
        return found

    def _walk(
        self, folder: Node, path: str, survives: Callable[[], bool], found: dict[str, bytes | None]
    ) -> None:
        names = dict(folder.names)
        for change in folder.pending:
            if survives():
                change(names)
        for name, node in names.items():
            where = f"{path}/{name}"
            if node.is_folder:
                found[where] = None
                self._walk(node, where, survives, found)
            else:
                found[where] = _survived(node, survives)

    def _folder(self, path: str) -> Node:
        return self.live[os.path.dirname(path)]

    def _open(self, call: Call) -> None:
        if call.makes:
            self._add(call.path, Node(False))
        elif call.empties:
            self.live[call.path].pending.append(Truncation(0))

    def _mkdir(self, call: Call) -> None:
        self._add(call.path, Node(True))

    def _add(self, path: str, node: Node) -> None:
        self.live[path] = node
        self._folder(path).pending.append(Names({os.path.basename(path): node}))

    def _write(self, call: Call) -> None:
        self.live[call.path].pending.append(Write(call.offset, call.data))

    def _truncate(self, call: Call) -> None:
        self.live[call.path].pending.append(Truncation(call.offset))

    def _fsync(self, call: Call) -> None:
        self.live[call.path].sync()

    def _rename(self, call: Call) -> None:
        node = self.live[call.to] = self.live.pop(call.path)
        gone, new = {os.path.basename(call.path): None}, {os.path.basename(call.to): node}
        if self._folder(call.path) is self._folder(call.to):
            self._folder(call.to).pending.append(Names({**gone, **new}))
        else:  # two folders, each with its own fsync
            self._folder(call.to).pending.append(Names(new))
            self._folder(call.path).pending.append(Names(gone))

    def _unlink(self, call: Call) -> None:
        del self.live[call.path]
        self._folder(call.path).pending.append(Names({os.path.basename(call.path): None}))

    _rmdir = _unlink


@dataclass(frozen=True)
class Names:
    """Names that come, go (None), or both at once."""

    changed: dict[str, Node | None]

    def __call__(self, names: dict[str, Node]) -> None:
        for name, node in self.changed.items():
            if node is None:
                names.pop(name, None)
            else:
                names[name] = node


@dataclass(frozen=True)
class Write:
    """Bytes from an offset on."""

    offset: int
    data: bytes

    def __call__(self, content: bytearray) -> None:
        content.extend(bytes(max(0, self.offset - len(content))))
        content[self.offset : self.offset + len(self.data)] = self.data

    def sectors(self) -> list[Write]:
        """Return the writes it may be torn into, at the sectors of the file."""
        cuts = range(self.offset - self.offset % SECTOR, self.offset + len(self.data), SECTOR)
        starts = [max(cut, self.offset) - self.offset for cut in cuts]
        ends = [*starts[1:], len(self.data)]
        return [
            Write(self.offset + start, self.data[start:end])
            for start, end in zip(starts, ends, strict=True)
        ]


@dataclass(frozen=True)
class Truncation:
    """A new size."""

    size: int

    def __call__(self, content: bytearray) -> None:
        del content[self.size :]
        content.extend(bytes(self.size - len(content)))


def _survived(node: Node, survives: Callable[[], bool]) -> bytes:
    content = bytearray(node.data)
    for change in node.pending:
        for part in change.sectors() if isinstance(change, Write) else (change,):
            if survives():
                part(content)
    return bytes(content)


# -- cutting -------------------------------------------------------------------------------


def _cut(ground: Ground, tally: Tally, recording: Recording, random_: random.Random) -> None:
    n_events = random_.randrange(1, len(recording.events) + 1)
    share = random_.choice((0.0, 0.5, 0.9))  # of what was not synced, survives
    files = Disk.after(recording, n_events).files(
        str(recording.root), lambda: random_.random() < share
    )
    root = ground.folder / "cut"
    root.mkdir()
    for path, data in files.items():
        where = root / Path(path).relative_to(recording.root)
        where.mkdir() if data is None else where.write_bytes(data)
    events = recording.events[:n_events]
    tally.n_tried += 1
    tally.n_hit += DONE not in events
    when = f"after a power cut in {recording.name}"
    if recording.name == "save":
        check_predictor(ground, tally, root / "place", DONE in events, when)
    else:
        units = recording.before + [event for event in events if isinstance(event, tuple)]
        _check_store(ground, tally, root / "place", units, DONE in events, when)
    shutil.rmtree(root)


def _check_store(
    ground: Ground, tally: Tally, place: Path, units: list[Unit], is_done: bool, when: str
) -> None:
    def found() -> list[Any]:
        lost = lost_of(ground, place, units)
        read = answer(FeatureStore(place).open()) if is_done else ground.answers["all"]
        ended_well(lambda: ground.extract(place))
        return [lost, read, answer(FeatureStore(place).open())]

    opened = attempt(ground.folder, found)
    if not tally.check(opened.code == 0, LOST, f"{when} {opened.crash} {opened.said[-200:]}"):
        return
    lost, *answers = opened.value
    for what in lost:
        tally.add(LOST, f"{when}: {what}")
    tally.check(set(answers) == {ground.answers["all"]}, WRONG, f"rows {when}")
