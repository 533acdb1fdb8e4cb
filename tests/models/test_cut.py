"""Students cut from their source, layer by layer."""

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from crild.errors import CrildError
from crild.models.cut import cut, parse_layers, same_size
from crild.models.head import copy_head, same_head
from crild.models.narrow import narrow
from tests.architectures import ARCHITECTURES, padded_batch, small_model


@pytest.mark.parametrize(
    ("spec", "layers"),
    [
        ("3", [0, 1, 2]), ("first:2", [0, 1]), ("last:2", [4, 5]), ("every:2", [0, 2, 4]), ("every:4", [0, 4]),
        ("0,2,4", [0, 2, 4]), ("1,5", [1, 5]), ("half", [0, 1, 2]), ("6", [0, 1, 2, 3, 4, 5]), ("a/path", None),
        ("static", []),
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
    assert same_head(student, teacher)
    copy_head(student, teacher)
    assert torch.equal(student.classifier.weight, teacher.classifier.weight)
    assert torch.equal(student.bert.pooler.dense.weight, teacher.bert.pooler.dense.weight)
    assert torch.equal(student.bert.embeddings.word_embeddings.weight, embeddings)
    assert not same_head(student, small_model("roberta"))
    assert not same_head(student, small_model("bert", hidden_size=32))


def test_a_student_as_large_as_its_source_is_noticed():
    source = small_model("bert")
    assert "--student 2" in same_size(cut(source, [0, 1, 2, 3]).config, source.config)
    assert same_size(cut(source, [0, 1]).config, source.config) is None
    assert same_size(narrow(source, 12, 4).config, source.config) is None
