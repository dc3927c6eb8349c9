"""``onnx:network.onnx``: a network in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cutpoint.base.errors import UsageError, WeightsError
from cutpoint.base.spec import ArraySpec, BackboneSpec, Constants, Preprocess
from cutpoint.base.tongue import option
from cutpoint.base.types import InputSpec
from cutpoint.items.kinds import in_graph, read_preprocess, stated_inputs, stated_preprocess
from cutpoint.networks.backbone import Backbone, LoadOptions
from cutpoint.networks.constants import constant_array, data_inputs, with_masks
from cutpoint.networks.frameworks.inputs import FREE
from cutpoint.networks.runtimes.onnx import import_onnx, import_onnxruntime
from cutpoint.networks.sources.files import existing, file_sha256, files_sha256
from cutpoint.networks.sources.onnx_weights import read_model, unreadable

if TYPE_CHECKING:
    from cutpoint.networks.frameworks import Framework
    from cutpoint.networks.frameworks.onnx import NetworkInput


_RANDOM = (
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
)


def load(name: str, options: LoadOptions) -> Backbone:
    """Return the network in an ``.onnx`` file.

    Weights that lie in other files are read from the file's own folder alone. How images were
    prepared is nowhere in the format and must be stated; ``preprocess="none"`` feeds arrays as
    they are to a network that takes no images.
    """
    path = existing(name, "onnx", "An .onnx file")
    what = f'Backbone "onnx:{path.name}"'
    if not path.is_file():
        raise unreadable(path, what, "it is no file")
    framework = onnx_framework()
    model, files = read_model(path, what)
    _refuse_chance(model, what)
    sources = _data_inputs(model, path, what)
    constants = options.constants
    carrying = data_inputs(sources, constants, f"onnx:{name}")
    _bake(model, sources, constants, f"onnx:{name}")
    preprocess = _preprocess(carrying, options, f"onnx:{name}")
    sha256 = file_sha256(path) if len(files) == 1 else files_sha256(files, path.parent)
    spec = BackboneSpec("onnx", path.name, preprocess.kind, sha256, preprocess, constants)
    return Backbone(spec, lambda: model, lambda: framework, f"onnx:{path.absolute()}")


def _refuse_chance(model: Any, what: str) -> None:
    for node in model.graph.node:
        if node.op_type in _RANDOM:
            raise WeightsError(
                f'{what} gives features by chance: its node "{node.name}" is {node.op_type}.',
                "The same item would have other features each time.",
                "A network exported for inference.",
                "Export it anew, in inference mode",
            )


def onnx_framework() -> Framework:
    """Return the framework folder, or name the extra that is missing."""
    import_onnx()
    import_onnxruntime()
    from cutpoint.networks.frameworks import onnx

    return onnx


def _data_inputs(model: Any, path: Path, what: str) -> dict[str, NetworkInput]:
    """Return the inputs that have no default, by name."""
    from cutpoint.networks.frameworks import onnx

    found = {each.name: each for each in onnx.data_inputs(model)}
    if not found:
        raise unreadable(path, what, "it has no input without a default")
    return found


def _bake(model: Any, sources: Mapping[str, NetworkInput], constants: Constants, what: str) -> None:
    """Give inputs their constants, as defaults; in place, the model is this process' own."""
    from onnx import helper, numpy_helper

    for name, value in constants:
        source = sources[name]
        if not source.dtype:
            raise UsageError(
                f'The input "{name}" of "{what}" takes no numbers.',
                "It can be given no constant.",
                "Constants for inputs of numbers.",
                "Export the network without it",
            )
        like = _of_the_same_sizes(model, name, [each for each, _ in constants])
        array = constant_array(name, value, source.dims, source.dtype)
        if like is None or None not in source.dims or array.size > 1:
            model.graph.initializer.append(numpy_helper.from_array(array, name))
            continue
        # As long as the data is, whatever its length.
        info = next(each for each in model.graph.input if each.name == name)
        model.graph.input.remove(info)
        sizes, single = f"{name}/cutpoint/sizes", f"{name}/cutpoint/value"
        model.graph.initializer.append(numpy_helper.from_array(array.reshape(()), single))
        nodes = [
            helper.make_node("Shape", [like], [sizes]),
            helper.make_node("Expand", [single, sizes], [name]),
        ]
        others = list(model.graph.node)
        del model.graph.node[:]
        model.graph.node.extend([*nodes, *others])


def _of_the_same_sizes(model: Any, name: str, constants: list[str]) -> str | None:
    """Return an input of data whose sizes are declared alike, free ones by one name."""
    sizes = {
        each.name: [dim.dim_param or dim.dim_value for dim in each.type.tensor_type.shape.dim]
        for each in model.graph.input
    }
    alike = (n for n, each in sizes.items() if n not in constants and each == sizes[name])
    return next(alike, None)


def _preprocess(sources: Mapping[str, NetworkInput], options: LoadOptions, name: str) -> Preprocess:
    """Return the stated preprocessing, checked against what the network declares."""
    for each in sources.values():
        if np.dtype(each.dtype or "O").kind not in "fiub" or not each.dims:
            raise _no_batch(each, name, sources)
    if len(sources) == 1:
        return _preprocess_of_one(next(iter(sources.values())), options, name)
    for each in sources.values():
        if each.dims[0] not in (None, 1):
            raise _no_batch(each, name, sources)
    declared = with_masks(
        {n: InputSpec(each.dims[1:], _array_dtype(each)) for n, each in sources.items()}
    )
    return stated_inputs(options.preprocess, name, declared, only_lists=options.only_lists)


def _no_batch(source: NetworkInput, name: str, sources: Mapping[str, NetworkInput]) -> UsageError:
    listed = ", ".join(f"{each} ({sources[each]})" for each in sources)
    return UsageError(
        f'The input "{source.name}" of "{name}" takes no batch of arrays.',
        f"The first axis of an input that carries data is the items. Inputs: {listed}.",
        "A constant for it, if it carries no data.",
        f"Type:  {option('inputs', {source.name: 'zeros'})}   (zeros, ones or a number)",
    )


def _preprocess_of_one(source: NetworkInput, options: LoadOptions, name: str) -> Preprocess:
    """Return the preprocessing of a network with one input of data."""
    if len(source.dims) < 2:
        raise _no_batch(source, name, {source.name: source})
    given = options.preprocess
    if isinstance(given, str) and given.endswith(".json"):
        given = read_preprocess(Path(given))
    is_spec = given is not None and not isinstance(given, str)
    shape = _declared_item(source)
    spec = stated_preprocess(given, name, None if is_spec else shape, only_lists=options.only_lists)
    if spec.kind == "array" and not is_spec:
        spec = replace(ArraySpec(shape), dtype=_array_dtype(source))
    why = _why_misfit(source, spec)
    if why:
        raise _misfit(source, name, why)
    return spec


def _declared_item(source: NetworkInput) -> tuple[int | None, ...]:
    """Return the shape of an item, of square images channels last; None for sizes left open."""
    dims = source.dims[1:]
    is_square = source.layout == "NCHW" and dims[1] == dims[2]
    return (*dims[1:], dims[0]) if is_square else dims


def _array_dtype(source: NetworkInput) -> str:
    if source.dtype == "uint8":
        return "uint8"
    return "float32" if np.dtype(source.dtype).kind == "f" else "int64"


def _why_misfit(source: NetworkInput, spec: Preprocess) -> str:
    from cutpoint.networks.frameworks.onnx.inputs import item_shape

    (given, *more), (way, *_) = spec.inputs.values(), in_graph(spec).values()
    if more:
        return f"the preprocessing gives {', '.join(spec.inputs)}"
    item = item_shape(source, given.sized(FREE), way)
    declared = InputSpec(source.dims[1:])
    if not declared.takes(item):
        return f"the preprocessing gives items of shape {item}"
    if not way:
        can_cast = np.can_cast(given.dtype, source.dtype, "same_kind")
        return "" if can_cast else f"the preprocessing gives {given.dtype}"
    if not source.layout:
        return "the preprocessing gives colour images"
    # Whole numbers can take pixels as they are, nothing that was divided.
    is_float = np.dtype(source.dtype).kind == "f"
    return "" if is_float or way.is_plain else "normalised pixels are no whole numbers"


def _misfit(source: NetworkInput, name: str, why: str) -> UsageError:
    return UsageError(
        f'How backbone "{name}" is fed is not stated: {why}.',
        f'Its input "{source.name}" takes {source}.',
        "Preprocessing that gives what the network takes: a recipe for images, or for arrays that "
        'are ready as they are  {"shape": [...], "dtype": "float32"}.',
        f"Put it into a file and type:  {option('preprocess', 'FILE.json')}",
    )
