"""What the sources of transformers' networks share: which files, and the network they hold."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutpoint.base.errors import WeightsError
from cutpoint.base.tongue import option
from cutpoint.networks.sources.files import inside
from cutpoint.networks.sources.torch_weights import import_torchvision_based

_WEIGHTS = "model.safetensors"
_POOLER = ("pooler.dense.weight", "pooler.dense.bias")
_INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class Place:
    """Where a network's files lie.

    Attributes
    ----------
    source : str
        Who reads them: ``"hf"``.
    name : str
        A hub name, or the path of a folder.
    is_folder : bool
    within : str
        The folder in it that holds network and tokenizer; empty: itself.
    """

    source: str
    name: str
    is_folder: bool
    within: str = ""

    @classmethod
    def of(cls, source: str, name: str) -> Place:
        """Return the place a person named: a folder if there is one of that name."""
        is_folder = Path(name).expanduser().is_dir()
        return cls(source, str(Path(name).expanduser().resolve()) if is_folder else name, is_folder)

    @property
    def id(self) -> str:
        """``"hf:google/vit-base-patch16-224"``."""
        return f"{self.source}:{self.name}"

    @property
    def own_name(self) -> str:
        """How a spec names it: of a folder its last part."""
        return Path(self.name).name if self.is_folder else self.name

    def file(self, transformers: Any, file: str) -> Path:
        """Return a file of the network, ``"config.json"``.

        Raises
        ------
        WeightsError
            If it is not there, or leads out of the folder.
        """
        relative = f"{self.within}/{file}" if self.within else file
        if self.is_folder:
            return inside(Path(self.name), relative, f'The network "{self.id}"')
        try:
            return Path(transformers.utils.cached_file(self.name, relative))
        except OSError as error:
            raise cannot_load(self, error) from error

    def told(self, transformers: Any, file: str) -> Any:
        """Return what a JSON file holds; an empty object if there is no such file.

        Raises
        ------
        WeightsError
            If it is there and no JSON object.
        """
        try:
            path = self.file(transformers, file)
        except WeightsError:
            if self.is_folder and (Path(self.name) / self.within / file).exists():
                raise  # there, and not to be read
            return {}
        try:
            found = json.loads(path.read_text("utf-8"))
            if not isinstance(found, dict | list):
                raise TypeError("it holds neither an object nor a list")
        except (ValueError, TypeError) as error:
            raise WeightsError(
                f"Backbone \"{self.id}\" can't be loaded: its {file} can't be read.",
                f"It raised {type(error).__name__}: {error}",
                "JSON, as the library that wrote it does.",
                f"Look at it with:  cat {path}",
            ) from error
        return found


def import_transformers(what: str, extra: str = "hf") -> Any:
    """Return the package, or name the extra that is missing."""
    # transformers imports torchvision if it is there, which may need its shim.
    if importlib.util.find_spec("torchvision") is not None:
        import_torchvision_based("torchvision", what, extra)
    return import_torchvision_based("transformers", what, extra)


def files_of(transformers: Any, place: Place) -> list[Path]:
    """Return ``config.json`` and the files with weights: together they decide the numbers."""
    found = [place.file(transformers, "config.json")]
    try:
        weights = [place.file(transformers, _WEIGHTS)]
    except WeightsError:
        index = place.file(transformers, _INDEX)
        weights = [place.file(transformers, each) for each in _shards(index, place)]
    return found + weights


def _shards(index: Path, place: Place) -> list[str]:
    """Return the names of the files that an index says hold the weights."""
    try:
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        if not names or not all(isinstance(name, str) for name in names):
            raise TypeError("its weight_map names no files")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"Backbone \"{place.id}\" can't be loaded: its {_INDEX} can't be read.",
            f"It raised {type(error).__name__}: {error}",
            "JSON whose weight_map says which file holds each weight.",
            f"Look at it with:  cat {index}",
        ) from error
    return names


def network_of(transformers: Any, place: Place, is_trusted: bool) -> Any:
    """Return the network, every weight of which is in the files."""
    network, absent = _from_pretrained(transformers, place, is_trusted)
    if absent and all(key in _POOLER for key in absent):
        # Checkpoints of classifiers lack the pooler, which nothing else needs: leave it out.
        network, absent = _from_pretrained(transformers, place, is_trusted, add_pooling_layer=False)
    if absent:
        raise WeightsError(
            f'Backbone "{place.id}" lacks {len(absent)} weights.',
            f"Its files have no {', '.join(absent[:5])}" + (" …." if len(absent) > 5 else "."),
            "All weights of the network: missing ones would be random, and features with them.",
            f"Look at the whole report with:  AutoModel.from_pretrained({place.name!r}, "
            "output_loading_info=True)",
        )
    return network


def _from_pretrained(
    transformers: Any, place: Place, is_trusted: bool, **how: Any
) -> tuple[Any, list[str]]:
    """Return the network, and which of its weights the files lack or have in another shape."""
    import torch

    folder = {"subfolder": place.within} if place.within else {}
    try:
        network, report = transformers.AutoModel.from_pretrained(
            place.name,
            local_files_only=place.is_folder,
            trust_remote_code=is_trusted,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # told below, with both shapes
            output_loading_info=True,
            dtype=torch.float32,  # half precision overflows, and is slow on processors
            **folder,
            **how,
        )
    except Exception as error:  # whatever the hub client, a configuration or a file meets
        raise cannot_load(place, error) from error
    # Whoever looks at all attributes, as converters do, would else make transformers guess one and
    # remark on it.
    network.loss_function = None
    wrong = [
        f"{key} ({list(found)} for {list(wanted)})"
        for key, found, wanted in report["mismatched_keys"]
    ]
    return network.eval(), sorted(report["missing_keys"]) + sorted(wrong) + report["error_msgs"]


@contextmanager
def quiet(transformers: Any) -> Iterator[None]:
    """Silence transformers' bars and reports; what matters in them is raised."""
    logging = transformers.utils.logging
    verbosity, has_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if has_bars:
            logging.enable_progress_bar()


def cannot_load(place: Place, error: Exception) -> WeightsError:
    """Return the error for files that transformers, or the hub, does not give."""
    return WeightsError(
        f'Backbone "{place.id}" can\'t be loaded.',
        f"transformers says: {' '.join(str(error).split())[:400]}",
        "config.json and model.safetensors, in a folder or on the hub. Pickled weights "
        "(pytorch_model.bin) are not read; code that comes with weights runs only with "
        f"{option('trust_weights', True)}.",
        "Make safetensors of old weights with:  network.save_pretrained(folder)",
    )
