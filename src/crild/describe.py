"""What a method does, in words: for `crild methods NAME` and the reference pages; loads torch, `methods` does not."""

from crild.config import DistillConfig
from crild.layers import MAPS
from crild.methods.registry import Method, PhaseSpec
from crild.objectives import OBJECTIVES, Composition, Shape, captured, compose, parse_features

EXAMPLE = (6, 3)  # layers of teacher and student in examples
CONTENT_ONLY = "DeBERTa and MPNet add position terms after Q K^T: their attention is matched on the content part alone"


def example(method: Method, student_layers: int = EXAMPLE[1], teacher_layers: int = EXAMPLE[0]) -> Composition | None:
    """Return a method's objective between two models of like width, or ``None`` where it matches nothing."""
    if method.matches is None:
        return None
    student, teacher = (Shape(n, 384, 12, 12, 32, 2) for n in (student_layers, teacher_layers))
    return compose(method.matches, method.layer_map, student, teacher)


def phases(method: Method, schedule: str) -> tuple[PhaseSpec, ...]:
    """Return the stages of a schedule with the method's own features."""
    objective = example(method)
    return method.phases(schedule, objective is not None and objective.needs_filters)


def stages(method: Method, schedule: str) -> str:
    """Return the stages of a schedule with the weights of their terms."""
    names = {"intermediate_weight": "own term", "distillation": "KD", "task": "labels", "mixed_task": "mixed labels",
             "filters": "filters on labels"}  # fmt: skip
    out = []
    for phase in phases(method, schedule):
        weights = {what: getattr(phase.recipe, attribute) for attribute, what in names.items()}
        terms = [what if weight == 1 else f"{weight:.3g} {what}" for what, weight in weights.items() if weight]
        heat = f" (T = {phase.recipe.temperature:g})" if phase.recipe.distillation else ""
        out.append(" + ".join(terms) + heat)
    return ", then ".join(out)


def settings(method: Method) -> str:
    """Return whose epochs, rate and batch size each stage takes."""
    both = [*phases(method, "two-stage"), *phases(method, "paper")]
    return ", ".join(dict.fromkeys(f"{phase.title}: --{phase.preset_key}-..." for phase in both))


def facts(method: Method) -> dict[str, str]:
    """Return what there is to say about a method, by heading."""
    out = {"minimises": method.formula, "reference": method.source, "two-stage": stages(method, "two-stage")}
    out["paper"] = stages(method, "paper") if method.paper is not None else "the same"
    out["settings"] = settings(method)
    if method.augment:
        out["texts"] = f"each beside {DistillConfig.augment_ratio:g} rewrites (--augment {method.augment})"
    objective = example(method)
    if objective is not None and method.matches is not None:
        out["features"] = f"{method.matches}: " + "; ".join(
            headline(OBJECTIVES[name].__doc__ or "") for name, _ in parse_features(method.matches)
        )
        if not objective.layerless:
            out["layer map"] = f"{method.layer_map}: {MAPS[method.layer_map]}"
        mixing = " with the reversed batch, padding not masked" if method.released else ""
        out["inputs"] = f"interpolated{mixing}" if method.interpolate else "plain"
        if method.interpolate:
            out["consistency"] = f"{method.consistency:g}" + (
                " x the share of the stage done" if method.consistency else ""
            )
        if method.consistency:
            out["moving average"] = f"off; --ema takes targets from one with decay {DistillConfig.ema_decay:g}"
        if objective.takes_heads:
            out["relation heads"] = "48, or the widths' largest common divisor up to 48"
        counts = [captured(objective, "student"), captured(objective, "teacher")]
        own = f"{len(counts[0])} of the student ({', '.join(counts[0])})"
        out["captured"] = (
            f"for {EXAMPLE[1]} layers from {EXAMPLE[0]}: {own}, {len(counts[1])} of the teacher, once a step each"
            + (", and the student's again on plain inputs" if method.consistency else "")
        )
        if any("attention" in name for name, _ in parse_features(method.matches)):
            out["note"] = CONTENT_ONLY
    if method.equals:
        out["equals"] = f"{', '.join(method.equals)} where the student has one layer"
    if method.departures:
        out["departs"] = method.departures
    return out


def headline(docstring: str) -> str:
    """Return the name that a docstring begins with."""
    name = docstring.strip().split(":")[0].split("\n")[0]
    return name if name[1:2].isupper() or "/" in name[:2] else name[:1].lower() + name[1:]
