"""What the sources that read files share: which files, their digest, what they may do.

The policy: formats that hold numbers load as they are; formats that can run code load only when
the user says so, and links that lead out of a model's own folder are refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from cutpoint.base.errors import BackboneNotFound, WeightsError
from cutpoint.base.tongue import option


def existing(path: str, source: str, what: str) -> Path:
    """Return `path` if it is there, else raise `BackboneNotFound`."""
    found = Path(path).expanduser()
    try:
        is_there = found.exists()
    except OSError:  # a name no file system takes
        is_there = False
    if not is_there:
        raise BackboneNotFound(
            f'No file or folder "{path}" for backbone "{source}:{path}".',
            f"The folder it would be in is {'there' if found.parent.is_dir() else 'not there'}.",
            f"{what}.",
            f"Look there with:  ls {found.parent}",
        )
    return found


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_sha256(paths: Iterable[Path], root: Path) -> str:
    """Return one digest of several files: their names below `root` and their bytes."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.relative_to(root).as_posix()} {file_sha256(path)}\n".encode())
    return digest.hexdigest()


def inside(folder: Path, relative: str, what: str) -> Path:
    """Return the file `relative` of `folder`; refuse what leads elsewhere.

    Raises
    ------
    WeightsError
        If the path is absolute, climbs out of the folder, is a symbolic link or has other hard
        links: each could make a model file read what is not its own.
    """
    path = folder / relative
    why = ""
    if Path(relative).is_absolute() or ".." in Path(relative).parts:
        why = "leads out of the model's own folder"
    elif not path.exists() and not path.is_symlink():
        why = "is not there"
    elif not path.resolve().is_relative_to(folder.resolve()) or path.is_symlink():
        why = "is a link"
    elif not path.is_file():
        why = "is no plain file"
    elif path.stat().st_nlink > 1:
        why = "has other hard links"
    if why:
        raise WeightsError(
            f'{what} can\'t be loaded: its file "{relative}" {why}.',
            f'Its folder is "{folder}".',
            f'Plain files inside "{folder}" alone: a model must not read anything else.',
            f"Look there with:  ls -l {folder}",
        )
    return path


def require_trust(trusted: bool, what: str, why: str) -> None:
    """Raise `WeightsError` unless the user trusts weights that can run code."""
    if not trusted:
        raise WeightsError(
            f"{what} can run code: {why}.",
            "It was not loaded, as its weights are not trusted.",
            "safetensors, ONNX, TF.js, .h5 and .keras of Keras' own layers and PyTorch state "
            "dicts load without that; anything else only from people you trust.",
            f"If you do, add:  {option('trust_weights', True)}",
        )
