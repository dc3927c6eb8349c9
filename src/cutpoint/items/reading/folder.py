"""Class folders: ``root/<class>/…`` or ``root/{train,val,test}/<class>/…``."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cutpoint.base.tongue import option
from cutpoint.items.kinds import kind_named
from cutpoint.items.reading.items import Dataset, Item, posix_key
from cutpoint.items.reading.labels import refuse_twins

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class _File:
    """A file that is an item, below a class folder, and whether a link led to it."""

    path: Path
    is_linked: bool = False


@dataclass
class _Walk:
    """What one walk over a folder found besides items."""

    follow_links: bool
    root: Path
    kind: str
    ignored: Counter[str] = field(default_factory=Counter)
    bad: list[tuple[str, str]] = field(default_factory=list)
    circular: list[str] = field(default_factory=list)
    n_links: int = 0
    n_loose: int = 0

    def files(self, folder: Path) -> Iterator[_File]:
        """Yield the files of items below `folder`, in any depth, each folder's once.

        What lies there comes before what links lead to, so that a link takes nothing from the
        folder it points at.
        """
        seen: set[str] = set()
        waiting = deque([folder])
        is_linked = self._is_linked(folder)
        while waiting:
            top = waiting.popleft()
            if os.path.realpath(top) in seen:
                self.circular.append(posix_key(top, self.root))
            else:
                yield from self._below(top, is_linked, seen, waiting)
            is_linked = True  # what waits are links

    def folders(self, folder: Path) -> list[Path]:
        """Return the visible folders directly below `folder`, sorted by name."""
        return [
            Path(entry.path)
            for entry, is_folder in self._entries(folder)
            if is_folder and not _is_hidden(entry.name)
        ]

    def count_files(self, folder: Path) -> None:
        """Count the files directly in `folder`, where only folders are read."""
        for entry in os.scandir(folder):
            if entry.is_symlink() or not entry.is_file():
                continue
            if self._is_item(entry.name):
                self.n_loose += 1
            else:
                self._ignore(entry.name)

    def _below(
        self, folder: Path, is_linked: bool, seen: set[str], waiting: deque[Path]
    ) -> Iterator[_File]:
        seen.add(os.path.realpath(folder))
        for entry, is_folder in self._entries(folder):
            path = Path(entry.path)
            if is_folder and _is_hidden(entry.name):
                continue
            if is_folder and entry.is_symlink():
                waiting.append(path)
            elif is_folder:
                if not (is_linked and os.path.realpath(path) in seen):
                    yield from self._below(path, is_linked, seen, waiting)
            elif self._is_item(entry.name):
                yield _File(path, is_linked or entry.is_symlink())
            else:
                self._ignore(entry.name)

    def _entries(self, folder: Path) -> list[tuple[os.DirEntry[str], bool]]:
        """Return what lies in `folder`, by name, each with whether it is a folder.

        What can't be read is noted as bad; links to a folder that holds the data are left out.
        """
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            self._note_bad(folder, error)
            return []
        found = []
        for entry in entries:
            if self._skips_link(entry):
                continue
            try:
                if entry.is_dir() or entry.is_file():
                    found.append((entry, entry.is_dir()))
                else:
                    self._ignore(entry.name)
            except OSError as error:
                self._note_bad(Path(entry.path), error)
        return found

    def _is_item(self, name: str) -> bool:
        suffix = Path(name).suffix.lower().lstrip(".")
        return not _is_hidden(name) and suffix in kind_named(self.kind).SUFFIXES

    def _note_bad(self, path: Path, error: OSError) -> None:
        self.bad.append((posix_key(path, self.root), f"can't be read: {error.strerror}"))

    def _ignore(self, name: str) -> None:
        self.ignored[Path(name).suffix.lower() or name] += 1

    def _skips_link(self, entry: os.DirEntry[str]) -> bool:
        if not entry.is_symlink():
            return False
        if not self.follow_links:
            self.n_links += 1
            return True
        leads_above = self.root.resolve().is_relative_to(os.path.realpath(entry.path))
        if leads_above:
            self.circular.append(posix_key(Path(entry.path), self.root))
        return leads_above

    def _is_linked(self, folder: Path) -> bool:
        """Say whether a link leads from the root to `folder`."""
        own = self.root.resolve() / folder.relative_to(self.root)
        return os.path.realpath(folder) != str(own)


def list_items(root: Path, kind: str = "image") -> Dataset:
    """Return every file below `root` that is an item, without labels; no link is followed."""
    walk = _Walk(False, root, kind)
    items = [Item(posix_key(file.path, root), file.path) for file in walk.files(root)]
    warnings = [f"{key}: {reason}" for key, reason in walk.bad]
    if walk.n_links:
        warnings.append(f"{walk.n_links} links are not followed")
    return Dataset(
        name=str(root),
        items=tuple(sorted(items, key=lambda item: item.key)),
        classes=(),
        warnings=tuple(warnings),
        kind=kind,
    )


def read_folder(root: Path, follow_links: bool = False, kind: str = "image") -> Dataset:
    """Return the items of a folder; which files are items, `kind` says.

    Sub-folders are classes, in sorted order; if they are named ``train``, ``val`` and ``test``,
    their sub-folders are. Without any sub-folder the files are items without labels.
    """
    walk = _Walk(follow_links, root, kind)
    folders = walk.folders(root)
    warnings = []
    if _are_splits(folders):
        class_folders = _split_class_folders(walk, folders)
        strange = [folder.name for folder in folders if folder.name.lower() not in SPLIT_NAMES]
        if strange:
            warnings.append(f"folders beside the splits were not read: {', '.join(strange)}")
    else:
        class_folders = [(folder, None) for folder in folders]
    names = sorted({_label(folder) for folder, _ in class_folders})
    remedy = "Merge or rename one; some disks can't tell them apart."
    refuse_twins(str(root), [(name, name) for name in names], "folder", remedy)
    if class_folders:
        walk.count_files(root)
    found = [
        (file, Item(posix_key(file.path, root), file.path, _label(folder), None, split))
        for folder, split in class_folders
        for file in walk.files(folder)
    ]
    if not class_folders:
        found = [(file, Item(posix_key(file.path, root), file.path)) for file in walk.files(root)]
    items = _each_file_once(walk, found, warnings)
    warnings += _empty_class_warnings(root, items, class_folders)
    return _dataset(root, items, class_folders, walk, warnings)


def class_folders_with(root: Path, kind: str) -> list[str]:
    """Return the class folders below `root` that hold items, as `read_folder` would take them."""
    walk = _Walk(False, root, kind)
    folders = walk.folders(root)
    below = [folder for folder, _ in _split_class_folders(walk, folders)]
    found = below if _are_splits(folders) else folders
    return [posix_key(each, root) for each in found if next(walk.files(each), None)]


def _each_file_once(
    walk: _Walk, found: Sequence[tuple[_File, Item]], warnings: list[str]
) -> list[Item]:
    """Return the items without those that links lead to a second time, which are reported."""
    if not any(file.is_linked for file, _ in found):
        return [item for _, item in found]
    by_place: dict[str, list[tuple[bool, str, Item]]] = defaultdict(list)
    for file, item in found:
        by_place[os.path.realpath(file.path)].append((file.is_linked, item.key, item))
    kept, again = [], []
    for ways in by_place.values():
        ways.sort(key=lambda way: way[:2])
        first = ways[0][2]
        if ways[0][0] and len({(item.label, item.split) for _, _, item in ways}) > 1:
            names = ", ".join(key for _, key, _ in ways)
            reason = f"one file, linked from several classes or splits: {names}"
            walk.bad += [(key, reason) for _, key, _ in ways]
            continue
        kept.append(first)
        again += [f"{key} is {first.key}" for _, key, _ in ways[1:]]
    if again:
        n = len(again)
        warnings.append(f"{n} linked files are read under another name already, such as {again[0]}")
    return kept


def _are_splits(folders: list[Path]) -> bool:
    """Say whether the top folders are splits: all are named so, or train and another are."""
    named = {SPLIT_NAMES.get(folder.name.lower()) for folder in folders}
    return bool(folders) and (None not in named or {"train"} < named - {None})


def _split_class_folders(walk: _Walk, folders: list[Path]) -> list[tuple[Path, str | None]]:
    found: list[tuple[Path, str | None]] = []
    for folder in folders:
        split = SPLIT_NAMES.get(folder.name.lower())
        if split is not None:
            found += [(inner, split) for inner in walk.folders(folder)]
            walk.count_files(folder)
    return found


def _label(folder: Path) -> str:
    return unicodedata.normalize("NFC", folder.name)


def _empty_class_warnings(
    root: Path, items: list[Item], class_folders: list[tuple[Path, str | None]]
) -> list[str]:
    filled = {(item.label, item.split) for item in items}
    return [
        f'class folder "{folder.relative_to(root).as_posix()}" is empty'
        for folder, split in class_folders
        if (_label(folder), split) not in filled
    ]


def _dataset(
    root: Path,
    items: list[Item],
    class_folders: list[tuple[Path, str | None]],
    walk: _Walk,
    warnings: list[str],
) -> Dataset:
    noun = kind_named(walk.kind).NOUN
    if walk.n_links:
        warnings.append(
            f"{walk.n_links} links not followed (follow them with {option('follow_links', True)})"
        )
    if walk.circular:
        shown = ", ".join(walk.circular[:5])
        warnings.append(f"{len(walk.circular)} links lead back to what is read or above: {shown}")
    if walk.n_loose and class_folders:
        warnings.append(f"{walk.n_loose} {noun}s lie outside any class folder and were not read")
    n_ignored = walk.ignored.total()
    if n_ignored:
        kinds = ", ".join(f"{kind} {count}" for kind, count in walk.ignored.most_common(5))
        warnings.append(f"{n_ignored} files are no {noun}s by name and were ignored: {kinds}")
    unique, twins = _split_off_twins(root, items)
    return Dataset(
        name=str(root),
        items=tuple(sorted(unique, key=lambda item: item.key)),
        classes=tuple(sorted({_label(folder) for folder, _ in class_folders})),
        quarantined=(*walk.bad, *twins),
        warnings=tuple(warnings),
        n_ignored=n_ignored + walk.n_links + len(walk.circular) + walk.n_loose,
        kind=walk.kind,
        target="classes" if class_folders else "",
    )


def _split_off_twins(
    root: Path, items: list[Item]
) -> tuple[list[Item], tuple[tuple[str, str], ...]]:
    """Two names that differ only in Unicode form have one key: keep one, tell the other's name."""
    first: dict[str, Item] = {}
    twins = []
    names = {
        id(item): item.payload.relative_to(root).as_posix()
        for item in items
        if isinstance(item.payload, Path)
    }
    for item in sorted(items, key=lambda item: (names[id(item)] != item.key, names[id(item)])):
        if first.setdefault(item.key, item) is not item:
            twins.append((names[id(item)], "another file has this name in another Unicode form"))
    return list(first.values()), tuple(twins)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"
