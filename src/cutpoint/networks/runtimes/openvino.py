"""OpenVINO and its quantiser NNCF, without their reports to their makers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cutpoint.base.errors import MissingExtra

_TELEMETRY = "openvino_telemetry"


def import_openvino() -> Any:
    """Return the package ``openvino``.

    Importing it sends an event over the network unless its telemetry package is absent, for which
    it has a stub. So the package is hidden while OpenVINO is imported for the first time.
    """
    with _unreported("openvino"):
        try:
            import openvino
        except ImportError as error:
            raise MissingExtra("OpenVINO", "openvino") from error
    return openvino


def import_nncf() -> Any:
    """Return the package ``nncf``; each of its calls would report, so its telemetry is hidden.

    Only if it is imported here first: what a process imported itself before is left as it is.
    """
    import_openvino()
    with _unreported("nncf"):
        try:
            import nncf
        except ImportError as error:
            raise MissingExtra("Precision int8", "int8") from error
    return nncf


@contextmanager
def _unreported(package: str) -> Iterator[None]:
    """Hide the telemetry package while `package` is imported for the first time."""
    if package in sys.modules:
        yield
        return
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_telemetry(name)}
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # how Python marks "absent"
    try:
        yield
    finally:
        del sys.modules[_TELEMETRY]
        sys.modules.update(before)


def _is_telemetry(name: str) -> bool:
    return name.partition(".")[0] == _TELEMETRY
