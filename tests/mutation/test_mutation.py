"""The tool itself: what it changes, how changes are named, whose tests are run."""

from __future__ import annotations

import ast

from tests.mutation.__main__ import equivalent
from tests.mutation.mutants import mutants, sample
from tests.mutation.paths import PACKAGE, ROOT, own_tests

SOURCE = '''
"""A page."""

LIMIT = 3


def clipped(values: "list[int | None]", low: int = 0) -> int:
    """Return the sum of 1 and more."""
    if not values or low > 5:
        raise ValueError(f"more than {1 + 2}")
    total = min(values) * 2
    print(total)
    return total
'''


def test_each_change_is_of_one_operator() -> None:
    found = {f"{each.before} → {each.after}" for each in mutants("page.py", SOURCE)}
    assert found == {
        "3 → 4",
        "3 → 2",
        "0 → 1",
        "0 → -1",
        "not values or low > 5 → not values and low > 5",
        "not values → values",
        "low > 5 → low >= 5",
        "5 → 6",
        "5 → 4",
        "raise ValueError(f'more than {1 + 2}') → pass",
        "min(values) * 2 → min(values) / 2",
        "min → max",
        "2 → 3",
        "2 → 1",
        "print(total) → pass",
        "return total → return None",
    }
    for each in mutants("page.py", SOURCE):
        ast.parse(each.text)
        assert each.text != SOURCE


def test_edits_elsewhere_leave_names_and_order_alone() -> None:
    before = mutants("page.py", SOURCE)
    edited = SOURCE.replace("LIMIT = 3", "# a note\nOTHER = [7]\n\nLIMIT = 3")
    after = {each.name: each.rank(0) for each in mutants("page.py", edited)}
    assert {each.name: each.rank(0) for each in before}.items() <= after.items()
    assert len({each.name for each in before}) == len(before)


def test_every_source_has_tests_of_its_path() -> None:
    sources = sorted((ROOT / PACKAGE).rglob("*.py"))
    assert len(sources) > 200
    for source in sources:
        found = own_tests(source.relative_to(ROOT / PACKAGE).as_posix())
        assert found, source
        assert all((ROOT / test).is_file() for test in found), found


def test_what_is_called_equivalent_can_still_be_made_and_says_why() -> None:
    reasons = equivalent()
    modules = {name.partition(" | ")[0] for name in reasons}
    made = {
        mutant.name
        for module in modules
        for mutant in mutants(module, (ROOT / PACKAGE / module).read_text())
    }
    assert reasons.keys() <= made
    assert all(len(reason) > 20 for reason in reasons.values())


def test_the_same_seed_draws_the_same_mutants() -> None:
    one = sample(ROOT / PACKAGE, 20, 7, "learning/gram/")
    assert [each.name for each in one] == [
        each.name for each in sample(ROOT / PACKAGE, 20, 7, "learning/gram/")
    ]
    assert {each.name for each in one} != {
        each.name for each in sample(ROOT / PACKAGE, 20, 8, "learning/gram/")
    }
