"""Tiny saved models with a tokenizer of whole words, for tests and for the programs that need a model in no time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedTokenizerFast

WORDS = ["good", "bad", "fine", "great", "awful", "nice", "poor", "the", "a", "film", "plot", "was", "is", "very",
         "not", "really", "story", "acting", "music", "end", "slow", "fast", "dull"]  # fmt: skip


def tiny_tokenizer(words: Sequence[str] = WORDS) -> PreTrainedTokenizerFast:
    vocabulary = {w: i for i, w in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


def save_tiny(
    folder: Path,
    head: bool = False,
    words: Sequence[str] = WORDS,
    layers: int = 4,
    labels: Sequence[str] = ("neg", "pos"),
    **options: Any,
) -> Path:
    """Save a tiny BERT with dropout; ``head`` saves a classifier with these labels."""
    tokenizer = tiny_tokenizer(words)
    torch.manual_seed(0)
    config = BertConfig(
        **{
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "num_attention_heads": 4,
            "num_hidden_layers": layers,
            "intermediate_size": 48,
            "max_position_embeddings": 64,
            "pad_token_id": 0,
        }
        | options
    )
    if head:
        config.num_labels = len(labels)
        config.id2label, config.label2id = dict(enumerate(labels)), {n: i for i, n in enumerate(labels)}
    model = BertForSequenceClassification(config) if head else BertModel(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
