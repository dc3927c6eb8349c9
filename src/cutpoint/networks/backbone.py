"""A pretrained network used as it is."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from cutpoint.base.arguments import check_choice, check_flags
from cutpoint.base.contracts import Cut
from cutpoint.base.errors import TapNotFound, UsageError, WeightsError
from cutpoint.base.spec import (
    DECODES,
    PRECISIONS,
    BackboneSpec,
    Constants,
    FeatureSpec,
    Preprocess,
    TapSpec,
)
from cutpoint.base.text import printable
from cutpoint.base.types import Array, Batch
from cutpoint.items.kinds import defaults_of, kind_named
from cutpoint.networks.constants import Value, read_constants
from cutpoint.networks.frameworks import Framework, Trains
from cutpoint.networks.layer_table import (
    AUTO,
    ClassProbabilities,
    Layer,
    LayerTable,
    no_suffix,
    warn_of_probabilities,
)
from cutpoint.networks.pooling import pools_of, revision_of
from cutpoint.networks.runtimes.threads import one_thread

STORAGES = (AUTO, "fp32", "fp16")


@dataclass(frozen=True)
class LoadOptions:
    """What a user says beside a backbone's name; every source is given it.

    Attributes
    ----------
    preprocess : str, PreprocessSpec, ArraySpec or None
        How the weights were fed in training: a recipe's name, a JSON file, a spec. Goes before
        what the source knows; where it knows nothing, it is required.
    trust_weights : bool
        Whether formats that can run code may be loaded.
    build : callable or None
        Returns the network a state dict belongs to.
    only_lists : bool
        Whether layers are listed and nothing is fed, for which the shape of the input will do.
    inputs : mapping of name → "zeros", "ones" or number, optional
        Constants for inputs that carry no data.
    reading : mapping of name → value
        How items are read, as their kind has it: ``{"long": "chunks"}`` of texts.
    """

    preprocess: str | Preprocess | None = None
    trust_weights: bool = False
    build: Callable[[], Any] | None = None
    only_lists: bool = False
    inputs: Mapping[str, Value] | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)

    @property
    def constants(self) -> Constants:
        """What `inputs` says, as it enters a spec."""
        return read_constants(self.inputs)


@dataclass(frozen=True)
class Readout:
    """How a network's makers make one vector of an item, from the last layer with tokens.

    Attributes
    ----------
    pool : str
    is_normalised : bool
        Whether the vector is given the length 1.
    prompts : mapping of name → text
        What they put before texts, by what the texts are for.
    why_not : str
        Why it can't be done here; empty if it can.
    """

    pool: str = "mean"
    is_normalised: bool = False
    prompts: Mapping[str, str] = field(default_factory=dict)
    why_not: str = ""


class _Held:
    """A network, built once, and what its weights were when somebody else first got hold of it.

    Backbones that differ in what they are fed share one. There is no lock: of two threads that
    are first at a time one wins, and both get what it made.
    """

    def __init__(self, build: Callable[[], Any], load_framework: Callable[[], Framework]) -> None:
        self._build, self._load_framework = build, load_framework
        self._found: dict[str, Any] = {}
        self._at_first: dict[str, Mapping[str, str]] = {}  # empty until it is handed out

    def __deepcopy__(self, memo: dict[int, Any]) -> _Held:
        """Return a network of its own, also where `build` would give the one network again."""
        twin = copy.copy(self)
        twin._found = copy.deepcopy({"network": self.network}, memo) | {"framework": self.framework}
        twin._at_first = dict(self._at_first)
        return twin

    @property
    def network(self) -> Any:
        if "network" not in self._found:
            self._found.setdefault("network", self._build())
        return self._found["network"]

    @property
    def framework(self) -> Framework:
        if "framework" not in self._found:
            self._found.setdefault("framework", self._load_framework())
        framework: Framework = self._found["framework"]
        return framework

    def hand_out(self) -> Any:
        """Return the network to somebody who may change it; what its weights are is noted first."""
        if not self._at_first:
            self._at_first.setdefault("digests", self._digests())
        return self.network

    def changed(self) -> list[str]:
        """Return what is no longer as it was. A network nobody was given is as it was."""
        if not self._at_first:
            return []
        now = self._digests()
        # What came later, such as a cache that a pass filled, is nothing that was changed.
        return [name for name, was in self._at_first["digests"].items() if now.get(name) != was]

    def _digests(self) -> Mapping[str, str]:
        return self.framework.weights_digests(self.network)


class Backbone:
    """A network, where its weights come from, and how it is fed.

    Parameters
    ----------
    spec : BackboneSpec
    build : callable
        Returns the network with its weights loaded. Called when first needed, once.
    framework : callable
        Returns the framework that lists and cuts it, such as ``networks.frameworks.torch``.
    load_name : str, optional
        What to type to load it again, where that is more than ``source:name``: a path.
    is_shared : bool
        Whether somebody else holds the network from the start: the user who gave it, or a function
        of the user's that returned it. Any other is theirs once they read `network`, or are given
        something that runs on its weights. From then on each use asks whether the weights are
        still those that `spec` names.
    source_accuracy : float, optional
        ImageNet top-1 accuracy, 0–1, where the weights state it.

    Attributes
    ----------
    loaded_with : LoadOptions
        What was said beside the name, so that a run can be repeated.
    decode : {"exact", "scaled"} or None
        How photos are decoded, where that was said beside the preprocessing.
    readout : Readout
        How its makers make one vector of an item, where they say it.
    tuned : networks.tuned.Tuned or None
        What it was tuned from, if it was.
    """

    def __init__(
        self,
        spec: BackboneSpec,
        build: Callable[[], Any],
        framework: Callable[[], Framework],
        load_name: str = "",
        is_shared: bool = False,
        source_accuracy: float | None = None,
    ) -> None:
        self.spec = spec
        self.source_accuracy = source_accuracy
        self.load_name = load_name or spec.id
        self.loaded_with = LoadOptions()
        self.decode: str | None = None
        self.readout = Readout()
        self.tuned: Any = None
        self._held = _Held(build, framework)
        if is_shared:
            self._held.hand_out()

    def __repr__(self) -> str:
        return f'Backbone("{self.spec.id}", {self.spec.modality})'

    @property
    def kind(self) -> str:
        """What its items are: ``"image"``, ``"array"``, or what a plug-in brings."""
        return self.spec.preprocess.kind

    @property
    def can_be_typed(self) -> bool:
        """Whether the command line can load it: names and files, no objects."""
        told = self.loaded_with
        is_text = told.preprocess is None or isinstance(told.preprocess, str | Path)
        return self.spec.source != "object" and told.build is None and is_text

    @property
    def load_words(self) -> list[str]:
        """How the command line loads it, where it can."""
        told = self.loaded_with
        words = ["--backbone", self.load_name]
        words += ["--preprocess", str(told.preprocess)] if told.preprocess else []
        words += ["--decode", self.decode] if self.decode else []
        for name, value in told.reading.items():
            words += [f"--{name.replace('_', '-')}", str(value)]
        for name, value in self.spec.constants:
            words += ["--input", f"{name}={value}"]
        return words + (["--trust-weights"] if told.trust_weights else [])

    @property
    def load_call(self) -> str:
        """How Python loads it; what only its user has stands in angle brackets."""
        told, is_object = self.loaded_with, self.spec.source == "object"
        words = [f"<{self.spec.name}>" if is_object else repr(self.load_name)]
        preprocess = self.spec.preprocess if is_object else told.preprocess
        words += [f"preprocess={preprocess!r}"] if preprocess else []
        words += ["trust_weights=True"] if told.trust_weights else []
        words += ["build=<function>"] if told.build else []
        words += [f"decode={self.decode!r}"] if self.decode and not is_object else []
        words += [f"inputs={dict(self.spec.constants)!r}"] if self.spec.constants else []
        words += [f"{name}={value!r}" for name, value in told.reading.items()]
        return words[0] if len(words) == 1 else f"cp.load({', '.join(words)})"

    def decoding(self, decode: str) -> Backbone:
        """Return the same backbone, fed with photos that are decoded so.

        Parameters
        ----------
        decode : {"exact", "scaled"}
            See `PreprocessSpec.decode`.

        Raises
        ------
        UsageError
            If there is no such way to decode, or its items are no photos.
        """
        check_choice("decode", decode, DECODES, "scaled")
        preprocess = kind_named(self.kind).decoding(self.spec.preprocess, decode)
        found = copy.copy(self)
        found.spec = replace(self.spec, preprocess=preprocess)
        found.decode = decode
        return found

    def reading(self, given: Mapping[str, Any]) -> Backbone:
        """Return the same backbone, whose items are read as `given` says, by its kind's names.

        Raises
        ------
        UsageError
            If nothing of that name, or no such value, can be said of its items.
        """
        preprocess = kind_named(self.kind).adjusted(self.spec.preprocess, given)
        found = copy.copy(self)
        found.spec = replace(self.spec, preprocess=preprocess)
        told = {**self.loaded_with.reading, **given}
        found.loaded_with = replace(self.loaded_with, reading=told)
        found.__dict__.pop("_table", None)  # its remarks
        return found

    @property
    def network(self) -> Any:
        """The framework's own object, weights loaded.

        It may be trained and changed; features of what it then is are features of another
        network, which `cut` and `cutpoint.extract` refuse to take for this one's.
        """
        return self._held.hand_out()

    @property
    def framework(self) -> Framework:
        """The folder that lists, cuts and trains its network."""
        return self._held.framework

    @property
    def trained_by(self) -> Trains:
        """What cuts its network in two and trains the upper part.

        Raises
        ------
        UsageError
            If nothing does.
        """
        found = getattr(self.framework, "trained_by", "of a framework in which nothing is trained")
        if isinstance(found, str):
            raise no_suffix(self.spec.id, found)
        trains: Trains = found
        return trains

    def held_network(self) -> Any:
        """Return the network for use within, where it is not changed: it is given to nobody."""
        self.refuse_changed()
        return self._held.network

    def fed(self, preprocess: Preprocess) -> Backbone:
        """Return the same backbone, fed otherwise: it shares the network."""
        found = copy.copy(self)
        found.spec = replace(self.spec, preprocess=preprocess)
        return found

    @cached_property
    def _table(self) -> LayerTable:
        network, framework = self._held.network, self._held.framework
        with one_thread():
            found = framework.list_layers(
                network, self.spec.preprocess, self.load_name, self.spec.constants
            )
        return replace(found, remarks=tuple(kind_named(self.kind).remarks(self.spec.preprocess)))

    def layers(self) -> LayerTable:
        """Return all layers: index, name, kind, shape, stride, parameters, MACs to here."""
        return self._table

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return one layer, by name or by index (negative ones count from the end).

        Raises
        ------
        UsageError
            If both or neither are given.
        TapNotFound
            If there is no such layer; the nearest names are listed.
        """
        return self._table.get(name, index)

    def cut(self, *taps: str | int, pool: str | Sequence[str] = "auto") -> Cut:
        """Return the network truncated after the deepest tap, pools inside.

        Parameters
        ----------
        *taps : str or int
            Names, indices, or globs such as ``"blocks.[56].*"``; ``"auto"``, what is taken without
            any, and ``"inner"``: see `LayerTable.auto_taps` and `LayerTable.inner_taps`.
        pool : str or sequence of str
            ``gap``, ``gmp``, ``gem(p)``, ``cls``, ``gram``, ``none`` and others; several give
            several features a tap. ``auto`` is gap and gmp for maps and time, cls and gap for
            tokens.

        Raises
        ------
        WeightsError
            If the network no longer holds the weights that `spec` names.

        Notes
        -----
        On PyTorch a cut runs on the network's own weights, so one that was made before the network
        is trained gives the trained network's features; on TensorFlow it keeps the weights it was
        made with. Nothing stores what a cut gives that was made by hand.
        """
        chosen = self.tap_specs(taps or AUTO, (pool,) if isinstance(pool, str) else pool)
        told = warn_of_probabilities([self._table[tap.layer] for tap in chosen])
        if told:
            warnings.warn(told, ClassProbabilities, stacklevel=2)
        cut = self.cut_at(chosen)
        self._held.hand_out()  # the weights can be reached through it
        return cut

    def cut_at(self, taps: Sequence[TapSpec]) -> Cut:
        """Return the network cut at exact taps, for use within: it is not given to anybody else."""
        self.refuse_changed()
        for tap in taps:
            (layer,) = self._table.select(tap.layer)
            pools_of(layer, tap.pool)
        with one_thread():
            return self._held.framework.make_cut(self._held.network, self.spec, taps, self._table)

    def symbolic(self, tap: str | int, *, trainable: bool = False) -> Any:
        """Return what ends at `tap` and a new head can be connected to.

        In Keras a ``keras.KerasTensor`` that hangs on ``backbone.network.input``, in PyTorch an
        ``nn.Module`` that takes what the network takes and returns the activation; both share the
        network's weights.

        Parameters
        ----------
        tap : str or int
        trainable : bool
            Whether training the whole trains the network up to there. By default it is frozen: its
            weights take no gradient, and norms and dropout stay in inference whatever mode
            the model around it is in, so the head is trained on what `cut` gives. In Keras the
            network's own layers are frozen and freed by this, as a variable there is one or the
            other wherever it is used.

        Raises
        ------
        UsageError
            If the framework is neither.
        """
        check_flags(trainable=trainable)
        layers = self._table.select(tap)
        if len(layers) != 1:
            raise TapNotFound(
                f'"{tap}" names {len(layers)} layers of backbone {self.spec.id}, not one.',
                f"They are: {', '.join(layer.name for layer in layers[:5])}"
                + (", …" if len(layers) > 5 else "."),
                "The name or index of one.",
                f'Type, for example:  backbone.symbolic("{layers[-1].name}")',
            )
        (layer,) = layers
        return self._held.framework.symbolic(
            self._held.hand_out(), layer, self.spec.preprocess, trainable, self.spec.constants
        )

    def pyramid(self, strides: Sequence[int] = (4, 8, 16, 32)) -> Pyramid:
        """Return the deepest map of each stride, as feature pyramids take them.

        Raises
        ------
        TapNotFound
            If the network has no map of a stride; those it has are listed.
        """
        found = {row.stride: row for row in self._table.maps() if row.stride is not None}
        for stride in strides or (0,):
            if stride not in found:
                raise TapNotFound(
                    f"No map of stride {stride} in backbone {self.spec.id}.",
                    f"Its maps have strides {', '.join(map(str, sorted(found)))}."
                    if found
                    else "It has no maps with a stride.",
                    "One of these." if found else "A network of images, with maps.",
                    f"Type, for example:  backbone.pyramid(strides={tuple(sorted(found))})"
                    if found
                    else "List its layers with:  backbone.layers()",
                )
        levels = tuple(found[stride] for stride in strides)
        names = sorted({level.name for level in levels}, key=lambda name: self._table[name].index)
        cut = self.cut_at([TapSpec(name, "none") for name in names])
        self._held.hand_out()  # as in `cut`
        return Pyramid(levels, cut)

    def tap_specs(
        self, taps: Sequence[str | int] | str, pools: Sequence[str]
    ) -> tuple[TapSpec, ...]:
        """Return every chosen layer with every pool, in execution order."""
        is_one = isinstance(taps, str) or not isinstance(taps, Iterable)
        layers = self._table.select(*([taps] if is_one else taps))
        if not layers or not pools:
            raise UsageError(
                f"{len(layers)} layers and {len(pools)} pools make no cut of backbone "
                f"{self.spec.id}.",
                "A cut reads layers and pools what it finds there.",
                "One layer and one pool at least.",
                'Type, for example:  backbone.cut(-1, pool="gap")',
            )
        usual = defaults_of(self.kind).pools
        pairs = [
            (layer.name, pool)
            for layer in layers
            # Sorted, as the order in which pools are named is no part of a spec.
            for pool in sorted({each for text in pools for each in pools_of(layer, text, usual)})
        ]
        revision = revision_of((pool for _, pool in pairs), self._is_masked)
        return tuple(TapSpec(layer, pool, revision) for layer, pool in pairs)

    def feature_spec(
        self,
        taps: Sequence[str | int] | str = AUTO,
        pools: Sequence[str] = (AUTO,),
        storage: str = AUTO,
        precision: str = "fp32",
    ) -> FeatureSpec:
        """Return the spec of what `cutpoint.extract` would compute.

        Parameters
        ----------
        taps, pools
            As in `tap_specs`.
        precision : {"fp32", "bf16", "fp16", "int8"}
            What the network computes in. The spec of int8 is completed by the data it is run on.

        Raises
        ------
        UsageError
            If features can't be stored so, or there is no such precision.
        WeightsError
            If the network no longer holds the weights that `spec` names.
        """
        check_choice("storage", storage, STORAGES, "fp32")
        check_choice("precision", precision, PRECISIONS, "bf16")
        self.refuse_changed()
        return FeatureSpec(self.spec, self.tap_specs(taps, pools), precision, storage)

    @property
    def _is_masked(self) -> bool:
        """Whether a mask says which places of items count."""
        return any(each.mask_of for each in self.spec.preprocess.inputs.values())

    def refuse_changed(self) -> None:
        """Raise `WeightsError` if the network no longer holds the weights that `spec` names.

        Asked before anything of the network is computed, and again before it is kept. Parameters,
        statistics and other buffers are compared, and how the layers are set up; a network that
        nobody has had is not looked at.
        """
        changed = self._held.changed()
        if changed:
            more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
            raise WeightsError(
                f'The network of "{self.spec.id}" no longer holds the weights of that name.',
                f"It was trained or changed otherwise: {changed[0]}{more} is not what was loaded.",
                "The weights it had; or a backbone of what it is now, as features are kept by the "
                "digest of the weights.",
                f"Type:  {self._held.framework.WHEN_CHANGED}",
            )


@dataclass(frozen=True)
class Pyramid:
    """Maps of falling resolution from one pass.

    Attributes
    ----------
    levels : tuple of Layer
        One a stride, in the order asked for; each knows its stride, channels and layout.
    cut : Cut
        Gives all of them.
    """

    levels: tuple[Layer, ...]
    cut: Cut

    @property
    def channels(self) -> tuple[int | None, ...]:
        return tuple(level.channels for level in self.levels)

    @property
    def strides(self) -> tuple[int | None, ...]:
        return tuple(level.stride for level in self.levels)

    def __call__(self, batch: Batch) -> list[Array]:
        """Return the maps of a prepared batch, each ``(n_items, …)`` in its level's layout."""
        found = self.cut(batch)
        return [found[f"{level.name}/none"] for level in self.levels]

    def __str__(self) -> str:
        return "\n".join(
            f"stride {row.stride:>3}  {row.shape_text:<12}  {row.layout}  {printable(row.name)}"
            for row in self.levels
        )
