"""Models as they are loaded: heads, precision, longest input, tokenizers, what is out of scope."""

import pytest
import torch
from transformers import (
    BertConfig,
    BertForQuestionAnswering,
    BertLMHeadModel,
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
    T5Config,
    T5ForConditionalGeneration,
)

from crild.errors import CrildError
from crild.models.architecture import longest
from crild.models.loading import check_same_tokenizer, load_model
from crild.tasks.registry import TASK_TYPES
from tests.architectures import ARCHITECTURES, SMALL_GPT, padded_batch, small_model
from tests.tiny import WORDS, save_tiny, tiny_tokenizer


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_is_loaded_with_its_head(name, tmp_path):
    model, batch = small_model(name), padded_batch()
    model.save_pretrained(tmp_path)
    again, trained = load_model(str(tmp_path), "teacher")
    assert trained
    with torch.no_grad():
        assert torch.equal(again(**batch).logits, model(**batch).logits)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_longest_input_still_fits(name):
    model = small_model(name)
    length = longest(model)
    from_padding = {
        "roberta",
        "xlm-roberta",
        "camembert",
        "data2vec-text",
        "roberta-prelayernorm",
        "xlm-roberta-xl",
        "mpnet",
    }
    assert length == (62 if name in from_padding else 64)
    with torch.no_grad():
        assert model(**padded_batch((length,))).logits.isfinite().all()
        if name in from_padding | {"bert", "ernie", "megatron-bert"}:
            with pytest.raises((IndexError, RuntimeError)):
                model(**padded_batch((length + 1,)))


def test_a_head_that_is_not_in_the_file_is_noticed(tmp_path):
    assert load_model(str(save_tiny(tmp_path / "with", head=True)), "teacher")[1]
    model, trained = load_model(
        str(save_tiny(tmp_path / "without")), "base", TASK_TYPES["classification"].head(["x", "y", "z"])
    )
    assert not trained
    assert model.config.id2label == {0: "x", 1: "y", 2: "z"}
    assert model.dtype == torch.float32


def test_a_half_precision_file_is_trained_in_full_precision(tmp_path):
    model, _ = load_model(str(save_tiny(tmp_path / "a", head=True)), "teacher")
    model.to(torch.bfloat16).save_pretrained(tmp_path / "half")
    assert load_model(str(tmp_path / "half"), "teacher")[0].dtype == torch.float32


SMALL_BERT = {"vocab_size": 30, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GPT2LMHeadModel(GPT2Config(**SMALL_GPT)), "causal model"),
        (lambda: GPT2ForSequenceClassification(GPT2Config(**SMALL_GPT)), "causal model"),
        (lambda: BertLMHeadModel(BertConfig(**SMALL_BERT, is_decoder=True)), "causal model"),
        (lambda: T5ForConditionalGeneration(T5Config(d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)),
         "encoder-decoder"),
        (lambda: BertForQuestionAnswering(BertConfig(**SMALL_BERT)), "question-answering"),
    ],
)  # fmt: skip
def test_models_out_of_scope_are_refused(make, message, tmp_path):
    make().save_pretrained(tmp_path)
    with pytest.raises(CrildError, match=message):
        load_model(str(tmp_path), "teacher")


def test_tokenizers_must_be_the_same():
    check_same_tokenizer(tiny_tokenizer(), tiny_tokenizer(), ("teacher", "student"))
    with pytest.raises(CrildError, match="different vocabularies"):
        check_same_tokenizer(tiny_tokenizer(), tiny_tokenizer([*WORDS, "more"]), ("teacher", "student"))
    cased = tiny_tokenizer()
    cased.backend_tokenizer.normalizer = __import__("tokenizers").normalizers.NFC()
    with pytest.raises(CrildError, match="cut text differently"):
        check_same_tokenizer(tiny_tokenizer(), cased, ("teacher", "student"), ["A Good film"])
