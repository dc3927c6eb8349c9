"""Data the tests make, and the way to the data beside the checkout."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Generator
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from PIL import Image

from cutpoint.base.errors import MissingExtra
from cutpoint.base.spec import Preprocess
from cutpoint.testing import FakeBackbone

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"


# A shared machine may stall for longer than hypothesis' own limit of 200 ms an example.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

# scikit-learn's checks of array-API inputs ask for it, before SciPy is imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")


def fed(images: np.ndarray) -> dict[str, np.ndarray]:
    """Return a prepared batch of images as engines are given it."""
    return {"image": images}


def shape_of(preprocess: Preprocess) -> tuple[int, ...]:
    """Return the shape of one prepared item, of its first input, as `cutpoint` feeds it."""
    return next(iter(preprocess.inputs.values())).sized(1)


class SkipsFailInCI:
    """CI installs every extra and has ../shared, so there a skip hides something."""

    def __init__(self) -> None:
        self.skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self.skipped.append(report.nodeid)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.line(f"skipped: {len(self.skipped)}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        in_ci = os.environ.get("CI") == "true" and SHARED.is_dir()
        if in_ci and self.skipped and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Skip what an extra is absent for, where that is said: on other Pythons there are few."""
    try:
        return (yield)
    except (ModuleNotFoundError, MissingExtra) as error:
        if not os.environ.get("CUTPOINT_FEW_EXTRAS"):
            raise
        pytest.skip(f"an extra is not installed here: {error}")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # the controller alone, where xdist is used
        config.pluginmanager.register(SkipsFailInCI())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = pytest.mark.skip(reason="a clone alone: no ../shared beside the checkout")
    for item in items:
        if item.get_closest_marker("shared") and not SHARED.is_dir():
            item.add_marker(missing)


@pytest.fixture(autouse=True)
def _own_store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's own feature store, or models kept for another test."""
    monkeypatch.setenv("CUTPOINT_STORE", str(tmp_path_factory.mktemp("store")))
    monkeypatch.setenv("CUTPOINT_MODELS", str(tmp_path_factory.mktemp("models")))


@pytest.fixture
def shared() -> Path:
    return SHARED


@pytest.fixture
def fake() -> FakeBackbone:
    return FakeBackbone()


@pytest.fixture
def colour_folder(tmp_path: Path) -> Callable[..., Path]:
    """Return a maker of class folders that `FakeBackbone` can learn: red, green and blue noise."""

    def make(
        per_class: int = 20, name: str = "colours", classes: str = "red green blue", seed: int = 0
    ) -> Path:
        root = tmp_path / name
        for channel, label in enumerate(classes.split()):
            for number in range(per_class):
                image = noisy_image(channel % 3, seed * 10_000 + channel * 1000 + number)
                write_image(root / label / f"{number:03d}.png", image)
        return root

    return make


def noisy_image(channel: int, seed: int, side: int = 20) -> np.ndarray:
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 150, (side, side, 3))
    pixels[..., channel] += 70
    return pixels.astype(np.uint8)


def write_image(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def encoded(pixels: np.ndarray, kind: str, mode: str | None = None, **options: object) -> bytes:
    """Return the bytes of an image file."""
    image = Image.fromarray(pixels)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()
