from __future__ import annotations

import inspect

import pytest

from cutpoint.base import errors


def test_every_error_shows_its_four_parts_in_order() -> None:
    error = errors.TapNotFound("asked", "got", "would do", "type next")
    assert str(error).splitlines() == ["asked", "got", "would do", "type next"]


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.TapNotFound, LookupError),
        (errors.NoSuchAttribute, AttributeError),
        (errors.BackboneNotFound, LookupError),
        (errors.ShapeError, ValueError),
        (errors.LeakageError, ValueError),
        (errors.ModalityError, TypeError),
        (errors.StoreCorrupt, OSError),
        (errors.MissingExtra, ImportError),
    ],
)
def test_an_error_is_also_the_builtin_a_caller_would_catch(
    error: type[Exception], builtin: type[Exception]
) -> None:
    assert issubclass(error, builtin)


def test_the_tree_in_the_docstring_lists_every_error() -> None:
    for name, found in vars(errors).items():
        if inspect.isclass(found) and found.__module__ == "cutpoint.base.errors":
            assert name in (errors.__doc__ or ""), name


def test_a_missing_extra_names_what_to_install() -> None:
    assert 'pip install "cutpoint-ml[onnx]"' in str(errors.MissingExtra("ONNX", "onnx"))
