"""The fitted artefact: preprocess + cut + pool + head, saved without pickle."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cutpoint.base.arguments import as_path
from cutpoint.base.errors import UsageError
from cutpoint.base.progress import Reporter
from cutpoint.base.spec import TapSpec
from cutpoint.base.text import counted, printable
from cutpoint.base.types import Float64
from cutpoint.items.reading import Item, Label
from cutpoint.learning.heads import Classifier, Head, Labeller
from cutpoint.learning.metrics import Interval
from cutpoint.learning.recipe import FittedRecipe
from cutpoint.networks.backbone import Backbone
from cutpoint.products.predictor.card import Card
from cutpoint.products.predictor.format import (
    FORMAT,
    HEAD,
    NETWORK,
    RECIPE,
    TUNED,
    write_folder,
)
from cutpoint.products.predictor.prediction import AnyPrediction
from cutpoint.products.predictor.scorer import Scorer

_FIRST = {
    "classes": ("accuracy", "accuracy", "Wilson"),
    "labels": ("micro F1", "micro_f1", "bootstrap"),
    "values": ("R²", "r2", "bootstrap"),
}
"""Target → name of the score that is reported first, its field, how its interval was found."""

_DIGEST_DIGITS = 16  # kept of each training payload's sha256: 64 bits tell any two photos apart


@dataclass(frozen=True)
class Predictor:
    """A head with everything before it.

    Attributes
    ----------
    backbone : Backbone
    recipe : FittedRecipe
        Where the backbone is cut, the pooling, and what is done to the features.
    head : Head
    trained_on : frozenset of str
        First 16 hex digits of the sha256 of every training payload.
    seed : int
        Drew the test split, if the data brought none.
    storage : {"auto", "fp32", "fp16"}
        How the features it learned from were stored; new ones are rounded alike.
    card : Card
        How it was made and how it scored: data, candidates, scores.
    precision : {"fp32", "bf16", "fp16", "int8"}
        What the network computed in, and computes in here; nothing else is put in its place.
    network : bytes
        For int8 the quantised network itself; empty otherwise.
    revision : int
        That of its taps: how padded items were pooled when it was fitted, and are pooled still.
    margin : float or None
        For values half the width of the interval around one, within which 90 % of the training
        rows were when they were left out.
    """

    backbone: Backbone
    recipe: FittedRecipe
    head: Head
    trained_on: frozenset[str] = frozenset()
    seed: int = 0
    card: Card = field(default_factory=Card)
    storage: str = "auto"
    precision: str = "fp32"
    network: bytes = field(default=b"", repr=False)
    revision: int = 1
    margin: float | None = None
    _scorers: dict[tuple[str, int | None], Scorer] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def taps(self) -> tuple[TapSpec, ...]:
        """Where the backbone is cut, and the pooling; one, or several made one by the recipe."""
        return tuple(TapSpec.from_name(tap, self.revision) for tap in self.recipe.taps)

    @property
    def target(self) -> str:
        """What is predicted of an item: one of "classes", its "labels", or "values"."""
        return self.head.target

    @property
    def classes(self) -> tuple[Label, ...]:
        """In the order of the columns of `probabilities`, in the type the labels came in.

        Empty where labels or values are predicted.
        """
        return tuple(self.head.classes_.tolist()) if isinstance(self.head, Classifier) else ()

    @property
    def labels(self) -> tuple[str, ...]:
        """In the order of the columns of `probabilities`; empty where no labels are predicted."""
        return tuple(map(str, self.head.labels_)) if isinstance(self.head, Labeller) else ()

    @property
    def history(self) -> list[dict[str, Any]]:
        """Loss, length of the gradient and relative change of each block, an epoch each.

        Empty where nothing was fine-tuned.
        """
        return list((self.card.finetune or {}).get("history", ()))

    @property
    def thresholds(self) -> Float64:
        """Probability from which each of `labels` is given."""
        return self.head.thresholds_ if isinstance(self.head, Labeller) else np.zeros(0)

    def __str__(self) -> str:
        where = f"{self.backbone.spec.id} cut at {self.recipe}"
        counted = len(self.classes or self.labels)
        of = f"{counted} {self.target}" if counted else self.target
        lines = [f"Predictor of {of}: {where}"]
        decode = self.backbone.spec.preprocess.decode
        if self.recipe.tap_weights:
            lines.append(f"weights of the taps: {self.recipe.weights_text()}")
        if self.precision != "fp32":
            lines.append(f"the network computes in {self.precision}")
        if decode != "exact":
            lines.append(f"large photos are decoded {decode}")
        found = self.card.evaluation
        if found is not None:
            name, key, how = _FIRST[self.target]
            figure = Interval(**found["scores"][key])
            items = _counted_in(found)
            lines.append(f"{name} on split {found['split']}{items}: {figure} (95 %, {how})")
        return "\n".join(map(printable, lines))

    def ready(self, engine: str = "auto", n_workers: int | None = None) -> Scorer:
        """Return what scores items again and again, its engine compared with the network once.

        Parameters
        ----------
        engine : {"auto", "openvino", "onnxruntime", "torch", "native"}
        n_workers : int, optional
            Threads; as many as cores by default.
        """
        key = (engine, n_workers)
        if key not in self._scorers:
            self._scorers[key] = Scorer(
                self.backbone,
                self.recipe,
                self.head,
                self.storage,
                self.precision,
                self.network,
                engine,
                n_workers,
                self.revision,
                self.margin,
            )
        return self._scorers[key]

    def predict(
        self,
        data: Any,
        engine: str = "auto",
        n_workers: int | None = None,
        reporter: Reporter | None = None,
    ) -> list[AnyPrediction]:
        """Return one prediction per item, in the order of the items; bad ones say why.

        Parameters
        ----------
        data : sequence of paths, file bytes, PIL images or uint8 arrays
            Or one file, a folder, a manifest, a `Dataset`.
        engine, n_workers
            As in `ready`.
        """
        return self.ready(engine, n_workers).predict(data, reporter)

    def probabilities(
        self,
        items: Sequence[Item],
        engine: str = "auto",
        n_workers: int | None = None,
        reporter: Reporter | None = None,
    ) -> tuple[Float64, dict[int, str]]:
        """Return calibrated probabilities (n_items, n_classes), NaN for bad items; and reasons.

        For labels they are (n_items, n_labels).

        Raises
        ------
        UsageError
            If the predictor tells values, which have none.
        """
        if self.target == "values":
            raise UsageError(
                "A predictor of values has no probabilities.",
                "It tells one number an item, with an interval.",
                "Its predictions.",
                "Type:  predictor.predict(items)",
            )
        return self.ready(engine, n_workers).outputs(items, reporter)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the predictor as a folder: ``predictor.json`` and ``head-….safetensors``.

        An older predictor of that name is replaced, at once or not at all; whatever else lies in
        its folder is left alone. A folder of another kind is refused.
        """
        recipe, before = self.recipe.to_state()
        head, learned = self.head.to_state()
        parts = {RECIPE: before, HEAD: learned}
        if self.network:
            parts[NETWORK] = {self.precision: np.frombuffer(self.network, np.uint8)}
        if self.backbone.tuned is not None:
            parts[TUNED] = dict(self.backbone.tuned.weights)
        write_folder(as_path("path", path).resolve(), self._fields(recipe, head), parts)

    def _fields(self, recipe: dict[str, Any], head: dict[str, Any]) -> dict[str, Any]:
        younger = {"revision": self.revision} if self.revision > 1 else {}  # than the format
        return {
            **younger,
            "format": FORMAT,
            "modality": self.backbone.spec.modality,
            "backbone": self.backbone.spec.to_json(),
            "load_name": self.backbone.load_name,
            "recipe": recipe,
            "head": head,
            "seed": self.seed,
            "storage": self.storage,
            "precision": self.precision,
            # A field younger than the format, and of values alone.
            **({} if self.margin is None else {"margin": self.margin}),
            **({} if self.backbone.tuned is None else {"tuned": self.backbone.tuned.to_json()}),
            "card": self.card.to_json(),
            "trained_on": sorted(self.trained_on),
        }


def _counted_in(evaluation: Mapping[str, Any]) -> str:
    """Return how many items a score rests on, and how many were left out, where that is known."""
    n_scored, n_out = evaluation.get("n_scored"), evaluation.get("n_left_out")
    if not isinstance(n_scored, int):  # a field younger than the format
        return ""
    return f", {counted(n_scored, 'item')}" + (f" ({n_out} trained on, left out)" if n_out else "")


def short_digest(digest: str) -> str:
    """Return the part of a payload digest that a predictor remembers."""
    return digest[:_DIGEST_DIGITS]
