"""What one stage minimises; plain data, so that listing methods needs no torch."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Recipe:
    """What one stage minimises: the weight of each of its terms, and on what inputs.

    Attributes:
        intermediate_weight: of the intermediate terms (the objective given to the `Distiller`).
        interpolate: feed both models interpolated inputs in these terms (`method.md` 6.1).
        partners: whom a row is interpolated with: its ``neighbour``, or the row opposite in a ``reversed`` batch.
        masked: intermediate terms leave padding out; never otherwise but in `cr-ild-as-released`.
        consistency: final weight of the consistency term, reached linearly: ``consistency * p`` (6.4); 0 for none.
        ema_decay: the consistency targets come from a moving average of the student with this decay, if given.
        distillation: of the teacher's logits.
        interpolate_logits: feed both models interpolated inputs in the distillation term as well (function matching,
            Beyer et al. 2022); it has no say in the intermediate terms, nor `interpolate` in this one.
        task: of the task's own loss on labelled rows.
        mixed_task: of the task's loss on interpolated inputs against interpolated labels.
        filters: of the loss that trains an objective's filters on labels, the backbones frozen (TED).
        temperature: of the logit distillation.
        adam_epsilon: of AdamW: a parameter whose gradient is not far above it moves less than the learning rate says.
    """

    intermediate_weight: float = 0.0
    interpolate: bool = False
    partners: Literal["neighbour", "reversed"] = "neighbour"
    masked: bool = True
    consistency: float = 0.0
    ema_decay: float | None = None
    distillation: float = 0.0
    interpolate_logits: bool = False
    task: float = 0.0
    mixed_task: float = 0.0
    filters: float = 0.0
    temperature: float = 2.0
    adam_epsilon: float = 1e-8

    @property
    def uses_logits(self) -> bool:
        """Whether the stage learns from logits or labels, so that the student's logits on plain inputs have a score."""
        return self.distillation > 0 or self.task > 0

    @property
    def interpolates(self) -> bool:
        """Whether any term runs on interpolated inputs."""
        return self.interpolate or self.interpolate_logits

    @property
    def uses_objective(self) -> bool:
        """Whether the stage looks at intermediate features."""
        return self.intermediate_weight > 0 or self.filters > 0

    @property
    def uses_labels(self) -> bool:
        """Whether the stage learns from labels."""
        return self.task > 0 or self.mixed_task > 0 or self.filters > 0
