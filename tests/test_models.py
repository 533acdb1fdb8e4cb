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
from crild.models.loading import check_same_tokenizer, load_model, longest
from crild.models.students import copy_head, cut, kept_channels, narrow, parse_layers
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


@pytest.mark.parametrize("weights", ["sliced", "fresh"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_narrow_student_runs_and_can_be_saved(name, weights, tmp_path):
    source = cut(small_model(name), [0, 1])
    student = narrow(source, 8, weights=weights)
    assert student.config.hidden_size == 8
    assert student.config.num_hidden_layers == 2
    assert student.config.num_attention_heads == source.config.num_attention_heads
    assert source.config.hidden_size == 24  # untouched
    batch = padded_batch()
    with torch.no_grad():
        output = student(**batch, output_hidden_states=True)
    assert {h.shape[-1] for h in output.hidden_states} == {8}
    assert output.logits.isfinite().all()
    student.save_pretrained(tmp_path)
    again, trained = load_model(str(tmp_path), "student")
    assert trained
    with torch.no_grad():
        torch.testing.assert_close(again(**batch).logits, output.logits)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_student_as_wide_as_its_source_is_its_source(name):
    source, batch = small_model(name), padded_batch()
    with torch.no_grad():
        assert torch.equal(narrow(source, 24)(**batch).logits, source(**batch).logits)


def test_a_sliced_student_has_the_first_channels_of_every_head():
    source = small_model("bert")  # 4 heads of 6
    student = narrow(source, 16)  # 4 heads of 4
    kept = [0, 1, 2, 3, 6, 7, 8, 9, 12, 13, 14, 15, 18, 19, 20, 21]
    ours, theirs = (m.bert.encoder.layer[0] for m in (student, source))
    assert student.config.intermediate_size == 21  # 32 * 16 / 24
    assert torch.equal(ours.attention.self.query.weight, theirs.attention.self.query.weight[kept][:, kept])
    assert torch.equal(ours.attention.self.query.bias, theirs.attention.self.query.bias[kept])
    assert torch.equal(ours.intermediate.dense.weight, theirs.intermediate.dense.weight[:21, kept])
    assert torch.equal(ours.output.dense.weight, theirs.output.dense.weight[kept, :21])
    assert torch.equal(student.bert.embeddings.LayerNorm.bias, source.bert.embeddings.LayerNorm.bias[kept])
    assert torch.equal(student.classifier.weight, source.classifier.weight[:, kept])
    few = narrow(source, 8, heads=2)  # 2 heads of 4
    kept = [0, 1, 2, 3, 6, 7, 8, 9]
    assert torch.equal(
        few.bert.encoder.layer[0].attention.self.query.weight, theirs.attention.self.query.weight[kept][:, kept]
    )


def test_rotated_pairs_stay_pairs_and_turn_as_fast():
    # Channels c and c + 4 turn together by theta ** (-2c / 8); with 4 channels, c and c + 2 by theta ** (-2c / 4).
    assert kept_channels(2, 8, 4, rotary=True).tolist() == [0, 2, 4, 6, 8, 10, 12, 14]
    assert kept_channels(2, 8, 4, rotary=False).tolist() == [0, 1, 2, 3, 8, 9, 10, 11]


def test_a_narrow_student_keeps_the_ratio_of_grouped_queries():
    source = small_model("eurobert")  # 4 heads of 6, 2 of keys and values
    student = narrow(source, 8, heads=2)  # 2 heads of 4, 1 of keys and values
    assert (student.config.num_key_value_heads, student.config.head_dim) == (1, 4)
    kept = [0, 1, 3, 4]  # two rotated pairs of the first head
    ours, theirs = (m.model.layers[1].self_attn for m in (student, source))
    both = [*kept, *(c + 6 for c in kept)]
    assert torch.equal(ours.q_proj.weight, theirs.q_proj.weight[both][:, both])
    assert torch.equal(ours.k_proj.weight, theirs.k_proj.weight[kept][:, both])
    assert torch.equal(ours.o_proj.weight, theirs.o_proj.weight[both][:, both])
    with pytest.raises(CrildError, match="2 heads share one key and value"):
        narrow(source, 12, heads=3)


def test_fused_and_gated_projections_are_sliced_block_by_block():
    source = small_model("modernbert", intermediate_size=36)  # as in ModernBERT-base, Wqkv and Wi have one shape
    ours, theirs = (m.model.layers[1] for m in (narrow(source, 16), source))
    assert theirs.attn.Wqkv.weight.shape == theirs.mlp.Wi.weight.shape == (72, 24)
    kept = [6 * head + channel for head in range(4) for channel in (0, 1, 3, 4)]
    fused = [24 * block + row for block in range(3) for row in kept]
    gated = [*range(24), *range(36, 60)]
    assert torch.equal(ours.attn.Wqkv.weight, theirs.attn.Wqkv.weight[fused][:, kept])
    assert torch.equal(ours.mlp.Wi.weight, theirs.mlp.Wi.weight[gated][:, kept])
    assert torch.equal(ours.mlp.Wo.weight, theirs.mlp.Wo.weight[kept, :24])


@pytest.mark.parametrize("name", ["albert", "electra", "rembert"])
def test_embeddings_with_a_width_of_their_own_keep_it(name):
    source = small_model(name)
    student = narrow(source, 8)
    assert torch.equal(student.get_input_embeddings().weight, source.get_input_embeddings().weight)
    if name == "electra":  # and where they are as wide as the hidden states, they narrow with them
        assert narrow(small_model(name, embedding_size=24), 8).get_input_embeddings().weight.shape[1] == 8
        with pytest.raises(CrildError, match="embeddings_project"):
            narrow(source, 16)


def test_fresh_narrow_weights_depend_on_the_seed_alone():
    source = small_model("bert")
    one, same, other = (narrow(source, 8, weights="fresh", seed=seed).state_dict() for seed in (1, 1, 2))
    name = "bert.encoder.layer.0.attention.self.query.weight"
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not torch.equal(one[name], other[name])


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("bert", (25,), "cannot be 25 wide: .* is 24 wide"),
        ("bert", (0,), "cannot be 0 wide"),
        ("bert", (18,), "18 wide cannot have 4 heads: choose a width such as 16 or 20"),
        ("bert", (3,), "choose a width such as 4, or"),
        ("modernbert", (12,), "even size, which rotary positions need: choose a width such as 8 or 16"),
        ("bert", (20, 2), "2 heads of 10 channels cannot be sliced from 4 of 6"),
        ("bert", (8, None, "copied"), "'sliced' or 'fresh', not 'copied'"),
    ],
)
def test_students_that_cannot_be_narrowed_are_refused(name, arguments, message):
    with pytest.raises(CrildError, match=message):
        narrow(small_model(name), *arguments)


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
