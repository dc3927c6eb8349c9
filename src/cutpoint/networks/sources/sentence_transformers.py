"""``sentence_transformers:folder``: networks of text with what their makers put around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from cutpoint.base.errors import WeightsError
from cutpoint.base.spec import BackboneSpec
from cutpoint.networks.backbone import Backbone, LoadOptions, Readout
from cutpoint.networks.sources.files import files_sha256
from cutpoint.networks.sources.hf_networks import (
    Place,
    files_of,
    import_transformers,
    network_of,
    quiet,
)
from cutpoint.networks.sources.hf_texts import stated_text, text_preprocess
from cutpoint.networks.sources.torch_weights import refuse_nan, torch_framework

_MODES = {  # of older configurations, in the order in which their vectors are put together
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_OURS = ("cls", "max", "mean", "weightedmean", "lasttoken")


def load(name: str, options: LoadOptions) -> Backbone:
    """Return the network of text in a folder, or on the hub, that has ``modules.json``.

    Its limit, its default prompt, its pooling and whether it normalises are read from the files
    beside the weights. Layers are the network's own; `cutpoint.encode` does what its makers do.

    Raises
    ------
    WeightsError
        If it is none, or its weights are absent, broken or incomplete.
    """
    place = Place.of("sentence_transformers", name)
    transformers = import_transformers(place.id, "text")
    with quiet(transformers):
        modules = _modules(transformers, place)
        inner = replace(place, within=_path_of(modules[0]))
        files = files_of(transformers, inner)
        network = network_of(transformers, inner, options.trust_weights)
        known = text_preprocess(transformers, network, inner, options.reading)
        said = place.told(transformers, "config_sentence_transformers.json")
        readout = _readout(transformers, place, modules, said)
    if known is None:
        raise WeightsError(
            f'Backbone "{place.id}" has no tokenizer.json.',
            "Only tokenizers of that form are read; slow ones need code of their own.",
            "The file, which transformers makes of older ones.",
            "Make it with:  transformers.AutoTokenizer.from_pretrained(folder)"
            ".save_pretrained(folder)",
        )
    refuse_nan(network, place.id)
    known = replace(known, prompt=readout.prompts.get(said.get("default_prompt_name") or "", ""))
    preprocess = stated_text(options.preprocess, known, place.id)
    sha256 = files_sha256(files, files[0].parent)
    spec = BackboneSpec(place.source, place.own_name, "text", sha256, preprocess)
    found = Backbone(spec, lambda: network, torch_framework, place.id)
    found.readout = readout
    return found


def _modules(transformers: Any, place: Place) -> list[Mapping[str, Any]]:
    """Return what ``modules.json`` lists; the first is the network."""
    found: Any = place.told(transformers, "modules.json")
    is_list = isinstance(found, list) and all(isinstance(each, Mapping) for each in found)
    if not is_list or not found or _kind_of(found[0]) != "Transformer":
        shown = ", ".join(map(_kind_of, found)) if is_list and found else "nothing"
        raise WeightsError(
            f'Backbone "{place.id}" is no network of sentence-transformers that can be read.',
            f"Its modules.json lists: {shown}.",
            "A Transformer first, as most of them have; without modules.json it is an hf: network.",
            f"Type, for example:  hf:{place.name}",
        )
    return list(found)


def _kind_of(module: Mapping[str, Any]) -> str:
    return str(module.get("type", "")).rpartition(".")[2]


def _path_of(module: Mapping[str, Any]) -> str:
    path = str(module.get("path") or "")
    return "" if path in ("", ".") else str(PurePosixPath(path))


def _readout(
    transformers: Any,
    place: Place,
    modules: Sequence[Mapping[str, Any]],
    said: Mapping[str, Any],
) -> Readout:
    """Return how its makers make one vector of a text."""
    kinds = [_kind_of(each) for each in modules[1:]]
    prompts = {str(n): str(text) for n, text in (said.get("prompts") or {}).items()}
    if kinds not in (["Pooling"], ["Pooling", "Normalize"]):
        why = f"its modules after the network are {', '.join(kinds) or 'none'}"
        return Readout(prompts=prompts, why_not=why)
    config = place.told(transformers, f"{_path_of(modules[1])}/config.json")
    if not config:
        why = f"{_path_of(modules[1])}/config.json, which says how it pools, is not there"
        return Readout(prompts=prompts, why_not=why)
    modes = _pooling_modes(config)
    why = ""
    if len(modes) != 1 or modes[0] not in _OURS:
        why = f"its pooling is {' and '.join(modes)}"
    elif not config.get("include_prompt", True) and any(prompts.values()):
        why = "its prompts are left out of its pooling (include_prompt is false)"
    return Readout(modes[0], "Normalize" in kinds, prompts, why)


def _pooling_modes(config: Mapping[str, Any]) -> list[str]:
    mode = config.get("pooling_mode")
    if mode is not None:
        return [mode] if isinstance(mode, str) else [str(each) for each in mode]
    return [mode for key, mode in _MODES.items() if config.get(key)] or ["mean"]
