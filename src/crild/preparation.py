"""`prepare`: read and check everything that a run needs, and refuse what cannot work. Writes nothing."""

import os
import time
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from crild.config import DistillConfig, FinetuneConfig, StageSettings, TrainConfig, as_dict, stage_settings
from crild.console import quiet_libraries, say, warn
from crild.data.batching import Collator, model_inputs
from crild.data.labels import Alignment, align_labels, is_generic, parse_label_map
from crild.data.splits import keys
from crild.data.task import Task, load_task, load_texts
from crild.data.tokenise import Checks, check_data, tokenise
from crild.errors import CrildError
from crild.inference import predict
from crild.methods import Method, find_method
from crild.methods.recipe import Recipe
from crild.metrics import Measure, all_scores, bootstrap_interval, default_metric, find_metric, to_output
from crild.models import loading, students
from crild.models.capture import capture, evaluation_mode
from crild.models.interpolation import Mixing
from crild.objectives import Composition, Shape, compose, default_map, load_plugin
from crild.rundir import check_output

AGREEMENT = "agreement"
REFUSED = "the teacher scores below always guessing the most frequent label"


@dataclass(frozen=True)
class Reference:
    """What a split is scored against: its labels, or (where it has none) the teacher's own outputs."""

    rows: np.ndarray
    truth: np.ndarray
    measure: Measure
    metric: str
    positive: int = 1

    def score(self, logits: np.ndarray) -> float:
        """Return the score of logits on the whole split."""
        return self.measure(self.truth, to_output(logits)[self.rows])

    def report(self, logits: np.ndarray) -> dict[str, Any]:
        """Return score, 95 % bootstrap interval over rows, and every metric that applies."""
        output = to_output(logits)[self.rows]
        return {
            "score": self.measure(self.truth, output),
            "interval": list(bootstrap_interval(self.measure, self.truth, output)),
            "scores": all_scores(self.truth, logits[self.rows], self.positive),
        }


@dataclass
class Stage:
    """One planned stage.

    Attributes:
        name: its folder in the run directory, and its random streams.
        title: what a user reads.
        trains: which model.
        on: which rows: the ``labelled`` ones, those of ``supplementary`` data, or the ``joined``: all training rows,
            with the supplementary ones beside them where the run says so.
        rows: how many.
        settings: how long and how fast.
        recipe: what is minimised.
    """

    name: str
    title: str
    trains: Literal["teacher", "student", "control"]
    on: Literal["labelled", "supplementary", "joined"]
    rows: int
    settings: StageSettings
    recipe: Recipe

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        return self.settings.steps(self.rows)


@dataclass
class Run:
    """A run that is ready to start: everything is read and checked, nothing is written."""

    config: TrainConfig
    folder: Path
    task: Task
    tokenizer: PreTrainedTokenizerBase
    precision: str
    teacher: PreTrainedModel
    teacher_name: str
    teacher_trained: bool
    train: Dataset = field(init=False)
    selection: Dataset = field(init=False)
    validation: dict[str, Dataset] = field(init=False)
    checks: Checks = field(init=False)
    stages: list[Stage] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    supplementary: Dataset | None = None
    method: Method | None = None
    objective: Composition | None = None
    student: PreTrainedModel | None = None
    student_init: str = ""
    copies_head: bool = False
    teacher_logits: dict[str, np.ndarray] = field(default_factory=dict)
    minutes: float = 0.0

    def split(self, name: str) -> Dataset:
        """Return ``selection`` or a validation split."""
        return self.selection if name == "selection" else self.validation[name]

    @property
    def features(self) -> str | None:
        """What the method's own term matches: the user's choice or the method's; ``None`` where it has no such term."""
        if self.method is None or self.method.matches is None or not isinstance(self.config, DistillConfig):
            return None
        return self.config.features or self.method.matches

    @property
    def needs_words(self) -> bool:
        """Whether the method's own term looks at the words of a text."""
        return self.objective is not None and self.objective.needs_words

    def stage(self, name: str) -> Stage | None:
        """Return a planned stage, or ``None``."""
        return next((stage for stage in self.stages if stage.name == name), None)


def resolve(config: TrainConfig) -> TrainConfig:
    """Return the configuration with preset and precision decided."""
    on_gpu = torch.cuda.is_available()
    preset = config.preset or ("paper" if on_gpu else "quick")
    precision = config.precision
    if precision == "auto":
        fast = torch.cuda.is_bf16_supported() if on_gpu else torch.backends.mkldnn.is_available() and cpu_has_bf16()
        precision = "bf16" if fast else "fp32"
    return replace(config, preset=preset, precision=precision)


def cpu_has_bf16() -> bool:
    """Whether this processor multiplies bf16 matrices in hardware, so that it pays."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def identity(config: TrainConfig) -> dict[str, Any]:
    """Return what makes a run this run: all options but where it writes."""
    return {name: value for name, value in as_dict(config).items() if name not in ("output", "cache")}


@dataclass
class Start:
    """Where a run starts: a fine-tuned teacher, or an encoder that becomes one."""

    name: str
    role: str
    teacher: PreTrainedModel | None

    @property
    def kind(self) -> str:
        """What a fine-tuned teacher says about the kind of task."""
        if self.teacher is None:
            return "auto"
        return "regression" if self.teacher.config.num_labels == 1 else "classification"


def prepare(config: DistillConfig | FinetuneConfig) -> Run:
    """Read and check everything that a run needs; write nothing.

    Raises:
        CrildError: the run cannot work; the message says why.
    """
    quiet_libraries()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise CrildError("a run uses one process and one device for now: start it without torchrun")
    config = resolve(config)  # type: ignore[assignment]
    if isinstance(config, DistillConfig) and config.plugin:
        load_plugin(config.plugin)
    folder = check_output(config.output, identity(config))
    method = find_method(config.method) if isinstance(config, DistillConfig) else None
    start = read_start(config)
    task, alignment = read_task(config, start)
    tokenizer = loading.load_tokenizer(start.name, start.role, config.trust_remote_code)
    teacher = start.teacher or fresh_classifier(start.name, start.role, task, config)
    source_name, source = start.name, teacher
    if config.base and config.base != start.name:
        base_tokenizer = loading.load_tokenizer(config.base, "base", config.trust_remote_code)
        loading.check_same_tokenizer(tokenizer, base_tokenizer, (start.role, "base"), task.train["text"][:20])
        source_name, source = config.base, fresh_classifier(config.base, "base", task, config)
    run = Run(
        config=config,
        folder=folder,
        task=task,
        tokenizer=tokenizer,
        precision=config.precision,
        teacher=teacher,
        teacher_name=start.name,
        teacher_trained=start.teacher is not None,
        notes=task.notes,
        method=method,
    )
    if isinstance(config, DistillConfig) and method is not None:
        make_student(run, config, source, source_name)
        make_objective(run, config, method)
    limit = min(loading.longest(model) for model in (teacher, source, run.student) if model is not None)
    if limit < task.max_length:
        task.notes.append(f"maximum length {task.max_length} is more than the models take; {limit} is used")
        task.max_length = limit
    words = run.needs_words
    if words and not tokenizer.is_fast:
        raise CrildError(
            f"{run.features} needs to know the words of a text, which this tokenizer (a slow one) does not"
        )
    run.train = tokenise(task.train, tokenizer, task.max_length, words)
    run.selection = tokenise(task.selection, tokenizer, task.max_length, words)
    run.validation = {name: tokenise(rows, tokenizer, task.max_length) for name, rows in task.validation.items()}
    run.checks = check_data(task, run.train)
    if isinstance(config, DistillConfig) and method is not None:
        read_supplementary(run, config)
        plan_distillation(run, config, method)
    else:
        rows = len(run.train) - run.checks.unlabelled
        run.stages = [fine_tuning(config, "teacher", "fine-tuning", rows)]
    check_batches(run)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    run.teacher.to(device)  # type: ignore[arg-type]
    if run.student is not None:
        run.student.to(device)  # type: ignore[arg-type]
    if run.teacher_trained:
        check_teacher(run, alignment)
    return run


def read_start(config: DistillConfig | FinetuneConfig) -> Start:
    """Load the teacher, or find that it has yet to be fine-tuned."""
    teacher = config.teacher if isinstance(config, DistillConfig) else None
    if teacher is None:
        if config.base is None:
            raise CrildError(
                "--teacher is missing: a fine-tuned classifier, or an encoder to fine-tune first"
                if isinstance(config, DistillConfig)
                else "--base is missing: a pre-trained encoder"
            )
        loading.load_config(config.base, "base", config.trust_remote_code)
        return Start(config.base, "base", None)
    model, trained = loading.load_model(teacher, "teacher", trust_remote_code=config.trust_remote_code)
    return Start(teacher, "teacher", model if trained else None)


def read_task(config: TrainConfig, start: Start) -> tuple[Task, Alignment | None]:
    """Read the data, with labels as a fine-tuned teacher numbers and names them."""
    label_map = parse_label_map(config.label_map)
    task = load_task(config, start.kind)
    find_metric(task.metric, task.kind, len(task.names) or 2)
    if start.teacher is None:
        if not task.labelled:
            raise CrildError(f"{config.data} has no labels, which fine-tuning needs; give a fine-tuned --teacher")
        return rename_labels(task, label_map), None
    if task.kind != start.kind:
        raise CrildError(f"{config.data} holds a {task.kind} task, and the teacher does {start.kind}")
    if task.kind == "regression":
        return task, None
    names = loading.label_names(start.teacher.config)
    if not task.names:
        return replace(task, names=names), None
    alignment = align_labels(task.names, task.generic, names, label_map)
    if alignment.note:
        task.notes.append(alignment.note)
    return realign(task, alignment, names), alignment


def check_batches(run: Run) -> None:
    """Refuse micro-batches that do not divide a stage's batch, or that leave nothing to interpolate."""
    for stage in run.stages:
        size, parts = stage.settings.batch_size, stage.settings.accumulation
        if size % parts:
            raise CrildError(f"--accumulation {parts} does not divide the batch size {size} of the {stage.title} stage")
        if stage.recipe.interpolate and size // parts == 1:
            raise CrildError(f"method {run.method.name} mixes rows of a micro-batch, which needs at least 2 of them")  # type: ignore[union-attr]
        if stage.recipe.intermediate_weight and run.objective is not None and size // parts < run.objective.least_rows:
            raise CrildError(
                f"{run.features} relates rows of a micro-batch, which needs at least {run.objective.least_rows} of them"
            )


def fresh_classifier(name: str, role: str, task: Task, config: TrainConfig) -> PreTrainedModel:
    """Load an encoder with a fresh head for the task; the head depends on the seed alone."""
    torch.manual_seed(config.seed)
    outputs = 1 if task.kind == "regression" else len(task.names)
    model, trained = loading.load_model(name, role, task.names, outputs, config.trust_remote_code)
    if trained:  # for another task, or with labels in another order
        students.renew_head(model, config.seed)
    return model


def realign(task: Task, alignment: Alignment, names: list[str]) -> Task:
    """Return the task with its labels as the teacher's indices and names."""

    def move(rows: Dataset) -> Dataset:
        moved = [None if v is None else float(alignment.index[int(v)]) for v in rows["labels"]]
        return rows.remove_columns("labels").add_column("labels", moved)

    if is_generic(names) and not task.generic:  # LABEL_0 says less than the data's own names
        named = dict(zip(alignment.index, task.names, strict=True))
        names = [named.get(i, name) for i, name in enumerate(names)]
    return replace(
        task,
        names=names,
        positive=alignment.index[1] if len(alignment.index) == 2 else 1,
        train=move(task.train),
        selection=move(task.selection),
        validation={name: move(rows) for name, rows in task.validation.items()},
    )


def rename_labels(task: Task, label_map: dict[str, str]) -> Task:
    """Return the task with its classes renamed, where no teacher has names of its own yet."""
    unknown = [old for old in label_map if old not in task.names]
    if unknown:
        raise CrildError(f"--label-map: the data has no label {unknown[0]!r}; it has {', '.join(task.names)}")
    renamed = [label_map.get(name, name) for name in task.names]
    if len(set(renamed)) < len(renamed):
        raise CrildError("--label-map: two labels get the same name; without a fine-tuned teacher it only renames")
    return replace(task, names=renamed)


def make_student(run: Run, config: DistillConfig, source: PreTrainedModel, source_name: str) -> None:
    """Fill in the run's student, and one line on where its weights come from.

    Args:
        run: what is known so far.
        config: what was asked for.
        source: whose layers a cut student copies.
        source_name: its name.
    """
    layers = students.parse_layers(config.student, source.config.num_hidden_layers)
    if layers is None and config.student_width:
        raise CrildError(
            "--student-width is for a student that is cut from a larger model, not for one of its own PATH"
        )
    if not config.student_width and (config.student_heads or config.student_weights != DistillConfig.student_weights):
        raise CrildError("--student-heads and --student-weights are for a narrower student: add --student-width")
    copies = config.student_head == "teacher"
    if layers is None:
        tokenizer = loading.load_tokenizer_or_path(config.student, config.trust_remote_code)
        loading.check_same_tokenizer(run.tokenizer, tokenizer, ("teacher", "student"), run.task.train["text"][:20])
        student = fresh_classifier(config.student, "student", run.task, config)
        init = f"weights of {config.student}"
    else:
        student = students.cut(source, layers)
        init = students.describe(layers, f"the pre-trained encoder {source_name}")
        if run.teacher_trained and source is run.teacher:
            init = students.describe(layers, "the fine-tuned teacher")
            run.notes.append("without --base the student, and so the control too, starts from the teacher's own layers")
            copies = config.student_head == "teacher" or (config.student_head == "auto" and not config.student_width)
            if not copies:
                students.renew_head(student, config.seed)
        if config.student_width:
            student = students.narrow(
                student, config.student_width, config.student_heads, config.student_weights, config.seed
            )
            init = f"{config.student_weights} to width {config.student_width}, {init}"
            if config.student_weights == "fresh":
                init = f"fresh weights, {len(layers)} layers of width {config.student_width}"
            else:
                students.renew_head(student, config.seed)
    depth, most = student.config.num_hidden_layers, run.teacher.config.num_hidden_layers
    if depth > most:
        raise CrildError(f"--student {config.student} has {depth} layers, more than the teacher's {most}")
    if copies and not students.copy_head(deepcopy(student), run.teacher):
        raise CrildError("--student-head teacher: the student's head has another shape than the teacher's")
    run.student, run.copies_head = student, copies
    run.student_init = init + (", the teacher's head" if copies else ", fresh head")


def read_supplementary(run: Run, config: DistillConfig) -> None:
    """Fill in the run's supplementary texts, if there are any."""
    if not config.supplementary:
        return
    texts, notes = load_texts(config, config.supplementary)
    run.notes += notes
    held_out = {key for rows in (run.task.selection, *run.task.validation.values()) for key in keys(rows)}
    kept = [i for i, key in enumerate(keys(texts)) if key not in held_out]
    if len(kept) < len(texts):
        run.notes.append(f"{len(texts) - len(kept)} supplementary texts dropped, they are in selection or validation")
        texts = texts.select(kept)
    if not kept:
        raise CrildError(f"{config.supplementary}: every text is in selection or validation")
    run.supplementary = tokenise(texts, run.tokenizer, run.task.max_length, run.needs_words)
    if ("text_pair" in texts.column_names) != ("text_pair" in run.task.train.column_names):
        run.notes.append("supplementary and target data differ in kind: single texts and pairs of texts")


def make_objective(run: Run, config: DistillConfig, method: Method) -> None:
    """Fill in what the method's own term matches; refuse what makes no sense between these two models."""
    assert run.student is not None
    if run.features is None:
        return
    torch.manual_seed(config.seed)  # learned maps are drawn at random
    run.objective = compose(
        run.features,
        config.layer_map or (default_map(config.features, method.layer_map) if config.features else method.layer_map),
        Shape.of(run.student.config),
        Shape.of(run.teacher.config),
        config.relation_heads,
        config.consistency_features,
    )
    if interpolates(config, method) and not run.objective.mixable:
        raise CrildError(
            f"{run.features} looks at the words of one text, which interpolated inputs have not: "
            "use --interpolate false, or other --features"
        )


def interpolates(config: DistillConfig, method: Method) -> bool:
    """Return whether the method's own term runs on interpolated inputs."""
    return method.interpolate if config.interpolate is None else config.interpolate


def plan_distillation(run: Run, config: DistillConfig, method: Method) -> None:
    """Fill in the stages of a distillation."""
    phases = method.phases(config.schedule, run.objective is not None and run.objective.needs_filters)
    recipes = {phase.name: stage_recipe(phase.recipe, config, method) for phase in phases}
    refuse_idle_options(run, config, method, list(recipes.values()))
    if not run.task.labelled and any(recipe.uses_labels for recipe in recipes.values()):
        what = f"method {method.name}" + (f" with features {run.features}" if run.features else "")
        what = "--hard-label-weight" if config.hard_label_weight else f"{what}, {config.schedule} schedule,"
        hint = "; use --schedule two-stage, or method kd" if config.schedule == "paper" else "; use method kd"
        raise CrildError(f"{what} learns from labels, and {config.data} has none{hint}")
    rows = len(run.train)
    joined = rows + (len(run.supplementary) if run.supplementary and config.supplementary_mode == "join" else 0)
    labelled = rows - run.checks.unlabelled
    stages = []
    if not run.teacher_trained:
        stages.append(fine_tuning(config, "teacher", "teacher", labelled))
    if run.objective is not None:
        try_objective(run, interpolates(config, method))
    for phase in phases:
        recipe = recipes[phase.name]
        on_labels = phase.preset_key == "finetune"
        count = labelled if on_labels else joined
        settings = stage_settings(config, phase.preset_key, count)
        if method.released and not on_labels:
            # Padding acts on relations alone, where it is not masked.
            length = run.task.max_length if recipe.intermediate_weight else None
            settings = replace(settings, grouped=False, drop_last=True, pad_to=length)
        if phase.name == "ild" and run.supplementary is not None and config.supplementary_mode == "first":
            more = len(run.supplementary)
            own = replace(settings, epochs=stage_settings(config, "ild", more).epochs)
            stages.append(Stage("supplementary", "supplementary ILD", "student", "supplementary", more, own, recipe))
        on: Literal["labelled", "joined"] = "labelled" if on_labels else "joined"
        stages.append(Stage(phase.name, phase.title, "student", on, count, settings, recipe))
    if config.control and run.task.labelled and method.uses_teacher:
        stages.append(fine_tuning(config, "control", "control", labelled))
    run.stages = stages


def fine_tuning(config: TrainConfig, which: Literal["teacher", "control"], title: str, rows: int) -> Stage:
    """Return the stage that fine-tunes the teacher, or the student without a teacher, on labels."""
    return Stage(which, title, which, "labelled", rows, stage_settings(config, "finetune", rows), Recipe(task=1.0))


def stage_recipe(recipe: Recipe, config: DistillConfig, method: Method) -> Recipe:
    """Return a phase's recipe with the user's choices in it."""
    if recipe.intermediate_weight:
        mixes = interpolates(config, method)
        consistency = method.consistency if config.consistency is None else config.consistency
        recipe = replace(
            recipe,
            interpolate=mixes,
            partners="reversed" if method.released else "neighbour",
            masked=not method.released,
            consistency=consistency if mixes else 0.0,
            ema_decay=config.ema_decay if config.ema else None,
        )
    if recipe.distillation:
        if config.hard_label_weight is not None:
            both = recipe.distillation + recipe.task
            hard = config.hard_label_weight
            recipe = replace(recipe, distillation=(1.0 - hard) * both, task=hard * both)
        if config.temperature is not None:
            recipe = replace(recipe, temperature=config.temperature)
    return recipe


def refuse_idle_options(run: Run, config: DistillConfig, method: Method, recipes: list[Recipe]) -> None:
    """Refuse options that the method would silently ignore."""
    phases = method.phases(config.schedule)
    distils = any(phase.recipe.distillation for phase in phases)
    own_stage = any(phase.name == "ild" for phase in phases)
    mixes = run.objective is not None and interpolates(config, method)
    consistent = any(recipe.consistency for recipe in recipes)
    if any(recipe.mixed_task for recipe in recipes) and not mixes:
        raise CrildError(f"method {method.name}, {config.schedule} schedule, learns labels of interpolated inputs: "
                         "leave --interpolate false out, or use --schedule two-stage")  # fmt: skip
    idle = {
        "--features": bool(config.features) and run.objective is None,
        "--interpolate": bool(config.interpolate) and run.objective is None,
        "--layer-map": bool(config.layer_map) and (run.objective is None or run.objective.layerless),
        "--relation-heads": bool(config.relation_heads)
        and not (run.objective is not None and run.objective.takes_heads),
        "--consistency": bool(config.consistency) and not mixes,
        "--consistency-features": bool(config.consistency_features) and not consistent,
        "--ema-decay": config.ema_decay != DistillConfig.ema_decay and not config.ema,
        "--temperature": config.temperature is not None and (not distils or run.task.kind == "regression"),
        "--supplementary-mode": config.supplementary_mode != DistillConfig.supplementary_mode
        and not config.supplementary,
        "--ema": config.ema and not mixes,
        "--hard-label-weight": bool(config.hard_label_weight) and not distils,
        "--supplementary": bool(config.supplementary) and not method.uses_teacher,
        "--supplementary-mode first": bool(config.supplementary)
        and method.uses_teacher
        and not own_stage
        and config.supplementary_mode == "first",
    }
    if config.ema and mixes and not consistent:
        run.notes.append("--ema has no effect without the consistency term")
    if config.schedule == "paper" and method.paper is None:
        run.notes.append(f"the paper schedule of {method.name} is its two-stage schedule")
    for option, ignored in idle.items():
        if ignored:
            hint = "; use --supplementary-mode join" if option.endswith("first") else ""
            raise CrildError(f"{option} would do nothing with method {method.name} and these options{hint}")


def try_objective(run: Run, mixes: bool) -> None:
    """Compare two texts once, so that what cannot be read or compared is refused before training."""
    assert run.student is not None
    assert run.objective is not None
    rows = [run.train[i] for i in range(min(2, len(run.train)))]
    batch = Collator(run.tokenizer)(rows)
    mixing = Mixing.of("neighbour", 0.5, len(rows)) if mixes else None
    needs, run.objective = run.objective.needs, run.objective.eval()
    run.student.eval()
    ours = capture(run.student, batch, needs, run.objective.layers("student"), mixing)
    with evaluation_mode(run.teacher):
        theirs = capture(run.teacher, batch, needs, run.objective.layers("teacher"), mixing)
    try:
        terms = run.objective(ours, replace(theirs, words=batch.get("words")))
    except CrildError:
        raise
    except Exception as error:  # a user's own objective; ours are tested
        raise CrildError(f"features {run.features!r} failed: {type(error).__name__}: {error}") from None
    if still := [name for name, (total, _) in terms.items() if not total.requires_grad]:
        raise CrildError(f"features {run.features!r}: {still[0]} does not depend on the student: it has no gradient")


def check_teacher(run: Run, alignment: Alignment | None) -> None:
    """Score a given teacher before any training; refuse one whose labels are probably in another order."""
    name = next(iter(run.validation))
    reference = reference_for(run, name)
    if reference.metric == AGREEMENT:
        name, reference = "selection", reference_for(run, "selection")
    if reference.metric == AGREEMENT:
        return
    output = to_output(teacher_logits(run, name))[reference.rows]
    say(f"the teacher scores {reference.measure(reference.truth, output):.4f} ({reference.metric}) on {name}")
    if run.task.kind != "classification":
        return
    right = float(np.mean(output == reference.truth))
    majority = float(np.unique(reference.truth, return_counts=True)[1].max() / len(reference.truth))
    if right < majority:
        shares = f"accuracy {right:.3f}, most frequent label {majority:.3f}"
        if alignment is not None and alignment.by_index:
            raise CrildError(
                f"{REFUSED} ({shares}), and labels were matched by position: probably their order differs; "
                "say which is which with --label-map old=new,..."
            )
        run.notes.append(f"{REFUSED} ({shares})")


def teacher_logits(run: Run, name: str) -> np.ndarray:
    """Return the finished teacher's logits on a split (``selection`` or a validation split), computed once."""
    if name not in run.teacher_logits:
        run.teacher_logits[name] = predict(run.teacher, run.split(name), run.tokenizer)
    return run.teacher_logits[name]


def reference_for(run: Run, name: str) -> Reference:
    """Return what to score a split against: labels where it has any, else the teacher's outputs."""
    labels = list(run.split(name)["labels"])
    known = np.array([i for i, label in enumerate(labels) if label is not None], dtype=int)
    if len(known):
        measure = find_metric(run.task.metric, run.task.kind, max(1, len(run.task.names)), run.task.positive)
        return Reference(known, np.array([labels[i] for i in known]), measure, run.task.metric, run.task.positive)
    truth = to_output(teacher_logits(run, name))
    metric = run.config.metric or default_metric(run.task.kind)
    measure = find_metric(metric, run.task.kind, max(1, len(run.task.names)))
    return Reference(np.arange(len(truth)), truth, measure, AGREEMENT)


def estimate_minutes(run: Run) -> float:
    """Return about how many minutes the planned stages take, from two timed steps of each model."""
    rows = run.train.select(range(min(32, len(run.train))))
    device = run.teacher.device
    batch = {k: x.to(device) for k, x in Collator(run.tokenizer)([rows[i] for i in range(len(rows))]).items()}

    def per_row(model: PreTrainedModel) -> tuple[float, float]:
        model = deepcopy(model).train()
        best_forward, best_both = float("inf"), float("inf")
        for _ in range(3):
            start = time.perf_counter()
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=run.precision == "bf16"):
                loss = model(**model_inputs(batch, model)).logits.float().square().sum()
            loss.item()  # waits for the device
            middle = time.perf_counter()
            loss.backward()
            float(next(p.grad for p in model.parameters() if p.grad is not None).sum())
            best_forward = min(best_forward, middle - start)
            best_both = min(best_both, time.perf_counter() - start)
        return best_forward / len(rows), best_both / len(rows)

    teacher_forward, teacher_step = per_row(run.teacher)
    forward, step = per_row(run.student) if run.student is not None else (0.0, 0.0)
    mean_length = float(np.mean(run.train["length"]))
    seconds = 0.0
    for stage in run.stages:
        recipe, settings = stage.recipe, stage.settings
        each = teacher_step if stage.trains == "teacher" else step
        if recipe.filters:
            each = forward + teacher_forward
        if recipe.intermediate_weight:
            each += (
                teacher_forward
                + forward * bool(recipe.consistency)
                + step * (recipe.interpolate and recipe.uses_logits)
            )
        each *= (settings.pad_to or mean_length) / mean_length
        rounds = 1 - (-stage.steps // settings.steps_per_epoch(stage.rows))
        evaluations = rounds * len(run.selection) * (forward or teacher_forward)
        once = stage.rows * teacher_forward if recipe.distillation else 0.0
        seconds += stage.steps * settings.batch_size * each + evaluations + once
    scoring = sum(len(rows) for rows in run.validation.values()) * (teacher_forward + 2 * forward)
    return (1.1 * seconds + scoring) / 60


def announce(run: Run, timed: bool = True) -> None:
    """Print what the data holds and what will run; ``timed``: also about how long, from some steps."""
    checks = run.checks
    counts = ", ".join(f"{name} {count}" for name, count in checks.labels.items()) or "numbers"
    unlabelled = f", {checks.unlabelled} without a label" if checks.unlabelled else ""
    say(f"task {run.task.name} ({run.task.metric}): {len(run.train)} training rows ({counts}{unlabelled}), "
        f"{len(run.selection)} for selection, {len(next(iter(run.validation.values())))} for validation")  # fmt: skip
    say(
        f"texts cut to {run.task.max_length} tokens: {checks.truncated:.1%}; "
        f"validation rows also in train: {checks.shared}"
    )
    for note in run.notes:
        warn(note)
    if run.student is not None:
        say(f"student: {run.student_init}")
    plan = ", ".join(f"{stage.title} {stage.steps} steps" for stage in run.stages)
    if timed:
        run.minutes = estimate_minutes(run)
        plan += f"; about {max(run.minutes, 0.1):.1f} minutes"
    say(f"plan: {plan} ({run.config.preset} preset, {run.precision})")
