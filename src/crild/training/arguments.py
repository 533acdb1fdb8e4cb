"""How a stage trains, as `transformers.TrainingArguments`: crild's defaults, and a method's options beside them."""

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, get_type_hints

from transformers import TrainingArguments

from crild.config import DistillConfig, StageOption, build
from crild.config.arguments import described

OPTIONS = {
    "schedule", "features", "layer_map", "interpolate", "relation_heads", "width_map", "consistency",
    "consistency_features", "ema", "ema_decay", "temperature", "kd_inputs", "hard_label_weight", "augment",
    "augment_ratio", "max_length",
}  # fmt: skip
"""Of `DistillConfig`, those that act on the steps of one stage."""


@dataclass
class StageArguments(TrainingArguments):
    """`TrainingArguments` with the defaults of every stage of crild (`method.md` section 3)."""

    weight_decay: float = field(default=0.01, metadata={"help": "Weight decay, but for biases and norms."})
    warmup_steps: float = field(default=0.1, metadata={"help": "Steps of linear warm-up; below 1 a share of all."})
    train_sampling_strategy: str = field(
        default="group_by_length", metadata={"help": "group_by_length: rows of like length share a batch; or random."}
    )


def with_options(cls: type) -> type:
    """Give a dataclass the chosen fields of `DistillConfig` and `StageOption`: type, default and help."""
    cls.__annotations__ = {}
    for source, names in ((StageOption, {"stage"}), (DistillConfig, OPTIONS)):
        hints = get_type_hints(source)
        for each in fields(source):
            if each.name in names:
                cls.__annotations__[each.name] = hints[each.name]
                setattr(cls, each.name, field(default=each.default, metadata={"help": described(source, each)}))
    return dataclass(cls)


@with_options
class DistillationArguments(StageArguments):
    """`transformers.TrainingArguments`, and what is matched: the options of `crild.distill` under the same names.

    Args:
        stage: which stage of the method to train, ``joint`` for all of its terms together.
        schedule, features, layer_map, interpolate, relation_heads, width_map, consistency, consistency_features, ema,
            ema_decay, temperature, kd_inputs, hard_label_weight, augment, augment_ratio, max_length: as in
            `DistillConfig`; the last three act on raw texts.

    Everything else is `TrainingArguments`, with other defaults for ``weight_decay`` (0.01), ``warmup_steps`` (a tenth
    of all steps) and ``train_sampling_strategy`` (``group_by_length``).

    Raises:
        CrildError: an option has no such value.

    Example:
        >>> crild.DistillationArguments("out", stage="ild", consistency=0.2, num_train_epochs=10, report_to="wandb")
    """

    if TYPE_CHECKING:
        stage: str
        max_length: int | None
        augment_ratio: float

    def __post_init__(self) -> None:
        build(StageOption, {"stage": self.stage})
        self.options()
        super().__post_init__()

    def options(self, **others: Any) -> DistillConfig:
        """Return the method's options as `crild.distill` takes them, with ``others`` beside them."""
        return build(DistillConfig, {name: getattr(self, name) for name in OPTIONS} | others)
