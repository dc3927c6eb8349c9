"""``savedmodel:FOLDER`` and ``tfhub:HANDLE``: TensorFlow SavedModels, frozen into one graph."""

from __future__ import annotations

import contextlib
import logging
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cutpoint.base.errors import UsageError, WeightsError
from cutpoint.networks.backbone import Backbone, LoadOptions
from cutpoint.networks.runtimes.tensorflow import frozen, import_tensorflow
from cutpoint.networks.sources.files import existing, files_sha256, inside, require_trust
from cutpoint.networks.sources.tf_graphs import (
    graph_backbone,
    import_tfgraph,
    refuse_nan_constants,
)
from cutpoint.networks.sources.tfhub_cache import is_handle, module_folder

if TYPE_CHECKING:
    from cutpoint.networks.frameworks.tfgraph import GraphNetwork

_CAN_RUN_CODE = "the graph of a SavedModel may read and write files or call Python"
_SIGNATURE = "serving_default"
# What the inlining of functions leaves in the names of nodes.
_CALL = re.compile(r"(Stateful)?PartitionedCall(_\d+)?")


def load(name: str, options: LoadOptions) -> Backbone:
    """Return the network in a SavedModel's folder. Its preprocessing must be stated."""
    require_trust(options.trust_weights, f'Backbone "savedmodel:{name}"', _CAN_RUN_CODE)
    folder = existing(name, "savedmodel", "A folder with saved_model.pb").resolve()
    network, sha256 = read_saved_model(folder, f'Backbone "savedmodel:{name}"')
    return graph_backbone(network, ("savedmodel", folder.name, str(folder)), sha256, options)


def load_tfhub(name: str, options: LoadOptions) -> Backbone:
    """Return a TF-Hub module: a folder, or a handle that is downloaded once and kept.

    Images are fed in [0, 1] unless stated otherwise, as TF-Hub's common signatures for images ask
    (https://www.tensorflow.org/hub/common_signatures/images); the size is the module's own.
    """
    require_trust(options.trust_weights, f'Backbone "tfhub:{name}"', _CAN_RUN_CODE)
    folder = module_folder(name).resolve()
    network, sha256 = read_saved_model(folder, f'Backbone "tfhub:{name}"')
    names = (name, name) if is_handle(name) else (folder.name, str(folder))
    return graph_backbone(network, ("tfhub", *names), sha256, options, known="unit")


def read_saved_model(folder: Path, what: str) -> tuple[GraphNetwork, str]:
    """Return the network of a SavedModel for inference, and the sha256 of its files.

    Notes
    -----
    Taken is the call with ``training=False``, where the saved object has one; else the signature
    ``serving_default``, or the only one; else the call. Functions are inlined and variables become
    constants; what inlining adds to the names of nodes (``StatefulPartitionedCall/``) is dropped
    again where names stay unique.
    """
    tfgraph = import_tfgraph()
    sha256 = files_sha256(_files(folder, what), folder)
    try:
        concrete = _frozen_function(folder, what)
    except (UsageError, WeightsError):
        raise
    except Exception as error:  # whatever TensorFlow meets in a damaged or foreign file
        raise WeightsError(
            f"{what} can't be loaded.",
            f"TensorFlow says: {' '.join(str(error).split())[:300]}",
            "A SavedModel of TensorFlow 2, whole.",
            f"Look at it with:  saved_model_cli show --all --dir {folder}",
        ) from error
    network = _network(concrete, what, tfgraph)
    refuse_nan_constants(network, what)
    return network, sha256


def _files(folder: Path, what: str) -> list[Path]:
    """Return the files that make the numbers; links are refused."""
    found = [
        path.relative_to(folder).as_posix()
        for part in ("variables", "assets")
        for path in (folder / part).rglob("*")
        if not path.is_dir() or path.is_symlink()
    ]
    return [inside(folder, name, what) for name in ("saved_model.pb", *found)]


def _frozen_function(folder: Path, what: str) -> Any:
    """Return the function that infers, its variables constants."""
    tf = import_tensorflow()
    try:
        loaded = tf.saved_model.load(str(folder))
    except AttributeError as error:
        if "add_slot" not in str(error):
            raise
        # The state of a Keras 2 optimiser, which has no class without Keras 2. The signature and
        # its variables can be read without the saved objects.
        with _without_remarks(tf):
            return frozen(_bare_signature(tf, folder, what))
    return frozen(_chosen_function(loaded, what))  # `loaded` keeps the variables alive


def _chosen_function(loaded: Any, what: str) -> Any:
    calls = list(loaded.__call__.concrete_functions) if callable(loaded) else []
    for call in calls:
        if _flags(call) and not any(_flags(call)):
            return call
    signatures = dict(loaded.signatures)
    if signatures:
        return signatures[_signature_name(list(signatures), what)]
    if len(calls) != 1:
        raise _no_function(what, f"its call has {len(calls)} forms, none with training=False")
    return calls[0]


def _flags(concrete: Any) -> list[bool]:
    """Return the values of a call's switches, such as ``training``."""
    import tensorflow as tf

    arguments = tf.nest.flatten(concrete.structured_input_signature)
    return [value for value in arguments if isinstance(value, bool)]


def _signature_name(names: list[str], what: str) -> str:
    if _SIGNATURE in names:
        return _SIGNATURE
    if len(names) != 1:
        raise _no_function(what, f"signatures: {', '.join(names) or 'none'}")
    return names[0]


def _bare_signature(tf: Any, folder: Path, what: str) -> Any:
    """Return a signature as a function, read as TensorFlow 1 would."""
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_from_session_graph,
    )

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        saved = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
        name = _signature_name([each for each in saved.signature_def if each[:2] != "__"], what)
        signature = saved.signature_def[name]
        outputs = [each.name for each in signature.outputs.values()]
        graph_def = convert_variables_to_constants_from_session_graph(
            session, session.graph.as_graph_def(), [each.partition(":")[0] for each in outputs]
        )
    specs = [
        tf.TensorSpec(tf.TensorShape(each.tensor_shape), tf.as_dtype(each.dtype), name)
        for name, each in signature.inputs.items()
    ]
    names = [each.name for each in signature.inputs.values()]

    def run(*inputs: Any) -> Any:
        given = dict(zip(names, inputs, strict=True))
        return tf.graph_util.import_graph_def(graph_def, given, outputs, name="")

    return tf.compat.v1.wrap_function(run, specs)


@contextlib.contextmanager
def _without_remarks(tf: Any) -> Iterator[None]:
    """Keep back that what TensorFlow 1 used to do is deprecated."""
    logger = tf.get_logger()
    kept = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(kept)


def _network(concrete: Any, what: str, tfgraph: Any) -> GraphNetwork:
    graph_def = concrete.graph.as_graph_def()
    names = _short_names([node.name for node in graph_def.node])
    outputs = [names[tensor.op.name] for tensor in concrete.outputs]
    network: GraphNetwork = tfgraph.graph_network(
        tfgraph.renamed(graph_def, names),
        [names[tensor.op.name] for tensor in concrete.inputs],
        tuple(dict.fromkeys(outputs)),
        what,
    )
    return network


def _short_names(names: list[str]) -> dict[str, str]:
    """Return every name without the calls in it; names that would clash keep them."""
    short = {name: _without_calls(name) for name in names}
    times = Counter(short.values())
    kept = {name: each if times[each] == 1 else name for name, each in short.items()}
    # A name kept whole could equal another's short one.
    return kept if len(set(kept.values())) == len(names) else {name: name for name in names}


def _without_calls(name: str) -> str:
    parts = [part for part in name.split("/") if not _CALL.fullmatch(part)]
    return "/".join(parts) or name


def _no_function(what: str, why: str) -> UsageError:
    return UsageError(
        f"{what} does not say what to run.",
        f"In it: {why}.",
        f'A call with training=False, or a signature "{_SIGNATURE}".',
        "Save it anew with:  tf.saved_model.save(module, folder, signatures=function)",
    )
