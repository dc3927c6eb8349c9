"""A folder of features: shards, catalog, data set views, locks."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, Timeout

from cutpoint.base.errors import StoreCorrupt, StoreError, UsageError
from cutpoint.base.files import (
    READ_ONLY,
    TMP_SUFFIX,
    free_name,
    make_folder,
    move_aside,
    sync_folder,
    told,
    write_durably,
)
from cutpoint.base.spec import FeatureSpec, canonical_json
from cutpoint.base.tongue import either, option
from cutpoint.features.store.catalog import Catalog, EngineRecord, Place, Remark, ShardRow
from cutpoint.features.store.features import Features, digest_rows
from cutpoint.features.store.shard import (
    Receipt,
    check_shard,
    corrupt,
    is_digest,
    is_shard_name,
    is_spec_id,
    read_file,
    read_header,
    read_json,
    read_receipt,
    read_spec,
    refuse_format,
)
from cutpoint.items.reading import LABEL_TYPES, Dataset, is_label

VIEW_FORMAT = 1
_OTHER_ROWS = "the catalog's rows are not those of the shard"
_ROWS_ONLY = "the catalog has its rows only"
NETWORKS, DAMAGED = "networks", "damaged"
PARTS = ("catalog.sqlite", "shards", "views", "locks", NETWORKS, DAMAGED)
_SHOWN = 5  # data sets named in a line


@dataclass(frozen=True)
class DataSet:
    """A data set in a store: its view, and its name as the user gave it.

    `is_in_catalog` says whether the catalog knows its place in the order.
    """

    view: str
    name: str
    is_in_catalog: bool

    def __str__(self) -> str:
        return f'"{self.name}" (view {self.view})'


class FeatureStore:
    """One feature store.

    Parameters
    ----------
    path : path
        A folder. Nothing is made or written until something is stored.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.catalog = Catalog(self.path / "catalog.sqlite")

    # -- reading ---------------------------------------------------------------------------

    def places(self, spec_id: str) -> dict[str, Place]:
        """Return payload digest → place of its features."""
        return self.catalog.places(spec_id) if self.catalog.exists() else {}

    def remarks(self, spec_id: str) -> list[Remark]:
        """Return (payload digest, kind, text) of what earlier runs noticed."""
        return self.catalog.remarks(spec_id) if self.catalog.exists() else []

    def what_is_wrong(self, spec_id: str) -> dict[str, StoreError]:
        """Return why shards of a spec can't be used, by name; those not named are whole: I4.

        `StoreCorrupt` of those that are missing or not as committed, or of which the catalog has
        other rows than they hold; any other error where a file can't be read just now, which says
        nothing of its bytes.
        """
        if not self.catalog.exists():
            return {}
        places = self.places(spec_id)
        claimed: dict[str, dict[int, str]] = defaultdict(dict)
        for digest, place in places.items():
            claimed[place.shard][place.row] = digest
        found = {
            row.name: self._fault(row, claimed.pop(row.name, {}), places)
            for row in self.catalog.shards(spec_id)
        }
        for name in claimed:
            found[name] = corrupt(self.shard_path(spec_id, name), _ROWS_ONLY)
        return {name: error for name, error in found.items() if error}

    def _fault(
        self, row: ShardRow, claimed: Mapping[int, str], places: Mapping[str, Place]
    ) -> StoreError | None:
        """Return what is wrong with one shard, of which the catalog claims some rows."""
        path = self.shard_path(row.spec_id, row.name)
        try:
            check_shard(path, row.sha256)
            _, digests = read_header(path)
        except StoreError as error:
            return error
        own = dict(enumerate(digests))
        if not claimed.items() <= own.items() or any(d not in places for d in digests):
            return corrupt(path, _OTHER_ROWS)
        return None

    def shard_path(self, spec_id: str, name: str) -> Path:
        """Return where a shard lies; a name that is none, and might lead elsewhere, is damage."""
        if not is_shard_name(name):
            raise self.catalog.damaged(f'it names the shard "{name}"')
        return self.shard_folder(spec_id) / name

    def shard_folder(self, spec_id: str) -> Path:
        """Return the folder of a spec's shards; raise as `shard_path` does."""
        if not is_spec_id(spec_id):
            raise self.catalog.damaged(f'it names the spec "{spec_id}"')
        return self.path / "shards" / spec_id

    def shard_files(self, spec_id: str = "*") -> list[Path]:
        """Return the files of shards, of one spec or of all, whether the catalog knows them."""
        with told(self.path, "read"):
            found = sorted((self.path / "shards").glob(f"{spec_id}/*.safetensors"))
        return [p for p in found if is_spec_id(p.parent.name) and is_shard_name(p.name)]

    def orphans(self, spec_id: str) -> list[Path]:
        """Return the shards of a spec that a run left which ended before it committed them."""
        rows = self.catalog.shards(spec_id) if self.catalog.exists() else []
        known = {row.name for row in rows}
        return [path for path in self.shard_files(spec_id) if path.name not in known]

    def views(self) -> list[Path]:
        """Return the data set views, the newest last; one the catalog names may be gone."""
        return [self.view_path(each.view) for each in self.data_sets()]

    def data_sets(self) -> list[DataSet]:
        """Return the data sets, the newest last.

        The catalog names them in the order they were stored. Views it does not name, as earlier
        releases left them, come first, by time of file.
        """
        named = self.catalog.views() if self.catalog.exists() else []
        others = self.unnamed_data_sets({view for view, _ in named})
        return others + [DataSet(view, name, is_in_catalog=True) for view, name in named]

    def unnamed_data_sets(self, named: Collection[str] = ()) -> list[DataSet]:
        """Return the data sets whose views are not among those named, by time of file."""
        with told(self.path, "read"):
            files = [path for path in (self.path / "views").glob("*.json") if is_spec_id(path.stem)]
            found = [path for path in files if path.stem not in named]  # digits, as an id has
            found.sort(key=lambda path: (path.stat().st_mtime_ns, path.name))
        return [DataSet(path.stem, _name_in(path), is_in_catalog=False) for path in found]

    def data_set(self, name: str | None = None) -> DataSet:
        """Return the newest data set, or the newest that is called `name`.

        Parameters
        ----------
        name : str, optional
            As the data set was called when it was extracted, or the 16 digits of its view.

        Raises
        ------
        UsageError
            If there is no store, or no such data set.
        """
        self.require()
        found = self.data_sets()
        if not found:
            raise UsageError(
                f'The feature store "{self.path}" has no data set yet.',
                "No extraction into it has ended.",
                "A store whose extraction has ended at least once.",
                "Repeat the extraction; what is there already is not computed again.",
            )
        bare = None if name is None else name.rstrip("/") or name  # as a shell completes a folder
        called = [each for each in found if bare is None or bare in (each.view, each.name)]
        if not called:
            raise UsageError(
                f'No data set "{name}" in the feature store "{self.path}".',
                f"There are {len(found)}: {_listed(found)}.",
                "One of these, by its name or the digits of its view.",
                "List them with:  "
                + either(
                    f"FeatureStore({str(self.path)!r}).data_sets()",
                    f"cutpoint store info {self.path}",
                ),
            )
        return called[-1]

    def told(self, taken: DataSet) -> str:
        """Return which data set was taken and which others there are; nothing if it is alone."""
        others = [each for each in self.data_sets() if each.view != taken.view]
        if not others:
            return ""
        lines = [f"Data set taken: {taken}; also stored: {_listed(others)}."]
        if not all(each.is_in_catalog for each in (taken, *others)):
            lines.append("An earlier release stored some: their order is by time of file.")
        return " ".join(lines)

    def exists(self) -> bool:
        return self.catalog.exists() or bool(self.shard_files())

    def require(self) -> None:
        """Raise `UsageError` unless a store is there."""
        if not self.exists():
            raise UsageError(
                f'No feature store in "{self.path}".',
                f"The folder is {'there' if self.path.is_dir() else 'not there'}, "
                "without a catalog.",
                f"A folder that features were extracted into, or {option('store')} of a fit.",
                "Make one with:  "
                + either(
                    f"cutpoint.extract(data, backbone, store={str(self.path)!r})",
                    f"cutpoint extract DATA BACKBONE -o {self.path}",
                ),
            )

    def open(self, name: str | None = None) -> Features:
        """Return the features of the newest data set, or of the newest that is called `name`.

        `name` is as in `data_set`; `told` says which was taken. None is put in the place of a data
        set whose view is gone: that is `StoreCorrupt`.
        """
        taken = self.data_set(name)
        if not self.view_path(taken.view).exists():
            raise self._gone(taken)
        return self.features_of(read_view(self.view_path(taken.view)))

    def features_of(self, fields: Mapping[str, Any]) -> Features:
        """Return the features of a data set that is described as a view is."""
        spec = FeatureSpec.from_json(fields["spec"])
        places = self.catalog.find(spec.fingerprint(), digest_rows(fields))
        return Features(spec, fields, places, self.shard_folder(spec.fingerprint()))

    def network(self, spec_id: str) -> bytes | None:
        """Return the quantised network that gives the features of a spec; None if none is kept.

        Raises
        ------
        StoreCorrupt
            If it is damaged, or not alone.
        """
        found = self.networks(spec_id)
        if len(found) > 1:
            raise StoreCorrupt(
                f'{len(found)} networks are in "{found[0].parent}", where one belongs.',
                "One of them gave the features.",
                "That one alone.",
                f"Move the other elsewhere, or look with:  cutpoint store verify {self.path}",
            )
        return read_network(found[0]) if found else None

    def networks(self, spec_id: str = "*") -> list[Path]:
        """Return the files of quantised networks, of one spec or of all."""
        with told(self.path, "read"):
            return sorted((self.path / NETWORKS).glob(f"{spec_id}/*.safetensors"))

    # -- writing ---------------------------------------------------------------------------

    @contextmanager
    def writing(
        self, spec: FeatureSpec, on_wait: Callable[[], None]
    ) -> Iterator[StoreError | None]:
        """Hold the one writer's place for `spec`; `on_wait` is called if another has it: I6.

        Yields
        ------
        refusal : StoreError or None
            Why nothing can be written, of a store that is there and may only be read; there is no
            lock then, and every write fails. None of all other stores.
        """
        try:
            lock = self.lock(spec.fingerprint(), on_wait)
        except StoreError as error:
            if error.errno not in READ_ONLY or not self.catalog.exists():
                raise
            yield error
            return
        with lock:
            self._make_folders(spec.fingerprint())
            self._sweep(spec.fingerprint())
            self.catalog.add_spec(spec)
            yield None

    def commit(self, spec_id: str, receipt: Receipt | None, remarks: Sequence[Remark] = ()) -> None:
        """Acknowledge what one unit gave: its shard, if any item was good, and what was noticed."""
        if receipt is not None:
            self.catalog.commit(receipt, remarks)
        elif remarks:
            self.catalog.add_remarks(spec_id, remarks)

    def mend(self, spec_id: str) -> list[str]:
        """Make catalog and shards of a spec agree, as its one writer; return what was done.

        Damaged shards are moved to the folder ``damaged`` and forgotten, so that their payloads
        are computed again. Whole ones that the catalog lacks, or of which it says what they don't,
        are taken in as they are.

        Raises
        ------
        StoreError
            If the catalog can't be used, or a shard can't be read just now, which is no damage.
        """
        if self.catalog.exists():
            self.catalog.check()
        wrong = self.what_is_wrong(spec_id)
        for error in wrong.values():
            if not isinstance(error, StoreCorrupt):
                raise error
        if any(_OTHER_ROWS in error.got for error in wrong.values()):
            # A row claimed wrongly may hide another shard's: what the catalog says of all goes.
            self.catalog.drop(spec_id, {row.name for row in self.catalog.shards(spec_id)})
        if wrong:
            self.catalog.drop(spec_id, wrong)
        taken, broken = [], []
        for path in self.orphans(spec_id):
            try:
                taken.append(read_receipt(path))
            except StoreCorrupt as error:
                broken.append((path, error.got))
        if taken:
            self.catalog.fill(taken)
        said = [f"Damaged, moved to {self.move_aside(path)}: {what}" for path, what in broken]
        n_rows = sum(len(receipt.digests) for _, receipt in taken)
        gone = [name for name in wrong if not self.shard_path(spec_id, name).exists()]
        said += [f"Shard {name} is damaged or gone: its items are computed again" for name in gone]
        if taken:
            said.append(f"{len(taken)} whole shards, {n_rows} rows, are taken into the catalog")
        return said

    def require_rows(self, spec_id: str, digests: Collection[str]) -> None:
        """Raise `StoreError` unless each payload's place is a row of a shard that says so, too."""
        places, own = self.places(spec_id), self._own_digests(spec_id)
        lost = [digest for digest in digests if not _is_there(digest, places, own)]
        if lost:
            what = f"{len(lost)} of {len(digests)} rows can't be found, first that of {lost[0]}"
            raise self.catalog.damaged(what)

    def _own_digests(self, spec_id: str) -> dict[str, tuple[str, ...]]:
        """Return which payloads the shards of a spec hold, as they say themselves, by name.

        Raise `StoreError` unless rows of all of them have one shape and can be put together.
        """
        own, first = {}, None
        for row in self.catalog.shards(spec_id):
            path = self.shard_path(spec_id, row.name)
            contents, own[row.name] = read_header(path)
            first = first or contents.rows
            if contents.rows != first:
                shapes = [
                    {name: shape for name, (_, shape) in rows.items()}
                    for rows in (contents.rows, first)
                ]
                raise StoreError(
                    f'Rows in "{path}" have other shapes than in the shards before it.',
                    f"They are {shapes[0]}, the others {shapes[1]}.",
                    "Rows of one shape for each tap; it can't be told which of them are right.",
                    f"Move one away, for example with:  mv {shlex.quote(str(path))} /tmp",
                )
        return own

    def move_aside(self, path: Path) -> Path:
        """Move a damaged file to the same place under ``damaged``; return its new path.

        Raises
        ------
        StoreError
            If it lies behind a link: what is elsewhere is never touched.
        """
        return move_aside(path, self._aside(path))

    def copy_aside(self, path: Path) -> Path:
        """Copy a file durably to the same place under ``damaged``; raise as `move_aside` does."""
        target = free_name(self._aside(path), path.name)
        write_durably(target, read_file(path))
        return target

    def _aside(self, path: Path) -> Path:
        """Return the folder under ``damaged`` for a file; raise as `move_aside` does."""
        inside = path.relative_to(self.path)
        target = Path(DAMAGED) / inside.parent
        for each in (*inside.parents, *target.parents, target):
            if (self.path / each).is_symlink() and each != Path():
                raise StoreError(
                    f'"{path}" is damaged, and it lies behind a link.',
                    f'The link "{self.path / each}" leads to "{os.readlink(self.path / each)}".',
                    "Folders of the store's own: files behind links are never moved or deleted.",
                    f"Move it away yourself, for example with:  mv {shlex.quote(str(path))} /tmp",
                )
        return self.path / target

    def save_view(
        self,
        spec: FeatureSpec,
        dataset: Dataset,
        digests: dict[str, str],
        facts: Mapping[str, Any] | None = None,
    ) -> Path:
        """Write which items, with which labels, make up `dataset`; return the file.

        `facts` are further fields, as FORMAT.md names them.
        """
        text = canonical_json({**view_fields(spec, dataset, digests), **(facts or {})})
        name = hashlib.sha256(text.encode()).hexdigest()[:16]
        path = self.view_path(name)
        self._write(path, text.encode(), spec.fingerprint())
        self.catalog.add_view(name, dataset.name)
        return path

    def add_network(self, spec_id: str, network: bytes) -> None:
        """Keep the quantised network of a spec; its writer alone may."""
        path = self.path / NETWORKS / spec_id / network_name(network)
        self._write(path, network, spec_id)

    def add_engine(self, spec_id: str, record: EngineRecord) -> None:
        self.catalog.add_engine(spec_id, record)

    def lock(
        self, spec_id: str, on_wait: Callable[[], None]
    ) -> AbstractContextManager[BaseFileLock]:
        """Return the lock of a spec's one writer, held until its context ends: I6.

        It falls with the process.
        """
        folder = self.path / "locks"
        lock = FileLock(folder / f"{spec_id}.lock")
        with told(folder, "written"):
            make_folder(folder)
            # What is returned releases; `with lock` would hold it twice, and release once.
            try:
                return lock.acquire(timeout=0)
            except Timeout:
                on_wait()
                return lock.acquire()

    def _make_folders(self, spec_id: str) -> None:
        """Make the folder of a spec's shards.

        Those above it are synced though they are there: whoever made them may have been killed
        before that.
        """
        folder = self.shard_folder(spec_id)
        with told(folder, "written"):
            make_folder(folder)
            for above in (folder.parent, self.path, self.path.absolute().parent):
                sync_folder(above)

    def _gone(self, data_set: DataSet) -> StoreCorrupt:
        there = [each for each in self.data_sets() if self.view_path(each.view).exists()]
        return StoreCorrupt(
            f"The view of data set {data_set} is gone.",
            f'The catalog names it, and "{self.view_path(data_set.view)}" is missing.',
            f"Its data, extracted again; or one of these by name: {_listed(there) or 'none'}.",
            "Repeat the extraction: what is there already is not computed again. To forget it:  "
            f"cutpoint store verify --rebuild {shlex.quote(str(self.path))}",
        )

    def view_path(self, view: str) -> Path:
        """Return the file of a data set's view, which may be gone."""
        return self.path / "views" / f"{view}.json"

    def _sweep(self, spec_id: str) -> None:
        """Remove what killed writers of this spec left half-written, views and networks too."""
        folder = self.shard_folder(spec_id)
        if folder.is_symlink() or folder.parent.is_symlink():
            return  # nothing is deleted behind a link
        with told(folder, "written"):
            for path in folder.glob(f"*{TMP_SUFFIX}"):
                path.unlink(missing_ok=True)

    def _write(self, path: Path, data: bytes, spec_id: str) -> None:
        """Write a file that its bytes name; one of that name with other bytes is moved aside."""
        try:
            is_damaged = read_file(path) != data
        except StoreCorrupt:
            is_damaged = os.path.lexists(path)
        if is_damaged:
            self.move_aside(path)
        write_durably(path, data, scratch=self.shard_folder(spec_id))


def _is_there(digest: str, places: Mapping[str, Place], own: Mapping[str, tuple[str, ...]]) -> bool:
    place = places.get(digest)
    rows = own.get(place.shard, ()) if place else ()
    return place is not None and place.row < len(rows) and rows[place.row] == digest


def network_name(network: bytes) -> str:
    """Return the file name of a quantised network."""
    return f"{hashlib.sha256(network).hexdigest()[:32]}.safetensors"


def read_network(path: Path) -> bytes:
    """Return a quantised network, or raise `StoreCorrupt` if it is not what its name says: I4."""
    data = read_file(path)
    if network_name(data) != path.name:
        raise corrupt(path, f"its sha256 is {network_name(data)[:16]}…, not its name")
    return data


def read_view(path: Path) -> dict[str, Any]:
    """Return a view's fields, or raise `StoreCorrupt` if it is not what its name says: I4."""
    data = read_file(path)
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256[:16] != path.stem:
        raise corrupt(path, f"its sha256 is {sha256[:16]}…, not its name")
    fields = read_json(path, data)
    refuse_format(path, fields.get("format"), VIEW_FORMAT)
    read_spec(path, fields)
    for name, is_right in _VIEW_FIELDS.items():
        if not is_right(fields.get(name, _ABSENT.get(name))):
            raise corrupt(path, f'its "{name}" is not as a view has it')
    label_type = fields.get("label_type", _ABSENT["label_type"])
    labels = {*fields["classes"], *(item[2] for item in fields["items"])} - {None}
    if not all(is_label(label, label_type) for label in labels):
        raise corrupt(path, f"its labels are not all of type {label_type}")
    return fields


def _is_list_of(is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda found: isinstance(found, list) and all(map(is_right, found))


def _is_mapping_of(is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda found: isinstance(found, dict) and all(map(is_right, found.values()))


def _is_text(found: Any) -> bool:
    return isinstance(found, str)


def _is_text_or_none(found: Any) -> bool:
    return found is None or isinstance(found, str)


def _is_object(found: Any) -> bool:
    return isinstance(found, dict)


def _is_pair(found: Any) -> bool:
    return isinstance(found, list) and len(found) == 2 and all(map(_is_text, found))


def _is_item(found: Any) -> bool:
    return (
        isinstance(found, list)
        and len(found) == 5
        and _is_text(found[0])
        and is_digest(found[1])
        and all(map(_is_text_or_none, found[2:]))
    )


# What is meant by a field that is not there: those of views of earlier releases.
_ABSENT: dict[str, Any] = {"macs": {}, "layouts": {}, "counts": {}, "label_type": "str"}
_VIEW_FIELDS: dict[str, Callable[[Any], bool]] = {
    "name": _is_text,
    "label_type": lambda found: found in LABEL_TYPES,
    "classes": _is_list_of(_is_text),
    "quarantined": _is_list_of(_is_pair),
    "warnings": _is_list_of(_is_text),
    "items": _is_list_of(_is_item),
    "macs": _is_object,
    "layouts": _is_mapping_of(_is_text),
    "counts": _is_mapping_of(_is_list_of(lambda found: isinstance(found, int))),
    "precision_check": lambda found: found is None or _is_object(found),
}


def _name_in(path: Path) -> str:
    """Return the name in a view, as far as it can be read."""
    try:
        return str(read_view(path)["name"])
    except (StoreError, ValueError, LookupError, TypeError):
        return "damaged"


def _listed(data_sets: Sequence[DataSet]) -> str:
    """Return some data sets in words, the newest first."""
    shown = [str(each) for each in data_sets[::-1][:_SHOWN]]
    more = len(data_sets) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def view_fields(spec: FeatureSpec, dataset: Dataset, digests: dict[str, str]) -> dict[str, Any]:
    """Return a view as JSON fields: `dataset` without its payloads, with their digests."""
    kept = [item for item in dataset.items if item.key in digests]
    # A field younger than the format: left out of text, as before, so that no view is named anew.
    typed = {} if dataset.label_type == "str" else {"label_type": dataset.label_type}
    return {
        **typed,
        "format": VIEW_FORMAT,
        "spec": spec.to_json(),
        "name": dataset.name,
        "classes": list(dataset.classes),
        "quarantined": [list(row) for row in dataset.quarantined],
        "warnings": list(dataset.warnings),
        "items": [
            [item.key, digests[item.key], item.label, item.group, item.split] for item in kept
        ],
    }
