"""A static student: the mean of its tokens' embeddings under a linear head; no layers, and word order means nothing.

Nothing of crild is imported here: this file is saved beside the weights, so that transformers loads them anywhere
(with ``trust_remote_code=True``, where crild did not register the model before).
"""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import can_return_tuple


class StaticConfig(PreTrainedConfig):
    """The sizes of a static model; the layers that it has not are said as others say theirs."""

    model_type = "crild-static"

    vocab_size: int = 30522
    hidden_size: int = 384
    num_hidden_layers: int = 0
    pad_token_id: int | None = None


class StaticForSequenceClassification(PreTrainedModel):
    """A table of embeddings, their mean over a text's real tokens, and a linear head."""

    config_class = StaticConfig
    base_model_prefix = "embeddings"
    _input_embed_layer = "embeddings"

    def __init__(self, config: StaticConfig) -> None:
        super().__init__(config)
        self.embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels or 0)
        self.post_init()

    @can_return_tuple
    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, labels: Tensor | None = None, **_: Any
    ) -> SequenceClassifierOutput:
        """Return the logits (B, C) of token ids (B, L), special tokens included; the loss where there are labels."""
        embedded = self.embeddings(input_ids)
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        weights = mask.unsqueeze(-1).to(embedded.dtype)
        logits = self.classifier((embedded * weights).sum(1) / weights.sum(1).clamp(min=1))
        loss = None if labels is None else self.loss_function(labels, logits, self.config)
        return SequenceClassifierOutput(loss=loss, logits=logits)


def static_student(source: PreTrainedModel, seed: int) -> PreTrainedModel:
    """Return a static student with the word embeddings and the labels of ``source``, and a fresh head."""
    table: Tensor = source.get_input_embeddings().weight  # type: ignore[assignment]
    names = ("id2label", "label2id", "problem_type", "pad_token_id")
    copied: dict[str, Any] = {name: deepcopy(getattr(source.config, name, None)) for name in names}
    torch.manual_seed(seed)
    config = StaticConfig(vocab_size=table.shape[0], hidden_size=table.shape[1], **copied)
    student = StaticForSequenceClassification(config)
    student.embeddings.load_state_dict({"weight": table})
    return student.eval()


StaticConfig.register_for_auto_class()
StaticForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")
