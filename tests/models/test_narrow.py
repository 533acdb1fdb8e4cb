"""Students narrower than their source."""

import pytest
import torch

from crild.errors import CrildError
from crild.models.cut import cut
from crild.models.loading import load_model
from crild.models.narrow import kept_channels, narrow
from tests.architectures import ARCHITECTURES, padded_batch, small_model


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
