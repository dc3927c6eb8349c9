"""Compiled models that passed the gate, kept between runs in the user's cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cutpoint.base.errors import StoreError
from cutpoint.base.files import write_durably
from cutpoint.base.spec import canonical_json

MAX_BYTES = 2_000_000_000  # of all kept models; those unused for longest go first
_DIGEST_BYTES = 32
# A change in any of them may change what a network of one name and one set of weights computes.
_PACKAGES = (
    "cutpoint keras onnx openvino tensorflow tensorflow-cpu timm torch torchvision transformers"
)


def models_folder() -> Path:
    """Return ``$CUTPOINT_MODELS``, else ``cutpoint/models`` in the user's cache folder."""
    named = os.environ.get("CUTPOINT_MODELS")
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named) if named else user / "cutpoint" / "models"


@dataclass(frozen=True)
class KeptModel:
    """The place of one compiled model; the file is there once the model passed the gate.

    It holds a sha256, of its own name and of what follows, and the engine's own export. So a
    model that is read is the very one that passed, for this spec, engine and machine.

    Parameters
    ----------
    path : Path
    say : callable
        Told when a file is damaged or can't be written.
    """

    path: Path
    say: Callable[[str], None] = lambda line: None

    @classmethod
    def of(cls, spec_id: str, engine: str, say: Callable[[str], None]) -> KeptModel:
        """Return the place for a spec's fingerprint and an engine, on this machine."""
        facts = {"spec": spec_id, "engine": engine, "machine": _machine(), "versions": _versions()}
        name = hashlib.sha256(canonical_json(facts).encode()).hexdigest()[:32]
        return cls(models_folder() / f"{name}.model", say)

    def read(self) -> bytes | None:
        """Return the engine's export; None if there is none, or it is damaged, which is said."""
        try:
            data = self.path.read_bytes()
            os.utime(self.path)  # used just now
        except OSError:
            return None
        digest, export = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if digest != self._digest(export):
            self.drop("is damaged")
            return None
        return export

    def write(self, export: bytes) -> None:
        """Keep `export`; without a place to keep it the run goes on."""
        try:
            write_durably(self.path, self._digest(export) + export)
            _trim(self.path.parent)
        except (OSError, StoreError) as error:
            reason = error.got if isinstance(error, StoreError) else error
            self.say(f"The compiled model is not kept for the next run: {reason}")

    def drop(self, why: str) -> None:
        """Forget the file and say why; one that can't be removed is not used either."""
        kept = ""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            kept = f", and can't be removed: {error.strerror}"
        self.say(f"The kept model {self.path} {why}: made again{kept}")

    def _digest(self, export: bytes) -> bytes:
        return hashlib.sha256(self.path.name.encode() + export).digest()


def _trim(folder: Path) -> None:
    """Remove the models used longest ago until the rest fits `MAX_BYTES`."""
    found = []
    for path in folder.glob("*.model"):
        with contextlib.suppress(FileNotFoundError):  # another run trims too
            found.append((path.stat(), path))
    n_bytes = sum(facts.st_size for facts, _ in found)
    for facts, path in sorted(found, key=lambda each: each[0].st_mtime_ns):
        if n_bytes <= MAX_BYTES:
            return
        path.unlink(missing_ok=True)
        n_bytes -= facts.st_size


@cache
def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES.split():
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def _machine() -> str:
    """Return what compiled code depends on: the processor's instructions."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # no Linux
        return platform.processor() or platform.machine()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
