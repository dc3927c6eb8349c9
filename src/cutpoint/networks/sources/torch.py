"""``torch:weights.pth``: a state dict, and the code that builds its network."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cutpoint.base.errors import ModalityError, UsageError, WeightsError
from cutpoint.base.spec import BackboneSpec
from cutpoint.base.tongue import either
from cutpoint.items.kinds import stated_preprocess, unstated
from cutpoint.networks.backbone import Backbone, LoadOptions
from cutpoint.networks.sources.files import existing, require_trust
from cutpoint.networks.sources.torch_files import read_state_dict
from cutpoint.networks.sources.torch_weights import (
    import_torchvision_based,
    refuse_nan,
    state_sha256,
    torch_framework,
    trained_side,
    weights_shape,
)

_CONTAINERS = ("state_dict", "model")


def load(name: str, options: LoadOptions) -> Backbone:
    """Return the network that `options.build` builds, with the weights of a file.

    `name` is the path of a ``.safetensors`` file or of a state dict that torch saved. Where there
    is no ``build``, ``weights.pth@package.module:function`` names a function without required
    arguments of an installed package; it is called only with ``trust_weights``.

    Every weight must find its place and every place its weight. Checkpoints whose weights lie
    under ``state_dict`` or ``model``, or whose keys all begin with ``module.``, are understood.
    """
    file, builder = _file_and_builder(name)
    path = existing(file, "torch", "A .pth, .pt or .safetensors file with a state dict will do")
    state = read_state_dict(path)  # before any function is called
    if not options.build:
        _refuse_untrusted(builder, path, options.trust_weights)
    if options.preprocess is None:
        raise unstated(f"torch:{name}", weights_shape(_inner(state)))
    build = options.build or _builder(builder)
    suffix = f"@{builder}" if builder else ""
    network = _filled(build(), state, path)
    preprocess = stated_preprocess(
        options.preprocess, f"torch:{name}", side_px=trained_side(network)
    )
    sha256 = state_sha256(network)
    spec = BackboneSpec(
        "torch", path.name + suffix, preprocess.kind, sha256, preprocess, options.constants
    )
    load_name = f"torch:{path.resolve()}{suffix}"
    # The function may have kept what it returned, and return the same one next time.
    return Backbone(spec, lambda: network, torch_framework, load_name, is_shared=True)


def _file_and_builder(name: str) -> tuple[str, str]:
    if "@" not in name or Path(name).expanduser().exists():  # a path may have an @ of its own
        return name, ""
    file, _, builder = name.rpartition("@")
    return file, builder


def _refuse_untrusted(builder: str, path: Path, is_trusted: bool) -> None:
    """Refuse to call a function that is not named, or only named by what may be a stranger."""
    if not builder:
        raise UsageError(
            f'"{path}" holds weights alone, not the network they belong to.',
            "It is a state dict.",
            "A function that builds the network"
            + either(".", ": @package.module:function after the path, and --trust-weights."),
            "Type, for example:  "
            + either(
                f'cp.load("torch:{path.name}", build=make_network, preprocess=…)',
                f"torch:{path.name}@torchvision.models:resnet18 --trust-weights",
            ),
        )
    require_trust(is_trusted, f'Backbone "torch:{path}@{builder}"', f'it calls "{builder}"')


def _builder(text: str) -> Callable[[], Any]:
    """Return the function that ``package.module:function`` names."""
    module, colon, function = text.partition(":")
    try:
        found = getattr(_imported(module), function) if colon else None
    except (ImportError, AttributeError) as error:
        raise _no_builder(text, str(error)) from error
    if not callable(found):
        raise _no_builder(text, "it is no function of a module")
    build: Callable[[], Any] = found
    return build


def _imported(module: str) -> Any:
    package = module.partition(".")[0]
    if package in ("torchvision", "timm"):
        import_torchvision_based(package, f"The function in {module}", package)
    return importlib.import_module(module)


def _no_builder(text: str, why: str) -> UsageError:
    return UsageError(
        f'"{text}" can\'t be called to build a network.',
        f"Why: {why}.",
        "A function of an installed package that needs no argument.",
        "Type, for example:  torch:weights.pth@torchvision.models:resnet18",
    )


def _filled(network: Any, stored: Mapping[str, Any], path: Path) -> Any:
    """Return `network` with the weights of `stored`, each in its place."""
    from torch import nn

    if not isinstance(network, nn.Module):
        raise ModalityError(
            f"The function build returned a {type(network).__name__}, no network.",
            f'It was to build the network of "{path}".',
            "A function that returns an nn.Module.",
            "Look at it with:  print(build())",
        )
    wanted = network.state_dict()
    state = _state_named_as(wanted, stored)
    _refuse_misfit(state, wanted, path)
    network.load_state_dict(state, strict=True)
    refuse_nan(network, f"torch:{path}")
    return network


def _state_named_as(wanted: Mapping[str, Any], stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the weights in a checkpoint.

    ``module.``, which `DataParallel` puts before every key, is taken off only if all keys then
    match.
    """
    state = stored if stored.keys() == wanted.keys() else _inner(stored)
    if not all(key.startswith("module.") for key in state):
        return state
    bare = {key.removeprefix("module."): tensor for key, tensor in state.items()}
    return bare if _required(wanted) <= bare.keys() <= wanted.keys() else state


def _inner(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the weights in a checkpoint that holds more, else `stored` itself."""
    found = (stored[key] for key in _CONTAINERS if isinstance(stored.get(key), Mapping))
    return next(found, stored)


def _required(wanted: Mapping[str, Any]) -> set[str]:
    """Return the keys that must be there.

    Checkpoints from before torch 0.4.1 lack the counter of batch normalisation, which inference
    does not use; torch itself lets them in.
    """
    return {key for key in wanted if not key.endswith(".num_batches_tracked")}


def _refuse_misfit(state: Mapping[str, Any], wanted: Mapping[str, Any], path: Path) -> None:
    required = _required(wanted)
    missing = [key for key in wanted if key in required and key not in state]
    unexpected = [key for key in state if key not in wanted]
    wrong = [
        f"{key} {_described(state[key])} for {_described(place)}"
        for key, place in wanted.items()
        if key in state and not _fits(state[key], place)
    ]
    faults = {"missing": missing, "unexpected": unexpected, "of another shape or type": wrong}
    if any(faults.values()):
        raise WeightsError(
            f'The weights "{path}" don\'t fit the network.',
            "In them: "
            + "; ".join(f"{what}: {_some(keys)}" for what, keys in faults.items() if keys)
            + ".",
            f"All {len(wanted)} weights of the network, and no other: one filled in part gives "
            "plausible nonsense.",
            "Compare with:  build().state_dict().keys()",
        )


def _fits(tensor: Any, place: Any) -> bool:
    if getattr(tensor, "shape", None) != place.shape:
        return False
    return bool(tensor.is_floating_point() == place.is_floating_point())


def _described(value: Any) -> str:
    shape = getattr(value, "shape", None)
    if shape is None:
        return f"a {type(value).__name__}"
    return f"{'×'.join(map(str, shape)) or 'scalar'} {str(value.dtype).removeprefix('torch.')}"


def _some(keys: list[str]) -> str:
    more = f" … ({len(keys)})" if len(keys) > 5 else ""
    return ", ".join(keys[:5]) + more
