"""Whether a stage has diverged: terms or weights that are no numbers any more, or terms beyond all measure."""

import math
from collections.abc import Mapping

import torch
from torch import nn

from crild.config import StageSettings

EXPLODED = 1000.0  # times the largest term of where the stage began, or times 1 where that is less


def lost_term(terms: Mapping[str, float], start: Mapping[str, float]) -> str | None:
    """Return which term has diverged, and how; ``None`` where none has.

    Args:
        terms: their values now, by name.
        start: those on held-out rows before the first step.
    """
    limit = EXPLODED * max([1.0, *start.values()])
    for name, value in terms.items():
        if not math.isfinite(value):
            return f"the term {name} is {value}"
        if value > limit:
            return f"the term {name} is {value:.3g}" + (f", and began at {start[name]:.3g}" if name in start else "")
    return None


def lost_weight(module: nn.Module) -> str | None:
    """Return which parameter holds values that are no numbers; ``None`` where none does. Waits for the device once."""
    sound = {name: x.detach().isfinite().all() for name, x in module.named_parameters()}
    if not sound or bool(torch.stack(list(sound.values())).all()):
        return None
    return f"the weights {next(name for name, good in sound.items() if not good)} are no numbers any more"


def diverged(stage: str, step: int, what: str, safe: int, settings: StageSettings, half: bool) -> str:
    """Return what a user reads of a stage that has diverged.

    Args:
        stage: its name.
        step: the one at which it was seen.
        what: has diverged.
        safe: the step of the last checkpoint, 0 where there is none.
        settings: of the stage.
        half: it trains in less than fp32.
    """
    if step == 0:
        return f"stage {stage}: {what} before the first step: look at the weights of teacher and student"
    kept = f"its checkpoint of step {safe} is kept" if safe else "it has no checkpoint yet"
    cures = f"a learning rate below {settings.learning_rate:g}" + (" or --precision fp32" if half else "")
    return f"stage {stage}: diverged by step {step}: {what}; {kept}; start another run with {cures}"
