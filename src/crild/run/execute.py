"""Run the stages of a plan, each from where it was, then score, time and save the models."""

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from crild.checkpoints import steps_done
from crild.config import DistillConfig, FinetuneConfig
from crild.config.trackers import parse_trackers
from crild.console import about, say, warn
from crild.data.augment import Augmented
from crild.data.rows import has, stacked, token_ids, with_column
from crild.files import cached_array, load_array, load_weights, room_in, save_weights, write_array, write_whole
from crild.inference import bytes_on_disk, latencies, parameters, predict
from crild.models.architecture import input_names
from crild.models.head import copy_head, name_labels
from crild.models.vocabulary import share_split, trim_model
from crild.processes import on_main
from crild.run.advice import after_run
from crild.run.card import write_card
from crild.run.estimate import TimeLeft
from crild.run.folder import Clock, RunFolder
from crild.run.identity import Identity, fingerprint
from crild.run.inputs import Inputs
from crild.run.models import Models, fold_teacher
from crild.run.plan import Plan, PlannedStage
from crild.run.predictions import predictions_frame
from crild.run.report import write_report
from crild.run.result import Result, Scores
from crild.run.targets import Target, target_of
from crild.trackers import Tracking, followed
from crild.training.distiller import Distiller
from crild.training.progress import StageProgress
from crild.training.stage import StageTrainer
from crild.training.trainer import stream

LEAST_TOLD = 0.5  # minutes left that are worth a line


@dataclass(frozen=True)
class Prepared:
    """A run that is ready to start: everything is read and checked, nothing is written.

    Attributes:
        config: its options, completed by the preset.
        identity: what makes it this run.
        folder: where it is written.
        inputs: what is read.
        models: what learns, and from whom.
        plan: what is done.
        minutes: about how long, by stage.
        scorer: what splits are scored against, and the teacher's outputs.
        callbacks: the caller's own; they follow every stage.
        measured: measure how long the finished models take for a row.
        given: one line on each option that was an object in memory.
    """

    config: DistillConfig | FinetuneConfig
    identity: Identity
    folder: RunFolder
    inputs: Inputs
    models: Models
    plan: Plan
    scorer: "Scorer"
    minutes: dict[str, float] = field(default_factory=dict)
    callbacks: tuple[TrainerCallback, ...] = ()
    measured: bool = True
    given: Mapping[str, str] = field(default_factory=dict)

    @property
    def notes(self) -> list[str]:
        """What the user should know."""
        return [*self.inputs.notes, *self.models.remarks, *self.models.notes, *self.plan.notes]

    @property
    def warnings(self) -> list[str]:
        """Of these, what the user should look at before the run begins."""
        return [*self.inputs.notes, *self.models.notes, *self.plan.notes]


class Scorer:
    """What each split is scored against; the finished teacher's logits on it, computed once.

    Args:
        inputs: the splits.
        teacher: finished before anything is asked.
        metric: what the user names.
        cache: folder of teacher outputs that runs share; they score the same teacher on the same rows.
    """

    def __init__(self, inputs: Inputs, teacher: PreTrainedModel, metric: str | None, cache: str | None = None) -> None:
        self.inputs, self.teacher, self.metric, self.cache = inputs, teacher, metric, cache
        self._logits: dict[str, np.ndarray] = {}
        self._targets: dict[str, Target] = {}

    def logits(self, model: PreTrainedModel, name: str, read: Inputs | None = None) -> np.ndarray:
        """Return a model's logits on a split (``selection`` or a validation split), in fp32.

        ``read`` is what a model of another tokenizer than the run's reads.
        """
        if model is not self.teacher:
            read = read or self.inputs
            return predict(model, read.split(name), read.tokenizer, together=True)
        if name not in self._logits:
            known = on_main(lambda: self._known(name))
            if known is None:
                known = predict(model, self.inputs.split(name), self.inputs.tokenizer, together=True)
            self._logits[name] = known
        return self._logits[name]

    def keep(self) -> None:
        """Write the teacher's logits into the shared cache; a run writes nothing before it has begun."""
        for name, logits in self._logits.items():
            if (file := self._file(name)) is not None and not file.exists():
                write_array(file, logits)

    def _known(self, name: str) -> np.ndarray | None:
        file = self._file(name)
        return load_array(file) if file is not None else None

    def _file(self, name: str) -> Path | None:
        return None if self.cache is None else logits_file(Path(self.cache), self.teacher, self.inputs.split(name))

    def target(self, name: str) -> Target:
        """Return what a split is scored against."""
        if name not in self._targets:
            rows = self.inputs.split(name)
            self._targets[name] = target_of(
                self.inputs.task, rows, lambda: self.logits(self.teacher, name), self.metric
            )
        return self._targets[name]


def execute(prepared: Prepared) -> Result:
    """Run all stages, write the run directory, and return the result.

    Every process of the run does the same; what is written is written by the first one, while the others wait.

    Raises:
        CrildError: another process works in the directory, or it has come to hold another run.
    """
    folder, config, models, plan = prepared.folder, prepared.config, prepared.models, prepared.plan
    more: dict[str, Any] = {"given": dict(prepared.given)} if prepared.given else {}
    more |= {"minutes": {k: round(v, 2) for k, v in prepared.minutes.items()}} if prepared.minutes else {}

    def begin() -> Result | None:
        folder.refuse_another(prepared.identity)
        if folder.is_finished:  # by another process, in the meantime
            return folder.result
        labels = dict(prepared.inputs.checks.labels)
        facts = {"seed": config.seed, "data_seed": config.data_seed, "labels": labels, **more}
        folder.start(prepared.identity, plan, facts)
        return None

    with room_in(folder.path), folder.locked():
        if (finished := on_main(begin)) is not None:
            return finished
        clock = folder.clock()
        control = deepcopy(models.student) if plan.stage("control") else None
        trained: dict[str, PreTrainedModel | None] = {
            "teacher": models.teacher, "student": models.student, "control": control
        }  # fmt: skip
        left = TimeLeft(prepared.minutes)
        fold_logits: dict[int, np.ndarray] = {}
        for number, stage in enumerate(plan.stages):
            begun, before = folder.stage(stage.name).path.exists(), clock.seconds
            if stage.fold is not None:
                fold_logits[stage.fold] = logits_of_fold(prepared, stage, clock, left)
                begun = begun or not folder.stage(stage.name).path.exists()  # its logits were in the cache
            else:
                model = trained[stage.trains]
                assert model is not None
                first = not any(earlier.trains == "student" for earlier in plan.stages[:number])
                if stage.trains == "student" and models.copies_head and first:
                    copy_head(model, models.teacher)
                train_stage(prepared, stage, model, clock, fold_logits, left)
                if stage.trains == "teacher":
                    on_main(lambda: save_model(prepared, models.teacher, "teacher", prepared.inputs.tokenizer))
            left.finish(stage.name, None if begun else (clock.seconds - before) / 60)
            if left.minutes() > LEAST_TOLD:
                say(f"{about(left.minutes())} left")
        models.teacher.eval()
        return score(prepared, {name: model for name, model in trained.items() if model is not None}, clock)


def show(folder: RunFolder) -> None:
    """Write the report of a run that is finished: whatever goes wrong there, the run is not lost."""
    try:
        write_report(folder)
    except Exception as error:
        warn(
            f"its report could not be written ({type(error).__name__}: {error}); crild report {folder.path} tries again"
        )


def train_stage(
    prepared: Prepared,
    stage: PlannedStage,
    model: PreTrainedModel,
    clock: Clock,
    fold_logits: Mapping[int, np.ndarray],
    left: TimeLeft,
) -> None:
    """Train ``model`` in place through one stage, from where an earlier call was killed; or load its result.

    The objective's state (learned maps, masses, filters) goes on from stage to stage, beside the student and apart
    from it. Where there are ``fold_logits``, of the rows of each fold, they go before the teacher's.
    """
    files, inputs, config, recipe = prepared.folder.stage(stage.name), prepared.inputs, prepared.config, stage.recipe
    objective = prepared.models.objective if recipe.uses_objective else None
    if on_main(files.done.exists):
        learned = objective is None or not objective.state_dict() or load_weights(files.objective, objective)
        if learned and load_weights(files.weights, model):
            say(f"{stage.title}: finished before")
            return
        warn(f"{stage.title}: the weights that it ended with are damaged; it begins anew")
        on_main(files.done.unlink)
    files.path.mkdir(parents=True, exist_ok=True)
    rows: Dataset | Augmented = stage_rows(prepared, stage)
    held_out = inputs.selection
    if recipe.distillation and not recipe.interpolate_logits:
        held_out = with_teacher_logits(prepared, held_out)
    if stage.caches_logits:
        rows = with_teacher_logits(prepared, rows)
    if recipe.distillation and fold_logits:
        rows = with_fold_logits(prepared, rows, fold_logits)
    if stage.augmented:
        rows = augmented(prepared, stage, rows)
    model.requires_grad_(True)
    needs_teacher = recipe.uses_objective or recipe.distillation
    follows = prepared.plan.method is not None and getattr(config, "track_validation", False)
    progress = StageProgress(stage.title, left.left.get(stage.name), left.minutes(without=stage.name))
    run = prepared.folder
    tracking = Tracking(parse_trackers(config.report_to), run.path.absolute().name, run.trackers, run.events)
    with followed(tracking, stage.name, on_main(lambda: steps_done(files.path))) as trackers:
        trainer = StageTrainer(
            Distiller(model, recipe, prepared.models.teacher if needs_teacher else None, objective),
            rows,
            held_out,
            inputs.tokenizer,
            stage.settings,
            files.path,
            stage.name,
            config.seed,
            score=prepared.scorer.target("selection").score if recipe.uses_logits else None,
            watch=watch_validation(prepared) if follows and recipe.uses_logits and stage.trains == "student" else None,
            precision=config.precision,
            gradient_checkpointing=config.gradient_checkpointing,
            callbacks=[progress, ClockCallback(clock), *trackers.callbacks, *prepared.callbacks],
            trackers=trackers.arguments,
        )
        say(f"{stage.title}: {stage.rows} rows, {stage.steps} steps")
        if steps := on_main(trainer.steps_done):
            say(f"{stage.title}: resuming from step {steps} of {stage.steps}")
        trainer.run()
    model.requires_grad_(True).eval()

    def save() -> None:
        if objective is not None and objective.state_dict():
            save_weights(files.objective, objective)
        save_weights(files.weights, model)
        clock.note()
        write_whole(files.done, json.dumps({"steps": stage.steps}) + "\n")
        trainer.remove_checkpoints()

    on_main(save)


class ClockCallback(TrainerCallback):
    """Notes the time with every checkpoint, so that a killed run's is not lost."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.clock.note()


def watch_validation(prepared: Prepared) -> Callable[[PreTrainedModel], float]:
    """Return how the validation score is followed in training."""
    name = prepared.inputs.scored_on
    target = prepared.scorer.target(name)
    return lambda model: target.score(prepared.scorer.logits(model, name))


def stage_rows(prepared: Prepared, stage: PlannedStage) -> Dataset:
    """Return the rows that a stage trains on."""
    inputs = prepared.inputs
    if stage.on == "labelled":
        chosen = has(inputs.train, "labels")
        if stage.fold is not None:
            chosen[inputs.fold(stage.fold)] = False
        return inputs.train.select(np.flatnonzero(chosen))  # by their numbers: tokens stay in their file
    if stage.on == "supplementary":
        assert inputs.supplementary is not None
        return inputs.supplementary
    if inputs.supplementary is not None and stage.rows - stage.augmented > len(inputs.train):
        return stacked(inputs.train, inputs.supplementary)
    return inputs.train


def augmented(prepared: Prepared, stage: PlannedStage, rows: Dataset) -> Augmented:
    """Return a stage's rows with rewrites of the training texts beside them."""
    inputs = prepared.inputs
    assert inputs.corpus is not None
    seed = stream(prepared.config.seed, stage.name, "augment")
    return Augmented(rows, inputs.corpus, stage.augmented, inputs.tokenizer, inputs.max_length, *seed)


def with_teacher_logits(prepared: Prepared, rows: Dataset) -> Dataset:
    """Return the rows with the column ``teacher_logits``, computed once and kept in the run directory."""
    config, teacher = prepared.config, prepared.models.teacher
    folder = prepared.folder.cache(getattr(config, "cache", None))
    path = on_main(lambda: logits_file(folder, teacher, rows, config.precision))

    def answers() -> np.ndarray:
        say(f"the teacher answers {len(rows)} rows")
        return predict(teacher, rows, prepared.inputs.tokenizer, precision=config.precision, together=True)

    logits = cached_array(path, answers)
    return with_column(rows, "teacher_logits", logits)


def logits_of_fold(prepared: Prepared, stage: PlannedStage, clock: Clock, left: TimeLeft) -> np.ndarray:
    """Return the logits (rows of the fold, C) of a teacher that never saw the labels of these rows.

    It is fine-tuned for them, unless they are in the cache: of this run, or of another one with the same rows, labels,
    settings and seed. Its weights are not kept.
    """
    config, inputs, files = prepared.config, prepared.inputs, prepared.folder.stage(stage.name)
    assert stage.fold is not None
    teacher = fold_teacher(config, prepared.models, inputs.task)
    own, others, held_out = inputs.train.select(inputs.fold(stage.fold)), stage_rows(prepared, stage), inputs.selection
    name = fingerprint(
        teacher,
        (ids for rows in (own, others, held_out) for ids in token_ids(rows)),
        [rows["labels"][:] for rows in (others, held_out)],
        (stage.name, stage.settings, config.seed, config.precision, prepared.scorer.target("selection").metric),
    )

    def compute() -> np.ndarray:
        train_stage(prepared, stage, teacher, clock, {}, left)
        return predict(teacher, own, inputs.tokenizer, precision=config.precision, together=True)

    path = prepared.folder.cache(getattr(config, "cache", None)) / f"fold-logits-{name[:16]}.safetensors"
    logits = cached_array(path, compute)

    def forget() -> None:
        for file in (files.done, files.weights):  # in this order: a stage that is done has its weights
            file.unlink(missing_ok=True)

    on_main(forget)
    return logits


def with_fold_logits(prepared: Prepared, rows: Dataset, fold_logits: Mapping[int, np.ndarray]) -> Dataset:
    """Return the rows with the column ``fold_logits``: of the teacher of a row's fold, NaN where it is in none."""
    column = np.full((len(rows), next(iter(fold_logits.values())).shape[1]), np.nan, np.float32)
    for fold, logits in fold_logits.items():
        column[prepared.inputs.fold(fold)] = logits
    return with_column(rows, "fold_logits", column)


def logits_file(folder: Path, teacher: PreTrainedModel, rows: Dataset, precision: str = "fp32") -> Path:
    """Return where a cache has a teacher's logits on tokenised rows."""
    return folder / f"teacher-logits-{fingerprint(teacher, token_ids(rows), precision)[:16]}.safetensors"


def save_model(prepared: Prepared, model: PreTrainedModel, role: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """Save a model with label names and tokenizer, so that plain `from_pretrained` loads and cuts text alike."""
    inputs = prepared.inputs
    if (prepared.folder.model(role) / "config.json").exists():
        return
    name_labels(model, inputs.task.task_type.head(inputs.task.names))
    tokenizer = deepcopy(tokenizer)
    tokenizer.model_max_length = inputs.max_length
    # A pipeline hands the model whatever the tokenizer makes: DistilBERT would choke on token_type_ids.
    tokenizer.model_input_names = [n for n in tokenizer.model_input_names if n in input_names(model)]

    def write(path: Path) -> None:
        model.save_pretrained(path)
        tokenizer.save_pretrained(path)

    with room_in(prepared.folder.path, sum(x.nbytes for x in model.state_dict().values())):
        prepared.folder.save_model(role, write)


# ---- scores ----


def score(prepared: Prepared, models: dict[str, PreTrainedModel], clock: Clock) -> Result:
    """Score and time all models, write every scored row, control, student and result; return the result.

    Where the student's vocabulary is trimmed, it and the control are trimmed first, and read with their own tokenizer.
    """
    inputs, folder, scorer = prepared.inputs, prepared.folder, prepared.scorer
    read = dict.fromkeys(models, inputs)
    if (trimmed := prepared.models.trimmed) is not None:
        students = {name: model for name, model in models.items() if name != "teacher"}
        models = models | {name: trim_model(model, inputs.tokenizer, trimmed) for name, model in students.items()}
        read |= dict.fromkeys(students, inputs.read_with(trimmed))
    logits = {
        name: {split: scorer.logits(model, split, read[name]) for split in inputs.validation}
        for name, model in models.items()
    }
    selected = {name: scorer.logits(model, "selection", read[name]) for name, model in models.items()}

    def write() -> Result:
        result = written(prepared, models, read, logits, selected, clock)
        clock.note()
        folder.finish(result, prepared.config.keep_stages)
        show(folder)
        return result

    return on_main(write)


def written(
    prepared: Prepared,
    models: dict[str, PreTrainedModel],
    read: dict[str, Inputs],
    logits: dict[str, dict[str, np.ndarray]],
    selected: dict[str, np.ndarray],
    clock: Clock,
) -> Result:
    """Return the result of a run whose models have answered; all but it is written.

    Args:
        prepared: the run.
        models: finished.
        read: what each of them reads.
        logits: their answers to each validation split.
        selected: those to the selection split.
        clock: of the run.
    """
    inputs, folder, scorer, config = prepared.inputs, prepared.folder, prepared.scorer, prepared.config
    target = scorer.target(inputs.scored_on)
    warnings = constant_answers(target, inputs, logits)
    scores = {name: target.score(of_splits[inputs.scored_on]) for name, of_splits in logits.items()}
    if isinstance(config, DistillConfig):
        warnings += after_run(config, prepared.plan, prepared.models, scores, target.constant())
    scorer.keep()
    for warning in warnings:
        warn(warning)
    frames = [
        predictions_frame(inputs.task, split, rows, scorer.target(split), {n: of[split] for n, of in logits.items()})
        for split, rows in inputs.task.validation.items()
    ]
    folder.write_frame(pd.concat(frames, ignore_index=True))
    folder.write_frame(
        predictions_frame(inputs.task, "selection", inputs.task.selection, scorer.target("selection"), selected),
        selection=True,
    )
    kept = vocabulary(prepared)
    notes = [*prepared.notes, *warnings]
    if kept is not None:
        notes.append(
            f"the student keeps {kept['kept']} of {kept['before']} tokens; {kept['split_further']:.1%} of the tokens "
            "of the validation rows are split further"
        )
    last = "student" if "student" in models else "teacher"
    result = Result(
        task=inputs.task.name,
        kind=inputs.task.task_type.name,
        metric=target.metric,
        labels=inputs.task.names,
        max_length=inputs.max_length,
        rows={
            "train": len(inputs.train),
            "labelled": len(inputs.train) - inputs.checks.unlabelled,
            "supplementary": len(inputs.supplementary) if inputs.supplementary else 0,
            "augmented": max(stage.augmented for stage in prepared.plan.stages),
            "selection": len(inputs.selection),
            "validation": len(inputs.validation[inputs.scored_on]),
        },
        seed=config.seed,
        notes=notes,
        models=model_scores(prepared, models, read, logits, kept),
        selection={
            "score": scorer.target("selection").score(selected[last]),
            "metric": scorer.target("selection").metric,
        },
        constant=target.constant(),
        minutes=round(clock.seconds / 60, 2),
        distillation=described(prepared),
        run=folder,
    )
    if "control" in models:
        save_model(prepared, models["control"], "control", read["control"].tokenizer)
    if "student" in models:
        save_model(prepared, models["student"], "student", read["student"].tokenizer)
        student = result.models["student"]
        assert student is not None
        saved = replace(student, bytes=bytes_on_disk(folder.model("student")))
        result = replace(result, models={**result.models, "student": saved})
        describe_student(prepared, result, logits)
    return result


def describe_student(prepared: Prepared, result: Result, logits: dict[str, dict[str, np.ndarray]]) -> None:
    """Write the model card into the student's folder."""
    config, inputs = prepared.config, prepared.inputs
    assert isinstance(config, DistillConfig)
    target, task = prepared.scorer.target(inputs.scored_on), inputs.task
    own, teachers = (
        task.task_type.by_class(target.truth, target.answers(logits[name][inputs.scored_on]), task.names)
        for name in ("student", "teacher")
    )
    classes = list(zip(own.get("classes", ()), teachers.get("classes", ()), strict=True))
    write_card(prepared.folder.model("student"), config, result, inputs, prepared.models.student_init, classes)


def described(prepared: Prepared) -> dict[str, Any] | None:
    """Return what a result says of the method."""
    config, plan, objective = prepared.config, prepared.plan, prepared.models.objective
    if plan.method is None:
        return None
    return {
        "method": plan.method,
        "schedule": plan.schedule,
        "features": plan.matching.features if plan.matching else None,
        "layer_map": objective.layer_map.name if objective is not None else None,
        "student_spec": getattr(config, "student", None),
    }


def model_scores(
    prepared: Prepared,
    models: dict[str, PreTrainedModel],
    read: dict[str, Inputs],
    logits: dict[str, dict[str, np.ndarray]],
    kept: dict[str, float] | None,
) -> dict[str, Scores | None]:
    """Return each model's scores, what is kept of a student's vocabulary, and costs on the rows as each reads them."""
    inputs, folder, plan = prepared.inputs, prepared.folder, prepared.plan

    def scores(name: str) -> dict[str, Any]:
        reports = {split: prepared.scorer.target(split).report(values) for split, values in logits[name].items()}
        first, *others = reports
        return reports[first] | ({"also": {each: reports[each] for each in others}} if others else {})

    teacher = models["teacher"]
    if "student" not in models:
        cost = {"parameters": parameters(teacher), "path": str(folder.model("teacher"))}
        return {"teacher": Scores.of(scores("teacher") | cost)}
    student = models["student"]
    readers = [
        (models[name], read[name].validation[inputs.scored_on], read[name].tokenizer) for name in ("teacher", "student")
    ]
    seconds = latencies(readers) if prepared.measured else None
    here = plan.stage("teacher") is not None
    path = folder.model("teacher") if here else Path(prepared.models.teacher_name).expanduser()
    found: dict[str, Scores | None] = {
        "teacher": Scores.of(
            scores("teacher")
            | {
                "parameters": parameters(teacher),
                "layers": teacher.config.num_hidden_layers,
                "bytes": bytes_on_disk(path) or 4 * parameters(teacher),
                "latency_ms": seconds[0] * 1000 if seconds else None,
                "path": str(path),
                "fine_tuned_here": here,
            }
        ),
        "control": None,
        "student": Scores.of(
            scores("student")
            | {
                "parameters": parameters(student),
                "layers": student.config.num_hidden_layers,
                "init": prepared.models.student_init,
                "latency_ms": seconds[1] * 1000 if seconds else None,
                "path": str(folder.model("student")),
                "best_validation": best_validation(prepared),
                "vocabulary": kept,
            }
        ),
    }
    if "control" in models:
        found["control"] = Scores.of(scores("control") | {"path": str(folder.model("control"))})
    return found


def vocabulary(prepared: Prepared) -> dict[str, float] | None:
    """Return what a result says of a trimmed vocabulary."""
    inputs, trimmed = prepared.inputs, prepared.models.trimmed
    if trimmed is None:
        return None
    rows = inputs.task.validation[inputs.scored_on]
    texts = [text for name in ("text", "text_pair") if name in rows.column_names for text in rows[name][:]]
    return {
        "kept": len(trimmed),
        "before": len(inputs.tokenizer),
        "split_further": share_split(inputs.tokenizer, trimmed, texts),
    }


def best_validation(prepared: Prepared) -> float | None:
    """Return the best validation score of all evaluations of the student's last stage, where they were followed."""
    last = [stage for stage in prepared.plan.stages if stage.trains == "student"][-1]
    entries = prepared.folder.history(last.name)
    return max((entry["validation"] for entry in entries if "validation" in entry), default=None)


def constant_answers(target: Target, inputs: Inputs, logits: dict[str, dict[str, np.ndarray]]) -> list[str]:
    """Return a warning for each model that gives every row the same answer."""
    notes = []
    for name, of_splits in logits.items():
        answers = target.answers(of_splits[inputs.scored_on])
        if len(answers) > 1 and (answers == answers[:1]).all():
            said = target.task_type.spelled(answers[:1], inputs.task.names)[0]
            who = "the student without a teacher" if name == "control" else f"the {name}"
            notes.append(f"{who} answers {said!r} to every row: it has learned nothing that tells rows apart")
    return notes
