"""However a run ends, what was under way is kept: shard, notes and bad items, by unit."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cutpoint.features.extraction.job as job
from cutpoint.base.errors import StoreError, TooManyBadItems
from cutpoint.base.progress import Reporter
from cutpoint.features.extraction import unit as unit_module
from cutpoint.features.extraction.executors import LocalExecutor
from cutpoint.features.extraction.interrupt import Stop, stopping
from cutpoint.features.store import FeatureStore, verify_store
from cutpoint.items.reading.arrays import read_arrays
from cutpoint.testing import FakeBackbone
from tests.conftest import encoded, noisy_image
from tests.unit.features.store.helpers import CountingBackbone, fill, images, same

N_ITEMS, UNIT_SIZE = 640, 40
UNDER_WAY_S = 0.3


@pytest.fixture(autouse=True)
def _heard() -> Iterator[None]:
    """A shell has what it starts in the background ignore Ctrl-C; here it is heard."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def units(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], None]], list[int]]:
    """Return what calls a function with the number of each unit as it begins."""

    def watch(on_begin: Callable[[int], None]) -> list[int]:
        begun: list[int] = []
        real, lock = job.run_unit, threading.Lock()

        def run_unit(*arguments: Any) -> Any:
            with lock:
                begun.append(len(begun))
                number = begun[-1]
            on_begin(number)
            return real(*arguments)

        monkeypatch.setattr(job, "run_unit", run_unit)
        return begun

    return watch


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def spec_id() -> str:
    return FakeBackbone().feature_spec(["conv2", "conv3"], ["gap", "gmp"]).fingerprint()


def test_ctrl_c_keeps_the_units_under_way_and_begins_no_other(
    tmp_path: Path, units: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def on_begin(number: int) -> None:
        if number == 2:
            press_ctrl_c()
        time.sleep(UNDER_WAY_S)

    begun = units(on_begin)
    with pytest.raises(KeyboardInterrupt):
        fill_aloud(tmp_path, images(N_ITEMS), n_workers=3)
    assert capsys.readouterr().err.count("Stopping: what is under way is finished and kept") == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    store = FeatureStore(tmp_path)
    report = verify_store(store)
    assert (report.n_rows, report.orphans) == (len(begun) * UNIT_SIZE, ())
    assert 3 <= len(begun) <= 6
    counting = CountingBackbone()
    again = fill(tmp_path, images(N_ITEMS), counting)
    assert counting.n_forward == N_ITEMS - report.n_rows
    same(again.features, fill(tmp_path / "alone", images(N_ITEMS)).features)


def fill_aloud(path: Path, data: Any, **options: Any) -> Any:
    from cutpoint.features.extraction import ExtractOptions, extract_features
    from cutpoint.items.reading import read_dataset

    backbone = FakeBackbone()
    spec = backbone.feature_spec(["conv2", "conv3"], ["gap", "gmp"])
    run = ExtractOptions(**options)
    return extract_features(read_dataset(data), backbone, spec, FeatureStore(path), run, Reporter())


def test_a_second_ctrl_c_leaves_at_once(tmp_path: Path, units: Any) -> None:
    go_on = threading.Event()

    def on_begin(number: int) -> None:
        if number == 1:
            press_ctrl_c()
            threading.Timer(0.5, press_ctrl_c).start()
        assert go_on.wait(60)

    units(on_begin)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path, images(N_ITEMS), n_workers=2)
    assert time.monotonic() - start < 30
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    go_on.set()
    for thread in threading.enumerate():
        if thread.name.startswith("cutpoint"):
            thread.join(60)
    assert verify_store(FeatureStore(tmp_path)).n_rows == 0
    assert len(fill(tmp_path, images(N_ITEMS)).features) == N_ITEMS


def test_ctrl_c_that_a_program_handles_by_itself_keeps_them_too(tmp_path: Path, units: Any) -> None:
    def on_begin(number: int) -> None:
        if number == 1:
            threading.Timer(UNDER_WAY_S, press_ctrl_c).start()
        time.sleep(3 * UNDER_WAY_S)

    def handler(*_: object) -> None:
        raise KeyboardInterrupt

    begun = units(on_begin)
    usual = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            fill(tmp_path, images(N_ITEMS), n_workers=2)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, usual)
    assert len(begun) <= 4
    assert verify_store(FeatureStore(tmp_path)).n_rows == len(begun) * UNIT_SIZE


def test_ctrl_c_after_the_last_unit_still_stops_the_run() -> None:
    stop = stopping(Reporter(quiet=True))
    asked = stop.__enter__()
    press_ctrl_c()
    until = time.monotonic() + 10
    while not asked() and time.monotonic() < until:
        time.sleep(0.001)
    with pytest.raises(KeyboardInterrupt):
        stop.__exit__(None, None, None)


def test_in_another_thread_nothing_is_changed() -> None:
    found: list[object] = []

    def look() -> None:
        with stopping(Reporter(quiet=True)) as stop:
            found.extend([signal.getsignal(signal.SIGINT), stop()])

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler, False]


def misnamed(folder: Path, n_files: int, n_junk: int) -> list[Path]:
    """Return files that give a note each, and junk after them."""
    folder.mkdir()
    for number in range(n_files + n_junk):
        data = encoded(noisy_image(0, number), "PNG") if number < n_files else b"junk %d" % number
        (folder / f"{number:04d}.jpg").write_bytes(data)
    return sorted(folder.iterdir())


def test_too_many_bad_items_keep_the_notes_of_what_was_stored(tmp_path: Path) -> None:
    files = misnamed(tmp_path / "data", 200, 40)
    with pytest.raises(TooManyBadItems):
        fill(tmp_path / "s", files, n_workers=1)
    store = FeatureStore(tmp_path / "s")
    stored = set(store.places(spec_id()))
    noted = {digest for digest, kind, _ in store.remarks(spec_id()) if kind == "note"}
    assert len(stored) > 0
    assert noted == stored
    resumed = fill(tmp_path / "s", files, max_bad=1.0)
    alone = fill(tmp_path / "alone", files, max_bad=1.0)
    assert resumed.n_forward == 200 - len(stored)
    assert resumed.features.warnings == alone.features.warnings
    assert "200 × PNG file named .jpg" in resumed.features.warnings[0]
    assert [p.name for p in store.views()] == [
        p.name for p in FeatureStore(tmp_path / "alone").views()
    ]


def test_a_unit_that_fails_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full for one shard is told; the shard beside it was written and is kept."""
    real, n_written, both = unit_module.write_shard, [0], threading.Barrier(2, timeout=60)
    lock = threading.Lock()

    def write_shard(*arguments: Any) -> Any:
        with lock:
            n_written[0] += 1
            number = n_written[0]
        if number <= 2:
            both.wait()
        if number == 1:
            raise StoreError("a", f"{os.strerror(errno.ENOSPC)}", "c", "d")
        time.sleep(UNDER_WAY_S)
        return real(*arguments)

    monkeypatch.setattr(unit_module, "write_shard", write_shard)
    with pytest.raises(StoreError, match="No space left"):
        fill(tmp_path, images(N_ITEMS), n_workers=2)
    report = verify_store(FeatureStore(tmp_path))
    assert (report.n_rows, report.orphans) == ((n_written[0] - 1) * UNIT_SIZE, ())
    assert n_written[0] <= 3


def test_shard_and_notes_of_a_unit_are_one_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("killed here")

    monkeypatch.setattr("cutpoint.features.store.catalog._note", fail)
    with pytest.raises(OSError, match="killed here"):
        fill(tmp_path, images(40))
    assert not FeatureStore(tmp_path).places(spec_id())


def test_a_bad_unit_without_a_shard_is_remembered(tmp_path: Path) -> None:
    fill(tmp_path, read_arrays([b"junk", b"more junk"]), max_bad=1.0)
    kinds = [kind for _, kind, _ in FeatureStore(tmp_path).remarks(spec_id())]
    assert kinds == ["bad", "bad"]


def test_the_order_in_which_units_end_changes_no_view(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = misnamed(tmp_path / "data", 70, 0)
    (tmp_path / "data" / "copy.jpg").write_bytes(files[3].read_bytes())
    data = sorted((tmp_path / "data").iterdir())
    fill(tmp_path / "a", data)
    names = [path.name for path in FeatureStore(tmp_path / "a").views()]
    real = LocalExecutor.map

    def backwards(self: LocalExecutor, *arguments: Any) -> Iterator[Any]:
        found = list(real(self, *arguments))
        yield from found[::-1]

    monkeypatch.setattr(LocalExecutor, "map", backwards)
    fill(tmp_path / "b", data)
    names += [path.name for path in FeatureStore(tmp_path / "b").views()]
    fill(tmp_path / "b", data)  # all stored: the notes are those of the catalog
    names += [path.name for path in FeatureStore(tmp_path / "b").views()]
    assert len(set(names)) == 1
    assert "71 × PNG file named .jpg" in FeatureStore(tmp_path / "b").open().warnings[0]


def test_a_stored_payload_that_was_bad_once_is_not_prepared_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plug-in came, the rows were stored, and it went again: the rows are there."""
    from cutpoint.base.errors import BadItem

    data = read_arrays([encoded(noisy_image(0, 0), "PNG"), *images(3)])
    real = unit_module.prepare_item

    def without_png(payload: object, spec: object, name: str = "") -> object:
        if isinstance(payload, bytes):
            raise BadItem("no plug-in")
        return real(payload, spec, name)

    monkeypatch.setattr(unit_module, "prepare_item", without_png)
    assert len(fill(tmp_path, data, max_bad=1.0).features) == 3
    monkeypatch.setattr(unit_module, "prepare_item", real)
    assert len(fill(tmp_path, data, max_bad=1.0).features) == 4
    monkeypatch.setattr(unit_module, "prepare_item", without_png)
    assert len(fill(tmp_path, data).features) == 4


def test_an_executor_yields_what_was_under_way_when_a_unit_failed() -> None:
    both, begun = threading.Barrier(2, timeout=60), []

    def make_worker() -> Callable[[int], int]:
        def work(number: int) -> int:
            begun.append(number)
            if number < 2:
                both.wait()
            if number == 0:
                raise ZeroDivisionError
            time.sleep(UNDER_WAY_S)
            return number

        return work

    stop = Stop()
    results = LocalExecutor(2).map(make_worker, range(50), stop)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        list(results)
    assert isinstance(stop.reason, ZeroDivisionError)
    assert len(begun) <= 3


def test_a_worker_that_can_not_be_made_is_told_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        list(LocalExecutor(2).map(lambda: 1 // 0, range(9)))


def test_an_executor_yields_all_results() -> None:
    assert sorted(LocalExecutor(3).map(lambda: lambda n: n * n, range(20))) == [
        n * n for n in range(20)
    ]


PROGRAM = """
import sys, time
import cutpoint.features.extraction.job as job
from cutpoint.cli import main
real = job.run_unit
def slow(*arguments):
    print("UNIT", file=sys.stderr, flush=True)
    time.sleep(wait)
    return real(*arguments)
wait = float(sys.argv.pop(1))
job.run_unit = slow
main()
"""


def start(tmp_path: Path, folder: Path, wait_s: float) -> subprocess.Popen[str]:
    words = ["extract", str(folder), "fake:seed0", "-o", str(tmp_path / "f"), "--workers", "2"]
    command = [sys.executable, "-c", PROGRAM, str(wait_s), *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while "UNIT" not in process.stderr.readline():
        assert process.poll() is None
    return process


def test_the_command_keeps_what_was_under_way_and_ends_with_130(
    tmp_path: Path, colour_folder: Callable[..., Path]
) -> None:
    folder = colour_folder(per_class=100)
    process = start(tmp_path, folder, 1.0)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Stopping: what is under way is finished and kept" in told
    assert "the same command goes on from there" in told
    assert "Traceback" not in told
    report = verify_store(FeatureStore(tmp_path / "f"))
    assert report.n_rows in (32, 64)  # one unit or two had begun
    assert report.orphans == ()


def test_the_command_leaves_at_once_at_a_second_ctrl_c(
    tmp_path: Path, colour_folder: Callable[..., Path]
) -> None:
    process = start(tmp_path, colour_folder(per_class=100), 600.0)
    process.send_signal(signal.SIGINT)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in told
