"""onnxruntime raises what goes wrong, once, and writes nothing of its own to standard error."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from cutpoint.networks.runtimes.onnx import Session


def adds(n_columns: int) -> onnx.ModelProto:
    """A model that adds a row of `n_columns` to whatever it is given."""
    row = helper.make_tensor("row", TensorProto.FLOAT, [n_columns], [1.0] * n_columns)
    given, found = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "c"]) for name in "xy"
    )
    node = helper.make_node("Add", ["x", "row"], ["y"])
    graph = helper.make_graph([node], "adds", [given], [found], [row])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_a_pass_that_fails_is_an_error_and_no_line_of_a_log(
    capfd: pytest.CaptureFixture[str],
) -> None:
    session = Session(adds(3))
    (found,) = session({"x": np.zeros((2, 3), np.float32)})
    np.testing.assert_array_equal(found, np.ones((2, 3)))
    with pytest.raises(Exception, match="3 by 4"):  # of a class that onnxruntime hides
        session({"x": np.zeros((2, 4), np.float32)})
    assert capfd.readouterr() == ("", "")
