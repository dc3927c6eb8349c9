"""The folder a predictor is saved in: ``predictor.json`` and ``head-….safetensors``."""

from __future__ import annotations

import hashlib
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from cutpoint.base.errors import PredictorError, UsageError
from cutpoint.base.files import told, write_durably
from cutpoint.base.spec import canonical_json
from cutpoint.base.tongue import either
from cutpoint.base.types import Array
from cutpoint.features.extraction.bad_rows import BAD_ROWS

FORMAT = 1
MANIFEST, HEAD, RECIPE, NETWORK, TUNED = "predictor.json", "head", "recipe", "network", "tuned"


def write_folder(folder: Path, fields: dict[str, Any], parts: dict[str, dict[str, Array]]) -> None:
    """Write a predictor; an older one of that name is replaced, at once or not at all.

    Parameters
    ----------
    fields : dict
        What goes into the manifest; the file of the arrays and its digest are added to its head.
    parts : dict
        Arrays by part (`HEAD`, `RECIPE`, `NETWORK`, `TUNED`) and name.
    """
    refuse_foreign(folder)
    packed = {f"{part}.{name}": each for part, own in parts.items() for name, each in own.items()}
    arrays = save({n: np.require(each, requirements="C") for n, each in packed.items()})
    sha256 = hashlib.sha256(arrays).hexdigest()
    file = f"{HEAD}-{sha256[:16]}.safetensors"
    write_durably(folder / file, arrays)
    # One rename makes the new predictor valid; until then the older one is.
    fields = {**fields, "head": {**fields["head"], "file": file, "sha256": sha256}}
    write_durably(folder / MANIFEST, json.dumps(signed(fields), indent=1).encode())
    with told(folder, "written"):
        for old in folder.glob(f"{HEAD}-*.safetensors"):
            if old.name != file:
                old.unlink()


def refuse_foreign(folder: Path) -> None:
    """Raise `UsageError` if writing a predictor to `folder` would destroy something else."""
    is_ours = folder.is_dir() and (
        (folder / MANIFEST).exists() or {each.name for each in folder.iterdir()} <= {BAD_ROWS}
    )
    if folder.exists() and not is_ours:
        raise UsageError(
            f'A predictor can\'t be saved as "{folder}".',
            "Something else is there.",
            "A new name, or the folder of an older predictor, which is then replaced.",
            "Type, for example:  "
            + either(repr(_new_place(folder)), f"-o {shlex.quote(_new_place(folder))}"),
        )


def _new_place(folder: Path) -> str:
    """Return a new name in the current folder, beside it where it is what was named.

    Never within what was named, nor where a named file lies: that may be the data.
    """
    whole = folder.resolve()
    name = f"{whole.name if folder.is_dir() and whole.name else 'model'}.cutpoint"
    return f"../{name}" if whole == Path.cwd() and whole != whole.parent else name


def signed(fields: dict[str, Any]) -> dict[str, Any]:
    """Return `fields` with the sha256 of their canonical JSON."""
    bare = {name: value for name, value in fields.items() if name != "sha256"}
    return {**bare, "sha256": hashlib.sha256(canonical_json(bare).encode()).hexdigest()}


def read_manifest(folder: Path) -> dict[str, Any]:
    try:
        fields = json.loads(_read(folder / MANIFEST))
    except (OSError, ValueError, RecursionError) as error:
        raise broken(folder, f"{MANIFEST} can't be read ({error})") from error
    if not isinstance(fields, dict):
        raise broken(folder, f"{MANIFEST} holds no JSON object")
    found = fields.get("format")
    if type(found) is int and found > FORMAT:
        raise PredictorError(
            f'The predictor "{folder}" is of a later release.',
            f"Its format is {found}.",
            f"This release reads format {FORMAT}.",
            "Upgrade with:  pip install --upgrade cutpoint-ml",
        )
    if found != FORMAT:
        raise broken(folder, f"its format is {found!r}, this release reads {FORMAT}")
    if signed(fields)["sha256"] != fields.get("sha256"):
        raise broken(folder, f"{MANIFEST} was changed after it was written")
    return fields


def read_arrays(folder: Path, fields: dict[str, Any]) -> dict[str, Array]:
    try:
        data = _read(folder / Path(fields["file"]).name)
        arrays: dict[str, Array] = load(data)
    except (OSError, ValueError, SafetensorError) as error:
        raise broken(folder, f"{fields['file']!r} can't be read ({error})") from error
    if hashlib.sha256(data).hexdigest() != fields["sha256"]:
        raise broken(folder, f"{fields['file']} differs from the digest in {MANIFEST}")
    return arrays


def _read(path: Path) -> bytes:
    """Return what a file holds; a pipe or a device might never end."""
    if path.exists() and not path.is_file():
        raise OSError("it is no file")
    return path.read_bytes()


def part(arrays: dict[str, Array], name: str) -> dict[str, Array]:
    """Return the arrays of recipe or head, under their own names."""
    start = f"{name}."
    return {n.removeprefix(start): each for n, each in arrays.items() if n.startswith(start)}


def broken(folder: Path, what: str) -> PredictorError:
    return PredictorError(
        f'"{folder}" can\'t be loaded as a predictor.',
        f"Why: {what}.",
        f"A folder with {MANIFEST} and {HEAD}-….safetensors as `save` wrote them.",
        "Make it again with:  "
        + either(f"cutpoint.fit(data, output={str(folder)!r})", f"cutpoint fit DATA -o {folder}"),
    )
