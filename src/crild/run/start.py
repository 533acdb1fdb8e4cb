"""`distill` and `finetune`: from options to a finished run directory."""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import singledispatch
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

from crild.config import DistillConfig, FinetuneConfig, takes
from crild.config.student import parse_vocabulary, refuse_static, student_path
from crild.config.trackers import parse_trackers
from crild.console import about, say, warn
from crild.errors import CrildError
from crild.files import check_folder, writable_folder
from crild.inference import parameters
from crild.methods import find_method
from crild.models.loading import load_tokenizer_or_path
from crild.models.vocabulary import refuse_without_skeletoken
from crild.objectives import OBJECTIVES, load_plugin, parse_features
from crild.processes import agree, count, is_main, main_first, on_main
from crild.processes import start as find_each_other
from crild.randomness import own_random_state
from crild.run import advice
from crild.run.estimate import estimate_minutes
from crild.run.execute import Prepared, Scorer, execute
from crild.run.folder import CONFIG, RunFolder
from crild.run.identity import Identity
from crild.run.inputs import read_inputs
from crild.run.models import Models, distillation_models, teacher_models
from crild.run.objects import configured
from crild.run.origin import read_origin
from crild.run.plan import (
    Facts,
    idle_options,
    matching_of,
    plan_distillation,
    plan_finetuning,
    refuse_idle,
    rewrites_of,
)
from crild.run.result import Result
from crild.run.targets import AGREEMENT

BELOW_CONSTANT = "the teacher scores below always guessing the most frequent label"
Config = DistillConfig | FinetuneConfig
C = TypeVar("C", DistillConfig, FinetuneConfig)
NOTHING: Mapping[str, str] = MappingProxyType({})


@takes(DistillConfig)
def distill(
    config: DistillConfig | None = None,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    **options: Any,
) -> Result:
    """Distil a teacher into a student; write a run directory.

    Args:
        config: a whole configuration; or
        tokenizer: of the models that are given as objects.
        callbacks: they follow every stage that is trained now. ``on_evaluate`` gets as ``metrics`` the line of
            ``history.jsonl``: ``stage``, ``step``, ``epoch``, the terms on the selection split (``held_out``) and, in a
            stage with labels or logits, its ``score``. What a callback raises ends the run, which can go on later.
        options: the fields of `DistillConfig`, for instance ``teacher="./my-bert", data="tweets.csv", student=3,
            method="cr-ild", output="runs/tweets"``. ``teacher``, ``base`` and ``student`` may also be transformers
            models, which stay as they are; ``data``, ``validation`` and ``supplementary`` a pandas ``DataFrame``, a
            ``Dataset`` or a ``DatasetDict`` of `datasets`. They are kept in the run's ``inputs/``, named by what they
            hold.

    Returns:
        The contents of ``result.json``: scores of teacher, control (the student without a teacher) and student.

    Raises:
        CrildError: the run cannot work; nothing was written.

    Example:
        >>> result = crild.distill(teacher="./my-bert", data="tweets.csv", student=3, output="runs/tweets")
        >>> result["student"]["score"] / result["teacher"]["score"]
    """
    return run_given(DistillConfig, config, options, tokenizer, callbacks)


@takes(FinetuneConfig)
def finetune(
    config: FinetuneConfig | None = None,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    **options: Any,
) -> Result:
    """Fine-tune an encoder on a task; write a run directory with ``teacher/``.

    Args:
        config: a whole configuration; or
        tokenizer, callbacks: as in `distill`.
        options: the fields of `FinetuneConfig`, for instance ``base="./encoder", data="tweets.csv", output="runs/t"``.
            ``base`` may be a model, ``data`` and ``validation`` rows in memory, as in `distill`.

    Returns:
        The contents of ``result.json``.

    Raises:
        CrildError: the run cannot work; nothing was written.
    """
    return run_given(FinetuneConfig, config, options, tokenizer, callbacks)


def run_given(
    cls: type[C],
    config: C | None,
    options: Mapping[str, Any],
    tokenizer: PreTrainedTokenizerBase | None,
    callbacks: Sequence[TrainerCallback],
) -> Result:
    """Run what a function of the public API was given: options, of which some may be objects in memory."""
    find_each_other()
    with main_first(
        configured(
            cls, config, options, tokenizer, lambda sound: check_folder(sound.output, CONFIG, "crild run"), CONFIG
        )
    ) as (whole, about):
        return run(whole, callbacks=callbacks, given=about)


@own_random_state()
def run(
    config: Config,
    timed: bool = True,
    may_idle: Collection[str] = (),
    callbacks: Sequence[TrainerCallback] = (),
    measured: bool = True,
    given: Mapping[str, str] = NOTHING,
) -> Result:
    """Return the result of a run: of the finished one, else prepare it, tell what it will do, and execute it.

    Args:
        config: its options.
        timed: say about how long it takes.
        may_idle: options that may do nothing in this run, because they are a whole grid's.
        callbacks: see `distill`.
        measured: measure how long the finished models take for a row.
        given: one line on each option that was an object in memory.
    """
    config, folder = open_folder(config)
    finished = on_main(lambda: folder.result if folder.is_finished else None)
    if finished is not None:
        say(f"{folder.path} holds this run, finished; here is its result")
        return finished
    prepared = prepare(config, folder, may_idle)
    agree("data, teacher or options", (prepared.identity, prepared.plan.to_dict()))
    prepared = announce(prepared, timed)
    return execute(replace(prepared, callbacks=tuple(callbacks), measured=measured, given=given))


def open_folder(config: Config) -> tuple[Config, RunFolder]:
    """Return the completed options and the folder of their run.

    Raises:
        CrildError: the folder holds another run, or is in use.
    """
    find_each_other()
    config = resolve(config)
    if not config.output:
        raise CrildError("--output is missing: the folder of the crild run")
    folder, identity = RunFolder(os.path.expanduser(config.output)), Identity.of(config)

    def look() -> None:
        folder.refuse_another(identity)
        folder.refuse_in_use()

    on_main(look)
    return config, folder


def resolve(config: Config) -> Config:
    """Return the options with preset and precision decided.

    Raises:
        CrildError: there is no GPU for a precision that needs one.
    """
    on_gpu = torch.cuda.is_available()
    preset = config.preset or ("paper" if on_gpu else "quick")
    precision = config.precision
    if precision == "auto":
        on_cpu = torch.backends.mkldnn.is_available() and cpu_has_bf16()
        fast = torch.cuda.is_bf16_supported(including_emulation=False) if on_gpu else on_cpu
        precision = "bf16" if fast else "fp32"
    if precision == "fp16" and not on_gpu:
        raise CrildError("--precision fp16 is for GPUs, and there is none: use bf16 or fp32")
    return replace(config, preset=preset, precision=precision)


def cpu_has_bf16() -> bool:
    """Whether this processor multiplies bf16 matrices in hardware, so that it pays."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@singledispatch
def prepare(config: Any, folder: RunFolder, may_idle: Collection[str] = ()) -> Prepared:
    """Read and check everything that a run needs; write nothing.

    Raises:
        CrildError: the run cannot work; the message says why.
    """
    raise TypeError(f"no run is described by {type(config).__name__}")


@prepare.register
def prepare_distillation(config: DistillConfig, folder: RunFolder, may_idle: Collection[str] = ()) -> Prepared:
    """Prepare a distillation."""
    parse_trackers(config.report_to)
    if config.cache:
        writable_folder("--cache", config.cache)
    if config.plugin:
        load_plugin(config.plugin)
    if config.vocabulary:
        parse_vocabulary(config.vocabulary)
        refuse_without_skeletoken("--vocabulary")
    method = find_method(config.method)
    matching = matching_of(config, method)
    if matching is not None:
        refuse_static(config.student)  # before models and data are read
    texts = Facts(teacher_is_trained=False, supplementary=1000 if config.supplementary else 0)
    refuse_idle(config, idle_options(config, texts), may_idle)  # what acts in no run at all, before anything is read
    parts = [OBJECTIVES[name] for name, _ in parse_features(matching.features)] if matching else []
    student = student_path(config.student)
    if student:
        load_tokenizer_or_path(student, config.trust_remote_code, config.revision)
    others = [name for name in (config.base, student) if name]
    missing = "--teacher is missing: a fine-tuned classifier, or an encoder to fine-tune first"
    origin = read_origin(config, config.teacher, others, missing)
    words = any(part.needs_words for part in parts)
    inputs = read_inputs(config, origin, words, config.supplementary, rewrites_of(config, method), config.cross_fit)
    models = distillation_models(config, origin, inputs, matching)
    refuse_checkpointing(config, models)
    facts = Facts(
        rows=len(inputs.train),
        labelled=len(inputs.train) - inputs.checks.unlabelled,
        supplementary=len(inputs.supplementary) if inputs.supplementary is not None else 0,
        max_length=inputs.max_length,
        task_type=inputs.task.task_type.name,
        teacher_is_trained=models.teacher_is_trained,
        folds=tuple(len(inputs.fold(number + 1)) for number in range(config.cross_fit or 0)),
    )
    plan = plan_distillation(config, facts, may_idle)
    scorer = Scorer(inputs, models.teacher, config.metric, config.cache)
    prepared = Prepared(config, Identity.of(config), folder, inputs, models, plan, scorer)
    return check_teacher(prepared) if models.teacher_is_trained else prepared


@prepare.register
def prepare_finetuning(config: FinetuneConfig, folder: RunFolder, may_idle: Collection[str] = ()) -> Prepared:
    """Prepare a fine-tuning."""
    parse_trackers(config.report_to)
    origin = read_origin(config, None, [], "--base is missing: a pre-trained encoder")
    inputs = read_inputs(config, origin, words=False, supplementary=None)
    models = teacher_models(config, origin, inputs)
    refuse_checkpointing(config, models)
    rows = len(inputs.train)
    facts = Facts(rows, rows - inputs.checks.unlabelled, 0, inputs.max_length, inputs.task.task_type.name, False)
    plan = plan_finetuning(config, facts)
    scorer = Scorer(inputs, models.teacher, config.metric)
    return Prepared(config, Identity.of(config), folder, inputs, models, plan, scorer)


def refuse_checkpointing(config: Config, models: Models) -> None:
    """Raise `CrildError` where activations are to be computed again by a model that cannot do so."""
    for model in (models.student, None if models.teacher_is_trained else models.teacher):
        if config.gradient_checkpointing and model is not None and not model.supports_gradient_checkpointing:
            raise CrildError(f"--gradient-checkpointing: a {type(model).__name__} cannot do so; leave it out")


def planned_minutes(config: Config, may_idle: Collection[str] = ()) -> dict[str, float]:
    """Return about how many minutes each stage of a run would take; write nothing."""
    prepared = prepare(*open_folder(config), may_idle)
    return estimate_minutes(prepared.plan, prepared.inputs, prepared.models, prepared.config.precision)


def check_teacher(prepared: Prepared) -> Prepared:
    """Score a given teacher before any training; refuse one whose labels are probably in another order."""
    scorer, inputs = prepared.scorer, prepared.inputs
    name = next((n for n in (inputs.scored_on, "selection") if scorer.target(n).metric != AGREEMENT), None)
    if name is None:
        return prepared
    target, logits = scorer.target(name), scorer.logits(prepared.models.teacher, name)
    say(f"the teacher scores {target.score(logits):.4f} ({target.metric}) on {name}")
    if not inputs.task.task_type.named:
        return prepared
    right = float(np.mean(target.answers(logits) == target.truth))
    majority = float(np.mean(inputs.task.task_type.constant(target.truth) == target.truth))
    if right >= majority:
        return prepared
    shares = f"accuracy {right:.3f}, most frequent label {majority:.3f}"
    if inputs.labels_by_position:
        raise CrildError(
            f"{BELOW_CONSTANT} ({shares}), and labels were matched by position: probably their order differs; "
            "say which is which with --label-map old=new,..."
        )
    return replace(prepared, inputs=replace(inputs, notes=(*inputs.notes, f"{BELOW_CONSTANT} ({shares})")))


def with_minutes(prepared: Prepared) -> Prepared:
    """Return the run with about how long it takes, from some steps that are timed now."""
    minutes = estimate_minutes(prepared.plan, prepared.inputs, prepared.models, prepared.config.precision)
    return replace(prepared, minutes={name: each / count() for name, each in minutes.items()})


def announce(prepared: Prepared, timed: bool = True) -> Prepared:
    """Print what the data holds and what will run; ``timed``: also about how long, from some steps."""
    if timed and is_main():
        prepared = with_minutes(prepared)
    warn_of(prepared)
    for name, text in outline(prepared).items():
        say(f"{name:8} {text}")
    for remark in (*prepared.models.remarks, advice.on_student(prepared.models)):
        if remark:
            say(remark)
    return prepared


def warn_of(prepared: Prepared) -> None:
    """Print what the user should look at before the run begins."""
    for note in prepared.warnings:
        warn(note)


def outline(prepared: Prepared) -> dict[str, str]:
    """Return what will run, a line each: ``data``, ``teacher``, ``student``, ``method``, ``time`` and ``output``.

    There is no student in a fine-tuning, and no time where nobody estimated it.
    """
    inputs, models, plan, config = prepared.inputs, prepared.models, prepared.plan, prepared.config
    checks, task = inputs.checks, inputs.task
    cut = f"; {checks.cut.share:.1%} of the texts cut, to {inputs.max_length} tokens" if checks.cut else ""
    counts = ", ".join(f"{name} {count}" for name, count in checks.labels.items()) or "numbers"
    unlabelled = f", {checks.unlabelled} without a label" if checks.unlabelled else ""
    further = f", {len(inputs.supplementary)} further texts" if inputs.supplementary is not None else ""
    lines = {
        "data": f"{config.data}: {task.name} ({task.metric}), {len(inputs.train)} training rows ({counts}{unlabelled})"
        f"{further}, {len(inputs.selection)} for selection, {len(inputs.validation[inputs.scored_on])} for validation "
        f"({checks.shared} of them also in train)" + cut,
        "teacher": f"{models.teacher_name}, {size_of(models.teacher)}"
        + ("" if models.teacher_is_trained else ", fine-tuned first"),
    }
    if models.student is not None:
        lines["student"] = f"{models.student_init}, {size_of(models.student)}"
        if models.trimmed is not None:
            lines["student"] += f"; finished, it keeps {len(models.trimmed)} of {len(inputs.tokenizer)} tokens"
    stages = "; ".join(
        f"{stage.title} {stage.steps / stage.settings.steps_per_epoch(stage.rows):.3g} epochs, {stage.steps} steps"
        for stage in plan.stages
    )
    lines["method"] = f"{plan.method}, {plan.schedule}: {stages}" if plan.method else stages
    if prepared.minutes:
        shared = f", {count()} processes" if count() > 1 else ""
        lines["time"] = f"{about(sum(prepared.minutes.values()))} ({config.preset} preset, {config.precision}{shared})"
    return lines | {"output": str(prepared.folder.path)}


def size_of(model: PreTrainedModel) -> str:
    """Return a model's depth and size."""
    return f"{model.config.num_hidden_layers} layers, {parameters(model) / 1e6:.1f} M parameters"
