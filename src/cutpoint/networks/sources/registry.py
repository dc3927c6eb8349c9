"""``"source:name"`` → Backbone, through the entry-point group ``cutpoint.networks.sources``.

Built-in sources and strangers' enter the same way: an entry point names a function
``load(name, options)`` that takes the part after the colon and `LoadOptions`, and returns a
`Backbone`. A function ``names()`` beside it, if there is one, lists the names the source knows, so
that the error for a name alone says what to put before it.
"""

from __future__ import annotations

import difflib
import importlib
import re
import shlex
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path

from cutpoint.base.errors import BackboneNotFound, UsageError
from cutpoint.base.tongue import layers_of, option
from cutpoint.networks.backbone import Backbone, LoadOptions

GROUP = "cutpoint.sources"
_BUILD_THEMSELVES = (
    "hf",
    "kerashub",
    "onnx",
    "packaged",
    "savedmodel",
    "sentence_transformers",
    "tfhub",
    "tfjs",
    "timm",
    "torchvision",
)
_SUFFIXES = {
    ".onnx": "onnx",
    ".json": "tfjs",
    ".h5": "keras",
    ".hdf5": "keras",
    ".keras": "keras",
    ".bin": "torch",
    ".pt": "torch",
    ".pth": "torch",
    ".safetensors": "torch",
    ".th": "torch",
}
_HINTS = 2  # names a source is quoted with that has none of just that name


def load_backbone(name: str, options: LoadOptions | None = None) -> Backbone:
    """Return the backbone called ``"source:name"``, or the one in a file or folder.

    Raises
    ------
    BackboneNotFound
        If no source has that name, or the source has no such backbone.
    """
    options = options or LoadOptions()
    source, colon, rest = name.partition(":")
    known = entry_points(group=GROUP)
    if not colon or source not in known.names:
        if name and Path(name).expanduser().exists():  # the empty path is the current folder
            return load_backbone(f"{_source_of(Path(name).expanduser())}:{name}", options)
        raise _no_source(name, known) if colon else _no_such_name(name, known)
    if options.build is not None and source in _BUILD_THEMSELVES:
        raise UsageError(
            f'build has no use for backbone "{name}".',
            f"The source {source} builds its networks itself; the function would not be called.",
            "build with a file of weights alone, of PyTorch or Keras.",
            f'Leave it out:  cp.load("{name}")',
        )
    load: Callable[[str, LoadOptions], Backbone] = known[source].load()
    found = load(rest, options)
    if found.spec.constants != options.constants:
        raise UsageError(
            f'Networks of the source "{source}" give no input a constant.',
            f"They are fed what they declare; {', '.join(options.inputs or ())} would not be.",
            "Constants with a network in a file, or one in memory.",
            f"Leave out {option('inputs')}",
        )
    if options.reading:
        found = found.reading(options.reading)
    found.loaded_with = options
    return found


def _source_of(path: Path) -> str:
    """Return which source reads a file or folder, by its name and what lies in it."""
    if path.is_dir():
        inside = {
            "saved_model.pb": "savedmodel",
            "model.json": "tfjs",
            "modules.json": "sentence_transformers",
            "config.json": "hf",
        }
        found = next((source for file, source in inside.items() if (path / file).exists()), None)
        what = f"folders with {', '.join(inside)}"
    else:
        found = _SUFFIXES.get(path.suffix.lower())
        what = f"files that end in {', '.join(sorted(_SUFFIXES))}"
    if found is None:
        kind = "folder" if path.is_dir() else "file"
        raise BackboneNotFound(
            f'No source reads the {kind} "{path}" by its name.',
            f"Such a {kind} may hold anything.",
            f"Read without naming a source: {what}.",
            _how_it_is_read(path),
        )
    return found


def _how_it_is_read(path: Path) -> str:
    quoted = shlex.quote(str(path))
    if path.is_dir():
        return f"Look for the network in it with:  ls {quoted}"
    if path.suffix.lower() == ".tflite":
        whole = shlex.quote(f"{path}.onnx")
        return (
            "Convert it, then take the new file:  "
            f"python -m tf2onnx.convert --tflite {quoted} --output {whole}"
        )
    return f"If it holds weights of PyTorch, say so:  {shlex.quote(f'torch:{path}')}"


def _no_source(name: str, known: EntryPoints) -> BackboneNotFound:
    source = name.partition(":")[0]
    nearest = difflib.get_close_matches(source, known.names, n=1)
    return BackboneNotFound(
        f'No source "{source}" for backbone "{name}".',
        f"{len(known.names)} sources are installed.",
        f"Sources: {', '.join(sorted(known.names))}."
        + (f" Nearest: {nearest[0]}." if nearest else ""),
        f"Type, for example:  {layers_of('packaged:efficientnet_lite0')}",
    )


def _no_such_name(name: str, known: EntryPoints) -> BackboneNotFound:
    """Return the error for a name without a source: it lists the sources that know it."""
    found = _full_names(name, known)
    is_there = bool(found) and _plain(found[0].partition(":")[2]) == _plain(name)
    told = "The sources installed here that have it" if is_there else "Nearest"
    return BackboneNotFound(
        f'No backbone "{name}".',
        'It names no source, as in "source:name", and there is no such file or folder.',
        f"{told}: {', '.join(found)}." if found else f"Sources: {', '.join(sorted(known.names))}.",
        f"Type, for example:  {layers_of((found or ['packaged:efficientnet_lite0'])[0])}",
    )


def _full_names(name: str, known: EntryPoints) -> list[str]:
    """Return ``source:name`` of all networks called `name`, else of those called nearly so."""
    names = {entry.name: _names_of(entry) for entry in known}
    same = [
        f"{source}:{each}"
        for source in _by_nearness(names)
        for each in names[source]
        if _plain(each) == _plain(name)
    ]
    return same or [
        f"{source}:{each}"
        for source in _by_nearness(names)
        for each in _nearest(name, names[source])
    ]


def _names_of(entry: EntryPoint) -> list[str]:
    """Return the names a source knows; none if it can't be asked, or is not installed."""
    try:
        names = getattr(importlib.import_module(entry.module), "names", None)
        return sorted(names()) if names else []
    except ImportError:  # `MissingExtra` among others
        return []


def _by_nearness(names: Mapping[str, list[str]]) -> list[str]:
    """Return the sources with few names first: theirs are seen before timm's thousand."""
    return sorted(names, key=lambda source: (len(names[source]), source))


def _nearest(name: str, names: list[str]) -> list[str]:
    plain: dict[str, str] = {}
    for each in names:
        plain.setdefault(_plain(each), each)
    found = difflib.get_close_matches(_plain(name), plain, n=_HINTS, cutoff=0.7)
    return [plain[each] for each in found]


def _plain(name: str) -> str:
    """Return a name as all sources would spell it: ``resnet50`` of ``ResNet-50``."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
