"""Small random models of every architecture, and their Q/K/V recomputed without crild's capture."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AlbertConfig,
    AutoModelForSequenceClassification,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    MPNetConfig,
    PreTrainedModel,
    RobertaConfig,
    XLMRobertaConfig,
)
from transformers.models.modernbert.modeling_modernbert import apply_rotary_pos_emb

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


@dataclass(frozen=True)
class Architecture:
    """One architecture: its small configuration, whether it has fast attention, and how to recompute Q, K, V."""

    config: Callable[..., Any]
    fast: bool
    qkv: Callable[[PreTrainedModel, int, Tensor], tuple[Tensor, Tensor, Tensor]]


def split(x: Tensor) -> Tensor:
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def bert_like(prefix: str) -> Callable[..., Any]:
    def qkv(model: PreTrainedModel, layer: int, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        attention = getattr(model, prefix).encoder.layer[layer - 1].attention.self
        return tuple(split(p(hidden)) for p in (attention.query, attention.key, attention.value))  # type: ignore[return-value]

    return qkv


def distilbert(model: Any, layer: int, hidden: Tensor) -> Any:
    attention = model.distilbert.transformer.layer[layer - 1].attention
    return tuple(split(p(hidden)) for p in (attention.q_lin, attention.k_lin, attention.v_lin))


def albert(model: Any, layer: int, hidden: Tensor) -> Any:
    attention = model.albert.encoder.albert_layer_groups[0].albert_layers[0].attention
    if layer == 1:  # `hidden` of layer 0 is before ALBERT's projection to the hidden width
        hidden = model.albert.encoder.embedding_hidden_mapping_in(hidden) if hidden.shape[-1] != WIDTH else hidden
    return tuple(split(p(hidden)) for p in (attention.query, attention.key, attention.value))


def modernbert(model: Any, layer: int, hidden: Tensor) -> Any:
    block = model.model.layers[layer - 1]
    positions = torch.arange(hidden.shape[1])[None]
    cos, sin = model.model.rotary_emb(hidden, positions, block.attention_type)
    q, k, v = block.attn.Wqkv(block.attn_norm(hidden)).chunk(3, -1)
    return (*apply_rotary_pos_emb(split(q), split(k), cos, sin), split(v))


def mpnet(model: Any, layer: int, hidden: Tensor) -> Any:
    attention = model.mpnet.encoder.layer[layer - 1].attention.attn
    return tuple(split(p(hidden)) for p in (attention.q, attention.k, attention.v))


def deberta(model: Any, layer: int, hidden: Tensor) -> Any:
    attention = model.deberta.encoder.layer[layer - 1].attention.self
    return tuple(split(p(hidden)) for p in (attention.query_proj, attention.key_proj, attention.value_proj))


def distilbert_config(**options: Any) -> DistilBertConfig:
    plain = {**SMALL, **options}
    return DistilBertConfig(
        dim=plain["hidden_size"],
        n_heads=plain["num_attention_heads"],
        n_layers=plain["num_hidden_layers"],
        hidden_dim=plain["intermediate_size"],
        vocab_size=VOCAB,
        max_position_embeddings=64,
        pad_token_id=PAD,
        num_labels=3,
        initializer_range=0.3,
    )


def made_by(cls: Any, **own: Any) -> Callable[..., Any]:
    return lambda **options: cls(**{**SMALL, **own, **options})


ARCHITECTURES = {
    "bert": Architecture(made_by(BertConfig), True, bert_like("bert")),
    "roberta": Architecture(made_by(RobertaConfig), True, bert_like("roberta")),
    "xlm-roberta": Architecture(made_by(XLMRobertaConfig), True, bert_like("roberta")),
    "distilbert": Architecture(distilbert_config, True, distilbert),
    "electra": Architecture(made_by(ElectraConfig, embedding_size=16), True, bert_like("electra")),
    "albert": Architecture(made_by(AlbertConfig, embedding_size=16), True, albert),
    "modernbert": Architecture(
        made_by(
            ModernBertConfig,
            layer_types=["full_attention", "sliding_attention"] * 2,
            local_attention=6,
            initializer_cutoff_factor=3.0,
        ),
        True,
        modernbert,
    ),
    "mpnet": Architecture(made_by(MPNetConfig), False, mpnet),
    "deberta-v3": Architecture(
        made_by(
            DebertaV2Config,
            share_att_key=True,
            relative_attention=True,
            position_biased_input=False,
            type_vocab_size=0,
            position_buckets=8,
            pos_att_type=["p2c", "c2p"],
            norm_rel_ebd="layer_norm",
        ),
        False,
        deberta,
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
