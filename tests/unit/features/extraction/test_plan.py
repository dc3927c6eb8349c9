from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutpoint.features.extraction.plan import (
    UNIT_SIZE,
    Plan,
    human_bytes,
    human_seconds,
    make_units,
    size_plan,
)
from cutpoint.features.store.catalog import EngineRecord
from cutpoint.items.reading import Item


@given(st.lists(st.integers(0, 400), max_size=400), st.sets(st.integers(0, 400)))
def test_units_hold_each_missing_payload_once_in_order(
    payloads: list[int], stored: set[int]
) -> None:
    items = [Item(f"{row:04d}", b"") for row in range(len(payloads))]
    digests = {item.key: str(payload) for item, payload in zip(items, payloads, strict=True)}
    units = make_units(items, digests, {str(payload) for payload in stored})
    found = [digest for unit in units for digest in unit.digests]
    expected = [str(p) for p in dict.fromkeys(payloads) if p not in stored]
    assert found == expected
    assert all(0 < len(unit.items) <= UNIT_SIZE for unit in units)
    assert all(digests[i.key] == d for u in units for i, d in zip(u.items, u.digests, strict=True))


@pytest.mark.parametrize(
    ("n_items", "sizes"),
    [(20, {20}), (100, {32, 4}), (1000, {62, 8}), (5000, {128, 8})],
)
def test_short_runs_are_cut_finer_so_that_no_worker_waits_long(
    n_items: int, sizes: set[int]
) -> None:
    items = [Item(f"{row:04d}", b"") for row in range(n_items)]
    units = make_units(items, {item.key: item.key for item in items}, set())
    assert {len(unit.items) for unit in units} == sizes


def test_the_plan_is_sized_before_the_run() -> None:
    items = [Item(f"{row}", b"") for row in range(300)]
    units = make_units(items, {item.key: item.key for item in items}, set())
    record = EngineRecord("native", 1.0, 0.0, engine_s=0.03, prepare_s=0.01, row_bytes=4000)
    plan = size_plan(300, units, record, n_workers=2, n_engines=2, batch_bytes=8000)
    assert plan.disk_bytes == 300 * 4032
    assert plan.seconds == pytest.approx(6.0)
    serial = size_plan(300, units, record, n_workers=2, n_engines=1, batch_bytes=8000)
    assert serial.seconds == pytest.approx(10.5)
    assert plan.ram_bytes == 3 * 2 * 128 * 4000 + 2 * 2 * 8 * 1000
    assert "300 to compute; 1.21 MB on disk" in str(plan)
    assert "about 6 s" in str(plan)
    assert "nothing to compute" in str(Plan(5, 5, ()))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (59, "59 s"), (125, "2 min 5 s"), (3800, "1 h 3 min")]
)
def test_seconds_are_readable(seconds: float, text: str) -> None:
    assert human_seconds(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(12, "12 B"), (1500, "1.5 kB"), (3.21e6, "3.21 MB"), (4e9, "4 GB")]
)
def test_bytes_are_readable(count: float, text: str) -> None:
    assert human_bytes(count) == text
