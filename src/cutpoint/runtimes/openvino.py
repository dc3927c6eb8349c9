"""OpenVINO, without its report to its makers."""

from __future__ import annotations

import sys
from typing import Any

from cutpoint.errors import MissingExtra

_TELEMETRY = "openvino_telemetry"


def import_openvino() -> Any:
    """Return the package ``openvino``.

    Importing it sends an event over the network unless its telemetry package is absent, for which
    it has a stub. So the package is hidden while OpenVINO is imported for the first time.
    """
    is_first = "openvino" not in sys.modules and _TELEMETRY not in sys.modules
    if is_first:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # how Python marks "absent"
    try:
        import openvino
    except ImportError as error:
        raise MissingExtra("OpenVINO", "openvino") from error
    finally:
        if is_first:
            del sys.modules[_TELEMETRY]
    return openvino
