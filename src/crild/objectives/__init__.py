"""Objectives: pure functions of captured tensors, one concept a file."""

from crild.objectives.attention import AttentionKL
from crild.objectives.base import Objective, Term, weighted_mean
from crild.objectives.combined import Combined
from crild.objectives.hidden import Hidden
from crild.objectives.logits import distillation_loss, task_loss
from crild.objectives.relations import Relations

__all__ = [
    "AttentionKL",
    "Combined",
    "Hidden",
    "Objective",
    "Relations",
    "Term",
    "distillation_loss",
    "task_loss",
    "weighted_mean",
]
