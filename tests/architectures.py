"""Small random models of every architecture, and their Q/K/V recomputed without crild's capture."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

WIDTH, HEADS, DEPTH, VOCAB, PAD = 24, 4, 4, 60, 1
SMALL = {
    "hidden_size": WIDTH,
    "num_attention_heads": HEADS,
    "num_hidden_layers": DEPTH,
    "intermediate_size": 32,
    "vocab_size": VOCAB,
    "max_position_embeddings": 64,
    "pad_token_id": PAD,
    "num_labels": 3,
    "initializer_range": 0.3,  # large, so that attention is far from uniform
}
QKV = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Architecture:
    """One architecture: its small configuration, whether it has fast attention, and how to recompute Q, K, V."""

    config: Callable[..., Any]
    fast: bool
    qkv: Callable[[Any, int, Tensor], QKV]


def made_by(kind: str, **own: Any) -> Callable[..., Any]:
    """Return a function that makes a small configuration of the model type ``kind``."""
    return lambda **options: AutoConfig.for_model(kind, **{**SMALL, **own, **options})


def heads(model: Any, hidden: Tensor, *projections: Any) -> QKV:
    """Return projections of hidden (B, L, d) as (B, h, L, d_h); grouped queries have fewer heads of K and V."""
    size = model.config.hidden_size // model.config.num_attention_heads
    return tuple(p(hidden).unflatten(-1, (-1, size)).transpose(1, 2) for p in projections)  # type: ignore[return-value]


def rotated(x: Tensor, theta: float) -> Tensor:
    """Turn channels c and c + d_h/2 of x (B, h, L, d_h) by the angle ``position * theta^(-2c / d_h)``."""
    half = x.shape[-1] // 2
    angles = torch.arange(x.shape[-2])[:, None] * theta ** (-torch.arange(half) / half)
    left, right = x[..., :half], x[..., half:]
    return torch.cat([left * angles.cos() - right * angles.sin(), right * angles.cos() + left * angles.sin()], -1)


def bert_like(path: str, names: tuple[str, str, str] = ("query", "key", "value"), norm: str = "") -> Callable[..., QKV]:
    """Recompute Q, K, V of layers that project the hidden states, after the norm of that name where there is one.

    ``path`` leads from the model to the attention module, with ``{}`` for the layer (counted from 0); ``norm`` leads
    from the module around the attention to its norm.
    """

    def qkv(model: Any, layer: int, hidden: Tensor) -> QKV:
        attention = model.get_submodule(path.format(layer - 1))
        if norm:
            hidden = model.get_submodule(path.rpartition(".")[0].format(layer - 1)).get_submodule(norm)(hidden)
        return heads(model, hidden, *(getattr(attention, name) for name in names))

    return qkv


def rotary(base: str, norm: str = "") -> Callable[..., QKV]:
    """Recompute Q, K, V of layers with rotary positions."""
    plain = bert_like(f"{base}.layers.{{}}.self_attn", ("q_proj", "k_proj", "v_proj"), norm)

    def qkv(model: Any, layer: int, hidden: Tensor) -> QKV:
        rope = model.config.rope_parameters
        if "rope_theta" not in rope:  # one for each kind of layer
            rope = rope[model.config.layer_types[layer - 1]]
        q, k, v = plain(model, layer, hidden)
        return rotated(q, rope["rope_theta"]), rotated(k, rope["rope_theta"]), v

    return qkv


def modernbert(model: Any, layer: int, hidden: Tensor) -> QKV:
    block = model.model.layers[layer - 1]
    q, k, v = (heads(model, x, torch.nn.Identity())[0] for x in block.attn.Wqkv(block.attn_norm(hidden)).chunk(3, -1))
    theta = model.config.rope_parameters[model.config.layer_types[layer - 1]]["rope_theta"]
    return rotated(q, theta), rotated(k, theta), v


IN_BERT = "{}.encoder.layer.{{}}.attention.self"
LOCAL = {"layer_types": ["full_attention", "sliding_attention"] * 2}
ARCHITECTURES = {
    "bert": Architecture(made_by("bert"), True, bert_like(IN_BERT.format("bert"))),
    "roberta": Architecture(made_by("roberta"), True, bert_like(IN_BERT.format("roberta"))),
    "xlm-roberta": Architecture(made_by("xlm-roberta"), True, bert_like(IN_BERT.format("roberta"))),
    "camembert": Architecture(made_by("camembert"), True, bert_like(IN_BERT.format("roberta"))),
    "ernie": Architecture(made_by("ernie"), True, bert_like(IN_BERT.format("ernie"))),
    "data2vec-text": Architecture(made_by("data2vec-text"), True, bert_like(IN_BERT.format("data2vec_text"))),
    "electra": Architecture(made_by("electra", embedding_size=16), True, bert_like(IN_BERT.format("electra"))),
    "distilbert": Architecture(
        made_by("distilbert", hidden_dim=32),
        True,
        bert_like("distilbert.transformer.layer.{}.attention", ("q_lin", "k_lin", "v_lin")),
    ),
    "albert": Architecture(
        made_by("albert", embedding_size=16),
        True,
        bert_like("albert.encoder.albert_layer_groups.0.albert_layers.0.attention"),
    ),
    # the norm comes before attention, and one more after the last layer
    "roberta-prelayernorm": Architecture(
        made_by("roberta-prelayernorm"),
        True,
        bert_like(IN_BERT.format("roberta_prelayernorm"), norm="LayerNorm"),
    ),
    "xlm-roberta-xl": Architecture(
        made_by("xlm-roberta-xl"), True, bert_like(IN_BERT.format("roberta"), norm="self_attn_layer_norm")
    ),
    "megatron-bert": Architecture(made_by("megatron-bert"), False, bert_like(IN_BERT.format("bert"), norm="ln")),
    # rotary positions
    "modernbert": Architecture(
        made_by("modernbert", **LOCAL, local_attention=6, initializer_cutoff_factor=3.0), True, modernbert
    ),
    "nomic-bert": Architecture(made_by("nomic_bert"), True, rotary("nomic_bert")),
    "gte": Architecture(made_by("gte"), True, rotary("gte")),
    "jina-embeddings-v3": Architecture(made_by("jina_embeddings_v3"), True, rotary("roberta")),
    # rotary positions and grouped queries
    "eurobert": Architecture(made_by("eurobert", num_key_value_heads=2), True, rotary("model", norm="input_layernorm")),
    "ultrabert": Architecture(
        made_by("ultrabert", num_key_value_heads=2, **LOCAL, sliding_window=3),
        True,
        rotary("model", norm="input_layernorm"),
    ),
    # outside transformers' registry of attention functions
    "mpnet": Architecture(made_by("mpnet"), False, bert_like("mpnet.encoder.layer.{}.attention.attn", ("q", "k", "v"))),
    "rembert": Architecture(made_by("rembert", input_embedding_size=16), False, bert_like(IN_BERT.format("rembert"))),
    "deberta-v2": Architecture(
        made_by(
            "deberta-v2",
            relative_attention=True,
            pos_att_type=["p2c", "c2p"],
            type_vocab_size=2,
            conv_kernel_size=3,
        ),
        False,
        bert_like(IN_BERT.format("deberta"), ("query_proj", "key_proj", "value_proj")),
    ),
    "deberta-v3": Architecture(
        made_by(
            "deberta-v2",
            share_att_key=True,
            relative_attention=True,
            position_biased_input=False,
            type_vocab_size=0,
            position_buckets=8,
            pos_att_type=["p2c", "c2p"],
            norm_rel_ebd="layer_norm",
        ),
        False,
        bert_like(IN_BERT.format("deberta"), ("query_proj", "key_proj", "value_proj")),
    ),
}


def small_model(name: str, seed: int = 0, **options: Any) -> PreTrainedModel:
    """Return a small random classifier without dropout."""
    torch.manual_seed(seed)
    config = ARCHITECTURES[name].config(**options)
    for key, value in vars(config).items():
        if "dropout" in key and isinstance(value, float):
            setattr(config, key, 0.0)
    model = AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():  # biases and norms start at 0 and 1, which hides mistakes
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def padded_batch(lengths: tuple[int, ...] = (9, 5, 7, 3, 6), extra: int = 0, seed: int = 3) -> dict[str, Tensor]:
    """Return a batch with rows of these lengths and ``extra`` more columns of padding."""
    generator = torch.Generator().manual_seed(seed)
    width = max(lengths)
    ids = torch.randint(2, VOCAB, (len(lengths), width), generator=generator)
    mask = (torch.arange(width)[None] < torch.tensor(lengths)[:, None]).long()
    ids = ids.masked_fill(mask == 0, PAD)
    if extra:
        ids = torch.cat([ids, torch.full((len(lengths), extra), PAD)], 1)
        mask = torch.cat([mask, torch.zeros(len(lengths), extra, dtype=torch.long)], 1)
    return {"input_ids": ids, "attention_mask": mask}


SMALL_GPT = {"vocab_size": 30, "n_embd": 8, "n_layer": 1, "n_head": 2}
