"""What the page on data says to type can be typed, and what it shows of manifests runs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from cutpoint.cli.app import app
from tests.cli.test_commands import run
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "data.md").read_text()
COMMANDS = [
    shlex.split(line, comments=True)[1:]
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]


def test_there_are_commands() -> None:
    assert {words[0] for words in COMMANDS} == {"fit", "evaluate", "predict"}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_each_can_be_typed(words: list[str]) -> None:
    command = typer.main.get_command(app).commands[words[0]]  # type: ignore[attr-defined]  # a group
    command.make_context(words[0], words[1:])


def test_columns_options_and_default_output_go_the_whole_way(
    colour_folder: Callable[..., Path], tmp_path: Path
) -> None:
    root = colour_folder(per_class=8)
    rows = [(n, c) for n in range(8) for c in ("red", "green", "blue")]
    lines = [f"colours/{c}/{n:03d}.png;{c};{n}" for n, c in rows]
    table = tmp_path / "photos.CSV"
    table.write_bytes("\n".join(["photo;animal;owner", *lines]).encode("utf-16"))
    named = ("--image", "photo", "--label", "animal")
    fit = ("fit", table, "-b", "fake:seed0", "--store", tmp_path / "s", *named)
    done = run(*fit, "--group", "owner")
    model = tmp_path / "photos.cutpoint"
    assert f"Predictor: {model}" in done.stdout
    report = (model / "report.html").read_text()
    assert "--image photo" in report
    assert "--group owner" in report
    splits = model / "splits.csv"
    again = run(*fit, "--splits", splits, "-o", tmp_path / "again.cutpoint", "--json")
    assert (tmp_path / "again.cutpoint" / "splits.csv").read_text() == splits.read_text()
    assert '"train"' in again.stdout
    scored = run("evaluate", model, table, *named, "--splits", splits, "--kind", "classes")
    assert "split test" in scored.stdout
    assert "says otherwise" in run("evaluate", model, root, "--kind", "values", code=2).stderr
    new = tmp_path / "new.jsonl"
    new.write_text('{"photo": "colours/red/001.png"}\n{"photo": "colours/blue/001.png"}\n')
    told = run("predict", model, new, "--image", "photo", "-q").stdout
    assert [line.split()[:2] for line in told.splitlines()] == [
        ["colours/red/001.png", "red"],
        ["colours/blue/001.png", "blue"],
    ]
    wrong = run("predict", model, new, "--image", "photos", code=2).stderr
    assert "Type, for example:  --image photo" in wrong
    assert "by this predictor" in run("predict", model, "--text", "red", code=2).stderr
    assert "nothing to predict" in run("predict", model, code=2).stderr


def test_a_folder_of_splits_extracts_chooses_and_advises(
    colour_folder: Callable[..., Path], tmp_path: Path
) -> None:
    root = colour_folder(per_class=6).parent
    data = tmp_path / "data"
    data.mkdir()
    for split, numbers in (("train", range(4)), ("dev", (4,)), ("test", (5,))):
        lines = [f"../colours/{c}/{n:03d}.png,{c}" for n in numbers for c in ("red", "blue")]
        (data / f"{split}.csv").write_text("\n".join(["path,label", *lines]))
    assert root == tmp_path
    words = (data, "-b", "fake:seed0", "--store", tmp_path / "s")
    assert "on 10 training rows" in run("choose", *words).stdout
    assert "on 8 training rows" in run("choose", *words, "--dev", "judge").stdout
    assert "12 items" in run("choose", data, "--advise-only", "-b", "fake:seed0").stdout
    assert "12 items" in run("choose", data, "--advise-only").stdout
    told = run("extract", data, "fake:seed0", "-o", tmp_path / "t").stderr
    assert "dev.csv joins training, and test.csv is scored" in " ".join(told.split())
    refused = run("choose", tmp_path / "t", "--text", "x", code=2).stderr
    assert "--text can't be followed beside stored features" in refused
