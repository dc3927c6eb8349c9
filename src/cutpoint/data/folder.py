"""Class folders: ``root/<class>/…`` or ``root/{train,val,test}/<class>/…``."""

from __future__ import annotations

import os
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
    n_ignored: int = 0
    n_links: int = 0
    seen: set[tuple[int, int]] = field(default_factory=set)

    def files(self, folder: Path) -> Iterator[Path]:
        """Yield the image files below `folder`, in any depth."""
        if not self._enter(folder):
            return
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if self._skips_link(entry):
                continue
            if entry.is_dir():
                yield from self.files(Path(entry.path))
            elif entry.is_file() and _is_item_name(entry.name):
                yield Path(entry.path)
            else:
                self.n_ignored += 1

    def folders(self, root: Path) -> list[Path]:
        """Return the visible folders directly below `root`, sorted by name."""
        found = []
        for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
            if self._skips_link(entry):
                continue
            if entry.is_dir() and not _is_hidden(entry.name):
                found.append(Path(entry.path))
        return found

    def _skips_link(self, entry: os.DirEntry[str]) -> bool:
        if not entry.is_symlink() or self.follow_links:
            return False
        self.n_links += 1
        return True

    def _enter(self, folder: Path) -> bool:
        """Refuse hidden folders, and any folder a second time: links may form a loop."""
        status = folder.stat()
        place = (status.st_dev, status.st_ino)
        if place in self.seen or _is_hidden(folder.name):
            return False
        self.seen.add(place)
        return True


def read_folder(root: Path, follow_links: bool = False) -> Dataset:
    """Return the items of a folder.

    Sub-folders are classes, in sorted order; if they are named ``train``, ``val`` and ``test``,
    their sub-folders are. Without any sub-folder the files are items without labels.
    """
    walk = _Walk(follow_links)
    folders = walk.folders(root)
    is_split = bool(folders) and all(folder.name.lower() in SPLIT_NAMES for folder in folders)
    items: list[Item] = []
    class_folders: list[tuple[Path, str | None]] = []
    if is_split:
        for folder in folders:
            name = SPLIT_NAMES[folder.name.lower()]
            class_folders += [(inner, name) for inner in walk.folders(folder)]
    else:
        class_folders = [(folder, None) for folder in folders]
    _refuse_case_twins(root, sorted({folder.name for folder, _ in class_folders}))
    for folder, split in class_folders:
        found = walk.files(folder)
        items += [Item(posix_key(path, root), path, folder.name, None, split) for path in found]
    if not class_folders:
        items = [Item(posix_key(path, root), path) for path in walk.files(root)]
    classes = tuple(sorted({folder.name for folder, _ in class_folders}))
    return _dataset(root, items, classes, class_folders, walk)


def _dataset(
    root: Path,
    items: list[Item],
    classes: tuple[str, ...],
    class_folders: list[tuple[Path, str | None]],
    walk: _Walk,
) -> Dataset:
    filled = {(item.label, item.split) for item in items}
    warnings = [
        f'class folder "{folder.relative_to(root).as_posix()}" is empty'
        for folder, name in class_folders
        if (folder.name, name) not in filled
    ]
    if walk.n_links:
        warnings.append(f"{walk.n_links} links not followed (follow them with --follow-links)")
    unique, twins = _split_off_twins(items)
    return Dataset(
        name=str(root),
        items=tuple(sorted(unique, key=lambda item: item.key)),
        classes=classes,
        quarantined=twins,
        warnings=tuple(warnings),
        n_ignored=walk.n_ignored + walk.n_links,
    )


def _split_off_twins(items: list[Item]) -> tuple[list[Item], tuple[tuple[str, str], ...]]:
    """Two names that differ only in Unicode form have one key: keep the first, tell the second."""
    first: dict[str, Item] = {}
    twins = []
    for item in sorted(items, key=lambda item: str(item.payload)):
        if first.setdefault(item.key, item) is not item:
            twins.append((item.key, "another file has this name in another Unicode form"))
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
