"""``"source:name"`` → Backbone, through the entry-point group ``cutpoint.sources``.

Built-in sources and strangers' enter the same way: an entry point names a function
``load(name, options)`` that takes the part after the colon and `LoadOptions`, and returns a
`Backbone`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

from cutpoint.backbone import Backbone, LoadOptions
from cutpoint.errors import BackboneNotFound, UsageError

GROUP = "cutpoint.sources"
_BUILD_THEMSELVES = (
    "hf",
    "kerashub",
    "onnx",
    "packaged",
    "savedmodel",
    "tfhub",
    "tfjs",
    "timm",
    "torchvision",
)
_SUFFIXES = {
    ".onnx": "onnx",
    ".json": "tfjs",
    ".h5": "keras",
    ".keras": "keras",
    ".pth": "torch",
    ".pt": "torch",
    ".safetensors": "torch",
}


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
        if Path(name).exists() and (of_file := _source_of(Path(name))):
            return load_backbone(f"{of_file}:{name}", options)
        nearest = difflib.get_close_matches(source, known.names, n=1) or sorted(known.names)
        raise BackboneNotFound(
            f'Backbone "{name}" was asked for.',
            f'There is no source "{source}".'
            if colon
            else 'It names no source, as in "source:name".',
            f"Sources: {', '.join(sorted(known.names))}. Nearest: {nearest[0]}.",
            "Type, for example:  cutpoint layers packaged:efficientnet_lite0",
        )
    if options.build is not None and source in _BUILD_THEMSELVES:
        raise UsageError(
            f'Backbone "{name}" was asked for, with build.',
            f"The source {source} builds its networks itself; the function would not be called.",
            "build with a file of weights alone, of PyTorch or Keras.",
            f'Leave it out:  cp.load("{name}")',
        )
    load: Callable[[str, LoadOptions], Backbone] = known[source].load()
    found = load(rest, options)
    found.loaded_with = options
    return found


def _source_of(path: Path) -> str | None:
    """Return which source reads a file or folder, told by its name and what lies in it."""
    if path.is_dir():
        inside = {"saved_model.pb": "savedmodel", "model.json": "tfjs", "config.json": "hf"}
        return next((source for file, source in inside.items() if (path / file).exists()), None)
    return _SUFFIXES.get(path.suffix)
