"""Damaged bytes in every file of a store and of a predictor, by chance and by design.

After each damage, whoever reads is given the right rows or a plain error. By chance: flips, cuts,
files missing, empty, swapped. By design: what passes every digest and is malformed within.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

import cutpoint
from cutpoint.base.spec import canonical_json
from cutpoint.features.store import FeatureStore
from cutpoint.products.predictor import MANIFEST, signed
from tests.torture.ground import NETWORK, Ground, answer, columns, n_wrong, predictions
from tests.torture.tally import CRASHED, LOST, WRONG, Tally
from tests.torture.trial import attempt, command

Damage = Callable[[Path, random.Random], str]
DEEP = 100_000  # levels of JSON: more than Python's own reader follows
CANARY = "canary.txt"


def run(ground: Ground, n_damages: int, seed: int) -> Tally:
    """Damage a store and a predictor `n_damages` times."""
    tally, random_ = Tally("damages"), random.Random(seed)
    (ground.folder / "outside").mkdir()
    (ground.folder / "outside" / CANARY).write_text("sings")
    kinds = [(_store, each) for each in STORE] + [(_predictor, each) for each in PREDICTOR]
    for number in range(n_damages):
        judge, damage = kinds[number % len(kinds)]
        tally.n_tried += 1
        judge(ground, tally, damage, random_)
    return tally


# -- judging -------------------------------------------------------------------------------


def _store(ground: Ground, tally: Tally, damage: Damage, random_: random.Random) -> None:
    store = ground.folder / "outside" / "store"
    shutil.copytree(ground.store, store)
    what = damage(store, random_)
    by_chance = damage in BY_CHANCE
    good = _good_shards(ground, store)
    before = _snapshot(store)
    read = attempt(ground.folder, lambda: _read(ground, store, with_network=True))
    tally.n_hit += read.value is None or read.value != _whole(ground)
    if tally.check(not read.crash, CRASHED, f"read with {what}: {read.crash}") and read.value:
        found, wrong, names = read.value
        is_right = found == ground.answers["all"] if by_chance else not wrong
        tally.check(is_right, WRONG, f"{wrong} rows of {names[:60]} read with {what}")
    words = random_.choice((("info",), ("verify",), ("verify",)))
    told = attempt(ground.folder, lambda: command("store", *words, store))
    tally.check(not told.crash, CRASHED, f"{words[0]} with {what}: {told.crash}")
    tally.check(_snapshot(store) == before, LOST, f"reading writes, with {what}")
    if random_.random() < 0.3:
        rebuilt = attempt(ground.folder, lambda: command("store", "verify", "--rebuild", store))
        tally.check(not rebuilt.crash, CRASHED, f"rebuild with {what}: {rebuilt.crash}")
    more = attempt(ground.folder, lambda: ground.extract(store))
    if tally.check(not more.crash, CRASHED, f"extract with {what}: {more.crash}"):
        _check_extracted(ground, tally, store, what, more.code == 0, by_chance)
    kept = _shards(store).values()
    tally.check(all(sha256 in kept for sha256 in good), LOST, f"a good shard, with {what}")
    sings = (ground.folder / "outside" / CANARY).exists()
    tally.check(sings, LOST, f"a file outside the store, with {what}")
    (ground.folder / "outside" / CANARY).write_text("sings")
    shutil.rmtree(store)


def _check_extracted(
    ground: Ground, tally: Tally, store: Path, what: str, is_done: bool, by_chance: bool
) -> None:
    """After an extraction that succeeded, the rows are there and right."""
    read = attempt(ground.folder, lambda: _read(ground, store))
    tally.check(not read.crash, CRASHED, f"read after extract with {what}: {read.crash}")
    if is_done:
        told = f"extract succeeds and its rows can't be read, with {what}: {read.said[-200:]}"
        tally.check(read.code == 0, LOST, told)
    if read.value and (is_done or by_chance):
        is_right = read.value[0] == ground.answers["all"]
        tally.check(is_right, WRONG, f"rows after extract with {what}")


def _whole(ground: Ground) -> list[Any]:
    return [ground.answers["all"], 0, ground.columns["all"]]


def _read(ground: Ground, store: Path, with_network: bool = False) -> list[Any]:
    """Return the answer, how many rows are wrong, and the items.

    The network is read, too, if that is wanted; rows of fp32 do without.
    """
    features = FeatureStore(store).open()
    found = [answer(features), n_wrong(ground, features), columns(features)]
    if with_network and FeatureStore(store).network(ground.spec_id) not in (None, NETWORK):
        raise AssertionError("a network that is not what was kept")
    return found


def _shards(store: Path) -> dict[str, str]:
    """Return path → sha256 of all that may be a shard, wherever it lies."""
    files = [path for path in store.rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _good_shards(ground: Ground, store: Path) -> list[str]:
    """Return the digests of the shards that the damage left as they were, in their places."""
    shards = ground.store.glob("shards/*/*.safetensors")
    now = _shards(store)
    found = [(store / path.relative_to(ground.store), path) for path in shards]
    return [
        now[str(copy)]
        for copy, path in found
        if now.get(str(copy)) == hashlib.sha256(path.read_bytes()).hexdigest()
    ]


def _snapshot(store: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in store.rglob("*") if path.is_file()}


def _predictor(ground: Ground, tally: Tally, damage: Damage, random_: random.Random) -> None:
    path = ground.folder / "outside" / "some.cutpoint"
    shutil.copytree(ground.predictors[1], path)
    what = damage(path, random_)
    by_chance = damage in BY_CHANCE
    told = attempt(ground.folder, lambda: _predicted(ground, path))
    tally.n_hit += told.value is None or told.value[0] != ground.predicted[1]
    if tally.check(not told.crash, CRASHED, f"predict with {what}: {told.crash}") and told.value:
        found, is_sane = told.value
        is_right = found == ground.predicted[1] if by_chance else is_sane
        tally.check(is_right, WRONG, f"predictions with {what}")
    shutil.rmtree(path)


def _predicted(ground: Ground, path: Path) -> list[Any]:
    """Return the digest of the predictions, and whether each is a class and a probability."""
    found = cutpoint.predict(path, ground.data("all"), n_workers=1, quiet=True)
    sane = [isinstance(each.label, str) and 0 <= each.probability <= 1 for each in found]
    str(cutpoint.load_predictor(path))
    return [predictions(ground, path), all(sane)]


# -- by chance -----------------------------------------------------------------------------


def _any_file(folder: Path, random_: random.Random) -> Path:
    """Return a file; the few that all depend on as often as the many others."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    kinds = sorted({path.suffix for path in files})
    suffix = random_.choice(kinds)
    return random_.choice([path for path in files if path.suffix == suffix])


def _told(what: str, path: Path) -> str:
    kind = path.parent.parent.name if path.suffix == ".safetensors" else path.suffix
    return f"{what} {kind}"


def flipped(folder: Path, random_: random.Random) -> str:
    path = _any_file(folder, random_)
    data = bytearray(path.read_bytes())
    for _ in range(random_.choice((1, 1, 8))):
        data[random_.randrange(len(data))] ^= 1 << random_.randrange(8)
    path.write_bytes(data)
    return _told("flipped bits of", path)


def truncated(folder: Path, random_: random.Random) -> str:
    path = _any_file(folder, random_)
    os.truncate(path, random_.randrange(path.stat().st_size))
    return _told("cut", path)


def emptied(folder: Path, random_: random.Random) -> str:
    path = _any_file(folder, random_)
    os.truncate(path, 0)
    return _told("emptied", path)


def removed(folder: Path, random_: random.Random) -> str:
    path = _any_file(folder, random_)
    path.unlink()
    return _told("removed", path)


def garbled(folder: Path, random_: random.Random) -> str:
    path = _any_file(folder, random_)
    data = bytearray(path.read_bytes())
    start = random_.randrange(len(data))
    stop = min(len(data), start + random_.choice((16, 4096)))
    data[start:stop] = random_.randbytes(stop - start)
    path.write_bytes(data)
    return _told("garbage in", path)


def replaced(folder: Path, random_: random.Random) -> str:
    path = _any_file(folder, random_)
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("x")
    return _told("a folder in place of", path)


def swapped(folder: Path, random_: random.Random) -> str:
    one, other = _any_file(folder, random_), _any_file(folder, random_)
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    return f"{_told('swapped', one)} and {_told('', other)}"


def lengthened(folder: Path, random_: random.Random) -> str:
    path = _any_file(folder, random_)
    with path.open("ab") as file:
        file.write(random_.randbytes(random_.choice((1, 512))))
    return _told("bytes after", path)


# -- by design: the catalog ----------------------------------------------------------------

_VALUES = (
    "CAST(x'fffe80' AS TEXT)",
    "'text'",
    "'1'",
    "-1",
    "0",
    "1",
    "4611686018427387904",
    "1e308",
    "9e999",
    "''",
    "x''",
    "x'00ff'",
    "char(97, 0, 98)",
    "'a' || char(10) || 'b'",
    "'../../../canary.txt'",
    "'{canary}'",
    "'../' || {column}",
    "upper({column})",
    "CAST({column} AS TEXT)",
    "CAST({column} AS BLOB)",
    "'0123456789abcdef'",
    "'{deep}'",
    "'[1]'",
    "'null'",
    "NULL",
)


def _catalog(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "catalog.sqlite", isolation_level=None)


def cell(folder: Path, random_: random.Random) -> str:
    """Set one cell, or all of a column, to what no release writes."""
    with closing(_catalog(folder)) as db:
        tables = [
            name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'")
        ]
        while True:
            table = random_.choice(tables)
            names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            keys = [db.execute(f"SELECT {', '.join(names)} FROM {table}").fetchall()]
            if not keys[0]:
                tables.remove(table)
                continue
            column, value = random_.choice(names), random_.choice(_VALUES)
            canary = folder.parent / CANARY
            text = value.format(column=column, canary=canary, deep="[" * DEEP)
            row = random_.choice(keys[0])
            where = " AND ".join(f"{name} IS ?" for name in names)
            if random_.random() < 0.2:
                where, row = "1", ()
            try:
                db.execute(f"UPDATE OR IGNORE {table} SET {column} = {text} WHERE {where}", row)
            except sqlite3.Error:  # a constraint that holds; another cell
                continue
            return f"{table}.{column} = {value}"


def row(folder: Path, random_: random.Random) -> str:
    """Remove or repeat a row, or give it to another."""
    with closing(_catalog(folder)) as db:
        table = random_.choice(("specs", "shards", "rows", "rows"))
        if random_.random() < 0.5:
            db.execute(
                f"DELETE FROM {table} WHERE spec_id || {_key(table)} ="
                f" (SELECT spec_id || {_key(table)} FROM {table} ORDER BY random() LIMIT 1)"
            )
            return f"a row of {table} removed"
        column = random_.choice([each[1] for each in db.execute(f"PRAGMA table_info({table})")])
        db.execute(
            f"UPDATE OR IGNORE {table} SET {column} ="
            f" (SELECT {column} FROM {table} ORDER BY random() LIMIT 1)"
        )
        return f"{table}.{column} mixed up"


def _key(table: str) -> str:
    return {"specs": "''", "shards": "name", "rows": "hex(digest)"}[table]


def schema(folder: Path, random_: random.Random) -> str:
    change = random_.choice(
        (
            "PRAGMA user_version = 0",
            "PRAGMA user_version = 2",
            "PRAGMA user_version = -1",
            "DROP TABLE specs",
            "DROP TABLE shards",
            "DROP TABLE rows",
            "DROP TABLE engines",
            "DROP TABLE remarks",
            "ALTER TABLE rows RENAME COLUMN digest TO other",
            "ALTER TABLE shards RENAME TO others",
            "CREATE TRIGGER no BEFORE INSERT ON rows BEGIN SELECT RAISE(IGNORE); END",
            "CREATE TRIGGER no BEFORE INSERT ON shards BEGIN SELECT RAISE(ABORT, 'no'); END",
            "DELETE FROM rows",
            "DELETE FROM shards",
            "DELETE FROM specs",
        )
    )
    with closing(_catalog(folder)) as db:
        db.execute(change)
    return change


def spec_json(folder: Path, random_: random.Random) -> str:
    with closing(_catalog(folder)) as db:
        spec_id, text = random_.choice(db.execute("SELECT spec_id, json FROM specs").fetchall())
        changed, what = _malformed(text, random_)
        db.execute("UPDATE specs SET json = ? WHERE spec_id = ?", (changed, spec_id))
    return f"spec: {what}"


_STRAYS = (
    "views/x.json",
    "views/0123456789abcdef.json",
    "shards/x.safetensors",
    "shards/x/y.safetensors",
    "networks/x/y.safetensors",
    "catalog.sqlite-journal",
    "catalog.sqlite-wal",
    "bad_rows.csv/x",
)


def stray(folder: Path, random_: random.Random) -> str:
    """Put files where none belong."""
    where = random_.choice(_STRAYS)
    path = folder / where
    if path.parent.is_file():
        path.parent.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(random_.choice((b"", b"{}", random_.randbytes(100))))
    return f"a stray {where}"


# -- by design: views, shards, predictors that pass their digests ---------------------------


def view(folder: Path, random_: random.Random) -> str:
    """A view that is named by its digest and malformed."""
    path = random_.choice(sorted((folder / "views").glob("*.json")))
    text, what = _malformed(path.read_text(), random_)
    data = text.encode("utf-8", "surrogatepass")
    new = path.with_name(f"{hashlib.sha256(data).hexdigest()[:16]}.json")
    new.write_bytes(data)
    path.unlink()
    _rename_in_catalog(folder, path.stem, new.stem)
    return f"view: {what}"


def _rename_in_catalog(folder: Path, old: str, new: str) -> None:
    """Where the catalog names the view, it names the new one."""
    with closing(_catalog(folder)) as db:
        tables = [
            name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'")
        ]
        for table in tables:
            for name in [each[1] for each in db.execute(f"PRAGMA table_info({table})")]:
                for ending in ("", ".json"):
                    change = f"UPDATE OR IGNORE {table} SET {name} = ? WHERE {name} = ?"
                    db.execute(change, (new + ending, old + ending))


def shard(folder: Path, random_: random.Random) -> str:
    """A shard that is named by its digest, and committed, and malformed."""
    path = random_.choice(sorted(folder.glob("shards/*/*.safetensors")))
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    tensors = load(data)
    what = random_.choice(("header", "header", "gone", "rows", "type", "digests", "junk"))
    text = header["__metadata__"]["cutpoint"]
    name = random_.choice(sorted(set(tensors) - {"digests"}))
    if what == "header":
        text, what = _malformed(text, random_)
    elif what == "gone":
        del tensors[random_.choice(sorted(tensors))]
    elif what == "rows":
        tensors[name] = tensors[name][:-1].copy()
    elif what == "type":
        tensors[name] = tensors[name].astype(random_.choice((np.int8, np.float64, np.uint64)))
    elif what == "digests":
        tensors["digests"] = tensors["digests"][:, :-1].copy()
    new = save(tensors, metadata={"cutpoint": text}) if what != "junk" else random_.randbytes(99)
    sha256 = hashlib.sha256(new).hexdigest()
    path.unlink()
    path.with_name(f"{sha256[:32]}.safetensors").write_bytes(new)
    with closing(_catalog(folder)) as db:
        named = (f"{sha256[:32]}.safetensors", path.name)
        changed = (sha256, len(new), named[0], path.name)
        db.execute("UPDATE shards SET sha256 = ?, n_bytes = ?, name = ? WHERE name = ?", changed)
        db.execute("UPDATE rows SET shard = ? WHERE shard = ?", named)
    return f"shard: {what}"


def manifest(folder: Path, random_: random.Random) -> str:
    """A predictor's JSON that is signed and malformed."""
    path = folder / MANIFEST
    text, what = _malformed(path.read_text(), random_)
    try:
        fields = json.loads(text)
        text = json.dumps(signed(fields)) if isinstance(fields, dict) else text
    except (ValueError, RecursionError):
        pass  # no JSON at all, or too deep to sign
    path.write_text(text)
    return f"predictor: {what}"


def arrays(folder: Path, random_: random.Random) -> str:
    """A predictor's arrays that are signed and malformed."""
    path = next(folder.glob("head-*.safetensors"))
    tensors = load(path.read_bytes())
    name = random_.choice(sorted(tensors))
    array = tensors[name]
    what = random_.choice(("nan", "inf", "zero", "gone", "shape", "type", "empty", "more", "huge"))
    if what == "gone":
        del tensors[name]
    elif what == "shape":
        tensors[name] = array.reshape(*array.shape, 1)
    elif what == "type":
        tensors[name] = array.astype(random_.choice((np.int8, np.float16, np.bool_, np.uint64)))
    elif what == "empty":
        tensors[name] = array[:0].copy() if array.ndim else array.reshape(1)[:0].copy()
    elif what == "more":
        tensors[f"{name}2"] = array
    else:
        value = {"nan": math.nan, "inf": math.inf, "zero": 0.0, "huge": 1e300}[what]
        with np.errstate(all="ignore"):
            tensors[name] = np.full(array.shape, value).astype(array.dtype)
    data = save({key: np.ascontiguousarray(each) for key, each in tensors.items()})
    sha256 = hashlib.sha256(data).hexdigest()
    fields = json.loads((folder / MANIFEST).read_text())
    fields["head"] |= {"file": f"head-{sha256[:16]}.safetensors", "sha256": sha256}
    path.unlink()
    (folder / fields["head"]["file"]).write_bytes(data)
    (folder / MANIFEST).write_text(json.dumps(signed(fields)))
    return f"predictor: {name} {what}"


_NODES = (
    None,
    True,
    -1,
    0,
    10**30,
    1e308,
    math.nan,
    math.inf,
    "",
    "a\0b",
    "../../canary.txt",
    "\ud800",
    [],
    {},
    [[]],
    [None],
    {"a": 1},
    "x" * 10_000,
    "NaN",
)


def _malformed(text: str, random_: random.Random) -> tuple[str, str]:
    """Return JSON with one thing replaced, removed or added, and what that was."""
    if random_.random() < 0.15:
        whole = random_.choice(
            ("null", "[]", "{}", "1", '"x"', "NaN", "", "{", "[" * DEEP, '{"a":' * DEEP)
        )
        return whole, f"all of it {whole[:8]!r}"
    fields = json.loads(text)
    path, holder, key = _any_node(fields, random_)
    if random_.random() < 0.25:
        del holder[key]
        return canonical_json(fields), f"{path} removed"
    value = random_.choice(_NODES)
    if random_.random() < 0.05:
        holder[key] = "DEEP"
        return json.dumps(fields).replace('"DEEP"', "[" * 2000 + "]" * 2000), f"{path} deep"
    holder[key] = value
    return json.dumps(fields), f"{path} = {str(value)[:20]!r}"


def _any_node(fields: Any, random_: random.Random) -> tuple[str, Any, Any]:
    """Return where a random value lies: its path, what holds it, its key there."""
    path, holder = "", fields
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = random_.choice(keys)
        path += f".{key}" if isinstance(holder, dict) else "[]"
        inner = holder[key]
        if not isinstance(inner, dict | list) or not inner or random_.random() < 0.15:
            return path, holder, key
        holder = inner


BY_CHANCE = (flipped, truncated, emptied, removed, garbled, replaced, swapped, lengthened)
STORE = (*BY_CHANCE, cell, cell, cell, row, schema, spec_json, stray, view, view, shard, shard)
PREDICTOR = (*BY_CHANCE[::2], manifest, manifest, arrays)
