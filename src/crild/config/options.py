"""What a run may say. Every option of the command line, key of a YAML file and argument of the Python functions is a
field of these classes; its type, bounds, default and line of help are written here and nowhere else.

Classes come in the order of ``crild VERB --help``; the first line of a docstring is a heading there.
"""

from collections.abc import Mapping
from dataclasses import fields
from os import PathLike
from typing import Any, Literal

from crild.config.declare import Milliseconds, Number, Place, Places, Switch, Whole, option, options
from crild.config.presets import of_presets
from crild.tasks import TASK_NAMES

MOST_SEED = 2**32 - 1  # what numpy takes


# ---- what several verbs share ----


@options
class Model:
    """Model"""

    model: Place | None = option(
        None, "folder or hub name of a classifier; a run stands for its student", required="model", reads="folder"
    )


@options
class Texts:
    """Data, and how to read it"""

    data: Place | None = option(
        None,
        "GLUE folder, CSV, TSV, JSONL, Parquet or text file, `datasets` directory or hub name",
        required="data",
        reads="file or folder",
    )
    data_revision: str | None = option(None, "branch, tag or commit of data on the hub", unset="its main branch")
    text: str | None = option(None, "text column", unset="recognised by common names")
    text_pair: str | None = option(None, "second text column of a text pair", unset="recognised by common names")
    max_length: Whole | None = option(None, "tokens kept of a row", unset="128; CoLA and SST-2 64", at_least=8)


@options
class Data:
    """Data, and how to read it"""

    label: str | None = option(
        None, "label column; several 0/1 columns, joined by commas, are labels of their own each",
        unset="recognised by common names",
    )  # fmt: skip
    label_map: str | None = option(
        None, "old=new,...: the data's labels as the teacher calls them", unset="matched by name"
    )
    task: str = option("auto", "kind of task; auto: what the labels and the teacher say", choices=("auto", *TASK_NAMES))
    metric: str | None = option(
        None,
        "such as accuracy, macro_f1, matthews or pearson; a name that is none lists those of the task",
        unset="the data's own, or the task's",
    )
    validation: Place | None = option(
        None,
        "data to score on, or held-out: 20 % of train",
        unset="the source's dev split, else held-out",
        reads="file or folder",
    )
    data_seed: Whole = option(42, "seed of splits, apart from the training seed", at_least=0, at_most=MOST_SEED)


@options
class Hub:
    """Models from the hub"""

    trust_remote_code: Switch = option(
        False, "run code that comes with a model; of one on the hub, only of the commit that --revision names"
    )
    revision: str | None = option(
        None, "branch, tag or commit of models on the hub; one model's own is NAME@REVISION", unset="their main branch"
    )


@options
class Conditions:
    """Fewer or worse training rows"""

    train_rows: Whole | None = option(
        None, "train on so many rows, drawn with the data seed (selection is among them)", unset="all", at_least=1
    )
    imbalance: Number | None = option(
        None,
        "rarest class as a share of the most frequent one, by leaving rows out",
        unset="as it is",
        above=0,
        at_most=1,
    )
    label_noise: Number = option(
        0.0, "share of training labels replaced by another one, with the data seed", at_least=0, at_most=1
    )


@options
class Teacher:
    """Teacher"""

    teacher: Place | None = option(
        None,
        "fine-tuned classifier; an encoder without a trained head is fine-tuned first and is also --base",
        required="start",
        reads="folder",
    )


@options
class Encoder:
    """Teacher"""

    base: Place | None = option(
        None,
        "pre-trained encoder: fine-tuned into the teacher, and what a cut student copies",
        required="start",
        reads="folder",
    )


@options
class Student:
    """Student"""

    student: Place = option(
        "half",
        "3 or first:3, last:3, every:2, 0,2,4 (layers, counted from 0), half, static (the mean of word embeddings, no "
        "layers), or a path",
        reads="folder",
    )
    student_width: Whole | None = option(
        None, "a narrower cut student: its hidden size", unset="as wide as its source", at_least=1
    )
    student_heads: Whole | None = option(
        None, "heads of a narrower student", unset="as many as its source has", at_least=1
    )
    student_weights: Literal["sliced", "fresh"] = option(
        "sliced", "weights of a narrower student: slices of its source's, or drawn anew"
    )
    student_head: Literal["auto", "fresh", "teacher"] = option(
        "auto", "the student's head: fresh or the teacher's (auto: the teacher's wherever shapes are equal)"
    )
    vocabulary: str | None = option(
        None,
        "tokens that the finished student keeps: auto (those of the texts it was trained on) or the SIZE most frequent "
        "of them; always special tokens and single characters",
        unset="all of the teacher's",
    )
    control: Switch = option(
        True, "also fine-tune the same student without a teacher", off="leave out the student without a teacher"
    )


@options
class Method:
    """Method, and what is matched"""

    method: str = option("cr-ild-rewrites", "see `crild methods`")
    schedule: Literal["two-stage", "paper"] = option(
        "two-stage", "two-stage: the method's own term, then the teacher's logits; paper: as its authors trained it"
    )
    features: str | None = option(
        None,
        "what is matched: ah, qkv or objectives with weights, as hidden+0.5*relations",
        unset="the method's",
    )
    layer_map: str | None = option(
        None,
        "last, uniform, skip, last-k, first, random, emd, all, or pairs 1-2,3-6",
        unset="the method's",
    )
    interpolate: Switch | None = option(None, "match on interpolated inputs", unset="the method's")
    plugin: Place | None = option(
        None, "a Python file of your own that registers objectives with crild.objective", unset="none", reads="file"
    )
    relation_heads: Whole | None = option(
        None, "relation heads of Q/K/V relations", unset="48 or the largest common divisor", at_least=1
    )
    width_map: Literal["none", "learned"] = option(
        "none", "learned: a linear map of student states to the teacher's width also where widths are equal"
    )
    consistency: Number | None = option(
        None, "final weight of the consistency term", unset="the method's, 0.1 for cr-ild", at_least=0
    )
    consistency_features: str | None = option(
        None, "what the consistency term acts on: some of what is matched, such as h of ah", unset="all"
    )
    ema: Switch = option(False, "consistency targets from a moving average of the student")
    ema_decay: Number = option(0.999, "decay of the moving average", at_least=0, at_most=1)
    temperature: Number | None = option(None, "of logit distillation", unset="the schedule's, 2 in two-stage", above=0)
    kd_inputs: Literal["plain", "interpolated"] = option(
        "plain", "inputs of logit distillation; interpolated: function matching, the teacher answers mixed inputs"
    )
    hard_label_weight: Number | None = option(
        None,
        "weight of the labels beside the teacher's logits, which get the rest",
        unset="the schedule's",
        at_least=0,
        at_most=1,
    )
    cross_fit: Whole | None = option(
        None,
        "folds of a cross-fitted teacher: each labelled row's logits come from a teacher that never saw its label",
        unset="one teacher for all rows",
        at_least=2,
    )


@options
class Supplementary:
    """Further texts"""

    supplementary: Place | None = option(
        None,
        "further texts, labels ignored, for intermediate-layer distillation",
        unset="none",
        reads="file or folder",
    )
    supplementary_mode: Literal["first", "join"] | None = option(
        None,
        "first: an own stage before the target data (the paper); join: rows beside the target's in every stage",
        unset="first where the method has a stage of its own term, else join",
    )
    augment: str | None = option(
        None,
        "rewrites of the training texts, labelled by the teacher alone: all, none, or some of deletion, masking, "
        "replacement, crossing, pairing, joined with +",
        unset="the method's",
    )
    augment_ratio: Number = option(3.0, "rewritten texts beside each training text, drawn anew in every epoch", above=0)


@options
class Training:
    """Training of every stage"""

    preset: Literal["quick", "paper"] | None = option(
        None, "epochs, rates and batch sizes that are not given", unset="quick on a CPU, paper on a GPU"
    )
    epochs: Whole | None = option(
        None, "epochs of every stage that has no own setting", unset="the preset's", at_least=1
    )
    max_steps: Whole | None = option(None, "a cap on the optimiser steps of each stage", unset="none", at_least=1)
    accumulation: Whole = option(1, "micro-batches of one optimiser step; more of them need less memory", at_least=1)
    save_minutes: Number = option(5.0, "minutes between checkpoints, which a killed stage resumes from", above=0)
    save_steps: Whole | None = option(
        None, "steps between checkpoints instead of minutes", unset="as --save-minutes says", at_least=1
    )
    keep: Literal["best", "last", "average"] = option(
        "best",
        "weights that a stage with labels or logits ends with: of the best epoch on the selection split, of the last "
        "one, or the average over the epochs that end in the last half of its steps",
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = option(
        "auto",
        "of training passes; auto: bf16 where the hardware multiplies it, else fp32 (fp16: for older GPUs); scores are "
        "always fp32",
    )
    gradient_checkpointing: Switch = option(
        False, "compute activations again in the backward pass: less memory, about a third more time"
    )
    seed: Whole = option(42, "seed of training", at_least=0, at_most=MOST_SEED)


@options
class FineTuning:
    """Stages on labels (teacher, control, filters)"""

    finetune_epochs: Whole | None = option(
        None, "epochs of fine-tuning on labels", unset=of_presets("finetune", "epochs"), at_least=1
    )
    finetune_learning_rate: Number | None = option(
        None, "learning rate of fine-tuning", unset=of_presets("finetune", "learning_rate"), at_least=0
    )
    finetune_batch_size: Whole | None = option(
        None, "batch size of fine-tuning", unset=of_presets("finetune", "batch_size"), at_least=1
    )


@options
class IntermediateStage:
    """Stage 1 (intermediate layers)"""

    ild_epochs: Whole | None = option(None, "epochs of stage 1", unset=of_presets("ild", "epochs"), at_least=1)
    ild_learning_rate: Number | None = option(
        None, "learning rate of stage 1", unset=of_presets("ild", "learning_rate"), at_least=0
    )
    ild_batch_size: Whole | None = option(
        None, "batch size of stage 1", unset=of_presets("ild", "batch_size"), at_least=1
    )


@options
class LogitStage:
    """Stage 2 (logits), and joint stages"""

    kd_epochs: Whole | None = option(None, "epochs of stage 2", unset=of_presets("kd", "epochs"), at_least=1)
    kd_learning_rate: Number | None = option(
        None, "learning rate of stage 2", unset=of_presets("kd", "learning_rate"), at_least=0
    )
    kd_batch_size: Whole | None = option(
        None, "batch size of stage 2", unset=of_presets("kd", "batch_size"), at_least=1
    )


@options
class Output:
    """Output"""

    output: Place | None = option(None, "folder of the run: models, scores and logs", required="output")
    keep_stages: Switch = option(False, "keep the weights that each stage ended with, not the finished models alone")
    report_to: str | None = option(
        None, "trackers that follow every stage: tensorboard, wandb, mlflow, trackio, joined with commas", unset="none"
    )


@options
class StudentOutput:
    """Output"""

    cache: Place | None = option(
        None, "folder of teacher outputs, may be shared by runs", unset="inside the run's folder"
    )
    track_validation: Switch = option(
        False, "also score validation at every evaluation, to report the best of them beside the score; chooses nothing"
    )


@options
class StageOption:
    """Stage of a `DistillationTrainer`"""

    stage: str = option(
        "joint", "a stage of the method's schedule, as ild or kd; joint: all of the schedule's terms together"
    )


@options
class Answers:
    """Answers"""

    compare: Place | None = option(
        None, "a second classifier, such as the teacher, scored on the same rows", unset="none", reads="folder"
    )
    predictions: Place | None = option(
        None, "file (.csv, .jsonl, .parquet) of every scored row and what is answered", unset="none", writes="answers"
    )


@options
class AnswersOutput:
    """Answers"""

    output: Place | None = option(
        None, "file (.csv, .jsonl, .parquet) of every row and its answer", required="output", writes="answers"
    )


@options
class Overwrite:
    """Answers"""

    overwrite: Switch = option(False, "replace an earlier file of that name")


@options
class Search:
    """Search"""

    trials: Whole = option(20, "runs in all, those of earlier starts included", at_least=1)
    search: str | None = option(
        None,
        "option=low:high or option=a|b|c, joined with commas",
        unset="the learning rates of the method's stages",
    )


@options
class Look:
    """Look closer"""

    teacher: Place | None = option(
        None, "fine-tuned classifier: its tokenizer's limit, and whether it knows the labels", unset="none"
    )
    base: Place | None = option(None, "encoder: its tokenizer's limit", unset="none")


@options
class Ranking:
    """Look closer"""

    suspicious: Switch = option(
        False, "rank labels that are probably wrong, by TF-IDF or (with --base or --teacher) by embeddings"
    )


@options
class Serving:
    """What is exported, and how it is proved"""

    data: Place | None = option(
        None, "rows to prove the export on", unset="the held-out rows of a run", reads="file or folder"
    )
    output: Place | None = option(None, "folder of the export", unset="served, in the folder of a run")
    overwrite: Switch = option(False, "replace an earlier export there")
    format: Literal["onnx", "openvino"] = option("onnx", "of the model's file")
    quantize: Literal["none", "int8"] = option(
        "none", "int8: weights of 8 bits, by the scheme that agrees best on rows that are not reported"
    )
    trim_vocabulary: Place | None = option(
        None,
        "tokens that are kept: those of TEXTS (a file or folder as --supplementary takes), auto (those of the run's "
        "training, selection and supplementary texts, or of --data's), or the SIZE most frequent of auto's; always "
        "special tokens and single characters",
        unset="all",
        reads="file or folder",
    )
    tolerance: Number = option(
        0.01,
        "score that int8 may lose; where it loses more, the fp32 file is kept beside it (where a trimmed vocabulary "
        "does, that is said)",
        at_least=0,
    )
    threads: Whole | None = option(
        None, "threads of every model that is timed", unset="as many as PyTorch takes", at_least=1
    )


@options
class Workers:
    """Several runs"""

    workers: str = option("1", "runs at a time: a number of local processes, or ray")
    address: str | None = option(None, "of a running Ray cluster", unset="a local one")


@options
class Students:
    """Students, and what they must reach"""

    students: str | None = option(
        None,
        "as `crild distill --student` takes them, separated by spaces",
        unset="static, and 1, 2, a third and half of the teacher's layers",
    )
    widths: str = option("full,half", "hidden sizes of each cut student, joined with commas: full, half or numbers")
    vocabularies: str = option(
        "full",
        "what each is served with, joined with commas: full, auto (the tokens of the run's texts), or the SIZE most "
        "frequent of these",
    )
    within: Number = option(0.01, "what a student's score may lack of the teacher's", at_least=0)
    max_latency: Milliseconds | None = option(
        None, "milliseconds that a served student may take for a batch", unset="any", above=0
    )
    batch: Whole = option(1, "rows of a batch whose time is measured", at_least=1)
    threads: Whole | None = option(None, "of a served model whose time is measured", unset="all cores", at_least=1)


# ---- one class a verb ----


@options
class DataConfig(Hub, Data, Texts):
    """Which data, and how to read it."""


@options
class TrainConfig(Output, FineTuning, Training, Conditions, Encoder, DataConfig):
    """How to train; what is `None` is filled in from the preset."""


@options
class FinetuneConfig(TrainConfig):
    """`crild finetune`: an encoder into a classifier."""


@options
class DistillConfig(TrainConfig, StudentOutput, LogitStage, IntermediateStage, Supplementary, Method, Student, Teacher):
    """`crild distill`: a teacher into a student."""


@options
class TuneConfig(DistillConfig, Search):
    """`crild tune`: search a method's settings on splits carved from the training data."""


@options
class SuspiciousConfig(Look, Conditions, DataConfig):
    """`crild.suspicious`: which labels are probably wrong."""


@options
class CheckConfig(Ranking, SuspiciousConfig):
    """`crild check`: what is wrong with a data set."""


@options
class EvaluateConfig(Overwrite, Answers, DataConfig, Model):
    """`crild evaluate`: score a saved classifier."""


@options
class PredictConfig(Overwrite, AnswersOutput, Hub, Texts, Model):
    """`crild predict`: a saved classifier's answers to rows without labels."""


@options
class ExportConfig(Serving, DataConfig, Model):
    """`crild export`: a classifier as files that run without PyTorch."""


@options
class CompareConfig(Workers):
    """Grid"""

    grid: Place | None = option(
        None, "YAML file of the grid: tasks, methods, conditions, seeds, options", required="grid", reads="file"
    )
    output: Place | None = option(
        None, "folder of the grid: run directories, results and the table", unset="required, but for --dry-run"
    )
    only: str | None = option(
        None, "only the runs with such a name, as --dry-run prints it; * is any text", unset="all"
    )


@options
class FrontierConfig(Workers, TrainConfig, LogitStage, IntermediateStage, Supplementary, Method, Students, Teacher):
    """`crild frontier`: the fastest student that is nearly as good as its teacher."""


@options
class DiagnoseConfig:
    """Runs"""

    runs: Places = option((), "folders of finished runs, side by side in one table", required="runs", reads="folder")
    budget: Number = option(160.0, "seconds that a run may take; what does not fit is named", above=0)
    rows: Whole = option(
        128,
        "rows of each split that are passed over many times; eight times as many training rows where something is "
        "fitted on them",
        at_least=8,
    )
    seed: Whole = option(42, "seed of rows, noise and directions", at_least=0, at_most=MOST_SEED)
    report_to: str | None = option(
        None,
        "trackers that show the table's figures beside the run's training, as --report-to of distill",
        unset="none",
    )
    plugin: Place | None = option(
        None, "the plugin that a run was made with, to be run again", unset="none is run", reads="file"
    )


@options
class ReportConfig:
    """Run"""

    run: Place | None = option(None, "folder of a finished run", required="run", reads="folder")


@options
class PlayConfig:
    """Run, and where its page is"""

    run: Place | None = option(None, "folder of a finished run", required="run", reads="folder")
    host: str = option("127.0.0.1", "address to listen at; the default one is reached from this machine alone")
    port: Whole = option(8765, "port to listen at; 0: any free one", at_least=0, at_most=65535)


@options
class StatusConfig:
    """Run"""

    run: Place | None = option(None, "folder of a run, a grid or a frontier", required="run", reads="folder")


@options
class DemoConfig:
    """Output"""

    output: Place = option("runs/demo", "folder of the demo: its data, runs and table")


@options
class MethodsConfig:
    """Method"""

    name: str | None = option(None, "explain this method", unset="list them all")


def with_defaults(earlier: dict[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a run that an earlier version may have made: an option it did not know has its default.

    A new option's default is what was done before there was one.
    """
    known = {each.name: each.default for each in fields(TuneConfig)}
    return {name: known.get(name) for name in config} | earlier


# In Python these may also be objects in memory: a model, rows.
MODEL_OPTIONS = ("teacher", "base", "student", "model", "compare")
ROW_OPTIONS = ("data", "validation", "supplementary", "trim_vocabulary")


def is_object(option: str, value: Any) -> bool:
    """Return whether an option's value is an object, and not the name of one or a number."""
    plain = value is None or isinstance(value, str | PathLike | int | float)
    return option in (*MODEL_OPTIONS, *ROW_OPTIONS) and not plain
