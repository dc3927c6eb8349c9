"""A stranger's kind of item goes the whole way; cutpoint knows nothing of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cli.test_commands import Done
from tests.plugged import install, run_beside


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install("plugin_kind", tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return class folders of slow and fast waves of 20 to 64 numbers, as text."""
    root = tmp_path_factory.mktemp("series")
    random = np.random.default_rng(0)
    for name, pace in (("slow", 0.2), ("fast", 1.4)):
        (root / name).mkdir()
        for number in range(12):
            time = np.arange(random.integers(20, 65)) + random.uniform(0, 9)
            values = np.sin(pace * time) + random.normal(0, 0.1, len(time))
            suffix, between = (("txt", "\n"), ("csv", ","))[number % 2]
            path = root / name / f"{number:02}.{suffix}"
            path.write_text(between.join(f"{value:.4f}" for value in values))
    (root / "slow" / "photo.jpg").write_bytes(b"no series by its name")
    return root


def cutpoint(where: Path | None, store: Path, *words: object) -> Done:
    return run_beside(where, *words, CUTPOINT_STORE=str(store))


def anew(store: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a process that has never met the plug-in."""
    command = [sys.executable, "-c", "from cutpoint.cli import main; main()", *map(str, words)]
    environment = {**os.environ, "CUTPOINT_STORE": str(store)}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_it_is_extracted_fitted_predicted_and_reported(
    installed: Path, series: Path, tmp_path: Path
) -> None:
    store, model = tmp_path / "store", tmp_path / "m"
    done = cutpoint(installed, store, "extract", series, "steps:16", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["n_items"], facts["quarantined"]) == (24, [])
    fitted = cutpoint(installed, store, "fit", series, "-o", model, "-b", "steps:16")
    assert fitted.returncode == 0, fitted.stderr
    assert "1 files are no series files by name and were ignored: .jpg 1" in fitted.stderr
    assert "24 items, all stored already" in fitted.stderr
    fields = json.loads((model / "predictor.json").read_text())
    assert fields["modality"] == "series"
    assert fields["backbone"]["preprocess"] == {"kind": "series", "length": 64}
    predicted = cutpoint(installed, store, "predict", model, series / "fast")
    assert predicted.returncode == 0, predicted.stderr
    assert len(re.findall(r"\bfast\b", predicted.stdout)) >= 10
    scored = cutpoint(
        installed, store, "evaluate", model, series, "--split", "all", "--leave-out-trained",
        "--report", tmp_path / "page.html",
    )  # fmt: skip
    assert scored.returncode == 0, scored.stderr
    assert "accuracy" in (tmp_path / "page.html").read_text()


def test_a_bad_one_is_named_with_its_reason(installed: Path, series: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text("1 2 three")
    (tmp_path / "long.txt").write_text(" ".join("1" * 65))
    model = tmp_path / "m"
    assert cutpoint(
        installed, tmp_path / "s", "fit", series, "-o", model, "-b", "steps:4"
    ).returncode == 0  # fmt: skip
    done = cutpoint(
        installed, tmp_path / "s", "predict", model, tmp_path / "bad.txt", tmp_path / "long.txt"
    )
    assert "not a series of numbers" in done.stdout + done.stderr
    assert "65 numbers; 1 to 64 are taken" in done.stdout + done.stderr


def test_without_it_its_features_can_be_read_and_its_predictor_says_what_is_missing(
    installed: Path, series: Path, tmp_path: Path
) -> None:
    store, model = tmp_path / "store", tmp_path / "m"
    fitted = cutpoint(installed, store, "fit", series, "-o", model, "-b", "steps:8", "-q")
    assert fitted.returncode == 0, fitted.stderr
    chosen = cutpoint(None, store, "choose", store)
    assert chosen.returncode == 0, chosen.stderr
    verified = cutpoint(None, store, "store", "verify", store)
    assert verified.returncode == 0, verified.stderr + verified.stdout
    refused = anew(store, "predict", model, series / "fast")
    assert refused.returncode != 0
    assert 'reads items of kind "series"' in refused.stderr
    assert "Kinds: array, image" in refused.stderr


def test_the_kind_of_the_backbone_says_which_files_are_read(
    installed: Path, series: Path, tmp_path: Path
) -> None:
    done = cutpoint(None, tmp_path / "s", "extract", series, "fake:seed0")
    assert done.returncode != 0
    assert "photo.jpg" in done.stderr


def test_its_items_may_be_cells_of_a_manifest_and_lines_of_a_file(
    installed: Path, series: Path, tmp_path: Path
) -> None:
    rows = ["series;pace"]
    for path in sorted(series.rglob("*.txt")):
        rows.append(f"{' '.join(path.read_text().split())};{path.parent.name}")
    (tmp_path / "waves.tsv").write_text("\n".join(rows).replace(";", "\t"))
    store, model = tmp_path / "store", tmp_path / "waves.cutpoint"
    fitted = cutpoint(
        installed, store, "fit", tmp_path / "waves.tsv", "-b", "steps:16", "--label", "pace"
    )
    assert fitted.returncode == 0, fitted.stderr
    (tmp_path / "new.txt").write_text("\n".join(row.split(";")[0] for row in rows[1:4]) + "\n")
    told = cutpoint(installed, store, "predict", model, tmp_path / "new.txt")
    assert told.returncode == 0, told.stderr
    assert "is read as 3 items, one per line" in told.stderr
    assert [line.split()[:2] for line in told.stdout.splitlines()] == [
        [f"line-00000{n}", "fast"] for n in (1, 2, 3)
    ]
