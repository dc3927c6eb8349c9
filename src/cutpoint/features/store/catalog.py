"""Which row of which shard describes which payload: one SQLite file."""

from __future__ import annotations

import errno
import json
import os
import shlex
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from cutpoint.base.errors import StoreError
from cutpoint.base.files import refused, told
from cutpoint.base.spec import FeatureSpec, canonical_json
from cutpoint.base.types import Array
from cutpoint.features.store.shard import Receipt, is_shard_name, is_spec_id

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
# A writer was killed inside a commit, and whoever may only read can't roll its journal back.
_IS_HOT = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
# Answers that tell of the disk or the machine; all others tell of the file's own bytes.
_OF_THE_DISK = (
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY,
)  # fmt: skip
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
        One per shard; no sha256, where the catalog has rows of a shard it does not know.
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

    `engine_s` and `prepare_s` are seconds per item in one thread; `row_bytes` bytes per item.
    """

    engine: str
    cosine: float
    relative_error: float
    engine_s: float
    prepare_s: float
    row_bytes: int


class Catalog:
    """The SQLite file of a store. Reading opens it read-only and leaves no trace: I11.

    What it says is checked as it is read: a file may hold anything, and its names become paths.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        with told(self.path, "read"):
            return self.path.exists()

    def specs(self) -> dict[str, str]:
        """Return spec id → JSON."""
        with self._reading() as db:
            found = db.execute("SELECT spec_id, json FROM specs ORDER BY spec_id")
            return dict(self._checked(found, is_spec_id, _is_text))

    def shards(self, spec_id: str | None = None) -> list[ShardRow]:
        query = "SELECT spec_id, name, sha256, n_bytes, n_rows, engine FROM shards"
        where, values = ("", ()) if spec_id is None else (" WHERE spec_id = ?", (spec_id,))
        with self._reading() as db:
            found = db.execute(f"{query}{where} ORDER BY spec_id, name", values)
            checks = (is_spec_id, is_shard_name, _is_text, _is_count, _is_count, _is_text)
            return [ShardRow(*row) for row in self._checked(found, *checks)]

    def places(self, spec_id: str) -> dict[str, Place]:
        """Return payload digest → place, for all rows of a spec."""
        query = "SELECT digest, shard, row FROM rows WHERE spec_id = ?"
        with self._reading() as db:
            found = db.execute(query, (spec_id,))
            rows = self._checked(found, _is_digest, is_shard_name, _is_count)
            return {digest.hex(): Place(shard, row) for digest, shard, row in rows}

    def find(self, spec_id: str, digests: Array) -> Places:
        """Return where payloads' features lie, rows and shards of one moment.

        Parameters
        ----------
        digests : uint8 array of shape (n_payloads, 32)
        """
        wanted, back = np.unique(_as_keys(digests), return_inverse=True)
        found = self._find(spec_id, wanted)
        return replace(found, shard=found.shard[back], row=found.row[back])

    def _find(self, spec_id: str, wanted: Array) -> Places:
        shard, row = np.full(len(wanted), -1, np.int32), np.zeros(len(wanted), np.int32)
        with self._reading() as db:
            db.execute("BEGIN")  # what another process commits meanwhile is not seen in part
            query = "SELECT name, sha256, n_rows FROM shards WHERE spec_id = ? ORDER BY name"
            found = db.execute(query, (spec_id,))
            shards = list(self._checked(found, is_shard_name, _is_text, _is_count))
            number = {name: place for place, (name, _, _) in enumerate(shards)}
            known = {name: sha256 for name, sha256, _ in shards}
            n_rows = sum(n for _, _, n in shards)
            for part in _found(db, spec_id, wanted, is_scan=n_rows < _SCAN_FROM * len(wanted)):
                rows_found = self._checked(part, _is_digest, is_shard_name, _is_row)
                keys, names, rows = zip(*rows_found, strict=True)
                at, is_hit = _matches(wanted, keys)
                shard[at] = np.array([number.setdefault(n, len(number)) for n in names])[is_hit]
                row[at] = np.array(rows, np.int32)[is_hit]
        sha256 = tuple(known.get(name, "") for name in number)
        return Places(tuple(number), sha256, shard, row)

    def views(self) -> list[tuple[str, str]]:
        """Return view id and name of the data sets in the order they were stored, newest last.

        Views that an earlier release wrote are not among them.
        """
        with self._reading() as db:
            is_there = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'views'"
            if db.execute(is_there).fetchone() is None:
                return []
            found = db.execute("SELECT view, name FROM views ORDER BY number")
            rows = self._checked(found, is_spec_id, _is_json_text)  # both are 16 hex digits
            return [(view, json.loads(name)) for view, name in rows]

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
            found = db.execute(query, (spec_id, engine)).fetchmany(1)
            figures = (_is_figure, _is_figure, _is_figure, _is_figure, _is_count)
            rows = [EngineRecord(*row) for row in self._checked(found, _is_text, *figures)]
            return rows[0] if rows else None

    def remarks(self, spec_id: str) -> list[Remark]:
        """Return what was noticed about payloads: those that were bad, and notes on good ones."""
        query = "SELECT digest, kind, remark FROM remarks WHERE spec_id = ? ORDER BY digest, remark"
        with self._reading() as db:
            found = db.execute(query, (spec_id,))
            rows = self._checked(found, _is_digest, _is_text, _is_text)
            return [(digest.hex(), kind, remark) for digest, kind, remark in rows]

    def check(self) -> None:
        """Raise `StoreError` unless tables and indices are whole and agree with one another.

        Views, too: what a run that ends well leaves must open, and that looks at all of them.
        """
        with self._reading() as db:
            found = [str(text) for (text,) in db.execute("PRAGMA integrity_check(1)")]
        if found != ["ok"]:
            raise self.damaged(f"{found[0]}" if found else "SQLite can't check it")
        self.views()

    def add_spec(self, spec: FeatureSpec) -> None:
        with self._writing() as db:
            _insert_spec(db, spec)

    def add_engine(self, spec_id: str, record: EngineRecord) -> None:
        values = (spec_id, record.engine, record.cosine, record.relative_error)
        figures = (record.engine_s, record.prepare_s, record.row_bytes)
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO engines VALUES (?,?,?,?,?,?,?)", values + figures)

    def commit(self, receipt: Receipt, remarks: Iterable[Remark] = ()) -> None:
        """Acknowledge a shard, its rows and what was noticed on the way in one transaction."""
        with self._writing() as db:
            _insert_shard(db, receipt)
            _note(db, receipt.spec_id, remarks)

    def fill(self, found: Iterable[tuple[FeatureSpec, Receipt]]) -> None:
        """Acknowledge shards and their specs in one transaction."""
        with self._writing() as db:
            for spec, receipt in found:
                _insert_spec(db, spec)
                _insert_shard(db, receipt)

    def drop(self, spec_id: str, shards: Iterable[str]) -> None:
        """Forget shards and their rows; their payloads are computed again."""
        names = [(spec_id, name) for name in shards]
        with self._writing() as db:
            db.executemany("DELETE FROM rows WHERE spec_id = ? AND shard = ?", names)
            db.executemany("DELETE FROM shards WHERE spec_id = ? AND name = ?", names)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with (
            self._answers("written"),
            self._alone(),
            closing(sqlite3.connect(self.path, timeout=60, isolation_level=None)) as db,
        ):
            # EXTRA syncs the folder as well once the journal is gone: after a power cut it would
            # be there again and take the commit back.
            db.execute("PRAGMA synchronous = EXTRA")
            db.execute("BEGIN IMMEDIATE")
            self._ensure_schema(db)
            yield db
            db.execute("COMMIT")

    def _ensure_schema(self, db: sqlite3.Connection) -> None:
        if self._version(db) == 0:
            for statement in _SCHEMA.split(";")[:-1]:
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._answers("read"), self._alone(), ExitStack() as opened:
            try:
                db = self._opened(self.path, "ro")
            except sqlite3.OperationalError as error:
                if _code(error) not in _IS_HOT or not self.journal.exists():
                    raise
                scratch = opened.enter_context(TemporaryDirectory(prefix="cutpoint-"))
                db = self._rolled_back(Path(scratch))
            yield opened.enter_context(closing(db))

    @property
    def journal(self) -> Path:
        return self.path.with_name(f"{self.path.name}-journal")

    @property
    def strays(self) -> list[Path]:
        """Files beside it that no release leaves and that SQLite would take for part of it."""
        beside = [self.path.with_name(f"{self.path.name}-{end}") for end in ("wal", "shm")]
        return [path for path in beside if os.path.lexists(path)]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Refuse a write-ahead log, as SQLite writes beside the file even to read one: I11.

        Our catalogs keep a rollback journal and never have one: it is a stranger's, and what it
        holds may be of another catalog.
        """
        path = self.path.with_name(f"{self.path.name}-wal")
        if path in self.strays:
            raise StoreError(
                f'"{path}" is none of this store\'s, and SQLite would read it as rows.',
                f'It lies beside the catalog "{self.path}".',
                "The catalog alone, as cutpoint writes it; nothing was changed.",
                f"Move it away, for example with:  mv {shlex.quote(str(path))} /tmp",
            )
        if _is_write_ahead(self.path):
            change = f"import sqlite3; sqlite3.connect({str(self.path)!r})"
            change += ".execute('PRAGMA journal_mode = DELETE')"
            raise StoreError(
                f'The catalog "{self.path}" was set to a write-ahead log by another program.',
                "SQLite writes files beside such a catalog even to read it.",
                "A rollback journal, as cutpoint sets it; nothing was changed.",
                f"Set it back with:  python -c {shlex.quote(change)}",
            )
        yield

    def settle(self) -> None:
        """Let SQLite roll back what a killed writer left, in place; a damaged file stays as it is.

        Raises
        ------
        StoreError
            If the disk refuses.
        """
        try:
            with closing(sqlite3.connect(self.path, timeout=60, isolation_level=None)) as db:
                db.execute("PRAGMA synchronous = EXTRA")
                db.execute("BEGIN IMMEDIATE")
                db.execute("ROLLBACK")
        except sqlite3.Error as error:
            if _code(error) in _OF_THE_DISK:
                raise self._failed("written", error) from error

    def _rolled_back(self, scratch: Path) -> sqlite3.Connection:
        """Open a copy, as reading must not write (I11), of which SQLite rolls the journal back."""
        for path in (self.path, self.journal):
            shutil.copyfile(path, scratch / path.name)
        return self._opened(scratch / self.path.name, "rw")

    def _opened(self, path: Path, mode: str) -> sqlite3.Connection:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=60)
        try:
            db.execute("PRAGMA temp_store = MEMORY")  # nor is a folder for scratch files needed
            if self._version(db) != 0:
                return db
        except BaseException:
            db.close()
            raise
        # The first writer was killed before its first commit: an empty catalog.
        db.close()
        empty = sqlite3.connect(":memory:")
        empty.executescript(_SCHEMA)
        return empty

    def _version(self, db: sqlite3.Connection) -> int:
        """Return the version of the schema: ours, or 0 of an empty file; raise at any other."""
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (n_tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version == SCHEMA_VERSION or (version == 0 and n_tables == 0):
            return int(version)
        if version < SCHEMA_VERSION:
            raise self.damaged(f"its schema version is {version}, and there was no such")
        raise StoreError(
            f'The feature store "{self.path.parent}" is of a later release.',
            f"Its catalog has schema version {version}.",
            f"This release reads version {SCHEMA_VERSION}.",
            "Upgrade with:  pip install --upgrade cutpoint-ml",
        )

    def _checked(
        self, rows: Iterable[tuple[Any, ...]], *checks: Callable[[object], bool]
    ) -> Iterator[tuple[Any, ...]]:
        """Yield rows of which each value passes its check; at another the catalog is damaged."""
        for row in rows:
            for is_right, value in zip(checks, row, strict=True):
                if not is_right(value):
                    raise self.damaged(f"it holds {value!r:.80}, which was never written")
            yield row

    @contextmanager
    def _answers(self, verb: str) -> Iterator[None]:
        """Turn what SQLite and the system answer into errors that tell damage from a full disk."""
        try:
            with told(self.path, verb):
                yield
        except (sqlite3.Error, UnicodeError) as error:  # the latter of names in its own tables
            raise self._failed(verb, error) from error

    def _failed(self, verb: str, error: Exception) -> StoreError:
        """Return what is wrong: the disk or the machine, or the file itself."""
        code = _code(error)
        if code not in _OF_THE_DISK:
            return self.damaged(str(error))
        answer = f"{error} ({getattr(error, 'sqlite_errorname', '')})"
        number = {sqlite3.SQLITE_FULL: errno.ENOSPC, sqlite3.SQLITE_READONLY: errno.EROFS}.get(code)
        return refused(self.path, verb, OSError(number, self._why_closed() or answer))

    def _why_closed(self) -> str:
        """Return why the file can't be opened, which SQLite does not tell; empty if it can."""
        try:
            os.close(os.open(self.path, os.O_RDONLY))
        except OSError as error:
            return error.strerror or ""
        return ""

    def damaged(self, what: str) -> StoreError:
        """Return the error of a catalog that is not as it was written."""
        return StoreError(
            f'The catalog "{self.path}" is damaged.',
            f"SQLite answered, or was asked for, what can't be: {what}.",
            "It can be made again from the shards, whose names say whether they are whole.",
            "Make it again with:  "
            f"cutpoint store verify --rebuild {shlex.quote(str(self.path.parent))}",
        )


def _insert_spec(db: sqlite3.Connection, spec: FeatureSpec) -> None:
    values = (spec.fingerprint(), canonical_json(spec.to_json()))
    db.execute("INSERT OR IGNORE INTO specs VALUES (?, ?)", values)


def _insert_shard(db: sqlite3.Connection, receipt: Receipt) -> None:
    shard = (receipt.spec_id, receipt.name, receipt.sha256, receipt.n_bytes)
    rows = [
        (receipt.spec_id, bytes.fromhex(digest), receipt.name, row)
        for row, digest in enumerate(receipt.digests)
    ]
    db.execute(
        "INSERT OR IGNORE INTO shards VALUES (?,?,?,?,?,?)", (*shard, len(rows), receipt.engine)
    )
    db.executemany("INSERT OR IGNORE INTO rows VALUES (?,?,?,?)", rows)


def _is_write_ahead(path: Path) -> bool:
    """Say whether an SQLite file asks its readers for a write-ahead log: bytes 18 and 19."""
    try:
        with path.open("rb") as file:
            return file.read(20)[18:] == b"\2\2"
    except OSError:  # told where it is opened
        return False


def _code(error: Exception) -> int:
    """Return SQLite's primary result code; 0 of Python's own errors."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def _is_text(value: object) -> bool:
    return type(value) is str


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_row(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**31


def _is_json_text(value: object) -> bool:
    """Say whether `value` is a JSON text that spells a text."""
    try:
        return type(value) is str and type(json.loads(value)) is str
    except (ValueError, RecursionError):
        return False


def _is_figure(value: object) -> bool:
    return type(value) is float and value >= 0


def _is_digest(value: object) -> bool:
    return type(value) is bytes and len(value) == 32


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


def _matches(wanted: Array, digests: Sequence[bytes]) -> tuple[Array, Array]:
    """Return the places in `wanted` of those digests that are there, and which ones are."""
    keys = np.array(digests, "S32")
    at = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)
    is_hit = wanted[at] == keys
    return at[is_hit], is_hit


def _note(db: sqlite3.Connection, spec_id: str, remarks: Iterable[Remark]) -> None:
    rows = [(spec_id, bytes.fromhex(digest), kind, text) for digest, kind, text in remarks]
    db.executemany("INSERT OR IGNORE INTO remarks VALUES (?,?,?,?)", rows)
