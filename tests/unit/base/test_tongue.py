"""One error, two readers."""

from __future__ import annotations

import pytest

from cutpoint.base.tongue import arguments, in_shell, layers_of, option, options


@pytest.mark.parametrize(
    ("name", "value", "in_python", "typed"),
    [
        ("max_bad", 0.1, "max_bad=0.1", "--max-bad 0.1"),
        ("taps", None, "taps", "--tap"),
        ("follow_links", True, "follow_links=True", "--follow-links"),
        ("data_set", "my photos", "data_set='my photos'", "--data-set 'my photos'"),
        ("n_workers", 2, "n_workers=2", "--workers 2"),
        ("inputs", {"sr": "zeros"}, "inputs={'sr': 'zeros'}", "--input sr=zeros"),
    ],
)
def test_each_reader_gets_the_words_to_type(
    name: str, value: object, in_python: str, typed: str
) -> None:
    assert option(name, value) == in_python
    with in_shell():
        assert option(name, value) == typed
    assert option(name, value) == in_python


def test_several_arguments_stand_beside_each_other_as_they_are_typed() -> None:
    assert arguments(head="ridge", max_bad=1) == "head='ridge', max_bad=1"
    with in_shell():
        assert arguments(head="ridge", max_bad=1) == "--head ridge --max-bad 1"


def test_the_layers_of_a_backbone_are_listed_in_each_reader_s_words() -> None:
    assert layers_of("tfhub:m", trust_weights=True) == (
        "cutpoint.load('tfhub:m', trust_weights=True).layers()"
    )
    with in_shell():
        assert layers_of("onnx:my net.onnx") == "cutpoint layers 'onnx:my net.onnx'"
        assert layers_of("tfhub:m", trust_weights=True).endswith("tfhub:m --trust-weights")


def test_python_is_spoken_again_after_an_error_in_the_shell() -> None:
    with pytest.raises(KeyError), in_shell():
        raise KeyError
    assert options("taps", "pool") == "taps, pool"
