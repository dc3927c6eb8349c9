"""What the sources of TensorFlow graphs share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cutpoint.base.errors import UsageError, WeightsError
from cutpoint.base.spec import BackboneSpec, Preprocess, PreprocessSpec
from cutpoint.items.preprocess import modality_of, stated_preprocess
from cutpoint.networks.backbone import Backbone, LoadOptions
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
    item_shape = _item_shape(network)
    given = options.preprocess or (known if _is_image(item_shape) else None)
    what = f"{source}:{path}"
    preprocess = stated_preprocess(given, what, item_shape, only_lists=options.only_lists)
    _refuse_lossy(network, preprocess, what)
    spec = BackboneSpec(source, name, modality_of(preprocess), weights_sha256, preprocess)
    return Backbone(spec, lambda: network, tfgraph_framework, what)


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
                f"{what} was to be loaded.",
                f'Its weight "{node.name}" holds NaN or infinity.',
                "Finite weights: no feature of these would mean anything.",
                "Export or download the network anew",
            )


def one_input(inputs: list[str], what: str) -> str:
    """Return the one data input, or refuse a network that has none or several."""
    if len(inputs) != 1:
        raise UsageError(
            f"{what} was asked for.",
            f"Its graph takes {len(inputs)} arrays: {', '.join(inputs) or 'none'}.",
            "A network with one input: an item is one array.",
            "Export it with a signature of one input, the others as constants",
        )
    return inputs[0]


def _item_shape(network: GraphNetwork) -> tuple[int | None, ...] | None:
    """Return the shape of one item, None for sizes left open; None if the network tells nothing."""
    return None if network.input_shape is None else network.input_shape[1:]


def _is_image(shape: tuple[int | None, ...] | None) -> bool:
    """Say whether a network declares colour images of one size."""
    return shape is not None and len(shape) == 3 and None not in shape and shape[2] == 3


def _refuse_lossy(network: GraphNetwork, preprocess: Preprocess, what: str) -> None:
    """Refuse scaled pixels for a network that takes whole numbers."""
    if not isinstance(preprocess, PreprocessSpec) or network.input_dtype.is_floating:
        return
    if any(preprocess.mean) or set(preprocess.std) != {1.0}:
        raise UsageError(
            f'Backbone "{what}" was asked for.',
            f"It takes {network.input_dtype.name}; the preprocessing gives fractions.",
            "Pixels from 0 to 255 as they are.",
            "Type:  --preprocess none",
        )
