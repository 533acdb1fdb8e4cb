"""All methods. A new one is a new entry here."""

from dataclasses import dataclass
from typing import Any

from crild.errors import CrildError, nearest
from crild.objectives import AttentionKL, Combined, Hidden, Objective, Relations

FEATURES = {
    "a": "attention rows",
    "h": "hidden states",
    "ah": "attention rows and hidden states",
    "qkv": "Q/K/V relations",
    "ahqkv": "attention rows, hidden states and Q/K/V relations",
}


@dataclass(frozen=True)
class Method:
    """A named recipe.

    Attributes:
        name: what `--method` says.
        summary: one line.
        reference: the paper.
        formula: what is minimised, stage by stage.
        features: of intermediate layers, a key of `FEATURES`; ``None`` for a method without stage 1.
        layer_map: see `crild.layers`.
        interpolate: stage 1 runs on interpolated inputs.
        consistency: final weight of the consistency term.
        uses_teacher: stage 2 learns from the teacher's logits; else the student is fine-tuned on labels.
        departures: where it differs from its paper, and why.
    """

    name: str
    summary: str
    reference: str
    formula: str
    features: str | None = None
    layer_map: str = "last"
    interpolate: bool = False
    consistency: float = 0.0
    uses_teacher: bool = True
    departures: str = ""


KO = "Ko et al. 2023, Findings of EACL, arXiv 2302.01530"
STAGE_2 = "stage 2: KD = T^2 KL(softmax(z_t/T) || softmax(z_s/T)), T = 2 (regression: squared difference)"

METHODS = {
    method.name: method
    for method in (
        Method(
            name="cr-ild",
            summary="last layer on interpolated inputs, with a consistency term; then the teacher's logits",
            reference=KO,
            formula=f"stage 1: L_mix + 0.1 p L_cr (p: share of the stage done); {STAGE_2}",
            features="ah",
            interpolate=True,
            consistency=0.1,
            departures="consistency acts on whatever features are matched (in the authors' script it never runs); "
            "masks are exact; partners are neighbours in a shuffled batch; targets come from a pass without dropout",
        ),
        Method(
            name="l-ild",
            summary="last layer on plain inputs; then the teacher's logits",
            reference=KO,
            formula=f"stage 1: attention rows + hidden states of the last layer; {STAGE_2}",
            features="ah",
        ),
        Method(
            name="kd",
            summary="the teacher's logits alone",
            reference="Hinton et al. 2015, arXiv 1503.02531",
            formula=STAGE_2,
        ),
        Method(
            name="ft",
            summary="no teacher: the same student fine-tuned on the labels",
            reference="the control",
            formula="cross-entropy (regression: squared error) on labelled rows",
            uses_teacher=False,
        ),
    )
}


def find_method(name: str) -> Method:
    """Return a method by name.

    Raises:
        CrildError: there is none; the nearest is suggested.
    """
    if name not in METHODS:
        raise CrildError(f"unknown method {name!r}{nearest(name, METHODS)}: use one of {', '.join(METHODS)}")
    return METHODS[name]


def build_objective(features: str, student_config: Any, teacher_config: Any, heads: int | None) -> Objective:
    """Return the objective over ``features`` for two models.

    Raises:
        CrildError: the models' shapes make no sense for it.
    """
    parts: list[Objective] = []
    if "a" in features:
        parts.append(AttentionKL())
    if "h" in features:
        parts.append(Hidden(student_config.hidden_size, teacher_config.hidden_size))
    if "qkv" in features:
        parts.append(Relations(heads))
    objective = Combined(parts)
    objective.check(student_config, teacher_config)
    return objective
