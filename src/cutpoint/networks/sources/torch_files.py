"""Files with PyTorch weights, read so that no code in them runs.

``torch.load`` is only ever called with ``weights_only=True``, and a file it refuses is refused: a
second, unsafe try is how such guards are undone.
"""

from __future__ import annotations

import pickle  # for the error torch raises; nothing is read or written by it
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cutpoint.base.errors import MissingExtra, WeightsError


def read_state_dict(path: Path) -> Mapping[str, Any]:
    """Return the tensors, or the checkpoint around them, in a safetensors or torch file.

    Raises
    ------
    WeightsError
        If the file is broken, or is a whole pickled module or TorchScript, which can run code.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtra(f'The weights "{path}"', "torch") from error
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    _refuse_foreign(path)
    _refuse_archive(path)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _can_run_code(path, "a pickle with more than tensors in it", _cause(error)) from error
    except Exception as error:  # whatever a broken file provokes
        raise _broken(path, error) from error
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        raise _broken(path, TypeError(f"it holds a {type(found).__name__}, no state dict"))
    return found


def read_safetensors(path: Path) -> dict[str, Any]:
    """Return the tensors in a safetensors file, whose header its library checks against it."""
    from safetensors.torch import load_file

    try:
        tensors: dict[str, Any] = load_file(path)
    except Exception as error:  # the library's own error and those of the file system
        raise _broken(path, error) from error
    return tensors


def _refuse_foreign(path: Path) -> None:
    """Refuse what can be no file of torch: ``.bin`` is the end of many names."""
    try:
        with path.open("rb") as file:
            start = file.read(2)
    except OSError as error:
        raise _broken(path, error) from error
    if start != b"PK" and start[:1] != b"\x80":  # a zip archive; a pickle, as torch before 1.6
        raise _broken(path, ValueError("it begins as neither of torch's formats does"))


def _refuse_archive(path: Path) -> None:
    """Refuse TorchScript, and archives that unpack to more than their own size.

    torch saves tensors uncompressed, so that its files can be mapped into memory.
    """
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except zipfile.BadZipFile as error:
        raise _broken(path, error) from error
    if any(entry.filename.endswith("/constants.pkl") for entry in entries):
        raise _can_run_code(
            path, "TorchScript", "its layers run where neither hooks nor graphs reach them"
        )
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise _broken(path, ValueError("its entries are compressed, as torch never saves them"))


def _can_run_code(path: Path, what: str, why: str) -> WeightsError:
    return WeightsError(
        f'The weights "{path}" can run code: {why}.',
        f"The file is {what}.",
        "A state dict, as safetensors or as torch saves one. Trusting the weights does not help: "
        "cutpoint loads no pickled code at all.",
        "Where the file comes from, type:  "
        'safetensors.torch.save_file(network.state_dict(), "weights.safetensors")',
    )


def _broken(path: Path, error: Exception) -> WeightsError:
    return WeightsError(
        f'The weights "{path}" can\'t be read.',
        f"It raised {type(error).__name__}: {' '.join(str(error).split())[:300]}.",
        "A whole safetensors file, or a state dict saved by torch.",
        f"Compare its size and digest with its origin's:  sha256sum {path}",
    )


def _cause(error: Exception) -> str:
    """Return what the file asked for, out of torch's long advice."""
    found = re.search(r"GLOBAL (\S+)", str(error))
    return f"it calls {found[1]}" if found else " ".join(str(error).split())[:200]
