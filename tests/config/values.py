"""Values of every option, made from its declaration: refused ones, and one that is taken and is not the default."""

import dataclasses

from crild.config.declare import choices_of, type_of
from crild.config.options import (
    CompareConfig,
    DemoConfig,
    DiagnoseConfig,
    DistillConfig,
    EvaluateConfig,
    FinetuneConfig,
    FrontierConfig,
    MethodsConfig,
    PlayConfig,
    PredictConfig,
    StatusConfig,
    TuneConfig,
)

VERBS = {
    "demo": DemoConfig,
    "finetune": FinetuneConfig,
    "distill": DistillConfig,
    "compare": CompareConfig,
    "frontier": FrontierConfig,
    "tune": TuneConfig,
    "evaluate": EvaluateConfig,
    "diagnose": DiagnoseConfig,
    "status": StatusConfig,
    "play": PlayConfig,
    "predict": PredictConfig,
    "methods": MethodsConfig,
}
OPTIONS = {each.name: (cls, each) for cls in VERBS.values() for each in dataclasses.fields(cls)}
NUMBERS = [name for name, (cls, _) in OPTIONS.items() if type_of(cls, name) in (int, float)]


def refused(name):
    """Values that an option must not take, and words of the complaint."""
    cls, each = OPTIONS[name]
    kind, bounds = type_of(cls, name), each.metadata
    if kind is bool:
        return [("maybe", "is not true or false"), (1, "is not true or false")]
    if choices := choices_of(cls, name):
        return [(choices[-1] + "x", f"did you mean {choices[-1]!r}?"), ("?", "is none of " + ", ".join(choices))]
    if kind is tuple:
        return [(3, "is not a list of texts"), ([True], "is not a list of texts")]
    if kind is str:
        return [([1], "is not text"), (True, "is not text")]
    out = [("many", "is not a"), (float("nan"), "is not a"), (True, "is not a number"), ([3], "is not a")]
    out += [(1.5, "is not a whole number")] if kind is int else []
    out += [(bounds["gt"], f"must be above {bounds['gt']}")] if "gt" in bounds else []
    out += [(bounds["ge"] - 1, f"must be at least {bounds['ge']}")] if "ge" in bounds else []
    out += [(bounds["le"] + 1, f"must be at most {bounds['le']}")] if "le" in bounds else []
    return out


def taken(name):
    """A value that an option takes and that is not its default."""
    cls, each = OPTIONS[name]
    kind = type_of(cls, name)
    if kind is bool:
        return not each.default
    if choices := choices_of(cls, name):
        return next(choice for choice in choices if choice != each.default)
    return {int: 17, float: 0.25, tuple: ("a", "b")}.get(kind, "2,4")
