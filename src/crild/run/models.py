"""Teacher and student of a run, and what is matched between them."""

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from crild.config import DistillConfig, TrainConfig
from crild.config.student import parse_layers, parse_vocabulary
from crild.data.batching import Collator
from crild.data.task import Task
from crild.errors import CrildError
from crild.methods import find_method
from crild.models import loading
from crild.models.architecture import embedding_module
from crild.models.capture import capture, evaluation_mode
from crild.models.cut import cut, describe, same_size
from crild.models.head import renew_head, same_head
from crild.models.interpolation import Mixing
from crild.models.narrow import narrow
from crild.models.shape import Shape
from crild.models.static import static_student
from crild.models.vocabulary import trim_tokenizer
from crild.objectives import Composition, compose
from crild.run.inputs import Inputs
from crild.run.origin import Origin
from crild.run.plan import Matching


@dataclass(frozen=True)
class Models:
    """The models of a run. Training changes their weights in place; nothing else about them changes.

    Attributes:
        teacher: fine-tuned, or to be fine-tuned first.
        teacher_name: what it was loaded from.
        teacher_is_trained: it came fine-tuned.
        student: ``None`` in a fine-tuning.
        student_init: one line on where its weights came from.
        copies_head: it starts stage 1 with the teacher's head.
        trimmed: the tokenizer of the finished student, where its vocabulary is trimmed.
        objective: what a method's own term matches; ``None`` where it has none.
        layers: of its source that a student copies which is cut and as wide; none for another one.
        source_depth: the layers of that source.
        remarks: what is good to know.
        notes: what the user should look at.
    """

    teacher: PreTrainedModel
    teacher_name: str
    teacher_is_trained: bool
    student: PreTrainedModel | None = None
    student_init: str = ""
    copies_head: bool = False
    trimmed: PreTrainedTokenizerBase | None = None
    objective: Composition | None = None
    layers: tuple[int, ...] = ()
    source_depth: int = 0
    remarks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def device() -> str:
    """Return where models run."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def teacher_models(config: TrainConfig, origin: Origin, inputs: Inputs) -> Models:
    """Return the teacher alone: given, or an encoder with a fresh head."""
    teacher = origin.teacher or fresh_classifier(origin.name, origin.role, inputs.task, config)
    return Models(teacher.to(device()), origin.name, origin.teacher is not None)  # type: ignore[arg-type]


def distillation_models(config: DistillConfig, origin: Origin, inputs: Inputs, matching: Matching | None) -> Models:
    """Return teacher, student and objective.

    Raises:
        CrildError: they do not fit together.
    """
    models = teacher_models(config, origin, inputs)
    source_name, source = origin.name, models.teacher
    if config.base and config.base != origin.name:
        tokenizer = loading.load_tokenizer(config.base, "base", config.trust_remote_code, config.revision)
        loading.check_same_tokenizer(inputs.tokenizer, tokenizer, (origin.role, "base"), inputs.task.train[:20]["text"])
        source_name, source = config.base, fresh_classifier(config.base, "base", inputs.task, config)
    models = with_student(models, config, inputs, source, source_name)
    if config.vocabulary:
        trimmed = trimmed_tokenizer(models.student, inputs, config.vocabulary)  # type: ignore[arg-type]
        models = replace(models, trimmed=trimmed)
    if config.kd_inputs == "interpolated":  # where there is nothing to interpolate, say so before training
        for model in (models.student, models.teacher):
            embedding_module(model)  # type: ignore[arg-type]
    if matching is not None and models.student is not None:
        torch.manual_seed(config.seed)  # learned maps are drawn at random
        objective = compose_matching(matching, models.student, models.teacher)
        models = replace(models, objective=objective)
        try_objective(models, inputs, matching)
    return models


def compose_matching(matching: Matching, student: PreTrainedModel, teacher: PreTrainedModel) -> Composition:
    """Return the objective that a plan's matching stands for, between two models."""
    return compose(
        matching.features,
        matching.layer_map or "last",
        Shape.of(student.config),
        Shape.of(teacher.config),
        matching.relation_heads,
        matching.consistency_features,
        matching.width_map,
    )


def fresh_classifier(name: str, role: str, task: Task, config: TrainConfig) -> PreTrainedModel:
    """Load an encoder with a fresh head for the task; the head depends on the seed alone."""
    torch.manual_seed(config.seed)
    head = task.task_type.head(task.names)
    loaded = loading.load_model(name, role, head, config.trust_remote_code, config.revision)
    if loaded.head_is_trained:  # for another task, or with labels in another order
        renew_head(loaded.model, config.seed)
    return loaded.model


def fold_teacher(config: TrainConfig, models: Models, task: Task) -> PreTrainedModel:
    """Return what the teacher of a fold starts from: the encoder that the teacher was fine-tuned from, a fresh head."""
    name, role = (config.base, "base") if models.teacher_is_trained else (models.teacher_name, "teacher")
    assert name is not None
    return fresh_classifier(name, role, task, config).to(device())  # type: ignore[arg-type]


def with_student(
    models: Models, config: DistillConfig, inputs: Inputs, source: PreTrainedModel, source_name: str
) -> Models:
    """Return the models with the student among them.

    Args:
        models: the teacher's.
        config: what was asked for.
        inputs: for the tokenizer, and the classes of a fresh head.
        source: whose layers a cut student copies.
        source_name: its name.
    """
    layers = parse_layers(config.student, source.config.num_hidden_layers)
    if not layers and config.student_width:
        raise CrildError(
            "--student-width is for a student that is cut from a larger model, not for one of its own PATH or a static "
            "one"
        )
    if not config.student_width and (config.student_heads or config.student_weights != DistillConfig.student_weights):
        raise CrildError("--student-heads and --student-weights are for a narrower student: add --student-width")
    remarks, notes, has_head = [], [], False
    if layers is None:
        tokenizer = loading.load_tokenizer_or_path(config.student, config.trust_remote_code, config.revision)
        loading.check_same_tokenizer(
            inputs.tokenizer, tokenizer, ("teacher", "student"), inputs.task.train[:20]["text"]
        )
        student = fresh_classifier(config.student, "student", inputs.task, config)
        init = f"weights of {config.student}"
    else:
        student = cut(source, layers) if layers else static_student(source, config.seed)
        init = describe(layers, f"the pre-trained encoder {source_name}")
        if models.teacher_is_trained and source is models.teacher:
            init = describe(layers, "the fine-tuned teacher")
            remarks.append("without --base the student, and so the control too, starts from the teacher's own weights")
            has_head = config.student_head != "fresh" and not config.student_width
            if not has_head:
                renew_head(student, config.seed)
        if config.student_width:
            student = narrow(student, config.student_width, config.student_heads, config.student_weights, config.seed)
            init = f"{config.student_weights} to width {config.student_width}, {init}"
            if config.student_weights == "fresh":
                init = f"fresh weights, {len(layers)} layers of width {config.student_width}"
            else:
                renew_head(student, config.seed)
        if warning := same_size(student.config, source.config):
            notes.append(warning)
    depth, most = student.config.num_hidden_layers, models.teacher.config.num_hidden_layers
    if depth > most:
        raise CrildError(f"--student {config.student} has {depth} layers, more than the teacher's {most}")
    fits = same_head(student, models.teacher)
    if config.student_head == "teacher" and not fits:
        raise CrildError("--student-head teacher: the student's head has another shape than the teacher's")
    # A method without a teacher keeps the head that the control has, too.
    taught = config.student_head == "auto" and find_method(config.method).uses_teacher
    copies = fits and (taught or has_head or config.student_head == "teacher")
    return replace(
        models,
        student=student.to(models.teacher.device),  # type: ignore[arg-type]
        student_init=init + (", the teacher's head" if copies else ", fresh head"),
        copies_head=copies,
        layers=tuple(layers) if layers and not config.student_width else (),
        source_depth=source.config.num_hidden_layers,
        remarks=tuple(remarks),
        notes=tuple(notes),
    )


def trimmed_tokenizer(student: PreTrainedModel, inputs: Inputs, spec: str) -> PreTrainedTokenizerBase:
    """Return the tokenizer of the finished student: of the tokens that training, selection and further texts use.

    Raises:
        CrildError: it cannot be cut, or not so far.
    """
    counts: Counter[int] = Counter()
    for rows in (inputs.train, inputs.selection, inputs.supplementary):
        if rows is not None:
            counts.update(number for ids in rows["input_ids"][:] for number in ids)
    return trim_tokenizer(student, inputs.tokenizer, counts, size=parse_vocabulary(spec))


def try_objective(models: Models, inputs: Inputs, matching: Matching) -> None:
    """Compare two texts once, so that what cannot be read or compared is refused before training."""
    student, objective, features = models.student, models.objective, matching.features
    assert student is not None
    assert objective is not None
    rows = [inputs.train[i] for i in range(min(2, len(inputs.train)))]
    batch = {name: x.to(student.device) for name, x in Collator(inputs.tokenizer)(rows).items()}
    objective = deepcopy(objective).eval().to(student.device)
    mixing = Mixing.of("neighbour", 0.5, len(rows), student.device) if matching.interpolate else None
    student.eval()
    ours = capture(student, batch, objective.needs, objective.layers("student"), mixing)
    with evaluation_mode(models.teacher):
        theirs = capture(models.teacher, batch, objective.needs, objective.layers("teacher"), mixing)
    try:
        terms = objective(ours, replace(theirs, words=batch.get("words")))
    except CrildError:
        raise
    except Exception as error:  # a user's own objective; ours are tested
        raise CrildError(f"features {features!r} failed: {type(error).__name__}: {error}") from None
    if still := [name for name, (total, _) in terms.items() if not total.requires_grad]:
        raise CrildError(f"features {features!r}: {still[0]} does not depend on the student: it has no gradient")
