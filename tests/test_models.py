"""Students, loading, and what is refused."""

import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
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
from crild.models.loading import check_same_tokenizer, load_model
from crild.models.students import copy_head, cut, parse_layers
from tests.architectures import ARCHITECTURES, padded_batch, small_model
from tests.conftest import WORDS, save_tiny, tiny_tokenizer


@pytest.mark.parametrize(
    ("spec", "layers"),
    [
        ("3", [0, 1, 2]), ("first:2", [0, 1]), ("last:2", [4, 5]), ("every:2", [0, 2, 4]), ("every:4", [0, 4]),
        ("0,2,4", [0, 2, 4]), ("1,5", [1, 5]), ("half", [0, 1, 2]), ("6", [0, 1, 2, 3, 4, 5]), ("a/path", None),
    ],
)  # fmt: skip
def test_which_layers_a_student_takes(spec, layers):
    assert parse_layers(spec, 6) == layers


@pytest.mark.parametrize("spec", ["7", "last:9", "0,6", "2,1", "1,1", "0", "first:0"])
def test_layers_that_do_not_exist_are_refused(spec):
    with pytest.raises(CrildError, match=f"--student {spec}"):
        parse_layers(spec, 6)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_cut_student_is_the_first_layers_of_its_source(name, tmp_path):
    source = small_model(name)
    student = cut(source, [0, 1])
    batch = padded_batch()
    with torch.no_grad():
        expected = source.base_model(**batch, output_hidden_states=True).hidden_states[1]
        found = student.base_model(**batch, output_hidden_states=True).hidden_states
    torch.testing.assert_close(found[1], expected)
    student.save_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert again.config.num_hidden_layers == 2
    with torch.no_grad():
        torch.testing.assert_close(again(**batch).logits, student(**batch).logits)


@pytest.mark.parametrize("name", [n for n in ARCHITECTURES if n not in ("albert", "modernbert")])
def test_a_cut_student_keeps_the_chosen_layers(name):
    source = small_model(name)
    student = cut(source, [0, 3])
    theirs = {k: v for k, v in source.state_dict().items() if ".3." in k}
    assert theirs
    for key, value in theirs.items():
        assert torch.equal(student.state_dict()[key.replace(".3.", ".1.")], value)


def test_modernbert_keeps_the_kind_of_each_chosen_layer():
    source = small_model("modernbert")
    student = cut(source, [0, 1, 3])
    assert student.config.layer_types == ["full_attention", "sliding_attention", "sliding_attention"]


def test_modernbert_layers_that_cannot_stand_alone_are_refused():
    with pytest.raises(CrildError, match="begin with 0"):
        cut(small_model("modernbert"), [2, 3])


def test_albert_shares_one_layer_so_only_the_first_can_be_chosen():
    with pytest.raises(CrildError, match="first:2"):
        cut(small_model("albert"), [0, 2])


def test_the_head_is_copied_only_where_everything_fits():
    teacher = small_model("bert", seed=1)
    student = cut(small_model("bert", seed=2), [0, 1])
    embeddings = student.bert.embeddings.word_embeddings.weight.clone()
    assert copy_head(student, teacher)
    assert torch.equal(student.classifier.weight, teacher.classifier.weight)
    assert torch.equal(student.bert.pooler.dense.weight, teacher.bert.pooler.dense.weight)
    assert torch.equal(student.bert.embeddings.word_embeddings.weight, embeddings)
    assert not copy_head(student, small_model("roberta"))
    assert not copy_head(student, small_model("bert", hidden_size=32))


def test_a_head_that_is_not_in_the_file_is_noticed(tmp_path):
    assert load_model(str(save_tiny(tmp_path / "with", head=True)), "teacher")[1]
    model, trained = load_model(str(save_tiny(tmp_path / "without")), "base", ["x", "y", "z"], 3)
    assert not trained
    assert model.config.id2label == {0: "x", 1: "y", 2: "z"}
    assert model.dtype == torch.float32


def test_a_half_precision_file_is_trained_in_full_precision(tmp_path):
    model, _ = load_model(str(save_tiny(tmp_path / "a", head=True)), "teacher")
    model.to(torch.bfloat16).save_pretrained(tmp_path / "half")
    assert load_model(str(tmp_path / "half"), "teacher")[0].dtype == torch.float32


SMALL_GPT = {"vocab_size": 30, "n_embd": 8, "n_layer": 1, "n_head": 2}
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


def test_folders_that_hold_no_model_are_named(tmp_path):
    with pytest.raises(CrildError, match="no such folder"):
        load_model(str(tmp_path / "absent"), "teacher")
    with pytest.raises(CrildError, match=r"no config.json"):
        load_model(str(tmp_path), "teacher")
    folder = save_tiny(tmp_path / "broken")
    (folder / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(CrildError, match="cannot load the weights"):
        load_model(str(folder), "teacher")


def test_tokenizers_must_be_the_same():
    check_same_tokenizer(tiny_tokenizer(), tiny_tokenizer(), ("teacher", "student"))
    with pytest.raises(CrildError, match="different vocabularies"):
        check_same_tokenizer(tiny_tokenizer(), tiny_tokenizer([*WORDS, "more"]), ("teacher", "student"))
    cased = tiny_tokenizer()
    cased.backend_tokenizer.normalizer = __import__("tokenizers").normalizers.NFC()
    with pytest.raises(CrildError, match="cut text differently"):
        check_same_tokenizer(tiny_tokenizer(), cased, ("teacher", "student"), ["A Good film"])
