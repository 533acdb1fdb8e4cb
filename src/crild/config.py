"""What a run may say. Every option of the command line, key of a YAML file and argument of the Python functions is a
field of these dataclasses, and every default is written here and nowhere else.
"""

import dataclasses
import os
import types
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from crild.errors import CrildError, nearest

Preset = Literal["quick", "paper"]
T = TypeVar("T")


def option(default: Any, help: str) -> Any:
    """Return a dataclass field with its default and its line of help."""
    return field(default=default, metadata={"help": help})


@dataclass(kw_only=True)
class DataConfig:
    """Which data, and how to read it."""

    data: str | None = option(None, "GLUE folder, CSV/TSV/JSONL/Parquet/text file, `datasets` directory or hub name")
    text: str | None = option(None, "text column (recognised by common names)")
    text_pair: str | None = option(None, "second text column of a text pair")
    label: str | None = option(None, "label column")
    label_map: str | None = option(None, "old=new,...: the data's labels as the teacher calls them")
    task: Literal["auto", "classification", "regression"] = option("auto", "kind of task")
    metric: str | None = option(
        None,
        "accuracy, f1, accuracy_f1, macro_f1, matthews, pearson, spearman or pearson_spearman",
    )
    max_length: int | None = option(None, "tokens kept of a row (128; CoLA and SST-2 64)")
    validation: str | None = option(
        None, "data to score on, or held-out: 20 %% of train (default: the source's dev split, else held out)"
    )
    data_seed: int = option(42, "seed of splits, apart from the training seed")
    trust_remote_code: bool = option(False, "allow code that comes with a hub model")
    revision: str | None = option(None, "branch, tag or commit of hub models")
    data_revision: str | None = option(None, "branch, tag or commit of hub data")


@dataclass(kw_only=True)
class TrainConfig(DataConfig):
    """How to train; `None` is filled in from the preset."""

    train_rows: int | None = option(None, "train on so many rows, drawn with the data seed (selection is among them)")
    imbalance: float | None = option(None, "rarest class as a share of the most frequent one, by leaving rows out")
    label_noise: float = option(0.0, "share of training labels replaced by another one, with the data seed")
    base: str | None = option(None, "pre-trained encoder: fine-tuned into the teacher, and what a cut student copies")
    output: str | None = option(None, "run directory")
    preset: Preset | None = option(None, "quick (default on a CPU) or paper (default on a GPU): epochs, rates, batches")
    epochs: int | None = option(None, "epochs of every stage that has no own setting")
    max_steps: int | None = option(None, "a cap on the optimiser steps of each stage")
    finetune_epochs: int | None = option(
        None, "epochs of fine-tuning on labels (teacher, control, filters, label stages)"
    )
    finetune_learning_rate: float | None = option(None, "learning rate of fine-tuning")
    finetune_batch_size: int | None = option(None, "batch size of fine-tuning")
    accumulation: int = option(1, "micro-batches of one optimiser step")
    save_steps: int = option(100, "steps between checkpoints, which a killed stage resumes from")
    keep: Literal["best", "last"] = option(
        "best", "weights of which epoch a stage with labels or logits ends with: best on the selection split, or last"
    )
    precision: Literal["auto", "fp32", "bf16"] = option("auto", "of training passes; scores are always fp32")
    keep_stages: bool = option(False, "keep the weights of every stage after the end")
    seed: int = option(42, "seed of training")


@dataclass(kw_only=True)
class FinetuneConfig(TrainConfig):
    """`crild finetune`: an encoder into a classifier."""


@dataclass(kw_only=True)
class DistillConfig(TrainConfig):
    """`crild distill`: a teacher into a student."""

    teacher: str | None = option(
        None,
        "fine-tuned classifier; without a trained head it is fine-tuned first and is also --base",
    )
    student: str = option("half", "3 or first:3, last:3, every:2, 0,2,4 (layers, counted from 0), half, or a PATH")
    student_width: int | None = option(None, "a narrower cut student: its hidden size (default: as wide as its source)")
    student_heads: int | None = option(None, "heads of a narrower student (default: as many as its source has)")
    student_weights: Literal["sliced", "fresh"] = option(
        "sliced", "weights of a narrower student: slices of its source's, or drawn anew"
    )
    student_head: Literal["auto", "fresh", "teacher"] = option(
        "auto",
        "the student's head: fresh or the teacher's (auto: the teacher's where the layers are its own too)",
    )
    method: str = option("cr-ild", "see `crild methods`")
    schedule: Literal["two-stage", "paper"] = option(
        "two-stage", "two-stage: the method's own term, then the teacher's logits; paper: as its authors trained it"
    )
    supplementary: str | None = option(None, "further texts, labels ignored, for intermediate-layer distillation")
    supplementary_mode: Literal["first", "join"] = option(
        "first",
        "first: an own stage before the target data (the paper); join: rows beside the target's in both stages",
    )
    features: str | None = option(
        None,
        "what is matched: ah, qkv or objectives with weights, as hidden+0.5*relations (default: the method's)",
    )
    layer_map: str | None = option(
        None, "last, uniform, skip, last-k, first, random, emd, all, or pairs 1-2,3-6 (default: the method's)"
    )
    interpolate: bool | None = option(None, "match on interpolated inputs (default: the method's)")
    plugin: str | None = option(None, "a Python file of your own that registers objectives with crild.objective")
    relation_heads: int | None = option(
        None, "relation heads of Q/K/V relations (default: 48 or the largest common divisor)"
    )
    consistency: float | None = option(
        None, "final weight of the consistency term (default: the method's, 0.1 for cr-ild)"
    )
    consistency_features: str | None = option(
        None, "what the consistency term acts on: some of what is matched, such as h of ah (default: all)"
    )
    ema: bool = option(False, "consistency targets from a moving average of the student")
    ema_decay: float = option(0.999, "decay of the moving average")
    temperature: float | None = option(None, "of logit distillation (default: the schedule's, 2 in two-stage)")
    hard_label_weight: float | None = option(
        None, "weight of the labels beside the teacher's logits, which get the rest (default: the schedule's)"
    )
    cache: str | None = option(
        None, "folder of teacher outputs, may be shared by runs (default: inside the run directory)"
    )
    track_validation: bool = option(
        False, "also score validation at every evaluation, to report the best of them beside the score; chooses nothing"
    )
    control: bool = option(True, "also fine-tune the same student without a teacher")
    ild_epochs: int | None = option(None, "epochs of stage 1 (intermediate layers)")
    ild_learning_rate: float | None = option(None, "learning rate of stage 1")
    ild_batch_size: int | None = option(None, "batch size of stage 1")
    kd_epochs: int | None = option(None, "epochs of stage 2 (logits), and of joint stages")
    kd_learning_rate: float | None = option(None, "learning rate of stage 2, and of joint stages")
    kd_batch_size: int | None = option(None, "batch size of stage 2, and of joint stages")


@dataclass(kw_only=True)
class EvaluateConfig(DataConfig):
    """`crild evaluate`: score a saved classifier."""

    model: str | None = option(None, "folder or hub name of a classifier")


@dataclass(kw_only=True)
class CompareConfig:
    """`crild compare`: a grid of runs into one table."""

    grid: str | None = option(None, "YAML file of the grid: tasks, methods, conditions, seeds, options")
    output: str | None = option(None, "folder of the grid: run directories, results and the table")
    workers: str = option("1", "runs at a time: a number of local processes, or ray")
    address: str | None = option(None, "of a running Ray cluster (default: a local one)")
    only: str | None = option(None, "only the runs with such a name, as --dry-run prints it; * is any text")


@dataclass(kw_only=True)
class TuneConfig(DistillConfig):
    """`crild tune`: search a method's settings on splits carved from the training data."""

    trials: int = option(20, "runs in all, those of earlier starts included")
    search: str | None = option(
        None, "option=low:high or option=a|b|c, joined with commas (default: the learning rates of the method's stages)"
    )


# ---- presets: what the `None`s of TrainConfig and DistillConfig become ----


@dataclass(frozen=True)
class StageSettings:
    """How long and how fast one stage trains.

    Attributes:
        epochs: passes over the stage's rows.
        learning_rate: peak, after 10 % warm-up; falls linearly to 0.
        batch_size: rows of one optimiser step on each process.
        max_steps: a cap on optimiser steps, or ``None``.
        eval_steps: steps between evaluations on the selection split, besides the one after every epoch.
        save_steps: steps between checkpoints.
        accumulation: micro-batches of one optimiser step; ``batch_size`` is divided among them.
        grouped: rows of like length share a batch; else batches are random.
        pad_to: tokens that every batch is padded to; ``None``: its own longest row's.
        drop_last: leave an incomplete last batch out.
        keep: the weights to end with, of the evaluation with the best score or the last.
    """

    epochs: int
    learning_rate: float
    batch_size: int
    max_steps: int | None = None
    eval_steps: int | None = None
    save_steps: int = 100
    accumulation: int = 1
    grouped: bool = True
    pad_to: int | None = None
    drop_last: bool = False
    keep: Literal["best", "last"] = "best"

    def steps(self, rows: int) -> int:
        """Return the number of optimiser steps over ``rows`` rows."""
        total = self.epochs * self.steps_per_epoch(rows)
        return min(total, self.max_steps) if self.max_steps else total

    def steps_per_epoch(self, rows: int) -> int:
        """Return the number of optimiser steps of one epoch."""
        if self.drop_last and rows >= self.batch_size:
            return rows // self.batch_size
        return -(-rows // self.batch_size)


@dataclass(frozen=True)
class StagePreset:
    """Settings of one stage.

    Attributes:
        learning_rate, batch_size: as in `StageSettings`.
        epochs: (most rows, epochs) in rising order; the last entry holds for any number of rows.
        eval_steps: steps between evaluations, besides the one after every epoch.
    """

    learning_rate: float
    batch_size: int
    epochs: tuple[tuple[float, int], ...]
    eval_steps: int | None = None

    def epochs_for(self, rows: int) -> int:
        """Return the epochs on this many rows."""
        return next(epochs for most, epochs in self.epochs if rows <= most)


ANY = float("inf")
PRESETS: dict[str, dict[str, StagePreset]] = {
    # Small students and few rows on a CPU. Rates, and epochs of up to 1,500 rows: docs/results.md, "Set-up".
    "quick": {
        "finetune": StagePreset(1e-4, 16, ((1500, 10), (10_000, 4), (ANY, 2))),
        "ild": StagePreset(1e-4, 32, ((1500, 10), (10_000, 4), (ANY, 2))),
        "kd": StagePreset(1e-4, 32, ((1500, 10), (10_000, 3), (ANY, 2))),
    },
    # `method.md` section 3: the paper's settings.
    "paper": {
        "finetune": StagePreset(2e-5, 16, ((1500, 20), (ANY, 4))),
        "ild": StagePreset(3e-5, 32, ((20_000, 20), (200_000, 10), (ANY, 5))),
        "kd": StagePreset(3e-5, 16, ((ANY, 4),), eval_steps=50),
    },
}


def stage_settings(config: TrainConfig, kind: str, rows: int) -> StageSettings:
    """Return the settings of a stage of ``kind`` on ``rows`` rows: own options, then `epochs`, then the preset."""
    preset = PRESETS[config.preset or "quick"][kind]
    rate = getattr(config, f"{kind}_learning_rate")
    return StageSettings(
        epochs=getattr(config, f"{kind}_epochs") or config.epochs or preset.epochs_for(rows),
        learning_rate=preset.learning_rate if rate is None else rate,
        batch_size=getattr(config, f"{kind}_batch_size") or preset.batch_size,
        max_steps=config.max_steps,
        eval_steps=preset.eval_steps,
        save_steps=config.save_steps,
        accumulation=config.accumulation,
        keep=config.keep,
    )


def with_defaults(earlier: dict[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a run that an earlier version may have made: an option it did not know has its default.

    A new option's default is what was done before there was one.
    """
    known = {each.name: each.default for each in fields(TuneConfig)}
    return {name: known.get(name) for name in config} | earlier


# ---- from dictionaries, YAML and command lines to these classes, with errors for people ----


def build(cls: type[T], values: dict[str, Any], where: str = "") -> T:
    """Make a configuration from names and values.

    Args:
        cls: one of the classes above.
        values: by field name.
        where: prefix of error messages, for instance the YAML file.

    Raises:
        CrildError: a name is unknown (the nearest is suggested) or a value has the wrong type.
    """
    hints = get_type_hints(cls)
    prefix = f"{where}: " if where else ""
    for name in values:
        if name not in hints:
            raise CrildError(f"{prefix}unknown option {name!r}{nearest(name, hints)}")
    return cls(**{name: convert(value, hints[name], f"{prefix}{name}") for name, value in values.items()})


def convert(value: Any, hint: Any, name: str) -> Any:
    """Return ``value`` as the type ``hint`` (YAML reads 3e-5 as text, for instance), or complain about ``name``."""
    options = [hint] if get_origin(hint) not in (Union, types.UnionType) else list(get_args(hint))
    if value is None and type(None) in options:
        return None
    for wanted in (o for o in options if o is not type(None)):
        if get_origin(wanted) is Literal:
            if value in get_args(wanted):
                return value
            choices = [str(c) for c in get_args(wanted)]
            raise CrildError(f"{name}: {value!r} is none of {', '.join(choices)}{nearest(str(value), choices)}")
        if wanted is bool and isinstance(value, bool):
            return value
        if wanted is str and isinstance(value, str | int | float | Path) and not isinstance(value, bool):
            return os.path.expanduser(str(value))
        if wanted in (int, float) and not isinstance(value, bool):
            try:
                number = wanted(value)
            except (TypeError, ValueError, OverflowError):
                continue
            if number == float(value):
                return positive(number, name)
    names = " or ".join(getattr(o, "__name__", str(o)) for o in options if o is not type(None))
    raise CrildError(f"{name}: {value!r} is not {names}")


MAY_BE_ZERO = (
    "seed",
    "data_seed",
    "consistency",
    "hard_label_weight",
    "ema_decay",
    "label_noise",
    "finetune_learning_rate",
    "ild_learning_rate",
    "kd_learning_rate",
)


def positive(number: Any, name: str) -> Any:
    """Return a number that is in range: none of the options may be negative, few may be 0."""
    which = name.rsplit(" ", 1)[-1]
    if number < 0 or number != number or (number == 0 and which not in MAY_BE_ZERO):
        raise CrildError(f"{name}: {number} is out of range, it must be positive")
    if which in ("seed", "data_seed") and number >= 2**32:
        raise CrildError(f"{name}: {number} is out of range, it must be below 2**32")
    if which in ("hard_label_weight", "ema_decay", "label_noise", "imbalance") and number > 1:
        raise CrildError(f"{name}: {number} is out of range, it must be at most 1")
    return number


def configure(cls: type[T], config: T | None, options: dict[str, Any]) -> T:
    """Return a whole configuration: the one given, or one made of options.

    Raises:
        CrildError: both are given, or an option is wrong.
    """
    if config is not None and options:
        raise CrildError(f"give a configuration or options, not both ({', '.join(options)}): use dataclasses.replace")
    return config if config is not None else build(cls, options)


def read_yaml(path: str) -> dict[str, Any]:
    """Read a run's YAML file: one level of ``option: value``.

    Raises:
        CrildError: the file is missing or is not such YAML.
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CrildError(f"no such file: {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CrildError(f"{path}: not readable ({error})") from None
    except RecursionError:
        raise CrildError(f"{path}: not valid YAML (nested too deeply)") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise CrildError(f"{path}: {line}not valid YAML ({getattr(error, 'problem', None) or 'syntax'})") from None
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise CrildError(f"{path}: a run's YAML holds lines of `option: value`")
    return {key.replace("-", "_"): value for key, value in values.items()}


def as_dict(config: Any) -> dict[str, Any]:
    """Return a configuration as plain values."""
    return dataclasses.asdict(config)


def option_names(cls: Any) -> list[str]:
    """Return the names of a configuration's options."""
    return [each.name for each in fields(cls)]
