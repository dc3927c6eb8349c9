from __future__ import annotations

from pathlib import Path

import pytest

import cutpoint as cp
from cutpoint.features.extraction import Profile
from cutpoint.testing import FakeBackbone
from tests.unit.features.store.helpers import fill, images


def profile_of(start_up: dict[str, float], *threads: dict[str, float]) -> Profile:
    return Profile.of(10.0, "native", start_up, threads, units_s=8.0)


def test_what_nobody_accounts_for_is_idle_or_other() -> None:
    found = profile_of({"digest": 0.5}, {"decode": 3.0, "engine": 4.0}, {"engine": 8.0})
    assert [each["idle"] for each in found.threads] == [1.0, 0.0]
    assert found.start_up == {"digest": 0.5, "other": 1.5}  # 10 − 8 − 0.5


@pytest.mark.parametrize(
    ("laps", "word"),
    [
        ({"decode": 7.0}, "smaller files"),
        ({"engine": 7.0}, "(taps)"),
        ({"write": 7.0}, "(store)"),
        ({"preprocess": 7.0}, "size the network sees"),
        ({"read": 7.0}, "faster disk"),
        ({"decode": 1.0}, "waited"),
    ],
)
def test_the_advice_is_on_what_takes_longest(laps: dict[str, float], word: str) -> None:
    assert word in profile_of({"digest": 0.5, "convert": 1.5}, laps).advice


def test_a_long_start_up_is_told() -> None:
    found = Profile.of(10.0, "openvino", {"convert": 8.0}, [{"engine": 1.0}], units_s=1.0)
    assert "is kept for the next run" in found.advice


def test_a_run_accounts_for_all_its_time(tmp_path: Path) -> None:
    profile = fill(tmp_path, images(300), n_workers=2).profile
    assert profile.engine == "native"
    assert {"read", "decode", "preprocess", "engine", "write", "idle"} <= set(profile.threads[0])
    workers = [sum(laps.values()) for laps in profile.threads]
    assert len(workers) == 2
    # All threads cover the same stretch, and that with the start-up is the whole run.
    assert workers[0] == pytest.approx(workers[1], abs=1e-3)
    assert sum(profile.start_up.values()) + workers[0] == pytest.approx(profile.seconds, abs=1e-3)


def test_a_run_with_nothing_to_do_says_so(tmp_path: Path) -> None:
    fill(tmp_path, images(5))
    profile = fill(tmp_path, images(5)).profile
    assert (profile.engine, profile.threads) == ("", ())
    assert profile.advice == "nothing to gain: all is stored already."


def test_the_profile_is_printed_or_handed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cp.extract(images(5), FakeBackbone(), store=tmp_path / "a", profile=True)
    told = capsys.readouterr().err
    assert "thread 1  read 0." in told
    assert "What would help: " in told
    found: list[Profile] = []
    cp.extract(images(5), FakeBackbone(), store=tmp_path / "b", profile=found.append)
    assert "What would help" not in capsys.readouterr().err
    assert found[0].to_json()["advice"] == found[0].advice
