from __future__ import annotations

import numpy as np
import pytest

from cutpoint.base.errors import DataError
from cutpoint.base.text import printable, shown
from cutpoint.networks.layer_table import Layer, LayerTable


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a\x1b[31mb\udce9", "a\\x1b[31mb\\udce9"),
        ("a\nb\rc\td", "a\\nb\\rc\\td"),
        ("ab\u202egnp.exe", "ab\\u202egnp.exe"),
        ("\u2028x\x85", "\\u2028x\\x85"),
        ("Füße 猫 😀", "Füße 猫 😀"),
    ],
)
def test_text_is_one_line_that_can_not_steer_a_terminal(raw: str, shown: str) -> None:
    assert printable(raw) == shown


def test_an_error_has_four_lines_whatever_the_names_in_it() -> None:
    error = DataError("Bad:\x1b[2J", 'A key "a\nError: b"', "c\r", "ls\tx")
    assert str(error).split("\n") == ["Bad:\\x1b[2J", 'A key "a\\nError: b"', "c\\r", "ls\\tx"]
    assert error.got == 'A key "a\nError: b"'


def test_a_layer_can_not_forge_a_row_of_the_table() -> None:
    forged = Layer(0, "a\n1  b", "Conv", (None, 3, 4, 4), 2, 0, 0)
    table = LayerTable("x", (forged,))
    assert len(str(table).split("\n")) == 2
    assert "a\\n1  b" in table._repr_html_()


def test_an_array_is_shown_by_its_shape() -> None:
    X = np.zeros((60, 8))
    assert shown(X) == "a ndarray of shape (60, 8)"
    assert shown((X, [1])) == "a tuple of 2: a ndarray of shape (60, 8), [1]"
    assert len(shown(list(range(1000)))) == 80
