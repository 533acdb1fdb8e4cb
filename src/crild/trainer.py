"""`DistillationTrainer`: one stage of a method as a `transformers.Trainer`, without a run directory."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow
import torch
from datasets import Dataset
from pyarrow import compute
from transformers import EvalPrediction, PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

from crild.config import DistillConfig
from crild.console import say
from crild.data.augment import Augmented, Corpus
from crild.data.batching import Collator
from crild.data.glue import USUAL_LENGTH
from crild.data.rows import column, has, with_column
from crild.data.tokenise import tokenise
from crild.errors import CrildError
from crild.methods import Method, PhaseSpec, Recipe, find_method
from crild.models.architecture import longest
from crild.objectives import OBJECTIVES, Composition, Objective, parse_features
from crild.run.models import compose_matching
from crild.run.plan import Facts, idle_options, matching_of, refuse_idle, rewrites_of, stage_recipe
from crild.tasks.registry import task_type_of
from crild.training.arguments import DistillationArguments
from crild.training.distiller import Distiller
from crild.training.trainer import DistillerTrainer, stream

JOINT = "joint"
WITH_OBJECTIVE = ("features", "layer_map", "relation_heads", "width_map", "consistency_features", "schedule")


class DistillationTrainer(DistillerTrainer):
    """A `transformers.Trainer` that trains a student by one stage of a method, as `crild.distill` does.

    One trainer is one stage, because a stage has a learning rate, a number of epochs and a batch size of its own, and
    `TrainingArguments` have one of each. ``args.stage`` names it; without a name it is ``joint``: all terms of the
    method's schedule together. A method of two stages is two trainers over the same student.

    Everything of `transformers.Trainer` acts as usual: ``report_to``, checkpoints and ``resume_from_checkpoint``,
    ``load_best_model_at_end``, callbacks, ``activation_checkpointing``, ``push_to_hub``. Each term is in the log by
    name (``hidden``, ``consistency/hidden``, ``kd``, ...; held out with ``eval_`` before it). The student is saved.

    Args:
        model: the student, a sequence classifier. It is trained in place.
        teacher: the fine-tuned classifier; it is frozen and set to evaluation mode. Not needed where the stage only
            learns from labels, or from logits in a column ``teacher_logits``.
        method: its name, a `Method` of your own, or an objective, such as an earlier trainer's
            (``trainer.distiller.objective``, with its learned maps and filters).
        args: how, and what is matched.
        train_dataset: a `datasets.Dataset`, tokenised (``input_ids``, ``attention_mask``), or with texts in ``text``
            and perhaps ``text_pair``; ``labels`` or ``label`` hold numbers (lists of 0 and 1 for several labels), or
            ``None`` where a row has none.
        eval_dataset: held-out rows alike, or several data sets by name.
        processing_class: the tokenizer of both models.
        callbacks, compute_metrics, optimizers: as in `transformers.Trainer`; ``compute_metrics`` sees labelled rows.

    Raises:
        CrildError: models, data and options do not fit together.

    Example:
        >>> for stage in ("ild", "kd"):
        ...     args = crild.DistillationArguments(f"out/{stage}", stage=stage, num_train_epochs=10, learning_rate=1e-4)
        ...     trainer = crild.DistillationTrainer(
        ...         student, teacher, "cr-ild", args, train_dataset=train, processing_class=tokenizer
        ...     )
        ...     trainer.train()
        >>> trainer.save_model("student")
    """

    def __init__(
        self,
        model: PreTrainedModel,
        teacher: PreTrainedModel | None = None,
        method: str | Method | Objective = DistillConfig.method,
        args: DistillationArguments | None = None,
        train_dataset: Dataset | None = None,
        eval_dataset: Dataset | dict[str, Dataset] | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        callbacks: list[TrainerCallback] | None = None,
        compute_metrics: Callable[[EvalPrediction], dict[str, float]] | None = None,
        optimizers: tuple[Any, Any] = (None, None),
    ) -> None:
        args = DistillationArguments("tmp_trainer") if args is None else args
        if processing_class is None:
            raise CrildError("processing_class is missing: the tokenizer of teacher and student")
        if args.label_smoothing_factor:
            raise CrildError("label_smoothing_factor would do nothing: crild has losses of its own")
        check_models(model, teacher)
        recipe, objective, rewrites = stage_of(method, args, model, teacher)
        words = objective is not None and objective.needs_words
        most = min(longest(each) for each in (model, teacher) if each is not None)
        length = min(args.max_length or USUAL_LENGTH, most)
        self.read = partial(read_rows, tokenizer=processing_class, max_length=length, words=words)
        train: Any = None if train_dataset is None else self.prepared(train_dataset, "train_dataset")
        held_out: Any = eval_dataset
        if isinstance(eval_dataset, dict):
            held_out = {name: self.prepared(rows) for name, rows in eval_dataset.items()}
        elif eval_dataset is not None:
            held_out = self.prepared(eval_dataset)
        check_rows(args, recipe, objective, teacher, train)
        if rewrites is not None and train_dataset is not None:
            check_rewrites(args, rewrites, recipe, teacher, train_dataset)
            corpus = Corpus.of(train_dataset.with_format(None), rewrites, processing_class.mask_token)
            train = Augmented(train, corpus, round(len(train) * args.augment_ratio), processing_class, length,
                              *stream(args.seed, args.stage, "augment"))  # fmt: skip
        if recipe.adam_epsilon != Recipe.adam_epsilon:
            args.adam_epsilon = recipe.adam_epsilon
        super().__init__(
            Distiller(model, recipe, teacher, objective),
            args,
            args.stage,
            train,
            held_out,
            Collator(processing_class),
            callbacks,
            processing_class=processing_class,
            compute_metrics=compute_metrics,
            optimizers=optimizers,
        )

    def prepared(self, dataset: Any, which: str = "eval_dataset") -> Dataset:
        """Return rows as the collator takes them; texts are tokenised."""
        return self.read(dataset, which)


def stage_of(
    method: str | Method | Objective, args: DistillationArguments, student: PreTrainedModel, teacher: Any
) -> tuple[Recipe, Composition | None, str | None]:
    """Return what a stage minimises, its intermediate terms, and the rewrites it learns from, where it has any.

    Raises:
        CrildError: there is no such method or stage, or options do not go together.
    """
    objective = None
    if isinstance(method, Objective):
        given = [name for name in WITH_OBJECTIVE if getattr(args, name) != getattr(DistillConfig, name)]
        if given:
            raise CrildError(f"{given[0]} would do nothing beside an objective: leave one of them out")
        objective = (
            method if isinstance(method, Composition) else Composition([method], [1.0], method.between.layer_map)
        )
        method, config = Method("objective", "", "", ""), args.options()
    elif isinstance(method, str):
        method, config = find_method(method), args.options(method=method)
        refuse_idle(config, idle_options(config))
    else:
        config = args.options()
    if method.released:
        raise CrildError(f"{method.name} is a script's batches and optimiser too: use crild.distill")
    matching = matching_of(config, method)
    parts = [OBJECTIVES[name] for name, _ in parse_features(matching.features)] if matching else []
    phases = method.phases(config.schedule, any(part.needs_filters for part in parts))
    facts = Facts(task_type=task_type_of(student.config).name)
    recipe = stage_recipe(phase_of(method, phases, args.stage), config, method, facts)
    if args.stage == JOINT and recipe.intermediate_weight and phases[0].recipe.filters:
        raise CrildError(
            f"method {method.name} trains filters first: use stage='filters', then method=trainer.distiller.objective"
        )
    if recipe.interpolate and objective is not None and not objective.mixable:
        raise CrildError("the objective looks at the words of one text, which interpolated inputs have not: "
                         "use interpolate=False")  # fmt: skip
    rewrites = None
    if recipe.intermediate_weight or recipe.distillation:
        rewrites = rewrites_of(config, method)
    if not recipe.uses_objective:
        return recipe, None, rewrites
    if teacher is None:
        raise CrildError(f"stage {args.stage} of method {method.name} matches a teacher's layers: give teacher")
    if objective is None:
        assert matching is not None
        torch.manual_seed(args.seed)  # learned maps are drawn at random, as in a run
        objective = compose_matching(matching, student, teacher)
    return recipe, objective, rewrites


def phase_of(method: Method, phases: tuple[PhaseSpec, ...], stage: str) -> Recipe:
    """Return the recipe of a stage of a schedule; of ``joint``, where none has that name, of all of them together."""
    recipes = {phase.name: phase.recipe for phase in phases}
    if stage in recipes:
        return recipes[stage]
    if stage != JOINT:
        raise CrildError(f"method {method.name} has no stage {stage!r}: use {', '.join(recipes)} or joint")
    own = [recipe for recipe in recipes.values() if not recipe.filters]
    weights = ("intermediate_weight", "distillation", "task", "mixed_task")
    together = {name: sum(getattr(recipe, name) for recipe in own) for name in weights}
    if len(own) > 1:
        say(f"{method.name}: stages {' and '.join(recipes)} trained jointly; crild.distill trains one after the other")
    return replace(next((recipe for recipe in own if recipe.distillation), own[0]), **together)


def check_models(student: PreTrainedModel, teacher: PreTrainedModel | None) -> None:
    """Refuse models of which one cannot teach the other."""
    if teacher is None:
        return
    if student is teacher:
        raise CrildError("model and teacher are the same object: the student has to be another model")
    ours, theirs = student.config.num_labels, teacher.config.num_labels
    if ours != theirs:
        raise CrildError(f"the student has {ours} outputs and the teacher {theirs}: give model and teacher as many")
    tasks = [task_type_of(model.config).name for model in (student, teacher)]
    if tasks[0] != tasks[1]:
        raise CrildError(f"the student does {tasks[0]} and the teacher {tasks[1]}: set model.config.problem_type")


def check_rows(
    args: DistillationArguments,
    recipe: Recipe,
    objective: Composition | None,
    teacher: PreTrainedModel | None,
    train: Dataset | None,
) -> None:
    """Refuse training rows that the stage cannot learn from, and micro-batches that are too small for it."""
    size = args.per_device_train_batch_size
    least = max(2 if recipe.interpolates else 1, objective.least_rows if objective is not None else 1)
    if size < least:
        raise CrildError(f"per_device_train_batch_size {size}: this stage relates rows of a batch, and needs {least}")
    if train is None:
        return
    if not len(train):
        raise CrildError("train_dataset has no rows")
    if recipe.distillation and teacher is None and "teacher_logits" not in train.column_names:
        raise CrildError(f"stage {args.stage} learns from a teacher's logits: give teacher, or a column teacher_logits")
    if recipe.uses_labels and not has(train, "labels").any():
        raise CrildError(f"stage {args.stage} learns from labels, and train_dataset has none")


def check_rewrites(
    args: DistillationArguments, rewrites: str, recipe: Recipe, teacher: PreTrainedModel | None, rows: Dataset
) -> None:
    """Refuse rows of which no rewrite can be made, or whose rewrites nobody could label."""
    what = f"augment {rewrites} rewrites the training texts"
    if "text" not in rows.column_names:
        raise CrildError(f"{what}: give train_dataset texts (column text), or augment='none'")
    if recipe.distillation and (teacher is None or "teacher_logits" in rows.column_names):
        raise CrildError(f"{what}, and a column teacher_logits knows none of them: give teacher and leave it out")
    if args.train_sampling_strategy == "sequential":
        raise CrildError(f"{what} anew in every epoch, which train_sampling_strategy sequential does not count")


def read_rows(
    rows: Any, which: str, tokenizer: PreTrainedTokenizerBase, max_length: int, words: bool = False
) -> Dataset:
    """Return rows as a stage takes them: token ids, ``labels`` and ``length``.

    Args:
        rows: a data set with texts or token ids.
        which: how messages call it.
        tokenizer: cuts texts.
        max_length: tokens kept of a text.
        words: the number of each token's word is needed.

    Raises:
        CrildError: it is no such data set.
    """
    if not isinstance(rows, Dataset):
        raise CrildError(f"{which} is a {type(rows).__name__}: give a datasets.Dataset (Dataset.from_list makes one)")
    rows = rows.with_format(None)
    if "labels" not in rows.column_names and "label" in rows.column_names:
        rows = rows.rename_column("label", "labels")
    if "labels" not in rows.column_names:
        rows = with_column(rows, "labels", pyarrow.nulls(len(rows)))
    if isinstance(next(iter(column(rows, "labels").drop_null().slice(0, 1).to_pylist()), None), str):
        raise CrildError(f"{which}: labels are text; turn them into numbers with model.config.label2id")
    if "input_ids" not in rows.column_names:
        if "text" not in rows.column_names:
            found = ", ".join(rows.column_names)
            raise CrildError(f"{which} has neither input_ids nor text: its columns are {found}")
        return tokenise(rows, tokenizer, max_length, words)
    if "attention_mask" not in rows.column_names:
        raise CrildError(f"{which} has input_ids but no attention_mask: keep both of what the tokenizer gives")
    if words and "words" not in rows.column_names:
        raise CrildError(f"{which}: what is matched looks at words; give texts (column text), not input_ids")
    if "length" not in rows.column_names:
        rows = with_column(rows, "length", compute.list_value_length(column(rows, "input_ids")))
    return rows
