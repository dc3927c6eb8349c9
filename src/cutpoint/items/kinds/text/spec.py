"""How a text becomes token ids; all of it is hashed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cutpoint.base.types import InputSpec

LONG = ("truncate", "chunks")
EMPTY = ("bad", "keep")
SPECIALS = ("text", "tokens")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class TextSpec:
    """Text, or a pair of texts → token ids, their mask and, where the network takes them, types.

    Attributes
    ----------
    tokenizer : str
        sha256 of ``tokenizer.json``; the source that loads the network holds its bytes.
    max_tokens : int
        Tokens of one item that the network is given at a time, special ones among them.
    limit_from : str
        What says so: ``"sentence_bert_config.json"``.
    ids, mask, types : str
        What the network calls its inputs; `types` is empty where it takes none, `mask` where
        nothing can be told to be padding, so that nothing is padded.
    pad_id : int
        The token that fills up.
    prompt : str
        Stands before each text.
    long : {"truncate", "chunks"}
        Whether a text beyond `max_tokens` is cut there, or read in windows of so many tokens whose
        features are averaged, each weighted by its tokens.
    overlap : int
        Tokens that a window shares with the one before.
    empty : {"bad", "keep"}
        Whether a text without any token of its own is a bad item, or the features of nothing.
    specials : {"text", "tokens"}
        Whether ``[SEP]`` in a text is those five letters, or the tokenizer's special token.
    lower_case : bool
        Whether texts are put in lower case before the tokenizer sees them.
    recipe : int
        Version of these rules.
    """

    tokenizer: str
    max_tokens: int
    limit_from: str
    ids: str = "input_ids"
    mask: str = "attention_mask"
    types: str = ""
    pad_id: int = 0
    prompt: str = ""
    long: str = "truncate"
    overlap: int = 32
    empty: str = "bad"
    specials: str = "text"
    lower_case: bool = False
    recipe: int = 1

    kind = "text"
    decode = "exact"

    @property
    def inputs(self) -> dict[str, InputSpec]:
        """In the order ids, mask, types; as long as the item, filled up to a multiple of 8."""
        found = {self.ids: InputSpec((None,), "int64")}
        if self.mask:
            found[self.mask] = InputSpec((None,), "int64", self.ids)
        if self.types:
            found[self.types] = InputSpec((None,), "int64")
        return found

    def check(self) -> None:
        """Raise `ValueError` unless items can be prepared so."""
        if not isinstance(self.tokenizer, str) or not _SHA256.fullmatch(self.tokenizer):
            raise ValueError("tokenizer is the sha256 of a tokenizer.json, 64 hex digits")
        if not all(type(each) is int for each in (self.max_tokens, self.overlap, self.pad_id)):
            raise ValueError("max_tokens, overlap and pad_id are whole numbers")
        if self.max_tokens < 4 or self.overlap < 0 or self.recipe != 1:
            raise ValueError("max_tokens is 4 or more, overlap 0 or more; recipe is 1")
        if self.long == "chunks" and self.overlap > self.max_tokens // 2:
            raise ValueError("overlap is at most half of max_tokens")
        choices = (("long", LONG), ("empty", EMPTY), ("specials", SPECIALS))
        for name, known in choices:
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {' or '.join(known)}")
        if not isinstance(self.prompt, str) or not self.ids:
            raise ValueError("prompt and ids are text")

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> TextSpec:
        return cls(**{name: value for name, value in fields.items() if name != "kind"})
