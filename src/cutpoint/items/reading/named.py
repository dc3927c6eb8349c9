"""Which columns of a manifest hold what, and how it is read: one object carries it everywhere."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypedDict

from cutpoint.base.arguments import check_choice
from cutpoint.base.contracts import Kind
from cutpoint.base.errors import ModalityError, UsageError
from cutpoint.base.text import a_kind
from cutpoint.base.tongue import option, options

FILES = ("path", "image")  # cells of these name files
ITEMS = (*FILES, "text", "text_pair")
ABOUT = ("label", "group", "split", "id")
DEV = ("train", "judge")
APART = "apart"  # a split of its own, where each is scored by name


class ItemColumns(TypedDict, total=False):
    """The words that name an item's columns, as `Columns` has them."""

    path: str
    image: str
    text: str
    text_pair: str
    id: str
    encoding: str


class DataColumns(ItemColumns, total=False):
    """The words beside them, where ``split`` itself names a split."""

    label: str
    group: str
    split_column: str


class ColumnNames(DataColumns, total=False):
    """All words that say how a manifest is read; ``split`` is ``split_column``."""

    split: str
    dev: str


@dataclass(frozen=True)
class Columns:
    """How a manifest is read. A column that is not named is found by the name of its field.

    Attributes
    ----------
    path, image : str
        Names of files, relative to the manifest.
    text, text_pair : str
        Texts; `text_pair` the second ones of pairs.
    label, group, split, id : str
    encoding : str
        That of CSV, TSV and JSON lines; by default UTF-8, or what a mark at the start says.
    dev : {"", "train", "judge"}
        What ``dev.*`` or ``val.*`` beside ``train.*`` and ``test.*`` is for: it joins training,
        which is the default, or it is scored and the test is not read.
    """

    path: str = ""
    image: str = ""
    text: str = ""
    text_pair: str = ""
    label: str = ""
    group: str = ""
    split: str = ""
    id: str = ""
    encoding: str = ""
    dev: str = ""

    @classmethod
    def of(cls, call: str, given: Mapping[str, Any], known: type = ColumnNames) -> Columns:
        """Return what was said in words.

        Parameters
        ----------
        call : str
            The function, for messages.
        given : mapping of word → str
        known : type
            `ColumnNames` or another class of words that the call takes.

        Raises
        ------
        TypeError
            If a word is none of them, as Python does.
        UsageError
            If one names no column, or two of them the same.
        """
        words = known.__annotations__  # of a TypedDict, with those it inherits
        for word, value in given.items():
            if word not in words:
                raise TypeError(f"{call}() got an unexpected keyword argument {word!r}")
            if not isinstance(value, str) or not value:
                raise _no_name(word, value)
        said = dict(given)
        if "split" in said and "split_column" in said:
            raise _twice("split", "split_column")
        if "split_column" in said:
            said["split"] = said.pop("split_column")
        found = cls(**said)
        found._check()
        return found

    def _check(self) -> None:
        if self.dev:
            check_choice("dev", self.dev, DEV, "judge")
        named: dict[str, str] = {}
        for word in (*ITEMS, *ABOUT):
            name = getattr(self, word)
            if name and name in named:
                raise UsageError(
                    f'{options(named[name], word)} name the same column, "{name}".',
                    "A column holds one thing.",
                    "A column for each.",
                    f"Leave out {option(word)}",
                )
            named |= {name: word} if name else {}

    def said(self) -> dict[str, str]:
        """Return what was said, by the words that any call takes."""
        words = {each.name: getattr(self, each.name) for each in fields(self)}
        words["split_column"] = words.pop("split")
        return {word: value for word, value in words.items() if value and value != APART}

    def refuse(self, why: str, but: Collection[str] = ()) -> None:
        """Raise `UsageError` if anything was said that can't be followed, but some words."""
        idle = [word for word in self.said() if word not in but]
        if idle:
            raise UsageError(
                f"{options(*idle)} can't be followed here.",
                why,
                "A manifest: CSV, TSV, JSON lines, Parquet, Arrow or Feather.",
                f"Leave out {options(*idle)}",
            )

    def roles(self, names: Collection[str], kind: Kind, where: str) -> dict[str, str]:
        """Return the column of each role that a table has, item's first.

        Parameters
        ----------
        names : collection of str
            The columns that are there.
        kind : Kind
            The kind of item.
        where : str
            The table, for messages.

        Raises
        ------
        UsageError
            If a column is named that is not there.
        ModalityError
            If no column holds items of this kind.
        """
        for word in (*ITEMS, *ABOUT):
            name = getattr(self, word)
            if name and name not in names:
                raise absent(word, name, names, where)
        words = (*self._item(names, kind, where), *kind.BESIDE, *ABOUT)
        # A kind may have words of its own, which no option names.
        found = {word: getattr(self, word, "") or word for word in words}
        return {word: name for word, name in found.items() if name in names}

    def _item(self, names: Collection[str], kind: Kind, where: str) -> list[str]:
        """Return the one role that holds items."""
        said = [word for word in ITEMS if getattr(self, word)]
        foreign = [word for word in said if word not in (*kind.COLUMNS, *kind.BESIDE)]
        if foreign:
            raise ModalityError(
                f"{options(*foreign)} names no column of items of kind {kind.NAME}.",
                f"The backbone reads items of kind {kind.NAME}.",
                f"Items of that kind are in a column named by {options(*kind.COLUMNS)}.",
                f"Leave out {options(*foreign)}, or name a backbone that reads them",
            )
        main = [word for word in said if word in kind.COLUMNS]
        if len(main) > 1:
            raise _twice(*main)
        # A column of its own name goes before a column that names files.
        found = main or [word for word in kind.COLUMNS if word in names][:1]
        if not found:
            raise _no_items(kind, names, where)
        return found


def absent(word: str, name: str, names: Collection[str], where: str) -> UsageError:
    """Return the error of a column that is named and not there."""
    near = difflib.get_close_matches(name, names, 1, 0.5) or list(names)[:1]
    return UsageError(
        f'There is no column "{name}" in "{where}".',
        f"Its columns are: {', '.join(names) or 'none'}.",
        f'One of them. Nearest: "{near[0]}".' if near else "A table with a header.",
        f"Type, for example:  {option(word, near[0] if near else word)}",
    )


def _no_items(kind: Kind, names: Collection[str], where: str) -> ModalityError:
    word = kind.COLUMNS[0]
    others = difflib.get_close_matches(word, names, 1, 0.5)
    others += [name for name in names if name not in ABOUT] or [word]
    spelled = " or ".join(f"`{each}`" for each in kind.COLUMNS)
    return ModalityError(
        f'The manifest "{where}" has no column {spelled}.',
        f"Its columns are: {', '.join(names) or 'none'}.",
        f"A column of {kind.NOUN}s, by that name or named; and maybe {', '.join(ABOUT)}.",
        f"Type, for example:  {option(word, others[0])}",
    )


def _no_name(word: str, value: Any) -> UsageError:
    more = {"label": "labels", "group": "groups", "split": "splits"}.get(word)
    beside = f" Values beside the items are {option(more)}." if more else ""
    return UsageError(
        f"{option(word)} is {a_kind(value)}, which is no name of a column."
        if not isinstance(value, str)
        else f"{option(word)} is empty.",
        f"It names a column of a manifest.{beside}",
        "A text.",
        f"Type, for example:  {option(word, word)}",
    )


def _twice(one: str, other: str) -> UsageError:
    return UsageError(
        f"{options(one, other)} say the same.",
        "Each names the column of one thing.",
        "One of them.",
        f"Leave out {option(other)}",
    )
