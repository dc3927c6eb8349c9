"""``onnx:network.onnx``: a network in a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cutpoint.base.errors import UsageError, WeightsError
from cutpoint.base.spec import ArraySpec, BackboneSpec, Preprocess
from cutpoint.items.preprocess import modality_of, read_preprocess, stated_preprocess
from cutpoint.networks.backbone import Backbone, LoadOptions
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
    source = _data_input(model, path, what)
    preprocess = _preprocess(source, options, f"onnx:{name}")
    sha256 = file_sha256(path) if len(files) == 1 else files_sha256(files, path.parent)
    spec = BackboneSpec("onnx", path.name, modality_of(preprocess), sha256, preprocess)
    return Backbone(spec, lambda: model, lambda: framework, f"onnx:{path.absolute()}")


def _refuse_chance(model: Any, what: str) -> None:
    for node in model.graph.node:
        if node.op_type in _RANDOM:
            raise WeightsError(
                f"{what} was to be loaded.",
                f'Its node "{node.name}" is {node.op_type}: features would change by chance.',
                "A network exported for inference.",
                "Export it anew, in inference mode",
            )


def onnx_framework() -> Framework:
    """Return the framework folder, or name the extra that is missing."""
    import_onnx()
    import_onnxruntime()
    from cutpoint.networks.frameworks import onnx

    return onnx


def _data_input(model: Any, path: Path, what: str) -> NetworkInput:
    """Return the one input that has no default."""
    from cutpoint.networks.frameworks.onnx import data_inputs

    found = data_inputs(model)
    if len(found) != 1:
        names = ", ".join(f'"{each.name}"' for each in found) or "none"
        raise UsageError(
            f"{what} was asked for.",
            f"Which input takes the data is not clear. Inputs without a default: {names}.",
            "A network in which exactly one input has none.",
            "Give the others one:  model.graph.initializer.append("
            "onnx.numpy_helper.from_array(value, name))",
        )
    (source,) = found
    if np.dtype(source.dtype or "O").kind not in "fiu" or len(source.dims) < 2:
        got = f"{source.dtype or 'no numbers'} of shape {_text(source.dims)}"
        raise unreadable(path, what, f'its input "{source.name}" takes {got}, no batch of arrays')
    return source


def _preprocess(source: NetworkInput, options: LoadOptions, name: str) -> Preprocess:
    """Return the stated preprocessing, checked against what the network declares."""
    given = options.preprocess
    if isinstance(given, str) and given.endswith(".json"):
        given = read_preprocess(Path(given))
    is_spec = given is not None and not isinstance(given, str)
    shape = _declared_item(source)
    if isinstance(given, str) and None in shape and not source.layout:
        raise _misfit(source, name, "the shape of one item is not declared, so it must be stated")
    spec = stated_preprocess(given, name, None if is_spec else shape, only_lists=options.only_lists)
    if isinstance(spec, ArraySpec) and not is_spec:
        spec = replace(spec, dtype=_array_dtype(source))
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

    item = item_shape(source, spec)
    declared = source.dims[1:]
    if len(item) != len(declared) or any(
        size not in (None, given) for size, given in zip(declared, item, strict=True)
    ):
        return f"the preprocessing gives items of shape {item}"
    if isinstance(spec, ArraySpec):
        can_cast = np.can_cast(spec.dtype, source.dtype, "same_kind")
        return "" if can_cast else f"the preprocessing gives {spec.dtype}"
    if not source.layout:
        return "the preprocessing gives colour images"
    # Whole numbers can take pixels as they are, nothing that was divided.
    is_plain = spec.mean == (0.0,) * 3 and spec.std == (1.0,) * 3
    is_float = np.dtype(source.dtype).kind == "f"
    return "" if is_float or is_plain else "normalised pixels are no whole numbers"


def _misfit(source: NetworkInput, name: str, why: str) -> UsageError:
    return UsageError(
        f'Backbone "{name}" was asked for.',
        f'Its input "{source.name}" takes {source.dtype} of shape {_text(source.dims)}; {why}.',
        "Preprocessing that gives what the network takes: a recipe for images, or for arrays that "
        'are ready as they are  {"shape": [...], "dtype": "float32"}.',
        "Put it into a file and type:  --preprocess FILE.json",
    )


def _text(dims: tuple[int | None, ...]) -> str:
    return "×".join("?" if size is None else str(size) for size in dims)
