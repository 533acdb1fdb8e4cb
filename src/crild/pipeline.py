"""`distill` and `finetune`: from names to a finished run directory.

Everything that can go wrong for a foreseeable reason goes wrong in `prepare`, which writes nothing. `execute` then
runs the stages (teacher, supplementary, ILD, KD, control), each of which resumes where it was.
"""

import json
import time
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from crild.config import (
    DistillConfig,
    FinetuneConfig,
    StageSettings,
    TrainConfig,
    as_dict,
    build,
    stage_settings,
)
from crild.console import StageProgress, quiet_libraries, say, warn
from crild.data.labels import Alignment, align_labels, parse_label_map
from crild.data.task import Task, join, load_task, load_texts
from crild.data.tokenise import Checks, check_data, tokenise
from crild.distiller import Distiller, Recipe, model_inputs
from crild.errors import CrildError
from crild.evaluation import (
    Measure,
    all_scores,
    bootstrap_interval,
    bytes_on_disk,
    default_metric,
    find_metric,
    latencies,
    parameters,
    predict,
    to_output,
)
from crild.layers import layer_map
from crild.methods import Method, build_objective, find_method
from crild.models import loading, students
from crild.report.card import write_card
from crild.rundir import (
    RESULT,
    cached_array,
    check_output,
    fingerprint,
    load_weights,
    save_weights,
    start_run,
    write_folder,
    write_whole,
)
from crild.trainer import DistillationTrainer

AGREEMENT = "agreement"
REFUSED = "the teacher scores below always guessing the most frequent label"


@dataclass(frozen=True)
class Reference:
    """What a split is scored against: its labels, or (where it has none) the teacher's own outputs."""

    rows: np.ndarray
    truth: np.ndarray
    measure: Measure
    metric: str

    def score(self, logits: np.ndarray) -> float:
        """Return the score of logits on the whole split."""
        return self.measure(self.truth, to_output(logits)[self.rows])

    def report(self, logits: np.ndarray) -> dict[str, Any]:
        """Return score, 95 % bootstrap interval over rows, and every metric that applies."""
        output = to_output(logits)[self.rows]
        return {
            "score": self.measure(self.truth, output),
            "interval": list(bootstrap_interval(self.measure, self.truth, output)),
            "scores": all_scores(self.truth, logits[self.rows]),
        }


@dataclass
class Stage:
    """One planned stage."""

    name: str
    title: str
    rows: int
    settings: StageSettings

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
    train: Dataset
    selection: Dataset
    validation: dict[str, Dataset]
    checks: Checks
    precision: str
    teacher: PreTrainedModel
    teacher_name: str
    teacher_trained: bool
    stages: list[Stage]
    notes: list[str] = field(default_factory=list)
    supplementary: Dataset | None = None
    method: Method | None = None
    student: PreTrainedModel | None = None
    student_init: str = ""
    minutes: float = 0.0

    def stage(self, name: str) -> Stage | None:
        """Return a planned stage, or ``None``."""
        return next((stage for stage in self.stages if stage.name == name), None)


# ---- preparing: read, check, refuse ----


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
    """Return what makes a run this run: all options but where it is written."""
    return {name: value for name, value in as_dict(config).items() if name != "output"}


def prepare(config: DistillConfig | FinetuneConfig) -> Run:
    """Read and check everything that a run needs; write nothing.

    Raises:
        CrildError: the run cannot work; the message says why.
    """
    quiet_libraries()
    config = resolve(config)  # type: ignore[assignment]
    distilling = isinstance(config, DistillConfig)
    folder = check_output(config.output, identity(config))
    method = find_method(config.method) if isinstance(config, DistillConfig) else None
    label_map = parse_label_map(config.label_map)
    given = config.teacher if isinstance(config, DistillConfig) else None
    start = given or config.base
    if start is None:
        raise CrildError(
            "--teacher is missing: a fine-tuned classifier, or an encoder to fine-tune first"
            if distilling
            else "--base is missing: a pre-trained encoder"
        )
    role = "teacher" if given else "base"
    trust = config.trust_remote_code
    model_config = loading.load_config(start, role, trust)
    trained = False
    if distilling:
        model, trained = loading.load_model(start, role, trust_remote_code=trust)
        model_config = model.config
    kind = "auto"
    if trained:
        kind = "regression" if model_config.num_labels == 1 else "classification"
    task = load_task(config, kind)
    notes = list(task.notes)
    tokenizer = loading.load_tokenizer(start, role, trust)
    alignment = None
    if trained:
        if task.kind == "classification" and task.labelled:
            alignment = align_labels(task.names, task.generic, loading.label_names(model_config), label_map)
            if alignment.note:
                notes.append(alignment.note)
            task = realign(task, alignment, loading.label_names(model_config))
        elif task.kind == "classification":
            task.names = loading.label_names(model_config)
        teacher = model
        if model_config.num_labels > 1 and len(task.names) != model_config.num_labels:
            task.names = loading.label_names(model_config)
    else:
        if not task.labelled:
            raise CrildError(f"{config.data} has no labels, which fine-tuning needs; give a fine-tuned --teacher")
        task = rename_labels(task, label_map)
        teacher = fresh_classifier(start, role, task, config)
    check_metric(task)

    source_name, source = (start, teacher)
    if config.base and config.base != start:
        base_tokenizer = loading.load_tokenizer(config.base, "base", trust)
        loading.check_same_tokenizer(tokenizer, base_tokenizer, (role, "base"), task.train["text"][:20])
        source_name, source = config.base, fresh_classifier(config.base, "base", task, config)
    limit = min(task.max_length, longest(teacher), longest(source))
    if limit < task.max_length:
        notes.append(f"maximum length {task.max_length} is more than the model's; {limit} is used")
        task.max_length = limit
    student, init = None, ""
    if isinstance(config, DistillConfig):
        student, init = make_student(config, task, teacher, trained, source, source_name, tokenizer)
    train = tokenise(task.train, tokenizer, task.max_length)
    run = Run(
        config=config,
        folder=folder,
        task=task,
        tokenizer=tokenizer,
        train=train,
        selection=tokenise(task.selection, tokenizer, task.max_length),
        validation={name: tokenise(rows, tokenizer, task.max_length) for name, rows in task.validation.items()},
        checks=check_data(task, train),
        precision=config.precision,
        teacher=teacher,
        teacher_name=start,
        teacher_trained=trained,
        stages=[],
        notes=notes,
        method=method,
        student=student,
        student_init=init,
    )
    if isinstance(config, DistillConfig) and config.supplementary:
        texts, more = load_texts(config, config.supplementary)
        run.notes += more
        run.supplementary = tokenise(texts, tokenizer, task.max_length)
        if ("text_pair" in texts.column_names) != ("text_pair" in task.train.column_names):
            run.notes.append("supplementary and target data differ in kind (single texts and pairs)")
    if isinstance(config, DistillConfig) and method is not None:
        plan_distillation(run, config, method)
    else:
        run.stages = [Stage("teacher", "fine-tuning", len(train), stage_settings(config, "finetune", len(train)))]
    if trained:
        check_teacher(run, alignment)
    return run


def longest(model: PreTrainedModel) -> int:
    """Return the most tokens that a model takes (RoBERTa and its kin keep two positions for themselves)."""
    most = getattr(model.config, "max_position_embeddings", None) or 10**6
    offset = 2 if model.config.model_type in ("roberta", "xlm-roberta", "camembert", "mpnet") else 0
    return most - offset


def fresh_classifier(name: str, role: str, task: Task, config: TrainConfig) -> PreTrainedModel:
    """Load an encoder with a fresh head for the task; the head depends on the seed alone."""
    torch.manual_seed(config.seed)
    outputs = 1 if task.kind == "regression" else len(task.names)
    return loading.load_model(name, role, task.names, outputs, config.trust_remote_code)[0]


def realign(task: Task, alignment: Alignment, names: list[str]) -> Task:
    """Return the task with its labels as the teacher's indices and names."""

    def move(rows: Dataset) -> Dataset:
        moved = [None if v is None else float(alignment.index[int(v)]) for v in rows["labels"]]
        return rows.remove_columns("labels").add_column("labels", moved)

    return replace(
        task,
        names=names,
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


def check_metric(task: Task) -> None:
    """Refuse a metric that the task cannot have."""
    find_metric(task.metric, task.kind, max(1, len(task.names)))


def make_student(
    config: DistillConfig,
    task: Task,
    teacher: PreTrainedModel,
    trained: bool,
    source: PreTrainedModel,
    source_name: str,
    tokenizer: PreTrainedTokenizerBase,
) -> tuple[PreTrainedModel, str]:
    """Return the student with a head of its own, and one line on where its weights come from."""
    depth = source.config.num_hidden_layers
    layers = students.parse_layers(config.student, depth)
    most = teacher.config.num_hidden_layers
    if layers is None:
        student_tokenizer = loading.load_tokenizer_or_path(config.student, config.trust_remote_code)
        loading.check_same_tokenizer(tokenizer, student_tokenizer, ("teacher", "student"), task.train["text"][:20])
        student = fresh_classifier(config.student, "student", task, config)
        if student.config.num_hidden_layers > most:
            raise CrildError(
                f"--student {config.student} has {student.config.num_hidden_layers} layers, more than the teacher's {most}"
            )
        return student, f"weights of {Path(config.student).name or config.student}, fresh head"
    if len(layers) > most:
        raise CrildError(f"--student {config.student}: {len(layers)} layers are more than the teacher's {most}")
    from_teacher = trained and source is teacher
    student = students.cut(source, layers)
    kind = "the fine-tuned teacher" if from_teacher else "the pre-trained"
    head = ", head copied" if from_teacher else ", fresh head"
    return student, students.describe(layers, source_name, kind) + head


def plan_distillation(run: Run, config: DistillConfig, method: Method) -> None:
    """Fill in the stages of a distillation, and check objective and layer map against the models."""
    assert run.student is not None
    if not method.uses_teacher and not run.task.labelled:
        raise CrildError(f"method {method.name} learns from labels, and {config.data} has none")
    rows = len(run.train)
    joined = rows + (len(run.supplementary) if run.supplementary and config.supplementary_mode == "join" else 0)
    labelled = rows - run.checks.unlabelled
    stages = []
    if not run.teacher_trained:
        stages.append(Stage("teacher", "teacher", labelled, stage_settings(config, "finetune", labelled)))
    features = config.features or method.features
    if method.features is not None and features is not None:
        build_objective(features, run.student.config, run.teacher.config, config.relation_heads)
        pairs_of(run)
        if run.supplementary is not None and config.supplementary_mode == "first":
            more = len(run.supplementary)
            stages.append(Stage("supplementary", "supplementary ILD", more, stage_settings(config, "ild", more)))
        stages.append(Stage("ild", "ILD", joined, stage_settings(config, "ild", joined)))
    elif config.features or config.layer_map:
        raise CrildError(
            f"method {method.name} matches no intermediate layers; --features and --layer-map need one that does"
        )
    if method.uses_teacher:
        stages.append(Stage("kd", "KD", joined, stage_settings(config, "kd", joined)))
    else:
        stages.append(Stage("student", "student", labelled, stage_settings(config, "finetune", labelled)))
    if config.control and run.task.labelled:
        stages.append(Stage("control", "control", labelled, stage_settings(config, "finetune", labelled)))
    run.stages = stages


def pairs_of(run: Run) -> Any:
    """Return the layer pairs of the run's method."""
    config, method, student = run.config, run.method, run.student
    assert isinstance(config, DistillConfig)
    assert method is not None
    assert student is not None
    return layer_map(
        config.layer_map or method.layer_map,
        run.teacher.config.num_hidden_layers,
        student.config.num_hidden_layers,
    )


def check_teacher(run: Run, alignment: Alignment | None) -> None:
    """Score a given teacher before any training; refuse one whose labels are probably in another order."""
    name, rows = next(iter(run.validation.items()))
    reference = reference_for(run, rows)
    if reference.metric == AGREEMENT:
        return
    output = to_output(predict(run.teacher, rows, run.tokenizer))[reference.rows]
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


def reference_for(run: Run, rows: Dataset) -> Reference:
    """Return what to score a split against: labels where it has any, else the teacher's outputs."""
    labels = list(rows["labels"])
    known = np.array([i for i, label in enumerate(labels) if label is not None], dtype=int)
    if len(known):
        measure = find_metric(run.task.metric, run.task.kind, max(1, len(run.task.names)))
        return Reference(known, np.array([labels[i] for i in known]), measure, run.task.metric)
    truth = to_output(predict(run.teacher, rows, run.tokenizer))
    measure = find_metric(default_metric(run.task.kind), run.task.kind, max(1, len(run.task.names)))
    return Reference(np.arange(len(rows)), truth, measure, AGREEMENT)


# ---- executing: stages, each of which resumes ----


def train_stage(
    run: Run,
    stage: Stage,
    student: PreTrainedModel,
    recipe: Recipe,
    rows: Dataset,
    held_out: Dataset,
    reference: Reference | None,
) -> None:
    """Train ``student`` in place through one stage, from where an earlier call was killed; or load its result."""
    folder = run.folder / "stages" / stage.name
    weights = folder / "model.safetensors"
    if (folder / "done.json").exists():
        say(f"{stage.title}: finished before")
        load_weights(weights, student)
        return
    folder.mkdir(parents=True, exist_ok=True)
    objective = None
    if recipe.features and isinstance(run.config, DistillConfig) and run.method is not None:
        torch.manual_seed(run.config.seed)  # a width map is drawn at random
        features = run.config.features or run.method.features
        assert features is not None
        objective = build_objective(features, student.config, run.teacher.config, run.config.relation_heads)
    student.requires_grad_(True)
    trainer = DistillationTrainer(
        Distiller(student, recipe, run.teacher if recipe.features else None, objective),
        rows,
        held_out,
        run.tokenizer,
        stage.settings,
        folder,
        stage.name,
        run.config.seed,
        score=reference.score if reference is not None else None,
        precision=run.precision,
        callbacks=[StageProgress(stage.title)],
    )
    say(f"{stage.title}: {stage.rows} rows, {stage.steps} steps")
    trainer.run()
    student.requires_grad_(True).eval().to("cpu")
    save_weights(weights, student)
    trainer.remove_checkpoints()
    write_whole(
        folder / "done.json",
        json.dumps({"steps": stage.steps, "best_score": trainer.state.best_metric}) + "\n",
    )


def labelled_rows(rows: Dataset) -> Dataset:
    """Return the rows that have a label."""
    return rows.select([i for i, label in enumerate(rows["labels"]) if label is not None])


def with_teacher_logits(run: Run, rows: Dataset) -> Dataset:
    """Return the rows with the column ``teacher_logits``, computed once and kept in the run directory."""
    name = fingerprint(run.teacher, list(rows["input_ids"]), run.precision)
    path = run.folder / "cache" / f"teacher-logits-{name[:16]}.safetensors"
    logits = cached_array(path, lambda: predict(run.teacher, rows, run.tokenizer, precision=run.precision))
    return rows.add_column("teacher_logits", logits.tolist())


def joined_rows(run: Run) -> Dataset:
    """Return the training rows, with the supplementary ones beside them where the run says so."""
    config = run.config
    if isinstance(config, DistillConfig) and run.supplementary is not None and config.supplementary_mode == "join":
        return join(run.train, run.supplementary)
    return run.train


def execute(run: Run) -> dict[str, Any]:
    """Run all stages, write the run directory, and return ``result.json``'s contents."""
    if (run.folder / RESULT).exists():
        say(f"{run.folder} holds this run, finished; here is its result")
        return json.loads((run.folder / RESULT).read_text(encoding="utf-8"))
    began = time.time()
    start_run(run.folder, identity(run.config), {"seed": run.config.seed, "data_seed": run.config.data_seed})
    if stage := run.stage("teacher"):
        rows = labelled_rows(run.train)
        train_stage(run, stage, run.teacher, Recipe(task=1.0), rows, run.selection, reference_for(run, run.selection))
        save_model(run, run.teacher, run.folder / "teacher")
    run.teacher.eval()
    result = distil_student(run) if run.student is not None else finetuned_result(run)
    result["minutes"] = round((time.time() - began) / 60, 2)
    write_whole(run.folder / RESULT, json.dumps(result, indent=2) + "\n")
    return result


def distil_student(run: Run) -> dict[str, Any]:
    """Run the stages after the teacher's, and measure."""
    config, method, student = run.config, run.method, run.student
    assert isinstance(config, DistillConfig)
    assert method is not None
    assert student is not None
    selection = reference_for(run, run.selection)
    control = deepcopy(student) if run.stage("control") else None
    if config.student_head == "teacher" or (config.student_head == "auto" and method.features == "unused"):
        students.copy_head(student, run.teacher)
    consistency = method.consistency if config.consistency is None else config.consistency
    recipe = Recipe(
        features=1.0,
        pairs=pairs_of(run) if method.features else (),
        interpolate=method.interpolate,
        consistency=consistency if method.interpolate else 0.0,
        ema_decay=config.ema_decay if config.ema else None,
    )
    if (stage := run.stage("supplementary")) and run.supplementary is not None:
        train_stage(run, stage, student, recipe, run.supplementary, run.selection, None)
    if stage := run.stage("ild"):
        train_stage(run, stage, student, recipe, joined_rows(run), run.selection, None)
    if stage := run.stage("kd"):
        rows, held_out = with_teacher_logits(run, joined_rows(run)), with_teacher_logits(run, run.selection)
        hard = config.hard_label_weight
        recipe = Recipe(distillation=1.0 - hard, task=hard, temperature=config.temperature)
        train_stage(run, stage, student, recipe, rows, held_out, selection)
    if stage := run.stage("student"):
        train_stage(run, stage, student, Recipe(task=1.0), labelled_rows(run.train), run.selection, selection)
    if control is not None and (stage := run.stage("control")):
        train_stage(run, stage, control, Recipe(task=1.0), labelled_rows(run.train), run.selection, selection)
    return measure(run, student, control, selection)


def save_model(run: Run, model: PreTrainedModel, folder: Path, fill: Any = None) -> None:
    """Save a model with label names and tokenizer, so that plain `from_pretrained` loads and cuts text alike."""
    if (folder / "config.json").exists() and fill is None:
        return
    students.name_labels(model, run.task.names, int(model.config.num_labels or 1))
    tokenizer = deepcopy(run.tokenizer)
    tokenizer.model_max_length = run.task.max_length

    def write(path: Path) -> None:
        model.save_pretrained(path)
        tokenizer.save_pretrained(path)
        if fill is not None:
            fill(path)

    write_folder(folder, write)


def base_result(run: Run) -> dict[str, Any]:
    """Return what every result says about task and data."""
    return {
        "task": run.task.name,
        "kind": run.task.kind,
        "metric": next(iter(references(run).values())).metric,
        "labels": run.task.names,
        "max_length": run.task.max_length,
        "rows": {
            "train": len(run.train),
            "labelled": len(run.train) - run.checks.unlabelled,
            "supplementary": len(run.supplementary) if run.supplementary else 0,
            "selection": len(run.selection),
            "validation": len(next(iter(run.validation.values()))),
        },
        "seed": run.config.seed,
        "notes": run.notes,
    }


def references(run: Run) -> dict[str, Reference]:
    """Return what each validation split is scored against."""
    return {name: reference_for(run, rows) for name, rows in run.validation.items()}


def scored(run: Run, model: PreTrainedModel, targets: dict[str, Reference]) -> dict[str, Any]:
    """Return a model's score on the first validation split, and on the others under their names."""
    reports = {name: targets[name].report(predict(model, rows, run.tokenizer)) for name, rows in run.validation.items()}
    first, *others = reports
    return reports[first] | ({"also": {name: reports[name] for name in others}} if others else {})


def measure(
    run: Run, student: PreTrainedModel, control: PreTrainedModel | None, selection: Reference
) -> dict[str, Any]:
    """Score teacher, control and student, measure their cost side by side, and save the student."""
    config = run.config
    assert isinstance(config, DistillConfig)
    targets = references(run)
    rows = next(iter(run.validation.values()))
    seconds = latencies([run.teacher, student], rows, run.tokenizer)
    teacher_files = run.folder / "teacher" if run.stage("teacher") else Path(run.teacher_name)
    result = base_result(run) | {"method": config.method, "student_spec": config.student}
    result["teacher"] = scored(run, run.teacher, targets) | {
        "parameters": parameters(run.teacher),
        "layers": run.teacher.config.num_hidden_layers,
        "bytes": bytes_on_disk(teacher_files) or 4 * parameters(run.teacher),
        "latency_ms": seconds[0] * 1000,
        "path": str(teacher_files),
        "fine_tuned_here": run.stage("teacher") is not None,
    }
    result["control"] = None
    if control is not None:
        result["control"] = scored(run, control, targets) | {"path": str(run.folder / "control")}
        save_model(run, control, run.folder / "control")
    result["student"] = scored(run, student, targets) | {
        "parameters": parameters(student),
        "layers": student.config.num_hidden_layers,
        "init": run.student_init,
        "latency_ms": seconds[1] * 1000,
        "path": str(run.folder / "student"),
    }
    result["selection"] = {
        "score": selection.score(predict(student, run.selection, run.tokenizer)),
        "metric": selection.metric,
    }
    save_model(run, student, run.folder / "student", fill=lambda path: write_card(path, result))
    result["student"]["bytes"] = bytes_on_disk(run.folder / "student")
    return result


def finetuned_result(run: Run) -> dict[str, Any]:
    """Return the result of `finetune`."""
    selection = reference_for(run, run.selection)
    score = selection.score(predict(run.teacher, run.selection, run.tokenizer))
    return base_result(run) | {
        "teacher": scored(run, run.teacher, references(run))
        | {"parameters": parameters(run.teacher), "path": str(run.folder / "teacher")},
        "selection": {"score": score, "metric": selection.metric},
    }


# ---- an estimate of the time ----


def estimate_minutes(run: Run) -> float:
    """Return about how many minutes the planned stages take, from two timed steps of each model."""
    rows = run.train.select(range(min(32, len(run.train))))
    from crild.data.batching import Collator

    batch = Collator(run.tokenizer)([rows[i] for i in range(len(rows))])

    def per_row(model: PreTrainedModel) -> tuple[float, float]:
        model = deepcopy(model).train()
        best_forward, best_both = float("inf"), float("inf")
        for _ in range(2):
            start = time.perf_counter()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=run.precision == "bf16"):
                loss = model(**model_inputs(batch)).logits.float().square().sum()
            middle = time.perf_counter()
            loss.backward()
            best_forward = min(best_forward, middle - start)
            best_both = min(best_both, time.perf_counter() - start)
        return best_forward / len(rows), best_both / len(rows)

    teacher_forward, teacher_step = per_row(run.teacher)
    forward, step = per_row(run.student) if run.student is not None else (0.0, 0.0)
    seconds = 0.0
    for stage in run.stages:
        shown = stage.steps * stage.settings.batch_size
        cost = {"teacher": teacher_step, "ild": step + forward + teacher_forward, "kd": step}
        each = cost.get({"supplementary": "ild"}.get(stage.name, stage.name), step)
        evaluations = stage.settings.epochs * len(run.selection) * (forward or teacher_forward)
        once = stage.rows * teacher_forward if stage.name == "kd" else 0.0
        seconds += shown * each + evaluations + once
    scoring = sum(len(rows) for rows in run.validation.values()) * (teacher_forward + 2 * forward)
    return (1.1 * seconds + scoring) / 60


# ---- the Python API ----


def distill(config: DistillConfig | None = None, **options: Any) -> dict[str, Any]:
    """Distil a teacher into a student; write a run directory.

    Args:
        config: a whole configuration; or
        options: the fields of `DistillConfig`, for instance ``teacher="./my-bert", data="tweets.csv", student=3,
            method="cr-ild", output="runs/tweets"``.

    Returns:
        The contents of ``result.json``: scores of teacher, control (the student without a teacher) and student.

    Raises:
        CrildError: the run cannot work; nothing was written.

    Example:
        >>> result = crild.distill(teacher="./my-bert", data="tweets.csv", student=3, output="runs/tweets")
        >>> result["student"]["score"] / result["teacher"]["score"]
    """
    return start(config or build(DistillConfig, options))


def finetune(config: FinetuneConfig | None = None, **options: Any) -> dict[str, Any]:
    """Fine-tune an encoder on a task; write a run directory with ``teacher/``.

    Args:
        config: a whole configuration; or
        options: the fields of `FinetuneConfig`, for instance ``base="./encoder", data="tweets.csv", output="runs/t"``.

    Returns:
        The contents of ``result.json``.

    Raises:
        CrildError: the run cannot work; nothing was written.
    """
    return start(config or build(FinetuneConfig, options))


def start(config: DistillConfig | FinetuneConfig) -> dict[str, Any]:
    """Prepare a run, tell what it will do, and execute it."""
    run = prepare(config)
    announce(run)
    return execute(run)


def announce(run: Run) -> None:
    """Print what the data holds and what will run."""
    checks = run.checks
    counts = ", ".join(f"{name} {count}" for name, count in checks.labels.items()) or "numbers"
    unlabelled = f", {checks.unlabelled} without a label" if checks.unlabelled else ""
    say(f"task {run.task.name} ({run.task.metric}): {len(run.train)} training rows ({counts}{unlabelled}), "
        f"{len(run.selection)} for selection, {len(next(iter(run.validation.values())))} for validation")  # fmt: skip
    say(
        f"texts cut to {run.task.max_length} tokens: {checks.truncated:.1%}; validation rows also in train: {checks.shared}"
    )
    for note in run.notes:
        warn(note)
    if run.student is not None:
        say(f"student: {run.student_init}")
    run.minutes = estimate_minutes(run)
    plan = ", ".join(f"{stage.title} {stage.steps} steps" for stage in run.stages)
    say(f"plan: {plan}; about {max(run.minutes, 0.1):.1f} minutes ({run.config.preset} preset, {run.precision})")
