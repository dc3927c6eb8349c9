"""Options that several commands share, spelled once."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cutpoint.base.errors import UsageError
from cutpoint.base.text import printable

DataArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="Folder of class folders, or with train.* and test.*; a manifest; an .npz of arrays.",
    ),
]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="A predictor made by fit.")]
Taps = Annotated[
    list[str] | None,
    typer.Option("--tap", help="Layer name, index or glob; auto, inner; repeat. Default: auto."),
]
Pools = Annotated[
    list[str] | None,
    typer.Option(
        "--pool", help="auto, gap, gmp, gem(p), spp, rmac, cls, none, …; repeat. Default: auto."
    ),
]
BackboneName = Annotated[
    str,
    typer.Option(
        "--backbone", "-b", help="source:name, or a path. Default: that of the kind of items."
    ),
]
PreprocessName = Annotated[
    str | None,
    typer.Option(
        "--preprocess",
        metavar="RECIPE",
        help="imagenet, tf, caffe, unit, none, each with a side as in imagenet(32), or a JSON "
        "file; where the weights don't say.",
    ),
]
TrustWeights = Annotated[
    bool, typer.Option("--trust-weights", help="Load weights in formats that can run code.")
]
Decode = Annotated[
    str | None,
    typer.Option(
        "--decode",
        metavar="exact|scaled",
        help="scaled: large JPEGs are decoded at a reduced size. Default: exact.",
    ),
]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="NAME=VALUE",
        help="What an input without data is given: zeros, ones or a number; repeat.",
    ),
]
RecipeText = Annotated[
    str,
    typer.Option(
        "--recipe",
        help='Stages from taps to head, as "gem | l2 | concat | pca(64, whiten)"; or classic.',
    ),
]
Heads = Annotated[
    list[str] | None,
    typer.Option(
        "--head", help='What is fitted at last: ridge, "knn(k=20)", …; auto or repeat: compared.'
    ),
]
KindName = Annotated[
    str,
    typer.Option("--kind", help='What labels are: auto, classes, labels ("a;b") or values.'),
]
Strategies = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy",
        help="single, fused, greedy, weighted, head2toe, ridge_norm; repeat. Default: first two.",
    ),
]
ProtocolName = Annotated[
    str,
    typer.Option(
        "--protocol",
        metavar="NAME",
        help="Fit the head as published: dinov2-45, clip96, ….",
    ),
]
PrintRecipe = Annotated[
    bool,
    typer.Option(
        "--print-recipe",
        help="Print the recipe's stages, and what its PCA keeps once it is fitted; then stop.",
    ),
]
Store = Annotated[
    Path | None,
    typer.Option("--store", help="Where features are kept. Default: the user's cache folder."),
]
Storage = Annotated[
    str, typer.Option("--storage", help="auto (fp16 for whole maps), fp32 or fp16.")
]
EngineName = Annotated[
    str, typer.Option("--engine", help="auto, openvino, onnxruntime, torch or native.")
]
Precision = Annotated[
    str, typer.Option("--precision", help="fp32, bf16, fp16 or int8: what the network computes in.")
]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Threads. Default: cores.")]
MaxBad = Annotated[
    float, typer.Option("--max-bad", min=0.0, max=1.0, help="Share of items that may be bad.")
]
Seed = Annotated[
    int, typer.Option("--seed", min=0, help="Draws the test split if the data has none.")
]
FollowLinks = Annotated[bool, typer.Option("--follow-links", help="Follow links in folders.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results only.")]


DEFAULT_STRATEGIES = ("single", "fused")


def typed_options(context: typer.Context, *but: str) -> list[str]:
    """Return the options that were typed, as ``--tap``, without those of parameters `but`."""
    found = []
    for parameter in context.command.params:
        source = context.get_parameter_source(str(parameter.name))
        if parameter.name not in but and source is not None and source.name == "COMMANDLINE":
            found.append(parameter.opts[0])
    return found


def tap_list(taps: list[str] | None) -> str | list[str | int]:
    """Return the taps as the API takes them; a number that names no layer is an index."""
    return list(taps) if taps and taps != ["auto"] else "auto"


def constants(inputs: list[str] | None) -> dict[str, str | int | float] | None:
    """Return the constants of ``--input NAME=VALUE``, as `cutpoint.load` takes them."""
    found: dict[str, str | int | float] = {}
    for text in inputs or ():
        name, equals, value = text.rpartition("=")
        if not equals or not name or name in found:
            raise UsageError(
                f'"--input {text}" {"is given twice" if name in found else "says no value"}.',
                "An input is given one constant.",
                "The name of an input, an equals sign, and zeros, ones or a number.",
                "Type, for example:  --input state=zeros --input sr=16000",
            )
        found[name] = value
    return found or None


def echo(line: str, err: bool = False) -> None:
    """Print one line; what is in it, such as a file's name, can't make another."""
    typer.echo(printable(line), err=err)


def tell_warnings(warnings: Sequence[str], quiet: bool) -> None:
    """Print on stderr what a quiet run has kept to itself: it may make the results worthless."""
    for warning in warnings if quiet else ():
        echo(f"Warning: {warning}", err=True)


def print_recipe(text: str, variance: Sequence[str] = ()) -> None:
    """Print the stages of a recipe, one a line, and what its PCA keeps, where that is known."""
    from cutpoint.learning.recipe import parse_recipe

    recipe = parse_recipe(text)
    if not str(recipe):
        echo("No recipe was given: what is pooled is taken as it is.")
        echo('Give one with, for example:  --recipe "gap | l2 | pca(64)"')
    for stage in str(recipe).split(" | ") if str(recipe) else ():
        echo(stage)
    for line in variance:
        print_wrapped(line)
    if not variance and any(stage.name == "pca" for stage in (*recipe.before, *recipe.after)):
        echo("How much of the variance pca keeps is known once it is fitted.")


def pool_list(pools: list[str] | None) -> tuple[str, ...]:
    from cutpoint.features.extraction.request import DEFAULT_POOLS

    return tuple(pools) if pools else DEFAULT_POOLS


def print_wrapped(text: str, indent: str = "") -> None:
    """Print a sentence in lines that fit 100 columns."""
    width = 98
    for line in textwrap.wrap(
        printable(text), width, subsequent_indent=indent, break_long_words=False
    ):
        echo(line)


def print_json(fields: Any) -> None:
    """Print one JSON document on stdout."""
    typer.echo(json.dumps(fields, indent=1, allow_nan=False))
