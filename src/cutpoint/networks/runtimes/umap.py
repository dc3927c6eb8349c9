"""umap-learn, without the deep-learning framework its parametric variant would bring."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from cutpoint.base.errors import MissingExtra

_PARAMETRIC = "umap.parametric_umap"


def import_umap() -> Any:
    """Return the module ``umap.umap_``.

    Importing the package imports its parametric variant, and with it TensorFlow where that is
    installed. So the variant is hidden while the package is imported for the first time.
    """
    is_first = "umap" not in sys.modules
    if is_first:
        sys.modules[_PARAMETRIC] = None  # type: ignore[assignment]  # how Python marks "absent"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the variant is absent
            import umap.umap_
    except ImportError as error:
        raise MissingExtra("UMAP", "umap") from error
    finally:
        if is_first:
            del sys.modules[_PARAMETRIC]
    return umap.umap_
