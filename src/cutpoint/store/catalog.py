"""Which row of which shard describes which payload: one SQLite file."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.request import pathname2url

import numpy as np

from cutpoint.errors import StoreError
from cutpoint.spec import FeatureSpec, canonical_json
from cutpoint.store.shard import Receipt
from cutpoint.types import Array

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE specs (
    spec_id TEXT PRIMARY KEY, json TEXT NOT NULL);
CREATE TABLE shards (
    spec_id TEXT NOT NULL, name TEXT NOT NULL, sha256 TEXT NOT NULL, n_bytes INTEGER NOT NULL,
    n_rows INTEGER NOT NULL, engine TEXT NOT NULL, PRIMARY KEY (spec_id, name));
CREATE TABLE rows (
    spec_id TEXT NOT NULL, digest BLOB NOT NULL, shard TEXT NOT NULL, row INTEGER NOT NULL,
    PRIMARY KEY (spec_id, digest)) WITHOUT ROWID;
CREATE TABLE engines (
    spec_id TEXT NOT NULL, engine TEXT NOT NULL, cosine REAL NOT NULL,
    relative_error REAL NOT NULL, engine_s REAL NOT NULL, prepare_s REAL NOT NULL,
    row_bytes INTEGER NOT NULL, PRIMARY KEY (spec_id, engine));
CREATE TABLE remarks (
    spec_id TEXT NOT NULL, digest BLOB NOT NULL, kind TEXT NOT NULL, remark TEXT NOT NULL,
    PRIMARY KEY (spec_id, digest, kind, remark)) WITHOUT ROWID;
"""
# Not in the first schema: made when the first view is saved, passed over by releases without it.
_VIEWS = """CREATE TABLE IF NOT EXISTS views (
    number INTEGER PRIMARY KEY, view TEXT NOT NULL UNIQUE, name TEXT NOT NULL)"""
_SCAN_FROM = 5  # rows of a spec to each that is looked for; below, one pass over all is faster
_AT_ONCE = 500  # digests a query; SQLite takes 999 values in all its versions
BAD, NOTE = "bad", "note"
Remark = tuple[str, str, str]  # payload digest, kind, text


@dataclass(frozen=True)
class Place:
    """Where a payload's features lie."""

    shard: str
    row: int


@dataclass(frozen=True)
class ShardRow:
    """What the catalog knows of a shard."""

    spec_id: str
    name: str
    sha256: str
    n_bytes: int
    n_rows: int
    engine: str


@dataclass(frozen=True)
class Places:
    """Where the rows of many payloads lie.

    Attributes
    ----------
    names, sha256 : tuple of str
        Of each shard; no sha256, where the catalog has rows of a shard it does not know.
    shard : int array of shape (n_payloads,)
        Number of its shard; -1 where the catalog has no row.
    row : int array of shape (n_payloads,)
        Row in the shard.
    """

    names: tuple[str, ...]
    sha256: tuple[str, ...]
    shard: Array
    row: Array


@dataclass(frozen=True)
class EngineRecord:
    """An engine that passed the parity gate for a spec, and how fast it was then.

    `engine_s` and `prepare_s` are seconds an item in one thread; `row_bytes` bytes an item.
    """

    engine: str
    cosine: float
    relative_error: float
    engine_s: float
    prepare_s: float
    row_bytes: int


class Catalog:
    """The SQLite file of a store. Reading opens it read-only and leaves no trace: I11."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        return self.path.exists()

    def specs(self) -> dict[str, str]:
        """Return spec id → JSON."""
        with self._reading() as db:
            return dict(db.execute("SELECT spec_id, json FROM specs ORDER BY spec_id"))

    def shards(self, spec_id: str | None = None) -> list[ShardRow]:
        query = "SELECT spec_id, name, sha256, n_bytes, n_rows, engine FROM shards"
        where, values = ("", ()) if spec_id is None else (" WHERE spec_id = ?", (spec_id,))
        with self._reading() as db:
            found = db.execute(f"{query}{where} ORDER BY spec_id, name", values)
            return [ShardRow(*row) for row in found]

    def places(self, spec_id: str) -> dict[str, Place]:
        """Return payload digest → place, for all rows of a spec."""
        query = "SELECT digest, shard, row FROM rows WHERE spec_id = ?"
        with self._reading() as db:
            found = db.execute(query, (spec_id,))
            return {digest.hex(): Place(shard, row) for digest, shard, row in found}

    def find(self, spec_id: str, digests: Array) -> Places:
        """Return where payloads' features lie, rows and shards of one moment.

        Parameters
        ----------
        digests : uint8 array of shape (n_payloads, 32)
        """
        wanted, back = np.unique(_as_keys(digests), return_inverse=True)
        try:
            found = self._find(spec_id, wanted)
        except (TypeError, ValueError, OverflowError) as error:  # no numbers where they should be
            raise self._failed("read", error) from error
        return replace(found, shard=found.shard[back], row=found.row[back])

    def _find(self, spec_id: str, wanted: Array) -> Places:
        shard, row = np.full(len(wanted), -1, np.int32), np.zeros(len(wanted), np.int32)
        with self._reading() as db:
            db.execute("BEGIN")  # what another process commits meanwhile is not seen in part
            query = "SELECT name, sha256, n_rows FROM shards WHERE spec_id = ? ORDER BY name"
            shards = db.execute(query, (spec_id,)).fetchall()
            number = {name: place for place, (name, _, _) in enumerate(shards)}
            known = {name: str(sha256) for name, sha256, _ in shards}
            n_rows = sum(int(n) for _, _, n in shards)
            for part in _found(db, spec_id, wanted, is_scan=n_rows < _SCAN_FROM * len(wanted)):
                keys, names, rows = zip(*part, strict=True)
                at, is_hit = _matches(wanted, keys)
                shard[at] = np.array([number.setdefault(n, len(number)) for n in names])[is_hit]
                row[at] = np.array(rows, np.int32)[is_hit]
        sha256 = tuple(known.get(name, "") for name in number)
        return Places(tuple(map(str, number)), sha256, shard, row)

    def views(self) -> list[tuple[str, str]]:
        """Return view id and name of the data sets in the order they were stored, newest last.

        Views that an earlier release wrote are not among them.
        """
        with self._reading() as db:
            is_there = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'views'"
            if db.execute(is_there).fetchone() is None:
                return []
            rows = db.execute("SELECT view, name FROM views ORDER BY number").fetchall()
        try:
            return [(_view_id(view), str(json.loads(name))) for view, name in rows]
        except (TypeError, ValueError) as error:
            raise self._failed("read", error) from error

    def add_remarks(self, spec_id: str, remarks: Iterable[Remark]) -> None:
        """Keep what was noticed about payloads of a unit that gave no row."""
        with self._writing() as db:
            _note(db, spec_id, remarks)

    def add_view(self, view: str, name: str) -> None:
        """Enter a view as the newest, be it known already or not."""
        with self._writing() as db:
            db.execute(_VIEWS)
            values = (view, json.dumps(name))  # JSON, as SQLite takes no broken Unicode
            db.execute("INSERT OR REPLACE INTO views (view, name) VALUES (?, ?)", values)

    def engine(self, spec_id: str, engine: str) -> EngineRecord | None:
        query = (
            "SELECT engine, cosine, relative_error, engine_s, prepare_s, row_bytes"
            " FROM engines WHERE spec_id = ? AND engine = ?"
        )
        with self._reading() as db:
            row = db.execute(query, (spec_id, engine)).fetchone()
            return None if row is None else EngineRecord(*row)

    def remarks(self, spec_id: str) -> list[Remark]:
        """Return what was noticed about payloads: those that were bad, and notes on good ones."""
        query = "SELECT digest, kind, remark FROM remarks WHERE spec_id = ? ORDER BY digest, remark"
        with self._reading() as db:
            found = db.execute(query, (spec_id,))
            return [(digest.hex(), kind, remark) for digest, kind, remark in found]

    def add_spec(self, spec: FeatureSpec) -> None:
        values = (spec.fingerprint(), canonical_json(spec.to_json()))
        with self._writing() as db:
            db.execute("INSERT OR IGNORE INTO specs VALUES (?, ?)", values)

    def add_engine(self, spec_id: str, record: EngineRecord) -> None:
        values = (spec_id, record.engine, record.cosine, record.relative_error)
        figures = (record.engine_s, record.prepare_s, record.row_bytes)
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO engines VALUES (?,?,?,?,?,?,?)", values + figures)

    def commit(self, receipt: Receipt, remarks: Iterable[Remark] = ()) -> None:
        """Acknowledge a shard, its rows and what was noticed on the way in one transaction."""
        shard = (receipt.spec_id, receipt.name, receipt.sha256, receipt.n_bytes)
        rows = [
            (receipt.spec_id, bytes.fromhex(digest), receipt.name, row)
            for row, digest in enumerate(receipt.digests)
        ]
        with self._writing() as db:
            db.execute(
                "INSERT OR IGNORE INTO shards VALUES (?,?,?,?,?,?)",
                (*shard, len(rows), receipt.engine),
            )
            db.executemany("INSERT OR IGNORE INTO rows VALUES (?,?,?,?)", rows)
            _note(db, receipt.spec_id, remarks)

    def drop(self, spec_id: str, shards: Iterable[str]) -> None:
        """Forget shards and their rows; their payloads are computed again."""
        names = [(spec_id, name) for name in shards]
        with self._writing() as db:
            db.executemany("DELETE FROM rows WHERE spec_id = ? AND shard = ?", names)
            db.executemany("DELETE FROM shards WHERE spec_id = ? AND name = ?", names)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=60, isolation_level=None)) as db:
                db.execute("PRAGMA synchronous = FULL")
                db.execute("BEGIN IMMEDIATE")
                self._ensure_schema(db)
                yield db
                db.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failed("written", error) from error

    def _ensure_schema(self, db: sqlite3.Connection) -> None:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in _SCHEMA.split(";")[:-1]:
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        else:
            self._check_version(version)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with tempfile.TemporaryDirectory(prefix="cutpoint-") as scratch:
            try:
                with closing(self._open_reading(Path(scratch))) as db:
                    yield db
            except sqlite3.Error as error:
                raise self._failed("read", error) from error

    def _open_reading(self, scratch: Path) -> sqlite3.Connection:
        try:
            return self._checked(f"file:{pathname2url(str(self.path))}?mode=ro")
        except sqlite3.OperationalError:
            # A writer was killed inside a commit and its journal must be rolled back. Reading
            # must not write (I11), so that is done on a copy.
            for name in (self.path.name, f"{self.path.name}-journal"):
                if (self.path.parent / name).exists():
                    shutil.copyfile(self.path.parent / name, scratch / name)
            return self._checked(f"file:{pathname2url(str(scratch / self.path.name))}?mode=rw")

    def _checked(self, uri: str) -> sqlite3.Connection:
        db = sqlite3.connect(uri, uri=True, timeout=60)
        try:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version != 0:
                self._check_version(version)
                return db
        except BaseException:
            db.close()
            raise
        # The first writer was killed before its first commit: an empty catalog.
        db.close()
        empty = sqlite3.connect(":memory:")
        empty.executescript(_SCHEMA)
        return empty

    def _check_version(self, version: int) -> None:
        if version != SCHEMA_VERSION:
            raise StoreError(
                f'The feature store "{self.path.parent}" was to be opened.',
                f"Its catalog has schema version {version}.",
                f"This release reads version {SCHEMA_VERSION}.",
                "Upgrade with:  pip install --upgrade cutpoint-ml",
            )

    def _failed(self, verb: str, error: Exception) -> StoreError:
        return StoreError(
            f'The catalog "{self.path}" was to be {verb}.',
            f"SQLite answered: {error}.",
            "A whole catalog on a disk this user may use; it can be made again from the shards.",
            f"Make it again with:  cutpoint store verify --rebuild {self.path.parent}",
        )


def _view_id(found: Any) -> str:
    if not re.fullmatch("[0-9a-f]{16}", found):
        raise ValueError(f"no view is called {found!a}")
    return str(found)


def _as_keys(digests: Array) -> Array:
    """Return digests, uint8 (n, 32), as byte strings that NumPy can sort."""
    keys: Array = np.ascontiguousarray(digests).view("S32").reshape(-1)
    return keys


def _found(
    db: sqlite3.Connection, spec_id: str, wanted: Array, is_scan: bool
) -> Iterator[list[tuple[Any, Any, Any]]]:
    """Yield digest, shard and row of a spec: of all of its payloads, or of those wanted."""
    query = "SELECT digest, shard, row FROM rows WHERE spec_id = ?"
    if is_scan:
        rows = db.execute(query, (spec_id,))
        while part := rows.fetchmany(10_000):
            yield part
        return
    whole = [key.ljust(32, b"\0") for key in wanted.tolist()]  # NumPy cuts zeros off
    for start in range(0, len(whole), _AT_ONCE):
        some = whole[start : start + _AT_ONCE]
        marks = ",".join("?" * len(some))
        if part := db.execute(f"{query} AND digest IN ({marks})", (spec_id, *some)).fetchall():
            yield part


def _matches(wanted: Array, digests: Sequence[Any]) -> tuple[Array, Array]:
    """Return the places in `wanted` of those digests that are there, and which ones are."""
    keys = np.array([key if isinstance(key, bytes) else b"" for key in digests], "S32")
    at = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)
    is_hit = wanted[at] == keys
    return at[is_hit], is_hit


def _note(db: sqlite3.Connection, spec_id: str, remarks: Iterable[Remark]) -> None:
    rows = [(spec_id, bytes.fromhex(digest), kind, text) for digest, kind, text in remarks]
    db.executemany("INSERT OR IGNORE INTO remarks VALUES (?,?,?,?)", rows)
