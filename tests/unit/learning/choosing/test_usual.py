"""What a kind says is taken: which taps and pool, which head, at which numbers of rows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cutpoint.base.contracts import Defaults, HeadRule, Prior
from cutpoint.base.spec import TapSpec
from cutpoint.items.kinds import defaults_of
from cutpoint.learning.choosing import ChooseOptions, usual_head
from cutpoint.learning.choosing.prior_taps import prior_of, prior_taps
from cutpoint.learning.choosing.ranking_task import Task
from cutpoint.learning.choosing.strategies import without_constant
from cutpoint.learning.gram import Targets
from cutpoint.learning.heads import parse_head
from cutpoint.networks.layer_table import Layer
from cutpoint.networks.pooling import pools_of

BLOCKS = ("embeddings", *(f"encoder.layer.{n}" for n in range(6)))
LAST = "encoder.layer.5/st"
LAST_THREE = tuple(f"encoder.layer.{n}/mean" for n in (3, 4, 5))


def task(
    n_rows: int,
    n_classes: int,
    kind: str = "text",
    pools: tuple[str, ...] = ("mean", "st"),
    groups: Any = None,
    X: Any = None,
) -> Task:
    """Return a task of so many rows; of no class, of values."""
    taps = [TapSpec(layer, pool) for layer in BLOCKS for pool in pools]
    spec = SimpleNamespace(backbone=SimpleNamespace(modality=kind), taps=taps)
    features = SimpleNamespace(spec=spec, name="made", X=X)
    numbers = np.arange(n_rows)
    targets = (
        Targets.of_classes((numbers % n_classes).astype(str))
        if n_classes
        else Targets.of_values(numbers.astype(float))
    )
    return Task(features, numbers, targets, groups, ChooseOptions())


@pytest.mark.parametrize(
    ("n_rows", "n_classes", "taps", "head"),
    [
        (4, 2, (LAST,), "logistic"),  # 2 per class
        (6, 2, LAST_THREE, "logistic"),  # 3
        (32, 2, LAST_THREE, "logistic"),  # 16
        (34, 2, LAST_THREE, "ridge"),  # 17
        (400, 2, LAST_THREE, "ridge"),
        (18, 9, (LAST,), "logistic"),
        (900, 9, LAST_THREE, "ridge"),
        (1000, 10, LAST_THREE, "logistic"),  # 10 classes, however many rows
        (154, 77, (LAST,), "logistic"),
        (616, 77, LAST_THREE, "logistic"),
        (400, 0, LAST_THREE, "ridge"),  # values
    ],
)
def test_texts_have_the_last_block_then_three_and_a_head_by_numbers(
    n_rows: int, n_classes: int, taps: tuple[str, ...], head: str
) -> None:
    made = task(n_rows, n_classes)
    assert prior_taps(made) == taps
    assert parse_head(usual_head(made)[0], made.targets.kind).kind == head


def test_rows_of_one_group_are_one() -> None:
    made = task(40, 2, groups=np.arange(40) // 10)  # four groups of two classes each
    assert prior_taps(made) == (LAST,)
    assert usual_head(made)[1] == "2 training rows per class, 16 at most"


@pytest.mark.parametrize("kind", ["image", "array", "no such kind"])
def test_other_kinds_have_ridge_and_no_word_is_said_of_it(kind: str) -> None:
    assert usual_head(task(20, 10, kind)) == ("ridge", "")
    assert defaults_of(kind).n_to_choose == 20


def test_why_a_head_is_taken_is_said_in_numbers() -> None:
    assert usual_head(task(770, 77))[1] == "77 classes, 10 or more"
    assert usual_head(task(400, 2))[1] == "2 classes with 200 training rows per class"
    assert usual_head(task(400, 0))[1] == "labels are values"


def test_few_texts_choose_nothing_and_some_images_may() -> None:
    assert defaults_of("text").n_to_choose == 200


def test_a_prior_whose_pool_was_not_read_is_the_last_tap() -> None:
    assert prior_taps(task(400, 2, pools=("cls",))) == ()
    assert prior_taps(task(4, 2, pools=("mean",))) == ()


def test_the_last_prior_that_has_rows_enough_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    priors = (Prior("st"), Prior("mean", 2, from_rows=5), Prior("mean", 3, from_rows=50))
    module = "cutpoint.learning.choosing.prior_taps.defaults_of"
    monkeypatch.setattr(module, lambda kind: Defaults(priors=priors))
    found = [prior_of(task(n, 2)).n_last for n in (2, 9, 10, 99, 100)]
    assert found == [1, 1, 2, 2, 3]


def test_a_rule_holds_from_its_classes_on_and_up_to_its_rows() -> None:
    rule = HeadRule("logistic", from_classes=10, to_rows=16)
    assert [rule.holds(*each) for each in ((10, 16), (9, 16), (10, 16.1))] == [True, False, False]


def test_a_tap_that_is_the_same_for_all_rows_is_no_candidate() -> None:
    """A class token where tokens enter: what is left of its spread is rounding."""
    random = np.random.default_rng(0)
    rest = random.normal(size=(90, 8)).astype(np.float32)

    def read(tap: str, rows: np.ndarray) -> np.ndarray:
        same = 3 + 1e-6 * rest[rows]
        late = np.where(np.arange(90)[:, None] == 89, 1, 0) * np.ones(8)  # differs in its last row
        return {"embeddings/cls": same, "encoder.layer.0/cls": late[rows]}.get(tap, rest[rows])

    made, skipped = without_constant(task(90, 2, pools=("cls",), X=read))
    assert skipped == ("embeddings/cls",)
    assert made.taps == tuple(f"{layer}/cls" for layer in BLOCKS[1:])
    every = task(90, 2, pools=("cls",), X=lambda tap, rows: np.ones((len(rows), 3)))
    assert without_constant(every) == (every, ())  # none would be left


def test_auto_is_what_the_kind_reads_where_that_can_run() -> None:
    usual = defaults_of("text").pools
    tokens = Layer(0, "block", "Block", (8, 4), None, 0, 0, layout="NTC")
    vector = Layer(1, "pooler", "Linear", (4,), None, 0, 0, layout="NC")
    assert pools_of(tokens, "auto", usual) == ("mean", "st")
    assert pools_of(tokens, "auto") == ("cls", "gap")
    assert pools_of(vector, "auto", usual) == ("none",)
    assert pools_of(tokens, "cls", usual) == ("cls",)
