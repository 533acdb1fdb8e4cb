"""The sizes of a model, as its configuration says them."""

from dataclasses import dataclass
from typing import Any, Literal

from crild.config.student import NO_LAYERS
from crild.errors import CrildError


@dataclass(frozen=True)
class Shape:
    """Depth, width and heads of a model: all that an objective may know of it.

    Attributes:
        layers: depth.
        width: of hidden states.
        heads: of queries.
        groups: heads of keys and values (grouped queries have fewer).
        head_width: of one head.
        outputs: of the classification head.
        pooling: what that head reads of the last hidden states, see `head_pooling`.
    """

    layers: int
    width: int
    heads: int
    groups: int
    head_width: int
    outputs: int
    pooling: Literal["first", "mean", "late"] = "first"

    @classmethod
    def of(cls, config: Any) -> "Shape":
        """Return the shape that a ``transformers`` configuration describes.

        Raises:
            CrildError: the model is static.
        """
        if not config.num_hidden_layers:
            raise CrildError(NO_LAYERS)
        heads = config.num_attention_heads
        return cls(
            layers=config.num_hidden_layers,
            width=config.hidden_size,
            heads=heads,
            groups=getattr(config, "num_key_value_heads", None) or heads,
            head_width=getattr(config, "head_dim", None) or config.hidden_size // heads,
            outputs=config.num_labels,
            pooling=head_pooling(config),
        )


def head_pooling(config: Any) -> Literal["first", "mean", "late"]:
    """Return what the classification head reads of the last hidden states.

    ``first``: the first token's, which is what most architectures do, be it by a pooler; ``mean``: the mean of the
    real tokens'; ``late``: every token's, and the logits are a mean. Where there is a choice (ModernBERT, EuroBERT,
    UltraBERT), the configuration says which.
    """
    others: dict[str, Literal["mean", "late"]] = {"mean": "mean", "late": "late"}
    return others.get(getattr(config, "classifier_pooling", ""), "first")
