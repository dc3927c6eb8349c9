"""Class folders: ``root/<class>/…`` or ``root/{train,val,test}/<class>/…``."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cutpoint.data.items import Dataset, Item, posix_key
from cutpoint.errors import DataError

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
# Files with these names are items (good or bad); files with other names are ignored and counted.
IMAGE_SUFFIXES = frozenset(
    [
        "jpg",
        "jpeg",
        "jpe",
        "jfif",
        "mpo",
        "png",
        "gif",
        "webp",
        "bmp",
        "tif",
        "tiff",
        "ppm",
        "pgm",
        "pbm",
        "pnm",
        "avif",
        "heic",
        "heif",
        "eps",
        "ps",
        "pdf",
        "svg",
        "fits",
        "fit",
    ]
)


@dataclass
class _Walk:
    """What one walk over a folder found besides items."""

    follow_links: bool
    root: Path
    ignored: Counter[str] = field(default_factory=Counter)
    bad: list[tuple[str, str]] = field(default_factory=list)
    n_links: int = 0
    n_loose: int = 0
    seen: set[tuple[int, int]] = field(default_factory=set)

    def files(self, folder: Path) -> Iterator[Path]:
        """Yield the image files below `folder`, in any depth."""
        for entry, is_folder in self._entries(folder):
            if is_folder and not _is_hidden(entry.name):
                yield from self.files(Path(entry.path))
            elif not is_folder and _is_item_name(entry.name):
                yield Path(entry.path)
            elif not is_folder:
                self._ignore(entry.name)

    def folders(self, folder: Path) -> list[Path]:
        """Return the visible folders directly below `folder`, sorted by name."""
        found = self._entries(folder, once=False)
        return [Path(e.path) for e, is_folder in found if is_folder and not _is_hidden(e.name)]

    def count_files(self, folder: Path) -> None:
        """Count the files directly in `folder`, where only folders are read."""
        for entry in os.scandir(folder):
            if entry.is_symlink() or not entry.is_file():
                continue
            if _is_item_name(entry.name):
                self.n_loose += 1
            else:
                self._ignore(entry.name)

    def _entries(self, folder: Path, once: bool = True) -> list[tuple[os.DirEntry[str], bool]]:
        """Return what lies in `folder`, by name, each with whether it is a folder.

        With `once`, a folder is empty the second time: links may form a loop. What can't be read
        is noted as bad.
        """
        try:
            if once and not self._enter(folder):
                return []
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

    def _note_bad(self, path: Path, error: OSError) -> None:
        self.bad.append((posix_key(path, self.root), f"can't be read: {error.strerror}"))

    def _ignore(self, name: str) -> None:
        self.ignored[Path(name).suffix.lower() or name] += 1

    def _skips_link(self, entry: os.DirEntry[str]) -> bool:
        if not entry.is_symlink() or self.follow_links:
            return False
        self.n_links += 1
        return True

    def _enter(self, folder: Path) -> bool:
        status = folder.stat()
        place = (status.st_dev, status.st_ino)
        is_new = place not in self.seen
        self.seen.add(place)
        return is_new


def list_images(root: Path) -> list[Item]:
    """Return every image file below `root` as an item without a label, in key order."""
    items = [Item(posix_key(path, root), path) for path in _Walk(False, root).files(root)]
    return sorted(items, key=lambda item: item.key)


def read_folder(root: Path, follow_links: bool = False) -> Dataset:
    """Return the items of a folder.

    Sub-folders are classes, in sorted order; if they are named ``train``, ``val`` and ``test``,
    their sub-folders are. Without any sub-folder the files are items without labels.
    """
    walk = _Walk(follow_links, root)
    folders = walk.folders(root)
    warnings = []
    if _are_splits(folders):
        class_folders = _split_class_folders(walk, folders)
        strange = [folder.name for folder in folders if folder.name.lower() not in SPLIT_NAMES]
        if strange:
            warnings.append(f"folders beside the splits were not read: {', '.join(strange)}")
    else:
        class_folders = [(folder, None) for folder in folders]
    _refuse_case_twins(root, sorted({_label(folder) for folder, _ in class_folders}))
    if class_folders:
        walk.count_files(root)
    items = [
        Item(posix_key(path, root), path, _label(folder), None, split)
        for folder, split in class_folders
        for path in walk.files(folder)
    ]
    if not class_folders:
        items = [Item(posix_key(path, root), path) for path in walk.files(root)]
    warnings += _empty_class_warnings(root, items, class_folders)
    return _dataset(root, items, class_folders, walk, warnings)


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
    if walk.n_links:
        warnings.append(f"{walk.n_links} links not followed (follow them with --follow-links)")
    if walk.n_loose and class_folders:
        warnings.append(f"{walk.n_loose} images lie outside any class folder and were not read")
    n_ignored = walk.ignored.total()
    if n_ignored:
        kinds = ", ".join(f"{kind} {count}" for kind, count in walk.ignored.most_common(5))
        warnings.append(f"{n_ignored} files are no images by name and were ignored: {kinds}")
    unique, twins = _split_off_twins(root, items)
    return Dataset(
        name=str(root),
        items=tuple(sorted(unique, key=lambda item: item.key)),
        classes=tuple(sorted({_label(folder) for folder, _ in class_folders})),
        quarantined=(*walk.bad, *twins),
        warnings=tuple(warnings),
        n_ignored=n_ignored + walk.n_links + walk.n_loose,
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


def _refuse_case_twins(root: Path, names: list[str]) -> None:
    by_lower: dict[str, list[str]] = {}
    for name in names:
        by_lower.setdefault(name.casefold(), []).append(name)
    twins = [group for group in by_lower.values() if len(group) > 1]
    if twins:
        raise DataError(
            f'The class folders of "{root}" were to be read.',
            f"These names differ in case only: {', '.join(twins[0])}.",
            "Class names must differ by more than case: some disks can't tell them apart.",
            f"Merge or rename one, for example:  mv {twins[0][0]} {twins[0][0]}_2",
        )


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _is_item_name(name: str) -> bool:
    suffix = Path(name).suffix.lower().lstrip(".")
    return not _is_hidden(name) and (not suffix or suffix in IMAGE_SUFFIXES)
