"""Tokenizers by the sha256 of their ``tokenizer.json``, set up as a spec says.

A spec names a tokenizer by its digest; whoever loads the network holds the bytes here, once, for
the whole process. So a spec is small, hashes by value, and can never meet another tokenizer.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cutpoint.base.errors import BadItem, MissingExtra, UsageError, WeightsError
from cutpoint.items.kinds.text.spec import TextSpec

_held: dict[str, bytes] = {}


def hold(data: bytes, what: str) -> str:
    """Keep a ``tokenizer.json`` for this process; return its sha256.

    Raises
    ------
    WeightsError
        If it is no tokenizer; `what` names it.
    """
    digest = hashlib.sha256(data).hexdigest()
    if digest not in _held:
        _parsed(data, what)
        _held[digest] = data
    return digest


def _parsed(data: bytes, what: str) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtra("The tokenizer of texts", "text") from error
    try:
        return Tokenizer.from_str(data.decode("utf-8"))
    except Exception as error:  # tokenizers raises bare exceptions
        raise WeightsError(
            f"The tokenizer of {what} can't be read.",
            f"tokenizers says: {' '.join(str(error).split())[:300]}",
            "The tokenizer.json of the network's makers, as the library tokenizers writes it.",
            "Make one of older files with:  "
            "transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(folder)",
        ) from error


@dataclass(frozen=True)
class Encoded:
    """One text, or a pair, in tokens.

    Attributes
    ----------
    windows : list of tokenizers.Encoding
        One; or several, of a text that is read in chunks.
    n_tokens : int
        All of the text, special ones among them, before anything is cut.
    n_own, n_unknown : int
        Tokens that are not special; those of them that the vocabulary lacks.
    """

    windows: list[Any]
    n_tokens: int
    n_own: int
    n_unknown: int


class Reader:
    """A tokenizer as a spec sets it up. It may be used in several threads at a time.

    Padding and truncation that ``tokenizer.json`` brings are turned off: all-MiniLM's fills
    "hello" up to 128 tokens, and cuts at 128 what the network takes 256 of.
    """

    def __init__(self, data: bytes, spec: TextSpec) -> None:
        self._spec = spec
        self._whole, self._limited = (_parsed(data, "the network") for _ in range(2))
        for each in (self._whole, self._limited):
            each.no_padding()
            each.no_truncation()
            each.encode_special_tokens = spec.specials == "text"
        overlap = spec.overlap if spec.long == "chunks" else 0
        self._limited.enable_truncation(spec.max_tokens, stride=overlap)
        self._unknown = _unknown_id(self._whole)

    def encode(self, text: str, pair: str | None) -> Encoded:
        """Return the tokens of a text or a pair, prompt and special tokens among them.

        Raises
        ------
        BadItem
            If it has no token of its own, or is a pair too long to be read in chunks.
        """
        spec = self._spec
        if spec.lower_case:
            text, pair = text.lower(), None if pair is None else pair.lower()
        whole = self._whole.encode(spec.prompt + text, pair)
        n_tokens = len(whole.ids)
        own = [i for i, special in zip(whole.ids, whole.special_tokens_mask, strict=True)
               if not special]  # fmt: skip
        n_unknown = own.count(self._unknown) if self._unknown is not None else 0
        self._refuse_empty(text, pair, len(own), n_tokens)
        if n_tokens <= spec.max_tokens:
            return Encoded([whole], n_tokens, len(own), n_unknown)
        if spec.long == "chunks" and pair is not None:
            raise BadItem(
                f"a pair of {n_tokens} tokens, more than {spec.max_tokens}; pairs are not read in "
                "chunks"
            )
        cut = self._limited.encode(spec.prompt + text, pair)
        windows = [cut, *cut.overflowing] if spec.long == "chunks" else [cut]
        return Encoded(windows, n_tokens, len(own), n_unknown)

    def _refuse_empty(self, text: str, pair: str | None, n_own: int, n_tokens: int) -> None:
        if self._spec.prompt and n_own:  # the prompt's own tokens are none of the text's
            n_own = sum(len(self._bare(each)) for each in (text, pair) if each is not None)
        if not n_tokens or (not n_own and self._spec.empty == "bad"):
            raise BadItem("empty after tokenisation: it has no token of its own")

    def _bare(self, text: str) -> list[int]:
        found: list[int] = self._whole.encode(text, add_special_tokens=False).ids
        return found


@lru_cache(maxsize=32)
def reader_of(spec: TextSpec) -> Reader:
    """Return the tokenizer of a spec, ready.

    Raises
    ------
    UsageError
        If nobody loaded its network in this process.
    """
    data = _held.get(spec.tokenizer)
    if data is None:
        raise UsageError(
            f"The tokenizer {spec.tokenizer[:16]}… is not at hand.",
            "A specification names it by its sha256; the network's source brings it.",
            "The backbone, loaded first.",
            'Type, for example:  cp.load("packaged:all_minilm_l6_v2")',
        )
    return Reader(data, spec)


def n_ids(digest: str) -> int:
    """Return how many rows a table of tokens needs: one more than the largest id."""
    known: dict[str, int] = _parsed(_held[digest], "a network").get_vocab(with_added_tokens=True)
    return max(known.values()) + 1


def is_uncased(digest: str) -> bool:
    """Say whether a tokenizer that is held takes capitals and small letters for one."""
    tokenizer = _parsed(_held[digest], "the network")
    normalizer = tokenizer.normalizer
    return normalizer is not None and normalizer.normalize_str("CAFE") == "cafe"


def _unknown_id(tokenizer: Any) -> int | None:
    """Return the id of what the vocabulary lacks; None of one that spells everything in bytes."""
    model = json.loads(tokenizer.to_str())["model"]
    if model.get("unk_id") is not None:  # Unigram
        return int(model["unk_id"])
    token = model.get("unk_token")
    found: int | None = tokenizer.token_to_id(token) if token else None
    return found
