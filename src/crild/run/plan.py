"""The plan of a run: its stages, as plain data. Made of options and of a few facts; no model is looked at."""

import types
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter

from crild.config import DistillConfig, FinetuneConfig, StageSettings, TrainConfig, option_names, stage_settings
from crild.config.options import IntermediateStage
from crild.config.student import is_static
from crild.data.augment import NONE, parse_rewrites
from crild.errors import CrildError
from crild.methods import Method, Recipe, find_method
from crild.objectives import OBJECTIVES, default_map, parse_features
from crild.processes import launched


@dataclass(frozen=True)
class Facts:
    """What a plan has to know of inputs and models.

    Attributes:
        rows: for training.
        labelled: of them, those with a label.
        supplementary: further texts.
        max_length: tokens kept of a row.
        task_type: its name.
        teacher_is_trained: a fine-tuned teacher was given.
        folds: how many labelled rows are in each fold of ``--cross-fit``; by default equally many.
    """

    rows: int = 1000
    labelled: int = 1000
    supplementary: int = 0
    max_length: int = 128
    task_type: str = "classification"
    teacher_is_trained: bool = True
    folds: tuple[int, ...] = ()


@dataclass(frozen=True)
class PlannedStage:
    """One stage.

    Attributes:
        name: its folder in the run directory, and its random streams.
        title: what a user reads.
        trains: which model; ``fold`` is a teacher for one fold of the rows, of whom its logits there are kept alone.
        on: which rows: the ``labelled`` ones, those of ``supplementary`` data, or the ``joined``: all training rows,
            with the supplementary ones and rewrites beside them where the run says so.
        rows: how many.
        settings: how long and how fast.
        recipe: what is minimised.
        augmented: of the rows, rewritten texts, which are others in every epoch.
        fold: the fold of labelled rows that it leaves out, counted from 1.
    """

    name: str
    title: str
    trains: Literal["teacher", "student", "control", "fold"]
    on: Literal["labelled", "supplementary", "joined"]
    rows: int
    settings: StageSettings
    recipe: Recipe
    augmented: int = 0
    fold: int | None = None

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        return self.settings.steps(self.rows)

    @property
    def caches_logits(self) -> bool:
        """Whether the teacher's logits of the stage's rows are computed once: unless most were for nothing."""
        once = self.recipe.distillation > 0 and not self.recipe.interpolate_logits and not self.augmented
        return once and self.steps >= self.settings.steps_per_epoch(self.rows)


@dataclass(frozen=True)
class Matching:
    """What a method's own term matches, and where.

    Attributes:
        features: see `crild.objectives.parse_features`.
        layer_map: see `crild.layers`; ``None`` where a layer map means nothing.
        relation_heads: ``None`` for the default.
        consistency_features: which of the features the consistency term acts on; ``None`` for all.
        interpolate: on interpolated inputs.
        width_map: with learned maps of student states to the teacher's width also where widths are equal.
    """

    features: str
    layer_map: str | None
    relation_heads: int | None = None
    consistency_features: str | None = None
    interpolate: bool = False
    width_map: bool = False


@dataclass(frozen=True)
class Plan:
    """What a run will do.

    Attributes:
        method: ``None`` for a fine-tuning.
        schedule: of the method.
        matching: of its own term; ``None`` where it has none.
        stages: in order.
        notes: what the user should know.
    """

    method: str | None
    schedule: str | None
    matching: Matching | None
    stages: tuple[PlannedStage, ...]
    notes: tuple[str, ...] = ()

    def stage(self, name: str) -> PlannedStage | None:
        """Return a stage by name, or ``None``."""
        return next((stage for stage in self.stages if stage.name == name), None)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, with each stage's steps beside them."""
        out = asdict(self)
        for values, stage in zip(out["stages"], self.stages, strict=True):
            values["steps"] = stage.steps
        return {**out, "stages": list(out["stages"]), "notes": list(self.notes)}

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Plan":
        """Return the plan that `to_dict` gave.

        Raises:
            ValueError: the values are none of a plan.
        """
        return TypeAdapter(cls).validate_python(values)


def plan_finetuning(config: FinetuneConfig, facts: Facts) -> Plan:
    """Return the one stage of `crild finetune`."""
    plan = Plan(None, None, None, (fine_tuning(config, "teacher", "fine-tuning", facts.labelled),))
    check_batches(plan)
    return plan


def plan_distillation(config: DistillConfig, facts: Facts, may_idle: Collection[str] = ()) -> Plan:
    """Return the stages of a distillation.

    Raises:
        CrildError: they make no sense, or an option would do nothing.
    """
    plan = stages_of(config, facts)
    refuse_idle(config, idle_options(config, facts), may_idle)
    check_batches(plan)
    return plan


def stages_of(config: DistillConfig, facts: Facts) -> Plan:
    """Return the plan of a distillation, whether or not all options act in it."""
    method = find_method(config.method)
    matching = matching_of(config, method)
    parts = [OBJECTIVES[name] for name, _ in parse_features(matching.features)] if matching else []
    phases = method.phases(config.schedule, any(part.needs_filters for part in parts))
    recipes = {phase.name: stage_recipe(phase.recipe, config, method, facts) for phase in phases}
    refuse_contradictions(config, facts, method, matching, list(recipes.values()))
    joins = (config.supplementary_mode or ("first" if matching else "join")) == "join"
    rewrites = rewrites_of(config, method)
    names = parse_rewrites(rewrites) if rewrites else ()
    stages = []
    if not facts.teacher_is_trained:
        stages.append(fine_tuning(config, "teacher", "teacher", facts.labelled))
    notes = []
    if config.cross_fit and any(recipe.distillation for recipe in recipes.values()):
        stages += [without_fold(config, facts, fold) for fold in range(1, config.cross_fit + 1)]
        notes.append(f"the logits of {facts.labelled} labelled rows come from {config.cross_fit} further teachers: of "
                     "each row from one that never saw its label")  # fmt: skip
    for phase in phases:
        recipe = recipes[phase.name]
        on_labels = phase.preset_key == "finetune"
        augmented = round(facts.rows * config.augment_ratio) if names and not on_labels else 0
        count = facts.labelled if on_labels else facts.rows + facts.supplementary * joins + augmented
        settings = stage_settings(config, phase.preset_key, count, is_static(config.student))
        if method.released and not on_labels:
            # Padding acts on relations alone, where it is not masked.
            length = facts.max_length if recipe.intermediate_weight else None
            settings = replace(settings, grouped=False, drop_last=True, pad_to=length)
        if phase.name == "ild" and facts.supplementary and not joins:
            more = facts.supplementary
            epochs = stage_settings(config, "ild", more).epochs
            stages.append(
                PlannedStage("supplementary", "supplementary ILD", "student", "supplementary", more,
                             replace(settings, epochs=epochs), recipe)
            )  # fmt: skip
        on: Literal["labelled", "joined"] = "labelled" if on_labels else "joined"
        stages.append(PlannedStage(phase.name, phase.title, "student", on, count, settings, recipe, augmented))
    if config.control and facts.labelled and method.uses_teacher:
        stages.append(fine_tuning(config, "control", "control", facts.labelled))
    if any(stage.augmented for stage in stages):
        notes.append(
            f"{config.augment_ratio:g} rewritten texts ({rewrites}) beside each of {facts.rows}, drawn anew in "
            "every epoch"
        )
    if config.schedule == "paper" and method.paper is None:
        notes.append(f"the paper schedule of {method.name} is its two-stage schedule")
    return Plan(method.name, config.schedule, matching, tuple(stages), tuple(notes))


def rewrites_of(config: DistillConfig, method: Method) -> str | None:
    """Return which rewrites of the training texts a run learns from: the user's choice or the method's, if any."""
    said = method.augment if config.augment is None else config.augment
    return None if said == NONE else said


def matching_of(config: DistillConfig, method: Method) -> Matching | None:
    """Return what the method's own term matches: the user's choice or the method's."""
    if method.matches is None:
        return None
    features = config.features or method.matches
    parts = [OBJECTIVES[name] for name, _ in parse_features(features)]
    own_map = default_map(config.features, method.layer_map) if config.features else method.layer_map
    mixes = method.interpolate if config.interpolate is None else config.interpolate
    if mixes and not all(part.mixable for part in parts):
        raise CrildError(
            f"{features} looks at the words of one text, which interpolated inputs have not: "
            "use --interpolate false, or other --features"
        )
    consistent = mixes and bool(method.consistency if config.consistency is None else config.consistency)
    return Matching(
        features,
        None if all(part.layerless for part in parts) else config.layer_map or own_map,
        config.relation_heads if any(part.takes_heads for part in parts) else None,
        config.consistency_features if consistent else None,
        mixes,
        config.width_map == "learned" and any(part.maps_width for part in parts),
    )


def fine_tuning(
    config: TrainConfig, which: Literal["teacher", "control", "fold"], title: str, rows: int
) -> PlannedStage:
    """Return the stage that fine-tunes a teacher, or the student without a teacher, on labels."""
    static = which == "control" and isinstance(config, DistillConfig) and is_static(config.student)
    settings = stage_settings(config, "finetune", rows, static)
    return PlannedStage(which, title, which, "labelled", rows, settings, Recipe(task=1.0))


def without_fold(config: DistillConfig, facts: Facts, fold: int) -> PlannedStage:
    """Return the stage that fine-tunes a teacher on the labelled rows of all folds but one."""
    stage = fine_tuning(
        config, "fold", f"teacher without fold {fold}", facts.labelled - fold_sizes(config, facts)[fold - 1]
    )
    return replace(stage, name=f"fold-{fold}", fold=fold)


def fold_sizes(config: DistillConfig, facts: Facts) -> tuple[int, ...]:
    """Return how many labelled rows are in each fold: as is known of the data, or equally many."""
    count = config.cross_fit or 0
    return facts.folds if len(facts.folds) == count else (facts.labelled // count,) * count


def stage_recipe(recipe: Recipe, config: DistillConfig, method: Method, facts: Facts = Facts()) -> Recipe:
    """Return a phase's recipe with the user's choices in it."""
    if recipe.intermediate_weight:
        mixes = method.interpolate if config.interpolate is None else config.interpolate
        consistency = method.consistency if config.consistency is None else config.consistency
        recipe = replace(
            recipe,
            interpolate=mixes,
            partners="reversed" if method.released else "neighbour",
            masked=not method.released,
            consistency=consistency if mixes else 0.0,
            ema_decay=config.ema_decay if config.ema and mixes and consistency else None,
        )
    if recipe.distillation:
        if config.hard_label_weight is not None:
            both = recipe.distillation + recipe.task
            hard = config.hard_label_weight
            recipe = replace(recipe, distillation=(1.0 - hard) * both, task=hard * both)
        mixes = config.kd_inputs == "interpolated" and recipe.distillation > 0
        recipe = replace(recipe, interpolate_logits=mixes)
        if config.temperature is not None and facts.task_type != "regression":
            recipe = replace(recipe, temperature=config.temperature)
    return recipe


def refuse_contradictions(
    config: DistillConfig, facts: Facts, method: Method, matching: Matching | None, recipes: list[Recipe]
) -> None:
    """Refuse options that do not go together, and labels where there are none."""
    if any(recipe.mixed_task for recipe in recipes) and not (matching and matching.interpolate):
        raise CrildError(f"method {method.name}, {config.schedule} schedule, learns labels of interpolated inputs: "
                         "leave --interpolate false out, or use --schedule two-stage")  # fmt: skip
    if not facts.labelled and any(recipe.uses_labels for recipe in recipes):
        what = f"method {method.name}" + (f" with features {matching.features}" if matching else "")
        what = "--hard-label-weight" if config.hard_label_weight else f"{what}, {config.schedule} schedule,"
        hint = "; use --schedule two-stage, or method kd" if config.schedule == "paper" else "; use method kd"
        raise CrildError(f"{what} learns from labels, and {config.data} has none{hint}")
    if config.cross_fit:
        option = f"--cross-fit {config.cross_fit}"
        if min(fold_sizes(config, facts)) == 0:
            raise CrildError(f"{option}: there are too few different labelled texts for so many folds "
                             f"({facts.labelled} labelled training rows): give a smaller number")  # fmt: skip
        if facts.teacher_is_trained and config.base in (None, config.teacher):
            raise CrildError(f"{option} fine-tunes teachers of its own: give --base, the encoder that the teacher was "
                             "fine-tuned from")  # fmt: skip
        if config.kd_inputs == "interpolated":
            raise CrildError(f"{option} gives logits of plain texts, and with --kd-inputs interpolated the teacher "
                             "answers interpolated ones: leave one of them out")  # fmt: skip


def check_batches(plan: Plan) -> None:
    """Refuse micro-batches that do not divide a stage's batch, or that leave a process nothing to interpolate."""
    least, features, several = 1, "", launched()
    shared = f" on each of {several} processes" if several > 1 else ""
    if plan.matching:
        features = plan.matching.features
        least = max(OBJECTIVES[name].least_rows for name, _ in parse_features(features))
    for stage in plan.stages:
        size, parts = stage.settings.batch_size, stage.settings.accumulation
        if size % parts:
            raise CrildError(f"--accumulation {parts} does not divide the batch size {size} of the {stage.title} stage")
        own = size // parts // several
        if own < 1:
            raise CrildError(f"batch size {size} of the {stage.title} stage is too small for {several} processes")
        if stage.recipe.interpolates and own == 1:
            who = f"method {plan.method}" if stage.recipe.interpolate else "--kd-inputs interpolated"
            raise CrildError(f"{who} mixes rows of a micro-batch, which needs at least 2 of them{shared}")
        if stage.recipe.intermediate_weight and own < least:
            raise CrildError(f"{features} relates rows of a micro-batch, which needs at least {least} of them{shared}")


# ---- which options act ----

# Options that act before the plan (data, models), after it (output), or on every step of any plan.
ELSEWHERE = {
    "data", "text", "text_pair", "label", "label_map", "task", "metric", "max_length", "validation", "data_seed",
    "data_revision", "revision", "trust_remote_code", "train_rows", "imbalance", "label_noise", "base", "output",
    "preset", "precision", "gradient_checkpointing", "seed", "save_minutes", "save_steps", "control", "teacher",
    "student", "student_width", "student_heads",
    "student_weights", "student_head", "vocabulary", "method", "plugin", "cache", "track_validation", "keep_stages",
    "report_to",
}  # fmt: skip


def idle_options(config: DistillConfig, facts: Facts | None = None) -> list[str]:
    """Return the options that were given (differ from their default) and that act nowhere in the plan.

    An option acts if some other value of it gives another plan. So no list of what ignores what is kept.

    Args:
        config: the options.
        facts: of the run; by default those of an ordinary one, with further texts where the options name any.
    """
    if facts is None:
        facts = Facts(supplementary=1000 if config.supplementary else 0)
    hints = get_type_hints(type(config))
    idle = []
    for each in fields(config):
        given = getattr(config, each.name) != each.default
        if each.name == "supplementary":
            with_texts = stages_of(config, replace(facts, supplementary=1000))
            acts = with_texts != stages_of(config, replace(facts, supplementary=0))
        elif given and each.name not in ELSEWHERE:
            acts = any(differs(config, facts, each.name, value) for value in other_values(config, each.name, hints))
        else:
            continue
        if given and not acts:
            idle.append(each.name)
    return idle


OF_OWN_TERM = {"features", "layer_map", "interpolate", *option_names(IntermediateStage)}


def refuse_idle(config: DistillConfig, idle: list[str], may_idle: Collection[str] = ()) -> None:
    """Raise `CrildError` where an option would do nothing that may not."""
    for name in idle:
        if name in may_idle:
            continue
        hint, method = "", find_method(config.method)
        if name == "supplementary" and config.supplementary_mode == "first" and method.uses_teacher:
            name, hint = "supplementary-mode first", "; use --supplementary-mode join"
        elif method.matches is None and name in OF_OWN_TERM:
            hint = ": it matches no features; name one that does, such as --method cr-ild"
        option = f"--{name.replace('_', '-')}"
        raise CrildError(f"{option} would do nothing with method {config.method} and these options{hint}")


def differs(config: DistillConfig, facts: Facts, name: str, value: Any) -> bool:
    """Return whether another value of an option gives another plan, or none at all."""
    try:
        other = replace(config, **{name: value})
    except CrildError:
        return False  # no value of this option
    try:
        return stages_of(other, facts) != stages_of(config, facts)
    except CrildError:
        return True


def other_values(config: DistillConfig, name: str, hints: dict[str, Any]) -> Iterator[Any]:
    """Yield values of an option that are not the one it has."""
    hint, now = hints[name], getattr(config, name)
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    for kind in kinds:
        if kind is type(None):
            candidates: tuple[Any, ...] = (None,)
        elif get_origin(kind) is Literal:
            candidates = get_args(kind)
        elif kind is bool:
            candidates = (True, False)
        elif kind in (int, float):
            candidates = (kind(1), kind(2), kind(0)) if kind is int else (0.5, 0.25)
        else:
            candidates = {
                "features": ("hidden", "relations"),
                "consistency_features": ("hidden", "attention-kl"),
                "augment": ("all", "none"),
            }.get(name, ("1-1", "last"))
        yield from (value for value in candidates if value != now)
