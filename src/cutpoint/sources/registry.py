"""``"source:name"`` → Backbone, through the entry-point group ``cutpoint.sources``.

Built-in sources and strangers' enter the same way: an entry point names a function that takes the
part after the colon and returns a `Backbone`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from importlib.metadata import entry_points

from cutpoint.backbone import Backbone
from cutpoint.errors import BackboneNotFound

GROUP = "cutpoint.sources"


def load_backbone(name: str) -> Backbone:
    """Return the backbone called ``"source:name"``.

    Raises
    ------
    BackboneNotFound
        If no source has that name, or the source has no such backbone.
    """
    source, colon, rest = name.partition(":")
    known = entry_points(group=GROUP)
    if not colon or source not in known.names:
        nearest = difflib.get_close_matches(source, known.names, n=1) or sorted(known.names)
        raise BackboneNotFound(
            f'Backbone "{name}" was asked for.',
            f'There is no source "{source}".'
            if colon
            else 'It names no source, as in "source:name".',
            f"Sources: {', '.join(sorted(known.names))}. Nearest: {nearest[0]}.",
            "Type, for example:  cutpoint layers packaged:efficientnet_lite0",
        )
    load: Callable[[str], Backbone] = known[source].load()
    return load(rest)
