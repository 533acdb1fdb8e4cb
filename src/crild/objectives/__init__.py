"""Objectives: pure functions of captured tensors, one concept a file."""

from crild.objectives.base import STAGE_TERMS, Between, Objective, PairObjective, Shape, Term, weighted_mean
from crild.objectives.composition import (
    OBJECTIVES,
    SHORT,
    Composition,
    captured,
    compose,
    default_map,
    load_plugin,
    objective,
    parse_features,
)
from crild.objectives.transport import Transport

__all__ = [
    "OBJECTIVES",
    "SHORT",
    "STAGE_TERMS",
    "Between",
    "Composition",
    "Objective",
    "PairObjective",
    "Shape",
    "Term",
    "Transport",
    "captured",
    "compose",
    "default_map",
    "load_plugin",
    "objective",
    "parse_features",
    "weighted_mean",
]
