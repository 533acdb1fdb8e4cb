"""`distill` and `finetune`: from names to a finished run directory.

`prepare` (see `crild.preparation`) reads and checks; `execute` runs the stages (teacher, supplementary, ILD, KD,
control), each of which resumes where it was, then scores and saves.
"""

import json
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, concatenate_datasets
from transformers import PreTrainedModel

from crild.config import DistillConfig, FinetuneConfig, configure
from crild.console import StageProgress, say
from crild.data.batching import input_names
from crild.inference import bytes_on_disk, latencies, parameters, predict
from crild.models import students
from crild.preparation import (
    Reference,
    Run,
    Stage,
    announce,
    identity,
    prepare,
    reference_for,
    teacher_logits,
)
from crild.report.card import write_card
from crild.rundir import (
    RESULT,
    cached_array,
    fingerprint,
    load_weights,
    save_weights,
    start_run,
    write_folder,
    write_whole,
)
from crild.training.distiller import Distiller
from crild.training.trainer import DistillationTrainer


def train_stage(run: Run, stage: Stage, model: PreTrainedModel) -> None:
    """Train ``model`` in place through one stage, from where an earlier call was killed; or load its result.

    The objective's state (learned maps, masses, filters) goes on from stage to stage, beside the student and apart
    from it.
    """
    folder = run.folder / "stages" / stage.name
    weights, state = folder / "model.safetensors", folder / "objective.safetensors"
    recipe = stage.recipe
    objective = run.objective if recipe.uses_objective else None
    if (folder / "done.json").exists():
        say(f"{stage.title}: finished before")
        load_weights(weights, model)
        if objective is not None and state.exists():
            load_weights(state, objective)
        return
    folder.mkdir(parents=True, exist_ok=True)
    rows, held_out = stage_rows(run, stage), run.selection
    if recipe.distillation and stage.steps >= stage.settings.steps_per_epoch(len(rows)):  # else most were for nothing
        rows, held_out = with_teacher_logits(run, rows), with_teacher_logits(run, held_out)
    model.requires_grad_(True)
    needs_teacher = recipe.uses_objective or recipe.distillation
    trainer = DistillationTrainer(
        Distiller(model, recipe, run.teacher if needs_teacher else None, objective),
        rows,
        held_out,
        run.tokenizer,
        stage.settings,
        folder,
        stage.name,
        run.config.seed,
        score=reference_for(run, "selection").score if recipe.uses_logits else None,
        watch=watch_validation(run) if recipe.uses_logits and stage.trains == "student" else None,
        precision=run.precision,
        callbacks=[StageProgress(stage.title)],
    )
    say(f"{stage.title}: {stage.rows} rows, {stage.steps} steps")
    if done := trainer.steps_done():
        say(f"{stage.title}: resuming from step {done} of {stage.steps}")
    trainer.run()
    model.requires_grad_(True).eval()
    if objective is not None and objective.state_dict():
        save_weights(state, objective)
    save_weights(weights, model)
    write_whole(
        folder / "done.json",
        json.dumps({"steps": stage.steps}) + "\n",
    )
    trainer.remove_checkpoints()


def watch_validation(run: Run) -> Callable[[PreTrainedModel], float] | None:
    """Return how the validation score is followed in training, if it is to be."""
    if not (isinstance(run.config, DistillConfig) and run.config.track_validation):
        return None
    name, reference = next(iter(references(run).items()))
    return lambda model: reference.score(predict(model, run.split(name), run.tokenizer))


def best_validation(run: Run) -> float | None:
    """Return the best validation score of all evaluations of the student's last stage, where they were followed."""
    stage = [stage for stage in run.stages if stage.trains == "student"][-1]
    lines = (run.folder / "stages" / stage.name / "history.jsonl").read_text().splitlines()
    return max((entry["validation"] for entry in map(json.loads, lines) if "validation" in entry), default=None)


def stage_rows(run: Run, stage: Stage) -> Dataset:
    """Return the rows that a stage trains on."""
    if stage.on == "labelled":
        return labelled_rows(run.train)
    if stage.on == "supplementary":
        assert run.supplementary is not None
        return run.supplementary
    return joined_rows(run)


def labelled_rows(rows: Dataset) -> Dataset:
    """Return the rows that have a label."""
    return rows.select([i for i, label in enumerate(rows["labels"]) if label is not None])


def with_teacher_logits(run: Run, rows: Dataset) -> Dataset:
    """Return the rows with the column ``teacher_logits``, computed once and kept in the run directory."""
    name = fingerprint(run.teacher, list(rows["input_ids"]), run.precision)
    shared = run.config.cache if isinstance(run.config, DistillConfig) else None
    path = Path(shared or run.folder / "cache") / f"teacher-logits-{name[:16]}.safetensors"
    logits = cached_array(path, lambda: predict(run.teacher, rows, run.tokenizer, precision=run.precision))
    return rows.add_column("teacher_logits", logits.tolist())


def joined_rows(run: Run) -> Dataset:
    """Return the training rows, with the supplementary ones beside them where the run says so."""
    config = run.config
    if isinstance(config, DistillConfig) and run.supplementary is not None and config.supplementary_mode == "join":
        return concatenate_datasets([run.train, run.supplementary.cast(run.train.features)])
    return run.train


def execute(run: Run) -> dict[str, Any]:
    """Run all stages, write the run directory, and return ``result.json``'s contents."""
    if (run.folder / RESULT).exists():
        say(f"{run.folder} holds this run, finished; here is its result")
        return json.loads((run.folder / RESULT).read_text(encoding="utf-8"))
    began = time.time()
    start_run(run.folder, identity(run.config), {"seed": run.config.seed, "data_seed": run.config.data_seed})
    if stage := run.stage("teacher"):
        train_stage(run, stage, run.teacher)
        save_model(run, run.teacher, run.folder / "teacher")
    run.teacher.eval()
    result = distil_student(run) if run.student is not None else finetuned_result(run)
    result["minutes"] = round((time.time() - began) / 60, 2)
    write_whole(run.folder / RESULT, json.dumps(result, indent=2) + "\n")
    return result


def distil_student(run: Run) -> dict[str, Any]:
    """Run the stages after the teacher's, and measure."""
    student = run.student
    assert student is not None
    control = deepcopy(student) if run.stage("control") else None
    if run.copies_head:
        students.copy_head(student, run.teacher)
    for stage in run.stages:
        if stage.trains == "student":
            train_stage(run, stage, student)
        elif stage.trains == "control" and control is not None:
            train_stage(run, stage, control)
    return measure(run, student, control, reference_for(run, "selection"))


def save_model(run: Run, model: PreTrainedModel, folder: Path, fill: Callable[[Path], None] | None = None) -> None:
    """Save a model with label names and tokenizer, so that plain `from_pretrained` loads and cuts text alike."""
    if (folder / "config.json").exists() and fill is None:
        return
    students.name_labels(model, run.task.names, int(model.config.num_labels or 1))
    tokenizer = deepcopy(run.tokenizer)
    tokenizer.model_max_length = run.task.max_length
    # A pipeline hands the model whatever the tokenizer makes: DistilBERT would choke on token_type_ids.
    tokenizer.model_input_names = [n for n in tokenizer.model_input_names if n in input_names(model)]

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
    return {name: reference_for(run, name) for name in run.validation}


def scored(run: Run, model: PreTrainedModel, targets: dict[str, Reference]) -> dict[str, Any]:
    """Return a model's score on the first validation split, and on the others under their names."""

    def logits(name: str) -> np.ndarray:
        return teacher_logits(run, name) if model is run.teacher else predict(model, run.split(name), run.tokenizer)

    reports = {name: targets[name].report(logits(name)) for name in run.validation}
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
    result = base_result(run) | {
        "method": config.method,
        "schedule": config.schedule,
        "features": run.features,
        "layer_map": run.objective.layer_map.name if run.objective is not None else None,
        "student_spec": config.student,
    }
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
    if config.track_validation:
        result["student"]["best_validation"] = best_validation(run)
    result["selection"] = {
        "score": selection.score(predict(student, run.selection, run.tokenizer)),
        "metric": selection.metric,
    }
    save_model(run, student, run.folder / "student", fill=lambda path: write_card(path, result))
    result["student"]["bytes"] = bytes_on_disk(run.folder / "student")
    return result


def finetuned_result(run: Run) -> dict[str, Any]:
    """Return the result of `finetune`."""
    selection = reference_for(run, "selection")
    score = selection.score(teacher_logits(run, "selection"))
    return base_result(run) | {
        "teacher": scored(run, run.teacher, references(run))
        | {"parameters": parameters(run.teacher), "path": str(run.folder / "teacher")},
        "selection": {"score": score, "metric": selection.metric},
    }


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
    return start(configure(DistillConfig, config, options))


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
    return start(configure(FinetuneConfig, config, options))


def start(config: DistillConfig | FinetuneConfig) -> dict[str, Any]:
    """Prepare a run, tell what it will do, and execute it."""
    run = prepare(config)
    announce(run)
    return execute(run)
