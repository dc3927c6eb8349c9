"""What the sources of TensorFlow graphs share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cutpoint.base.errors import UsageError, WeightsError
from cutpoint.base.spec import BackboneSpec, Constants, Preprocess
from cutpoint.base.tongue import option
from cutpoint.base.types import InputSpec, shape_text
from cutpoint.items.kinds import in_graph, stated_inputs, stated_preprocess
from cutpoint.networks.backbone import Backbone, LoadOptions
from cutpoint.networks.constants import constant_array, data_inputs, with_masks
from cutpoint.networks.runtimes.tensorflow import import_tensorflow

if TYPE_CHECKING:
    from cutpoint.networks.frameworks import Framework
    from cutpoint.networks.frameworks.tfgraph import GraphNetwork


def tfgraph_framework() -> Framework:
    """Return the framework folder, or name the extra that is missing."""
    framework: Framework = import_tfgraph()
    return framework


def import_tfgraph() -> Any:
    """Return the framework folder with all it exports; TensorFlow comes in with care."""
    import_tensorflow()
    from cutpoint.networks.frameworks import tfgraph

    return tfgraph


def graph_backbone(
    network: GraphNetwork,
    names: tuple[str, str, str],
    weights_sha256: str,
    options: LoadOptions,
    known: str | None = None,
) -> Backbone:
    """Return a backbone around a frozen graph.

    Parameters
    ----------
    network : GraphNetwork
    names : triple of str
        Source; name for the spec; what to type after ``source:`` to load it again.
    weights_sha256 : str
    options : LoadOptions
    known : str, optional
        Recipe for images that the source knows.
    """
    source, name, path = names
    what, constants = f"{source}:{path}", options.constants
    fed = _baked(network, constants, what)
    preprocess = _preprocess(fed, options, known, what)
    _refuse_lossy(fed, preprocess, what)
    spec = BackboneSpec(source, name, preprocess.kind, weights_sha256, preprocess, constants)
    return Backbone(spec, lambda: fed, tfgraph_framework, what)


def _preprocess(
    network: GraphNetwork, options: LoadOptions, known: str | None, what: str
) -> Preprocess:
    if len(network.inputs) == 1:
        shape = _item_shape(network, network.inputs[0])
        given = options.preprocess or (known if _is_image(shape) else None)
        is_new = bool(options.constants) or None in (shape or ())
        # What could be loaded before such networks could is float32, and keeps its id.
        dtype = _dtype(network, network.inputs[0]) if is_new else "float32"
        return stated_preprocess(given, what, shape, only_lists=options.only_lists, dtype=dtype)
    declared = with_masks({name: _declared(network, name, what) for name in network.inputs})
    return stated_inputs(options.preprocess, what, declared, only_lists=options.only_lists)


def _declared(network: GraphNetwork, name: str, what: str) -> InputSpec:
    """Return what an input takes of one item; raise `UsageError` if it takes no batch."""
    shape, dtype = _item_shape(network, name), network.dtype_of(name)
    if shape is None or not (dtype.is_floating or dtype.is_integer or dtype.is_bool):
        told = "a shape that is not declared" if shape is None else f"shape {shape_text(shape)}"
        raise UsageError(
            f'The input "{name}" of "{what}" takes no batch of arrays.',
            f"It takes {dtype.name} of {told}.",
            "A constant for it, if it carries no data.",
            f"Type:  {option('inputs', {name: 'zeros'})}",
        )
    return InputSpec(shape, _dtype(network, name))


def _dtype(network: GraphNetwork, name: str) -> str:
    return "float32" if network.dtype_of(name).is_floating else "int64"


def _baked(network: GraphNetwork, constants: Constants, what: str) -> GraphNetwork:
    """Return a network whose inputs without data have become constants."""
    tf = import_tensorflow()
    declared = {name: network.dtype_of(name).name for name in network.inputs}
    carrying = tuple(data_inputs(declared, constants, what))
    if not constants:
        return network
    graph_def = tf.compat.v1.GraphDef()
    graph_def.CopyFrom(network.graph_def)
    values = dict(constants)
    for node in graph_def.node:
        if node.name in values:
            name, dtype = str(node.name), network.dtype_of(node.name)
            shape = network.shape_of(name) or ()
            array = constant_array(name, values[name], shape, dtype.as_numpy_dtype)
            node.CopyFrom(_constant_node(tf, name, array, dtype))
    return replace(network, graph_def=graph_def, inputs=carrying)


def _constant_node(tf: Any, name: str, array: Any, dtype: Any) -> Any:
    node = tf.compat.v1.NodeDef(name=name, op="Const")
    node.attr["dtype"].type = dtype.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(array, dtype, array.shape))
    return node


def refuse_nan_constants(network: GraphNetwork, what: str) -> None:
    """Raise `WeightsError` if a constant of the graph holds NaN, or infinity among others.

    A lone infinity is let through: graphs hold one as a mask's filling or a limit.
    """
    tf = import_tensorflow()
    for node in network.graph_def.node:
        if node.op != "Const" or not tf.as_dtype(node.attr["dtype"].type).is_floating:
            continue
        values = tf.make_ndarray(node.attr["value"].tensor).astype("float64")
        if np.isnan(values).any() or (values.size > 1 and np.isinf(values).any()):
            raise WeightsError(
                f'{what} has a weight, "{node.name}", that holds NaN or infinity.',
                "No feature computed with it would mean anything.",
                "Finite weights.",
                "Export or download the network anew",
            )


def _item_shape(network: GraphNetwork, name: str) -> tuple[int | None, ...] | None:
    """Return the shape of one item, None for sizes left open; None if the network tells nothing."""
    shape = network.shape_of(name)
    return None if not shape else shape[1:]


def _is_image(shape: tuple[int | None, ...] | None) -> bool:
    """Say whether a network declares colour images of one size."""
    return shape is not None and len(shape) == 3 and None not in shape and shape[2] == 3


def _refuse_lossy(network: GraphNetwork, preprocess: Preprocess, what: str) -> None:
    """Refuse scaled pixels for a network that takes whole numbers."""
    dtype = network.dtype_of(network.inputs[0])
    if not dtype.is_floating and not all(way.is_plain for way in in_graph(preprocess).values()):
        raise UsageError(
            f'Backbone "{what}" can\'t take fractions, which the preprocessing gives.',
            f"It takes {dtype.name}.",
            "Pixels from 0 to 255 as they are.",
            f"Type:  {option('preprocess', 'none')}",
        )
