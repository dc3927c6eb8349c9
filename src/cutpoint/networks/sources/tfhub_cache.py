"""TF-Hub modules: downloaded by TF-Hub's protocol into the folder that tensorflow_hub uses.

A handle is a URL; with ``?tf-hub-format=compressed`` it gives a ``tar.gz``
(https://www.tensorflow.org/hub/hosting). Modules lie in ``$TFHUB_CACHE_DIR/<sha1 of the handle>``,
by default in the folder ``tfhub_modules`` of the temporary folder, so what tensorflow_hub has
downloaded is found here and the other way round.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path, PurePosixPath
from typing import IO

from cutpoint.base.errors import WeightsError
from cutpoint.base.tongue import layers_of
from cutpoint.networks.sources.files import existing

_TIMEOUT_S = 60
# Weights hardly compress; an archive that grows more than this holds no weights (1 GB from 1 KB).
_MAX_GROWTH = 100
_FREE_BYTES = 10_000_000


def is_handle(name: str) -> bool:
    """Say whether `name` is a URL rather than a path."""
    return name.startswith(("https://", "http://"))


def module_folder(name: str) -> Path:
    """Return the folder of a module, downloaded if `name` is a handle not met before."""
    if not is_handle(name):
        return existing(name, "tfhub", "A folder with saved_model.pb, or a handle https://…")
    folder = _cache() / hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
    if not (folder.is_dir() and any(folder.iterdir())):
        _download(name, folder)
    return folder


def _cache() -> Path:
    default = Path(tempfile.gettempdir()) / "tfhub_modules"
    return Path(os.environ.get("TFHUB_CACHE_DIR") or default).expanduser()


def _download(handle: str, folder: Path) -> None:
    """Fetch and unpack beside `folder`, then move into place in one step."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, suffix=".tmp") as temporary:
        archive, unpacked = Path(temporary) / "module.tar.gz", Path(temporary) / "module"
        try:
            _fetch(handle, archive)
            unpack(archive, unpacked)
        except (OSError, EOFError, tarfile.TarError) as error:
            raise WeightsError(
                f'Backbone "tfhub:{handle}" can\'t be downloaded.',
                f"The answer: {error}.",
                "A network, or the module's folder.",
                f"With the folder, type:  {layers_of('tfhub:FOLDER', trust_weights=True)}",
            ) from error
        shutil.rmtree(folder, ignore_errors=True)  # an empty one, at most
        unpacked.rename(folder)
    folder.with_name(f"{folder.name}.descriptor.txt").write_text(f"Module: {handle}\n")


def _fetch(handle: str, archive: Path) -> None:
    parts = urllib.parse.urlsplit(handle)
    query = "&".join(filter(None, (parts.query, "tf-hub-format=compressed")))
    url = urllib.parse.urlunsplit(parts._replace(query=query))
    request = urllib.request.Request(url)  # noqa: S310  # is_handle has let through http(s) alone
    with (
        urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer,  # noqa: S310
        archive.open("wb") as file,
    ):
        shutil.copyfileobj(answer, file)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a ``tar.gz`` of plain files and folders, none of which leads out of `folder`.

    Raises
    ------
    WeightsError
        If a member is a link or a device, climbs out, or the whole grows beyond reason.
    """
    folder.mkdir()
    n_bytes, limit = 0, _FREE_BYTES + _MAX_GROWTH * archive.stat().st_size
    # As a stream: a member is judged by its header before a byte of it is unpacked.
    with tarfile.open(archive, "r|gz") as members:
        for member in members:
            n_bytes += member.size
            _check_member(member, n_bytes, limit)
            target = folder / member.name
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                _write(members.extractfile(member), target)


def _write(data: IO[bytes] | None, target: Path) -> None:
    with target.open("xb") as file:
        shutil.copyfileobj(data, file) if data else None


def _check_member(member: tarfile.TarInfo, n_bytes: int, limit: int) -> None:
    path = PurePosixPath(member.name)
    why = ""
    if path.is_absolute() or ".." in path.parts or "\\" in member.name:
        why = "leads out of the folder"
    elif not (member.isreg() or member.isdir()):
        why = "is neither a plain file nor a folder"
    elif n_bytes > limit:
        why = f"makes the whole larger than {limit} bytes"
    if why:
        raise WeightsError(
            f'A TF-Hub module can\'t be unpacked: its member "{member.name}" {why}.',
            "Nothing of it was unpacked.",
            "Plain files in their own folder.",
            "Ask whoever hosts it",
        )
