"""What to expect of a student, and what to try where one disappoints."""

from collections.abc import Mapping, Sequence
from typing import Literal

from crild.config import DistillConfig
from crild.methods import find_method
from crild.run.models import Models
from crild.run.plan import Plan, rewrites_of

Distance = Literal["near", "far"]
MEANING: dict[Distance, str] = {
    "near": "the student is near (it keeps its source's last layer): fine-tuning alone nearly suffices; a far one has "
    "the first layers only and gains most by distillation (docs/results.md)",
    "far": "the student is far (the first layers only): distillation is worth most, and needs many passes or texts; a "
    "near one keeps the last layer, and fine-tuning alone nearly suffices ({near}; docs/results.md)",
}


def distance(layers: Sequence[int], depth: int) -> Distance | None:
    """Return whether a cut student is near its source or far from it; ``None`` for neither.

    Args:
        layers: that it copies, counted from 0.
        depth: layers of its source.
    """
    if len(layers) == depth:
        return None
    if layers[-1] == depth - 1:
        return "near"
    return "far" if list(layers) == list(range(len(layers))) else None


def nearer(layers: Sequence[int], depth: int) -> str:
    """Return the option for a student with as many layers, the last one of its source among them."""
    return "--student " + (",".join(map(str, [*layers[:-1], depth - 1])) if len(layers) > 1 else "last:1")


def on_student(models: Models) -> str | None:
    """Return one line on what kind of student this is, where it is cut from a source as wide."""
    kind = distance(models.layers, models.source_depth) if models.layers else None
    return MEANING[kind].format(near=nearer(models.layers, models.source_depth)) if kind else None


def after_run(
    config: DistillConfig, plan: Plan, models: Models, scores: Mapping[str, float], constant: float
) -> list[str]:
    """Return a warning where a student ended below the one without a teacher, or at the constant answer.

    Args:
        config, plan, models: of the run.
        scores: by model, on the first validation split.
        constant: the score of whoever always gives the same answer.
    """
    student = scores["student"]
    below = []
    if student < scores.get("control", student):
        below.append(f"below the same student without a teacher ({scores['control']:.4f})")
    if student <= constant:
        below.append(f"not above always giving the same answer ({constant:.4f})")
    if not below or not find_method(config.method).uses_teacher:
        return []
    return [f"the student scores {student:.4f}, {' and '.join(below)}; to try: {', '.join(ways(config, plan, models))}"]


def ways(config: DistillConfig, plan: Plan, models: Models) -> list[str]:
    """Return what may help a student, of what the run did not have."""
    out = []
    if not rewrites_of(config, find_method(config.method)):
        out.append("--augment all")
    key = "ild" if plan.stage("ild") else "kd"
    if config.max_steps:
        out.append("more passes (a larger --max-steps)")
    else:
        longest = max(stage.settings.epochs for stage in plan.stages if stage.trains == "student")
        out.append(f"more passes (--{key}-epochs {2 * longest})")
    if not config.supplementary:
        out.append("further texts (--supplementary)")
    if models.layers and distance(models.layers, models.source_depth) == "far":
        out.append(f"a nearer student ({nearer(models.layers, models.source_depth)})")
    return out
