"""How texts are fed to transformers' networks, as the files beside their weights say."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from cutpoint.base.errors import UsageError, WeightsError
from cutpoint.base.tongue import option
from cutpoint.items.kinds.text import TextSpec, hold, n_ids
from cutpoint.networks.sources.hf_networks import Place

TOKENIZER = "tokenizer.json"
_SENTENCES = "sentence_bert_config.json"
_MOST_TOKENS = 1_000_000  # tokenizers write 1e30 where they know no limit, some write 0


def text_preprocess(
    transformers: Any, network: Any, place: Place, reading: Mapping[str, Any]
) -> TextSpec | None:
    """Return how a network's texts are tokenised; None where it has no ``tokenizer.json``.

    Raises
    ------
    WeightsError
        If the tokenizer can't be read.
    UsageError
        If no file says how many tokens the network takes.
    """
    try:
        path = place.file(transformers, TOKENIZER)
    except WeightsError:
        return None
    max_tokens, limit_from = _limit(transformers, network, place, reading)
    pad_id = getattr(network.config, "pad_token_id", None)
    tokenizer = hold(path.read_bytes(), f'"{place.id}"')
    _refuse_more_ids(n_ids(tokenizer), network, place)
    return TextSpec(
        tokenizer,
        max_tokens,
        limit_from,
        types="token_type_ids" if _takes_types(network) else "",
        pad_id=pad_id if isinstance(pad_id, int) else 0,
        lower_case=bool(place.told(transformers, _SENTENCES).get("do_lower_case")),
    )


def _refuse_more_ids(n_needed: int, network: Any, place: Place) -> None:
    n_rows = network.get_input_embeddings().weight.shape[0]
    if n_needed > n_rows:
        raise WeightsError(
            f'The tokenizer of "{place.id}" is not that of its network.',
            f"It gives ids up to {n_needed - 1}; the network knows {n_rows} tokens.",
            "The tokenizer.json that came with the weights.",
            f"Compare:  {TOKENIZER} and config.json in {place.name}",
        )


def stated_text(given: Any, known: TextSpec, what: str) -> TextSpec:
    """Return `given`, if it is of the network's own tokenizer; `known` if nothing was given.

    Raises
    ------
    UsageError
        If it is something else.
    """
    if given is None:
        return known
    if isinstance(given, TextSpec) and given.tokenizer == known.tokenizer:
        return given
    told = "another tokenizer" if isinstance(given, TextSpec) else f"{given!r}"[:80]
    raise UsageError(
        f'The preprocessing of "{what}" can\'t be {told}.',
        f"Its network reads texts by its own {TOKENIZER}, {known.tokenizer[:16]}….",
        "A TextSpec of that tokenizer; or an ArraySpec of token ids.",
        f"Leave out {option('preprocess')}",
    )


def _takes_types(network: Any) -> bool:
    """Say whether token types reach a network: RoBERTa takes the argument, and has one type."""
    has_types = (getattr(network.config, "type_vocab_size", 0) or 0) > 1
    return has_types and "token_type_ids" in inspect.signature(network.forward).parameters


def _limit(
    transformers: Any, network: Any, place: Place, reading: Mapping[str, Any]
) -> tuple[int, str]:
    """Return how many tokens the network is given, and which file says so.

    What its makers ran it with goes first; the others are what it can do. A person is asked only
    where nothing says it, as with positions that are relative.
    """
    said = place.told(transformers, _SENTENCES).get("max_seq_length")
    by_tokenizer = place.told(transformers, "tokenizer_config.json").get("model_max_length")
    positions = _positions(network)
    if _is_limit(said):
        return _least(int(said), _SENTENCES, positions)
    if _is_limit(by_tokenizer):
        return _least(int(by_tokenizer), "tokenizer_config.json", positions)
    if positions is not None:
        return positions, "config.json"
    if _is_limit(reading.get("max_tokens")):
        return int(reading["max_tokens"]), "max_tokens"
    raise UsageError(
        f'How many tokens "{place.id}" takes at a time is not known.',
        f"Neither {_SENTENCES}, tokenizer_config.json nor config.json says it.",
        "A number of tokens.",
        f"Type, for example:  {option('max_tokens', 512)}",
    )


def _is_limit(value: Any) -> bool:
    return isinstance(value, int | float) and 0 < value <= _MOST_TOKENS


def _least(limit: int, told_by: str, positions: int | None) -> tuple[int, str]:
    if positions is not None and positions < limit:
        return positions, "config.json"
    return limit, told_by


def _positions(network: Any) -> int | None:
    """Return how many tokens have a position; RoBERTa's first ones are those of padding."""
    n = getattr(network.config, "max_position_embeddings", None)
    if not isinstance(n, int) or n < 1:
        return None
    for name, module in network.named_modules():
        if name.rpartition(".")[2] == "position_embeddings":
            padding = getattr(module, "padding_idx", None)
            return n - (padding + 1 if padding is not None else 0)
    return n
