"""All that differs between architectures, one entry each; imports neither torch nor transformers, so listing is quick.

What a model says of itself (segments, positions, depth) is asked of the model; the table holds the rest. A model that
is not in the table (`--trust-remote-code`) is taken to be made like most: `OTHER`.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from crild.errors import CrildError

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

QKV = ("query", "key", "value")
MODEL_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


@dataclass(frozen=True)
class Architecture:
    """Where an architecture keeps its parts.

    Attributes:
        names: what people call it.
        model_type: what ``transformers`` calls it.
        embeddings: below the base model, the module whose output enters the first layer: positions, normalisation and
            dropout are behind it (rotary positions enter at attention). ``None``: there is no such module.
        layers: below the base model, the list of Transformer layers; ``None`` where layers share weights.
        attention: the class of its attention modules where they are outside ``transformers``' registry.
        projections: of such a module, the names of its query, key and value projections.
        inner_width: what its configuration calls the width inside feed-forward layers.
    """

    names: tuple[str, ...]
    model_type: str
    embeddings: str | None = "embeddings"
    layers: str | None = "encoder.layer"
    attention: str | None = None
    projections: tuple[str, str, str] = QKV
    inner_width: str = "intermediate_size"


ARCHITECTURES = (
    Architecture(("BERT",), "bert"),
    Architecture(("RoBERTa",), "roberta"),
    Architecture(("XLM-R",), "xlm-roberta"),
    Architecture(("CamemBERT",), "camembert"),
    Architecture(("ERNIE",), "ernie"),
    Architecture(("Data2VecText",), "data2vec-text"),
    Architecture(("ELECTRA",), "electra"),
    Architecture(("DistilBERT",), "distilbert", layers="transformer.layer", inner_width="hidden_dim"),
    Architecture(("ALBERT",), "albert", layers=None),
    Architecture(("RoBERTa-PreLayerNorm",), "roberta-prelayernorm"),
    Architecture(("XLM-R-XL",), "xlm-roberta-xl"),
    Architecture(("Megatron-BERT",), "megatron-bert", attention="MegatronBertSelfAttention"),
    Architecture(("ModernBERT",), "modernbert", layers="layers"),
    Architecture(("NomicBERT",), "nomic_bert", layers="layers"),
    Architecture(("GTE",), "gte", layers="layers"),
    Architecture(("Jina-v3",), "jina_embeddings_v3", layers="layers"),
    Architecture(("EuroBERT",), "eurobert", embeddings="embed_tokens", layers="layers"),
    Architecture(("UltraBERT",), "ultrabert", embeddings="embed_tokens", layers="layers"),
    Architecture(("MPNet",), "mpnet", attention="MPNetSelfAttention", projections=("q", "k", "v")),
    Architecture(("RemBERT",), "rembert", attention="RemBertSelfAttention"),
    Architecture(
        ("DeBERTa-v2", "DeBERTa-v3"),
        "deberta-v2",
        attention="DisentangledSelfAttention",
        projections=("query_proj", "key_proj", "value_proj"),
    ),
)
OTHER = Architecture((), "")
NAMES = tuple(name for each in ARCHITECTURES for name in each.names)


def find_architecture(config: Any) -> Architecture:
    """Return the entry of a ``transformers`` configuration's architecture, or `OTHER`."""
    return next((each for each in ARCHITECTURES if each.model_type == config.model_type), OTHER)


def embedding_module(model: "PreTrainedModel") -> "nn.Module":
    """Return the module whose output enters the first layer.

    Raises:
        CrildError: the model adds positions or normalises outside any such module (XLM, Flaubert).
    """
    architecture = find_architecture(model.config)
    module = getattr(model.base_model, architecture.embeddings or "", None)
    bare_table = architecture is OTHER and hasattr(module, "num_embeddings")  # positions are added outside
    if module is None or bare_table:
        raise CrildError(
            f"{type(model).__name__} has no embedding module whose output could be interpolated: "
            "leave interpolation out (--interpolate false, --kd-inputs plain)"
        )
    return module


@contextmanager
def eager_attention(model: "PreTrainedModel") -> Iterator[None]:
    """Have a model attend by plain matrix products, in training and when it is traced.

    Fast attention has no second derivative on a CPU, and is a third more operations in an ONNX graph.
    """
    implementation = model.config._attn_implementation
    model.config._attn_implementation = "eager"
    try:
        yield
    finally:
        model.config._attn_implementation = implementation


def layer_stack(model: "PreTrainedModel") -> str | None:
    """Return the dotted name of the list of Transformer layers, or ``None`` where layers share weights (ALBERT)."""
    architecture = find_architecture(model.config)
    if architecture is not OTHER:
        return architecture.layers and f"{model.base_model_prefix}.{architecture.layers}"
    depth = model.config.num_hidden_layers
    lists = [n for n, m in model.named_modules() if type(m).__name__ == "ModuleList" and len(m) == depth]
    return min(lists, key=len, default=None)


def inner_width(config: Any) -> str:
    """Return what a configuration calls the width inside feed-forward layers."""
    return find_architecture(config).inner_width


def longest(model: "PreTrainedModel") -> int:
    """Return the most tokens that a model takes (RoBERTa and its kin count positions from after the padding's own)."""
    most = getattr(model.config, "max_position_embeddings", None) or 10**6
    embeddings = getattr(model.base_model, "embeddings", None)
    padding = getattr(getattr(embeddings, "position_embeddings", None), "padding_idx", None)
    return most if padding is None else most - padding - 1


def model_inputs(batch: "dict[str, Tensor]", model: "PreTrainedModel") -> "dict[str, Tensor]":
    """Return the part of a batch that a model takes."""
    return {name: batch[name] for name in input_names(model) if name in batch}


def input_names(model: "PreTrainedModel") -> tuple[str, ...]:
    """Return which of `MODEL_INPUTS` a model takes: DistilBERT and RoBERTa, for two, know no ``token_type_ids``."""
    names = arguments(type(model).forward)
    one_type = getattr(model.config, "type_vocab_size", 2) < 2
    return tuple(n for n in MODEL_INPUTS if n in names and not (one_type and n == "token_type_ids"))


@cache
def arguments(forward: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of a method's arguments."""
    return tuple(inspect.signature(forward).parameters)
