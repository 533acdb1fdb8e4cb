# Written by `make docs` from the functions and the options that they take: an editor completes and explains them.
from collections.abc import Sequence
from os import PathLike
from typing import Any, Literal

from datasets import Dataset, DatasetDict
from pandas import DataFrame
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

from crild.checking import Examination
from crild.data.suspects import Suspicious
from crild.diagnostics.diagnosis import Diagnosis
from crild.grid.status import GridStatus
from crild.pareto.result import Frontier
from crild.run.result import Evaluation, Result
from crild.run.status import Status
from crild.serving.result import Export
from crild.config import CheckConfig as CheckConfig
from crild.errors import CrildError as CrildError
from crild.config import DiagnoseConfig as DiagnoseConfig
from crild.config import DistillConfig as DistillConfig
from crild.training.arguments import DistillationArguments as DistillationArguments
from crild.trainer import DistillationTrainer as DistillationTrainer
from crild.config import EvaluateConfig as EvaluateConfig
from crild.config import ExportConfig as ExportConfig
from crild.config import FinetuneConfig as FinetuneConfig
from crild.config import FrontierConfig as FrontierConfig
from crild.config import PredictConfig as PredictConfig
from crild.run.folder import RunFolder as RunFolder
from crild.config import StatusConfig as StatusConfig
from crild.config import SuspiciousConfig as SuspiciousConfig
from crild.config import TuneConfig as TuneConfig
from crild.run.cascade import cascade as cascade
from crild.grid.run import compare as compare
from crild.objectives import objective as objective
from crild.console import quiet as quiet
from crild.run.report import report as report

__version__: str
__all__ = ['CheckConfig', 'CrildError', 'DiagnoseConfig', 'DistillConfig', 'DistillationArguments', 'DistillationTrainer', 'EvaluateConfig', 'ExportConfig', 'FinetuneConfig', 'FrontierConfig', 'PredictConfig', 'RunFolder', 'StatusConfig', 'SuspiciousConfig', 'TuneConfig', 'cascade', 'check', 'compare', 'diagnose', 'distill', 'evaluate', 'export', 'finetune', 'frontier', 'objective', 'predict', 'quiet', 'report', 'status', 'suspicious', 'tune']

def check(
    config: CheckConfig | None = None,
    *,
    tokenizer: 'PreTrainedTokenizerBase | None' = None,
    data: str | PathLike[str] | DataFrame | Dataset | DatasetDict | None = None,
    data_revision: str | None = None,
    text: str | None = None,
    text_pair: str | None = None,
    max_length: int | None = None,
    label: str | None = None,
    label_map: str | None = None,
    task: str = 'auto',
    metric: str | None = None,
    validation: str | PathLike[str] | DataFrame | Dataset | DatasetDict | None = None,
    data_seed: int = 42,
    trust_remote_code: bool = False,
    revision: str | None = None,
    train_rows: int | None = None,
    imbalance: float | None = None,
    label_noise: float = 0.0,
    teacher: str | PathLike[str] | PreTrainedModel | None = None,
    base: str | PathLike[str] | PreTrainedModel | None = None,
    suspicious: bool = False,
) -> Examination:
    """Examine a data source; train nothing, write nothing.

    Args:
        config: a whole configuration; or
        tokenizer: of a model that is given as an object.
        options: the fields of `CheckConfig`, for instance ``data="tweets.csv"``. ``data``, ``validation`` and
            ``supplementary`` may be rows in memory, ``teacher`` and ``base`` models, as in `crild.distill`.

    Raises:
        CrildError: the data or the model cannot be read, or ``suspicious`` asks for what is not installed.

    Options:
        data: GLUE folder, CSV, TSV, JSONL, Parquet or text file, `datasets` directory or hub name
        data_revision: branch, tag or commit of data on the hub (default: its main branch)
        text: text column (default: recognised by common names)
        text_pair: second text column of a text pair (default: recognised by common names)
        max_length: tokens kept of a row (default: 128; CoLA and SST-2 64)
        label: label column; several 0/1 columns, joined by commas, are labels of their own each (default: recognised by common names)
        label_map: old=new,...: the data's labels as the teacher calls them (default: matched by name)
        task: kind of task; auto: what the labels and the teacher say
        metric: such as accuracy, macro_f1, matthews or pearson; a name that is none lists those of the task (default: the data's own, or the task's)
        validation: data to score on, or held-out: 20 % of train (default: the source's dev split, else held-out)
        data_seed: seed of splits, apart from the training seed
        trust_remote_code: run code that comes with a model; of one on the hub, only of the commit that --revision names
        revision: branch, tag or commit of models on the hub; one model's own is NAME@REVISION (default: their main branch)
        train_rows: train on so many rows, drawn with the data seed (selection is among them) (default: all)
        imbalance: rarest class as a share of the most frequent one, by leaving rows out (default: as it is)
        label_noise: share of training labels replaced by another one, with the data seed
        teacher: fine-tuned classifier: its tokenizer's limit, and whether it knows the labels (default: none)
        base: encoder: its tokenizer's limit (default: none)
        suspicious: rank labels that are probably wrong, by TF-IDF or (with --base or --teacher) by embeddings
    """
    ...

def diagnose(
    config: DiagnoseConfig | None = None,
    *,
    runs: str | PathLike[str] | Sequence[str | PathLike[str]] = (),
    budget: float = 160.0,
    rows: int = 128,
    seed: int = 42,
    report_to: str | None = None,
    plugin: str | PathLike[str] | None = None,
) -> Diagnosis:
    """Look at finished runs: gaps, memorised flips, layers, noise on the weights, curvature, loss surfaces.

    The figures of each diagnostic are written as ``RUN/diagnostics/NAME.json``; models and results stay as they are.

    Args:
        config: a whole configuration; or
        options: the fields of `DiagnoseConfig`, for instance ``runs=["runs/cr-ild", "runs/kd"], budget=300``.

    Returns:
        The table that prints, every figure, and what was left out.

    Raises:
        CrildError: a folder holds no finished run, or none of its models is left.

    Example:
        >>> print(crild.diagnose(runs="runs/tweets"))

    Options:
        runs: folders of finished runs, side by side in one table
        budget: seconds that a run may take; what does not fit is named
        rows: rows of each split that are passed over many times; eight times as many training rows where something is fitted on them
        seed: seed of rows, noise and directions
        report_to: trackers that show the table's figures beside the run's training, as --report-to of distill (default: none)
        plugin: the plugin that a run was made with, to be run again (default: none is run)
    """
    ...

def distill(
    config: DistillConfig | None = None,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    data: str | PathLike[str] | DataFrame | Dataset | DatasetDict | None = None,
    data_revision: str | None = None,
    text: str | None = None,
    text_pair: str | None = None,
    max_length: int | None = None,
    label: str | None = None,
    label_map: str | None = None,
    task: str = 'auto',
    metric: str | None = None,
    validation: str | PathLike[str] | DataFrame | Dataset | DatasetDict | None = None,
    data_seed: int = 42,
    trust_remote_code: bool = False,
    revision: str | None = None,
    train_rows: int | None = None,
    imbalance: float | None = None,
    label_noise: float = 0.0,
    teacher: str | PathLike[str] | PreTrainedModel | None = None,
    base: str | PathLike[str] | PreTrainedModel | None = None,
    student: int | str | PathLike[str] | PreTrainedModel = 'half',
    student_width: int | None = None,
    student_heads: int | None = None,
    student_weights: Literal['sliced', 'fresh'] = 'sliced',
    student_head: Literal['auto', 'fresh', 'teacher'] = 'auto',
    vocabulary: str | None = None,
    control: bool = True,
    method: str = 'cr-ild-rewrites',
    schedule: Literal['two-stage', 'paper'] = 'two-stage',
    features: str | None = None,
    layer_map: str | None = None,
    interpolate: bool | None = None,
    plugin: str | PathLike[str] | None = None,
    relation_heads: int | None = None,
    width_map: Literal['none', 'learned'] = 'none',
    consistency: float | None = None,
    consistency_features: str | None = None,
    ema: bool = False,
    ema_decay: float = 0.999,
    temperature: float | None = None,
    kd_inputs: Literal['plain', 'interpolated'] = 'plain',
    hard_label_weight: float | None = None,
    cross_fit: int | None = None,
    supplementary: str | PathLike[str] | DataFrame | Dataset | DatasetDict | None = None,
    supplementary_mode: Literal['first', 'join'] | None = None,
    augment: str | None = None,
    augment_ratio: float = 3.0,
    preset: Literal['quick', 'paper'] | None = None,
    epochs: int | None = None,
    max_steps: int | None = None,
    accumulation: int = 1,
    save_minutes: float = 5.0,
    save_steps: int | None = None,
    keep: Literal['best', 'last', 'average'] = 'best',
    precision: Literal['auto', 'fp32', 'bf16', 'fp16'] = 'auto',
    gradient_checkpointing: bool = False,
    seed: int = 42,
    finetune_epochs: int | None = None,
    finetune_learning_rate: float | None = None,
    finetune_batch_size: int | None = None,
    ild_epochs: int | None = None,
    ild_learning_rate: float | None = None,
    ild_batch_size: int | None = None,
    kd_epochs: int | None = None,
    kd_learning_rate: float | None = None,
    kd_batch_size: int | None = None,
    output: str | PathLike[str] | None = None,
    keep_stages: bool = False,
    report_to: str | None = None,
    cache: str | PathLike[str] | None = None,
    track_validation: bool = False,
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

    Options:
        data: GLUE folder, CSV, TSV, JSONL, Parquet or text file, `datasets` directory or hub name
        data_revision: branch, tag or commit of data on the hub (default: its main branch)
        text: text column (default: recognised by common names)
        text_pair: second text column of a text pair (default: recognised by common names)
        max_length: tokens kept of a row (default: 128; CoLA and SST-2 64)
        label: label column; several 0/1 columns, joined by commas, are labels of their own each (default: recognised by common names)
        label_map: old=new,...: the data's labels as the teacher calls them (default: matched by name)
        task: kind of task; auto: what the labels and the teacher say
        metric: such as accuracy, macro_f1, matthews or pearson; a name that is none lists those of the task (default: the data's own, or the task's)
        validation: data to score on, or held-out: 20 % of train (default: the source's dev split, else held-out)
        data_seed: seed of splits, apart from the training seed
        trust_remote_code: run code that comes with a model; of one on the hub, only of the commit that --revision names
        revision: branch, tag or commit of models on the hub; one model's own is NAME@REVISION (default: their main branch)
        train_rows: train on so many rows, drawn with the data seed (selection is among them) (default: all)
        imbalance: rarest class as a share of the most frequent one, by leaving rows out (default: as it is)
        label_noise: share of training labels replaced by another one, with the data seed
        teacher: fine-tuned classifier; an encoder without a trained head is fine-tuned first and is also --base
        base: pre-trained encoder: fine-tuned into the teacher, and what a cut student copies
        student: 3 or first:3, last:3, every:2, 0,2,4 (layers, counted from 0), half, static (the mean of word embeddings, no layers), or a path
        student_width: a narrower cut student: its hidden size (default: as wide as its source)
        student_heads: heads of a narrower student (default: as many as its source has)
        student_weights: weights of a narrower student: slices of its source's, or drawn anew
        student_head: the student's head: fresh or the teacher's (auto: the teacher's wherever shapes are equal)
        vocabulary: tokens that the finished student keeps: auto (those of the texts it was trained on) or the SIZE most frequent of them; always special tokens and single characters (default: all of the teacher's)
        control: also fine-tune the same student without a teacher
        method: see `crild methods`
        schedule: two-stage: the method's own term, then the teacher's logits; paper: as its authors trained it
        features: what is matched: ah, qkv or objectives with weights, as hidden+0.5*relations (default: the method's)
        layer_map: last, uniform, skip, last-k, first, random, emd, all, or pairs 1-2,3-6 (default: the method's)
        interpolate: match on interpolated inputs (default: the method's)
        plugin: a Python file of your own that registers objectives with crild.objective (default: none)
        relation_heads: relation heads of Q/K/V relations (default: 48 or the largest common divisor)
        width_map: learned: a linear map of student states to the teacher's width also where widths are equal
        consistency: final weight of the consistency term (default: the method's, 0.1 for cr-ild)
        consistency_features: what the consistency term acts on: some of what is matched, such as h of ah (default: all)
        ema: consistency targets from a moving average of the student
        ema_decay: decay of the moving average
        temperature: of logit distillation (default: the schedule's, 2 in two-stage)
        kd_inputs: inputs of logit distillation; interpolated: function matching, the teacher answers mixed inputs
        hard_label_weight: weight of the labels beside the teacher's logits, which get the rest (default: the schedule's)
        cross_fit: folds of a cross-fitted teacher: each labelled row's logits come from a teacher that never saw its label (default: one teacher for all rows)
        supplementary: further texts, labels ignored, for intermediate-layer distillation (default: none)
        supplementary_mode: first: an own stage before the target data (the paper); join: rows beside the target's in every stage (default: first where the method has a stage of its own term, else join)
        augment: rewrites of the training texts, labelled by the teacher alone: all, none, or some of deletion, masking, replacement, crossing, pairing, joined with + (default: the method's)
        augment_ratio: rewritten texts beside each training text, drawn anew in every epoch
        preset: epochs, rates and batch sizes that are not given (default: quick on a CPU, paper on a GPU)
        epochs: epochs of every stage that has no own setting (default: the preset's)
        max_steps: a cap on the optimiser steps of each stage (default: none)
        accumulation: micro-batches of one optimiser step; more of them need less memory
        save_minutes: minutes between checkpoints, which a killed stage resumes from
        save_steps: steps between checkpoints instead of minutes (default: as --save-minutes says)
        keep: weights that a stage with labels or logits ends with: of the best epoch on the selection split, of the last one, or the average over the epochs that end in the last half of its steps
        precision: of training passes; auto: bf16 where the hardware multiplies it, else fp32 (fp16: for older GPUs); scores are always fp32
        gradient_checkpointing: compute activations again in the backward pass: less memory, about a third more time
        seed: seed of training
        finetune_epochs: epochs of fine-tuning on labels (default: quick 10 (up to 1,500 rows) or 4 (up to 10,000 rows) or 2, paper 20 (up to 1,500 rows) or 4)
        finetune_learning_rate: learning rate of fine-tuning (default: quick 0.0001, paper 2e-05)
        finetune_batch_size: batch size of fine-tuning (default: quick 16, paper 16)
        ild_epochs: epochs of stage 1 (default: quick 10 (up to 1,500 rows) or 4 (up to 10,000 rows) or 2, paper 20 (up to 20,000 rows) or 10 (up to 200,000 rows) or 5)
        ild_learning_rate: learning rate of stage 1 (default: quick 0.0001, paper 3e-05)
        ild_batch_size: batch size of stage 1 (default: quick 32, paper 32)
        kd_epochs: epochs of stage 2 (default: quick 10 (up to 1,500 rows) or 3 (up to 10,000 rows) or 2, paper 4)
        kd_learning_rate: learning rate of stage 2 (default: quick 0.0001, paper 3e-05)
        kd_batch_size: batch size of stage 2 (default: quick 32, paper 16)
        output: folder of the run: models, scores and logs
        keep_stages: keep the weights that each stage ended with, not the finished models alone
        report_to: trackers that follow every stage: tensorboard, wandb, mlflow, trackio, joined with commas (default: none)
        cache: folder of teacher outputs, may be shared by runs (default: inside the run's folder)
        track_validation: also score validation at every evaluation, to report the best of them beside the score; chooses nothing
    """
    ...

def evaluate(
    config: EvaluateConfig | None = None,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    model: str | PathLike[str] | PreTrainedModel | None = None,
    data: str | PathLike[str] | DataFrame | Dataset | DatasetDict | None = None,
    data_revision: str | None = None,
    text: str | None = None,
    text_pair: str | None = None,
    max_length: int | None = None,
    label: str | None = None,
    label_map: str | None = None,
    task: str = 'auto',
    metric: str | None = None,
    validation: str | PathLike[str] | DataFrame | Dataset | DatasetDict | None = None,
    data_seed: int = 42,
    trust_remote_code: bool = False,
    revision: str | None = None,
    compare: str | PathLike[str] | PreTrainedModel | None = None,
    predictions: str | PathLike[str] | None = None,
    overwrite: bool = False,
) -> Evaluation:
    """Score a classifier on the validation split of a data source (on all rows of a single file).

    Args:
        config: a whole configuration; or
        tokenizer: of a model that is given as an object.
        options: the fields of `EvaluateConfig`, for instance ``model="runs/tweets", data="tweets.csv"``. ``model`` and
            ``compare`` may be transformers models, ``data`` and ``validation`` rows in memory, as in `crild.distill`.

    Returns:
        The scores, each class's, every row's answer and, with ``compare``, how the two models differ.

    Raises:
        CrildError: model or data cannot be used.

    Options:
        model: folder or hub name of a classifier; a run stands for its student
        data: GLUE folder, CSV, TSV, JSONL, Parquet or text file, `datasets` directory or hub name
        data_revision: branch, tag or commit of data on the hub (default: its main branch)
        text: text column (default: recognised by common names)
        text_pair: second text column of a text pair (default: recognised by common names)
        max_length: tokens kept of a row (default: 128; CoLA and SST-2 64)
        label: label column; several 0/1 columns, joined by commas, are labels of their own each (default: recognised by common names)
        label_map: old=new,...: the data's labels as the teacher calls them (default: matched by name)
        task: kind of task; auto: what the labels and the teacher say
        metric: such as accuracy, macro_f1, matthews or pearson; a name that is none lists those of the task (default: the data's own, or the task's)
        validation: data to score on, or held-out: 20 % of train (default: the source's dev split, else held-out)
        data_seed: seed of splits, apart from the training seed
        trust_remote_code: run code that comes with a model; of one on the hub, only of the commit that --revision names
        revision: branch, tag or commit of models on the hub; one model's own is NAME@REVISION (default: their main branch)
        compare: a second classifier, such as the teacher, scored on the same rows (default: none)
        predictions: file (.csv, .jsonl, .parquet) of every scored row and what is answered (default: none)
        overwrite: replace an earlier file of that name
    """
    ...

def export(
    config: ExportConfig | None = None,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    model: str | PathLike[str] | PreTrainedModel | None = None,
    data_revision: str | None = None,
    text: str | None = None,
    text_pair: str | None = None,
    max_length: int | None = None,
    label: str | None = None,
    label_map: str | None = None,
    task: str = 'auto',
    metric: str | None = None,
    validation: str | PathLike[str] | DataFrame | Dataset | DatasetDict | None = None,
    data_seed: int = 42,
    trust_remote_code: bool = False,
    revision: str | None = None,
    data: str | PathLike[str] | DataFrame | Dataset | DatasetDict | None = None,
    output: str | PathLike[str] | None = None,
    overwrite: bool = False,
    format: Literal['onnx', 'openvino'] = 'onnx',
    quantize: Literal['none', 'int8'] = 'none',
    trim_vocabulary: str | PathLike[str] | DataFrame | Dataset | DatasetDict | None = None,
    tolerance: float = 0.01,
    threads: int | None = None,
) -> Export:
    """Export a classifier into a folder that runs without PyTorch, and prove it against the PyTorch model.

    The folder holds the model's file, ``tokenizer.json``, ``serving.json``, ``serve.py`` (an example that needs
    onnxruntime, tokenizers and numpy alone), ``README.md`` and ``export.json`` (the proof).

    Args:
        config: a whole configuration; or
        tokenizer: of a model that is given as an object.
        options: the fields of `ExportConfig`, for instance ``model="runs/tweets", quantize="int8"``. ``model`` may be a
            transformers model, ``data`` rows in memory, as in `crild.distill`.

    Raises:
        CrildError: a package is missing, the model cannot be exported, or its logits differ in fp32 by more than 1e-4.

    Options:
        model: folder or hub name of a classifier; a run stands for its student
        data_revision: branch, tag or commit of data on the hub (default: its main branch)
        text: text column (default: recognised by common names)
        text_pair: second text column of a text pair (default: recognised by common names)
        max_length: tokens kept of a row (default: 128; CoLA and SST-2 64)
        label: label column; several 0/1 columns, joined by commas, are labels of their own each (default: recognised by common names)
        label_map: old=new,...: the data's labels as the teacher calls them (default: matched by name)
        task: kind of task; auto: what the labels and the teacher say
        metric: such as accuracy, macro_f1, matthews or pearson; a name that is none lists those of the task (default: the data's own, or the task's)
        validation: data to score on, or held-out: 20 % of train (default: the source's dev split, else held-out)
        data_seed: seed of splits, apart from the training seed
        trust_remote_code: run code that comes with a model; of one on the hub, only of the commit that --revision names
        revision: branch, tag or commit of models on the hub; one model's own is NAME@REVISION (default: their main branch)
        data: rows to prove the export on (default: the held-out rows of a run)
        output: folder of the export (default: served, in the folder of a run)
        overwrite: replace an earlier export there
        format: of the model's file
        quantize: int8: weights of 8 bits, by the scheme that agrees best on rows that are not reported
        trim_vocabulary: tokens that are kept: those of TEXTS (a file or folder as --supplementary takes), auto (those of the run's training, selection and supplementary texts, or of --data's), or the SIZE most frequent of auto's; always special tokens and single characters (default: all)
        tolerance: score that int8 may lose; where it loses more, the fp32 file is kept beside it (where a trimmed vocabulary does, that is said)
        threads: threads of every model that is timed (default: as many as PyTorch takes)
    """
    ...

def finetune(
    config: FinetuneConfig | None = None,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    data: str | PathLike[str] | DataFrame | Dataset | DatasetDict | None = None,
    data_revision: str | None = None,
    text: str | None = None,
    text_pair: str | None = None,
    max_length: int | None = None,
    label: str | None = None,
    label_map: str | None = None,
    task: str = 'auto',
    metric: str | None = None,
    validation: str | PathLike[str] | DataFrame | Dataset | DatasetDict | None = None,
    data_seed: int = 42,
    trust_remote_code: bool = False,
    revision: str | None = None,
    train_rows: int | None = None,
    imbalance: float | None = None,
    label_noise: float = 0.0,
    base: str | PathLike[str] | PreTrainedModel | None = None,
    preset: Literal['quick', 'paper'] | None = None,
    epochs: int | None = None,
    max_steps: int | None = None,
    accumulation: int = 1,
    save_minutes: float = 5.0,
    save_steps: int | None = None,
    keep: Literal['best', 'last', 'average'] = 'best',
    precision: Literal['auto', 'fp32', 'bf16', 'fp16'] = 'auto',
    gradient_checkpointing: bool = False,
    seed: int = 42,
    finetune_epochs: int | None = None,
    finetune_learning_rate: float | None = None,
    finetune_batch_size: int | None = None,
    output: str | PathLike[str] | None = None,
    keep_stages: bool = False,
    report_to: str | None = None,
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

    Options:
        data: GLUE folder, CSV, TSV, JSONL, Parquet or text file, `datasets` directory or hub name
        data_revision: branch, tag or commit of data on the hub (default: its main branch)
        text: text column (default: recognised by common names)
        text_pair: second text column of a text pair (default: recognised by common names)
        max_length: tokens kept of a row (default: 128; CoLA and SST-2 64)
        label: label column; several 0/1 columns, joined by commas, are labels of their own each (default: recognised by common names)
        label_map: old=new,...: the data's labels as the teacher calls them (default: matched by name)
        task: kind of task; auto: what the labels and the teacher say
        metric: such as accuracy, macro_f1, matthews or pearson; a name that is none lists those of the task (default: the data's own, or the task's)
        validation: data to score on, or held-out: 20 % of train (default: the source's dev split, else held-out)
        data_seed: seed of splits, apart from the training seed
        trust_remote_code: run code that comes with a model; of one on the hub, only of the commit that --revision names
        revision: branch, tag or commit of models on the hub; one model's own is NAME@REVISION (default: their main branch)
        train_rows: train on so many rows, drawn with the data seed (selection is among them) (default: all)
        imbalance: rarest class as a share of the most frequent one, by leaving rows out (default: as it is)
        label_noise: share of training labels replaced by another one, with the data seed
        base: pre-trained encoder: fine-tuned into the teacher, and what a cut student copies
        preset: epochs, rates and batch sizes that are not given (default: quick on a CPU, paper on a GPU)
        epochs: epochs of every stage that has no own setting (default: the preset's)
        max_steps: a cap on the optimiser steps of each stage (default: none)
        accumulation: micro-batches of one optimiser step; more of them need less memory
        save_minutes: minutes between checkpoints, which a killed stage resumes from
        save_steps: steps between checkpoints instead of minutes (default: as --save-minutes says)
        keep: weights that a stage with labels or logits ends with: of the best epoch on the selection split, of the last one, or the average over the epochs that end in the last half of its steps
        precision: of training passes; auto: bf16 where the hardware multiplies it, else fp32 (fp16: for older GPUs); scores are always fp32
        gradient_checkpointing: compute activations again in the backward pass: less memory, about a third more time
        seed: seed of training
        finetune_epochs: epochs of fine-tuning on labels (default: quick 10 (up to 1,500 rows) or 4 (up to 10,000 rows) or 2, paper 20 (up to 1,500 rows) or 4)
        finetune_learning_rate: learning rate of fine-tuning (default: quick 0.0001, paper 2e-05)
        finetune_batch_size: batch size of fine-tuning (default: quick 16, paper 16)
        output: folder of the run: models, scores and logs
        keep_stages: keep the weights that each stage ended with, not the finished models alone
        report_to: trackers that follow every stage: tensorboard, wandb, mlflow, trackio, joined with commas (default: none)
    """
    ...

def frontier(
    config: FrontierConfig | None = None,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    data: str | PathLike[str] | DataFrame | Dataset | DatasetDict | None = None,
    data_revision: str | None = None,
    text: str | None = None,
    text_pair: str | None = None,
    max_length: int | None = None,
    label: str | None = None,
    label_map: str | None = None,
    task: str = 'auto',
    metric: str | None = None,
    validation: str | PathLike[str] | DataFrame | Dataset | DatasetDict | None = None,
    data_seed: int = 42,
    trust_remote_code: bool = False,
    revision: str | None = None,
    train_rows: int | None = None,
    imbalance: float | None = None,
    label_noise: float = 0.0,
    teacher: str | PathLike[str] | PreTrainedModel | None = None,
    base: str | PathLike[str] | PreTrainedModel | None = None,
    method: str = 'cr-ild-rewrites',
    schedule: Literal['two-stage', 'paper'] = 'two-stage',
    features: str | None = None,
    layer_map: str | None = None,
    interpolate: bool | None = None,
    plugin: str | PathLike[str] | None = None,
    relation_heads: int | None = None,
    width_map: Literal['none', 'learned'] = 'none',
    consistency: float | None = None,
    consistency_features: str | None = None,
    ema: bool = False,
    ema_decay: float = 0.999,
    temperature: float | None = None,
    kd_inputs: Literal['plain', 'interpolated'] = 'plain',
    hard_label_weight: float | None = None,
    cross_fit: int | None = None,
    supplementary: str | PathLike[str] | DataFrame | Dataset | DatasetDict | None = None,
    supplementary_mode: Literal['first', 'join'] | None = None,
    augment: str | None = None,
    augment_ratio: float = 3.0,
    preset: Literal['quick', 'paper'] | None = None,
    epochs: int | None = None,
    max_steps: int | None = None,
    accumulation: int = 1,
    save_minutes: float = 5.0,
    save_steps: int | None = None,
    keep: Literal['best', 'last', 'average'] = 'best',
    precision: Literal['auto', 'fp32', 'bf16', 'fp16'] = 'auto',
    gradient_checkpointing: bool = False,
    seed: int = 42,
    finetune_epochs: int | None = None,
    finetune_learning_rate: float | None = None,
    finetune_batch_size: int | None = None,
    ild_epochs: int | None = None,
    ild_learning_rate: float | None = None,
    ild_batch_size: int | None = None,
    kd_epochs: int | None = None,
    kd_learning_rate: float | None = None,
    kd_batch_size: int | None = None,
    output: str | PathLike[str] | None = None,
    keep_stages: bool = False,
    report_to: str | None = None,
    workers: str = '1',
    address: str | None = None,
    students: str | None = None,
    widths: str = 'full,half',
    vocabularies: str = 'full',
    within: float = 0.01,
    max_latency: float | None = None,
    batch: int = 1,
    threads: int | None = None,
) -> Frontier:
    """Distil students of several depths and widths, serve each in int8, and name the fastest that is good enough.

    Students are tried cheapest first, by the time that they take with untrained weights. One that takes longer than
    ``max_latency`` is not trained, nor is any that is slower than one that qualifies. The runs are a grid
    (`crild.compare`) inside the output folder, and the same call goes on with them.

    Args:
        config: a whole configuration; or
        tokenizer: of the models that are given as objects.
        options: the fields of `FrontierConfig`, for instance ``teacher="./my-bert", data="tweets.csv", within=0.01,
            max_latency=10, output="runs/frontier"``; models and data may be objects, as in `crild.distill`.

    Returns:
        The table: score, latency and size of each served student, and which is the fastest that qualifies. It is also
        in ``frontier.json``, with a picture in ``frontier.svg``.

    Raises:
        CrildError: it cannot be run, or no student could be trained.

    Options:
        data: GLUE folder, CSV, TSV, JSONL, Parquet or text file, `datasets` directory or hub name
        data_revision: branch, tag or commit of data on the hub (default: its main branch)
        text: text column (default: recognised by common names)
        text_pair: second text column of a text pair (default: recognised by common names)
        max_length: tokens kept of a row (default: 128; CoLA and SST-2 64)
        label: label column; several 0/1 columns, joined by commas, are labels of their own each (default: recognised by common names)
        label_map: old=new,...: the data's labels as the teacher calls them (default: matched by name)
        task: kind of task; auto: what the labels and the teacher say
        metric: such as accuracy, macro_f1, matthews or pearson; a name that is none lists those of the task (default: the data's own, or the task's)
        validation: data to score on, or held-out: 20 % of train (default: the source's dev split, else held-out)
        data_seed: seed of splits, apart from the training seed
        trust_remote_code: run code that comes with a model; of one on the hub, only of the commit that --revision names
        revision: branch, tag or commit of models on the hub; one model's own is NAME@REVISION (default: their main branch)
        train_rows: train on so many rows, drawn with the data seed (selection is among them) (default: all)
        imbalance: rarest class as a share of the most frequent one, by leaving rows out (default: as it is)
        label_noise: share of training labels replaced by another one, with the data seed
        teacher: fine-tuned classifier; an encoder without a trained head is fine-tuned first and is also --base
        base: pre-trained encoder: fine-tuned into the teacher, and what a cut student copies
        method: see `crild methods`
        schedule: two-stage: the method's own term, then the teacher's logits; paper: as its authors trained it
        features: what is matched: ah, qkv or objectives with weights, as hidden+0.5*relations (default: the method's)
        layer_map: last, uniform, skip, last-k, first, random, emd, all, or pairs 1-2,3-6 (default: the method's)
        interpolate: match on interpolated inputs (default: the method's)
        plugin: a Python file of your own that registers objectives with crild.objective (default: none)
        relation_heads: relation heads of Q/K/V relations (default: 48 or the largest common divisor)
        width_map: learned: a linear map of student states to the teacher's width also where widths are equal
        consistency: final weight of the consistency term (default: the method's, 0.1 for cr-ild)
        consistency_features: what the consistency term acts on: some of what is matched, such as h of ah (default: all)
        ema: consistency targets from a moving average of the student
        ema_decay: decay of the moving average
        temperature: of logit distillation (default: the schedule's, 2 in two-stage)
        kd_inputs: inputs of logit distillation; interpolated: function matching, the teacher answers mixed inputs
        hard_label_weight: weight of the labels beside the teacher's logits, which get the rest (default: the schedule's)
        cross_fit: folds of a cross-fitted teacher: each labelled row's logits come from a teacher that never saw its label (default: one teacher for all rows)
        supplementary: further texts, labels ignored, for intermediate-layer distillation (default: none)
        supplementary_mode: first: an own stage before the target data (the paper); join: rows beside the target's in every stage (default: first where the method has a stage of its own term, else join)
        augment: rewrites of the training texts, labelled by the teacher alone: all, none, or some of deletion, masking, replacement, crossing, pairing, joined with + (default: the method's)
        augment_ratio: rewritten texts beside each training text, drawn anew in every epoch
        preset: epochs, rates and batch sizes that are not given (default: quick on a CPU, paper on a GPU)
        epochs: epochs of every stage that has no own setting (default: the preset's)
        max_steps: a cap on the optimiser steps of each stage (default: none)
        accumulation: micro-batches of one optimiser step; more of them need less memory
        save_minutes: minutes between checkpoints, which a killed stage resumes from
        save_steps: steps between checkpoints instead of minutes (default: as --save-minutes says)
        keep: weights that a stage with labels or logits ends with: of the best epoch on the selection split, of the last one, or the average over the epochs that end in the last half of its steps
        precision: of training passes; auto: bf16 where the hardware multiplies it, else fp32 (fp16: for older GPUs); scores are always fp32
        gradient_checkpointing: compute activations again in the backward pass: less memory, about a third more time
        seed: seed of training
        finetune_epochs: epochs of fine-tuning on labels (default: quick 10 (up to 1,500 rows) or 4 (up to 10,000 rows) or 2, paper 20 (up to 1,500 rows) or 4)
        finetune_learning_rate: learning rate of fine-tuning (default: quick 0.0001, paper 2e-05)
        finetune_batch_size: batch size of fine-tuning (default: quick 16, paper 16)
        ild_epochs: epochs of stage 1 (default: quick 10 (up to 1,500 rows) or 4 (up to 10,000 rows) or 2, paper 20 (up to 20,000 rows) or 10 (up to 200,000 rows) or 5)
        ild_learning_rate: learning rate of stage 1 (default: quick 0.0001, paper 3e-05)
        ild_batch_size: batch size of stage 1 (default: quick 32, paper 32)
        kd_epochs: epochs of stage 2 (default: quick 10 (up to 1,500 rows) or 3 (up to 10,000 rows) or 2, paper 4)
        kd_learning_rate: learning rate of stage 2 (default: quick 0.0001, paper 3e-05)
        kd_batch_size: batch size of stage 2 (default: quick 32, paper 16)
        output: folder of the run: models, scores and logs
        keep_stages: keep the weights that each stage ended with, not the finished models alone
        report_to: trackers that follow every stage: tensorboard, wandb, mlflow, trackio, joined with commas (default: none)
        workers: runs at a time: a number of local processes, or ray
        address: of a running Ray cluster (default: a local one)
        students: as `crild distill --student` takes them, separated by spaces (default: static, and 1, 2, a third and half of the teacher's layers)
        widths: hidden sizes of each cut student, joined with commas: full, half or numbers
        vocabularies: what each is served with, joined with commas: full, auto (the tokens of the run's texts), or the SIZE most frequent of these
        within: what a student's score may lack of the teacher's
        max_latency: milliseconds that a served student may take for a batch (default: any)
        batch: rows of a batch whose time is measured
        threads: of a served model whose time is measured (default: all cores)
    """
    ...

def predict(
    config: PredictConfig | None = None,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    model: str | PathLike[str] | PreTrainedModel | None = None,
    data: str | PathLike[str] | DataFrame | Dataset | DatasetDict | None = None,
    data_revision: str | None = None,
    text: str | None = None,
    text_pair: str | None = None,
    max_length: int | None = None,
    trust_remote_code: bool = False,
    revision: str | None = None,
    output: str | PathLike[str] | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write a classifier's answer to every row of a data source, which needs no labels.

    The rows are those that `evaluate` scores: the validation split, or all rows of a single file. The file has ``row``
    (its number in the data, from 0: rows without text are left out), the texts, ``answer``, and where there are classes
    ``answer_probability_CLASS`` for each.

    Args:
        config: a whole configuration; or
        tokenizer: of a model that is given as an object.
        options: the fields of `PredictConfig`, for instance ``model="runs/tweets", data="new.csv",
            output="answers.csv"``. ``model`` may be a transformers model, ``data`` rows in memory, as in
            `crild.distill`.

    Returns:
        ``output``, the number of ``rows``, how many of them got each of the ``answers`` (where there are classes),
        ``labels``, ``model`` and ``notes``.

    Raises:
        CrildError: model or data cannot be used, or the file exists.

    Options:
        model: folder or hub name of a classifier; a run stands for its student
        data: GLUE folder, CSV, TSV, JSONL, Parquet or text file, `datasets` directory or hub name
        data_revision: branch, tag or commit of data on the hub (default: its main branch)
        text: text column (default: recognised by common names)
        text_pair: second text column of a text pair (default: recognised by common names)
        max_length: tokens kept of a row (default: 128; CoLA and SST-2 64)
        trust_remote_code: run code that comes with a model; of one on the hub, only of the commit that --revision names
        revision: branch, tag or commit of models on the hub; one model's own is NAME@REVISION (default: their main branch)
        output: file (.csv, .jsonl, .parquet) of every row and its answer
        overwrite: replace an earlier file of that name
    """
    ...

def status(
    config: StatusConfig | None = None,
    *,
    run: str | PathLike[str] | None = None,
) -> Status | GridStatus:
    """Say how far a run, a grid or a frontier is: running or killed, where, how long it takes, what it goes on from.

    Nothing is locked, loaded or written, so it can be asked while the run goes on.

    Args:
        config: a whole configuration; or
        options: the fields of `StatusConfig`: ``run="runs/tweets"``.

    Returns:
        It prints as a few lines; ``to_dict`` has all of it.

    Raises:
        CrildError: the folder holds neither a run nor a grid.

    Example:
        >>> print(crild.status(run="runs/tweets"))

    Options:
        run: folder of a run, a grid or a frontier
    """
    ...

def suspicious(
    config: SuspiciousConfig | None = None,
    *,
    tokenizer: 'PreTrainedTokenizerBase | None' = None,
    data: str | PathLike[str] | DataFrame | Dataset | DatasetDict | None = None,
    data_revision: str | None = None,
    text: str | None = None,
    text_pair: str | None = None,
    max_length: int | None = None,
    label: str | None = None,
    label_map: str | None = None,
    task: str = 'auto',
    metric: str | None = None,
    validation: str | PathLike[str] | DataFrame | Dataset | DatasetDict | None = None,
    data_seed: int = 42,
    trust_remote_code: bool = False,
    revision: str | None = None,
    train_rows: int | None = None,
    imbalance: float | None = None,
    label_noise: float = 0.0,
    teacher: str | PathLike[str] | PreTrainedModel | None = None,
    base: str | PathLike[str] | PreTrainedModel | None = None,
) -> Suspicious:
    """Rank the labels of train and selection rows that are probably wrong; change nothing.

    A logistic regression says how probable the labels of the rows are that it was not trained on: by TF-IDF, or by the
    mean last hidden state of ``base`` (of ``teacher`` without one). cleanlab chooses those that look wrong.

    Args:
        config: a whole configuration; or
        tokenizer: of a model that is given as an object.
        options: the fields of `SuspiciousConfig`, for instance ``data="tweets.csv", base="./encoder"``. They may be
            objects, as in `check`.

    Raises:
        CrildError: data or model cannot be read, cleanlab is not installed, or the rows have no classes.

    Source: Northcutt et al. 2021, *Confident Learning*.

    Example:
        >>> found = crild.suspicious(data="tweets.csv", base="./encoder")
        >>> found.table().to_csv("to_read.csv")

    Options:
        data: GLUE folder, CSV, TSV, JSONL, Parquet or text file, `datasets` directory or hub name
        data_revision: branch, tag or commit of data on the hub (default: its main branch)
        text: text column (default: recognised by common names)
        text_pair: second text column of a text pair (default: recognised by common names)
        max_length: tokens kept of a row (default: 128; CoLA and SST-2 64)
        label: label column; several 0/1 columns, joined by commas, are labels of their own each (default: recognised by common names)
        label_map: old=new,...: the data's labels as the teacher calls them (default: matched by name)
        task: kind of task; auto: what the labels and the teacher say
        metric: such as accuracy, macro_f1, matthews or pearson; a name that is none lists those of the task (default: the data's own, or the task's)
        validation: data to score on, or held-out: 20 % of train (default: the source's dev split, else held-out)
        data_seed: seed of splits, apart from the training seed
        trust_remote_code: run code that comes with a model; of one on the hub, only of the commit that --revision names
        revision: branch, tag or commit of models on the hub; one model's own is NAME@REVISION (default: their main branch)
        train_rows: train on so many rows, drawn with the data seed (selection is among them) (default: all)
        imbalance: rarest class as a share of the most frequent one, by leaving rows out (default: as it is)
        label_noise: share of training labels replaced by another one, with the data seed
        teacher: fine-tuned classifier: its tokenizer's limit, and whether it knows the labels (default: none)
        base: encoder: its tokenizer's limit (default: none)
    """
    ...

def tune(
    config: TuneConfig | None = None,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    data: str | PathLike[str] | DataFrame | Dataset | DatasetDict | None = None,
    data_revision: str | None = None,
    text: str | None = None,
    text_pair: str | None = None,
    max_length: int | None = None,
    label: str | None = None,
    label_map: str | None = None,
    task: str = 'auto',
    metric: str | None = None,
    validation: str | PathLike[str] | DataFrame | Dataset | DatasetDict | None = None,
    data_seed: int = 42,
    trust_remote_code: bool = False,
    revision: str | None = None,
    train_rows: int | None = None,
    imbalance: float | None = None,
    label_noise: float = 0.0,
    teacher: str | PathLike[str] | PreTrainedModel | None = None,
    base: str | PathLike[str] | PreTrainedModel | None = None,
    student: int | str | PathLike[str] | PreTrainedModel = 'half',
    student_width: int | None = None,
    student_heads: int | None = None,
    student_weights: Literal['sliced', 'fresh'] = 'sliced',
    student_head: Literal['auto', 'fresh', 'teacher'] = 'auto',
    vocabulary: str | None = None,
    control: bool = True,
    method: str = 'cr-ild-rewrites',
    schedule: Literal['two-stage', 'paper'] = 'two-stage',
    features: str | None = None,
    layer_map: str | None = None,
    interpolate: bool | None = None,
    plugin: str | PathLike[str] | None = None,
    relation_heads: int | None = None,
    width_map: Literal['none', 'learned'] = 'none',
    consistency: float | None = None,
    consistency_features: str | None = None,
    ema: bool = False,
    ema_decay: float = 0.999,
    temperature: float | None = None,
    kd_inputs: Literal['plain', 'interpolated'] = 'plain',
    hard_label_weight: float | None = None,
    cross_fit: int | None = None,
    supplementary: str | PathLike[str] | DataFrame | Dataset | DatasetDict | None = None,
    supplementary_mode: Literal['first', 'join'] | None = None,
    augment: str | None = None,
    augment_ratio: float = 3.0,
    preset: Literal['quick', 'paper'] | None = None,
    epochs: int | None = None,
    max_steps: int | None = None,
    accumulation: int = 1,
    save_minutes: float = 5.0,
    save_steps: int | None = None,
    keep: Literal['best', 'last', 'average'] = 'best',
    precision: Literal['auto', 'fp32', 'bf16', 'fp16'] = 'auto',
    gradient_checkpointing: bool = False,
    seed: int = 42,
    finetune_epochs: int | None = None,
    finetune_learning_rate: float | None = None,
    finetune_batch_size: int | None = None,
    ild_epochs: int | None = None,
    ild_learning_rate: float | None = None,
    ild_batch_size: int | None = None,
    kd_epochs: int | None = None,
    kd_learning_rate: float | None = None,
    kd_batch_size: int | None = None,
    output: str | PathLike[str] | None = None,
    keep_stages: bool = False,
    report_to: str | None = None,
    cache: str | PathLike[str] | None = None,
    track_validation: bool = False,
    trials: int = 20,
    search: str | None = None,
) -> dict[str, Any]:
    """Search a method's settings; go on with the search where it was.

    Every trial is a run that never sees the data's validation split: 20 % of the training rows are held out to score
    it, and its selection split is carved from the rest. The teacher is fine-tuned once, on the same rows.

    Args:
        config: a whole configuration; or
        tokenizer: of the models that are given as objects.
        options: the fields of `TuneConfig`, for instance ``base="./encoder", data="tweets.csv", method="cr-ild",
            trials=20, output="runs/tune"``; models and data may be objects, as in `crild.distill`.

    Returns:
        ``best`` (options), ``score``, and every trial's options and score. ``best.yaml`` in the output folder is for
        ``crild distill --config``.

    Raises:
        CrildError: the search cannot be run, or no trial succeeded.

    Options:
        data: GLUE folder, CSV, TSV, JSONL, Parquet or text file, `datasets` directory or hub name
        data_revision: branch, tag or commit of data on the hub (default: its main branch)
        text: text column (default: recognised by common names)
        text_pair: second text column of a text pair (default: recognised by common names)
        max_length: tokens kept of a row (default: 128; CoLA and SST-2 64)
        label: label column; several 0/1 columns, joined by commas, are labels of their own each (default: recognised by common names)
        label_map: old=new,...: the data's labels as the teacher calls them (default: matched by name)
        task: kind of task; auto: what the labels and the teacher say
        metric: such as accuracy, macro_f1, matthews or pearson; a name that is none lists those of the task (default: the data's own, or the task's)
        validation: data to score on, or held-out: 20 % of train (default: the source's dev split, else held-out)
        data_seed: seed of splits, apart from the training seed
        trust_remote_code: run code that comes with a model; of one on the hub, only of the commit that --revision names
        revision: branch, tag or commit of models on the hub; one model's own is NAME@REVISION (default: their main branch)
        train_rows: train on so many rows, drawn with the data seed (selection is among them) (default: all)
        imbalance: rarest class as a share of the most frequent one, by leaving rows out (default: as it is)
        label_noise: share of training labels replaced by another one, with the data seed
        teacher: fine-tuned classifier; an encoder without a trained head is fine-tuned first and is also --base
        base: pre-trained encoder: fine-tuned into the teacher, and what a cut student copies
        student: 3 or first:3, last:3, every:2, 0,2,4 (layers, counted from 0), half, static (the mean of word embeddings, no layers), or a path
        student_width: a narrower cut student: its hidden size (default: as wide as its source)
        student_heads: heads of a narrower student (default: as many as its source has)
        student_weights: weights of a narrower student: slices of its source's, or drawn anew
        student_head: the student's head: fresh or the teacher's (auto: the teacher's wherever shapes are equal)
        vocabulary: tokens that the finished student keeps: auto (those of the texts it was trained on) or the SIZE most frequent of them; always special tokens and single characters (default: all of the teacher's)
        control: also fine-tune the same student without a teacher
        method: see `crild methods`
        schedule: two-stage: the method's own term, then the teacher's logits; paper: as its authors trained it
        features: what is matched: ah, qkv or objectives with weights, as hidden+0.5*relations (default: the method's)
        layer_map: last, uniform, skip, last-k, first, random, emd, all, or pairs 1-2,3-6 (default: the method's)
        interpolate: match on interpolated inputs (default: the method's)
        plugin: a Python file of your own that registers objectives with crild.objective (default: none)
        relation_heads: relation heads of Q/K/V relations (default: 48 or the largest common divisor)
        width_map: learned: a linear map of student states to the teacher's width also where widths are equal
        consistency: final weight of the consistency term (default: the method's, 0.1 for cr-ild)
        consistency_features: what the consistency term acts on: some of what is matched, such as h of ah (default: all)
        ema: consistency targets from a moving average of the student
        ema_decay: decay of the moving average
        temperature: of logit distillation (default: the schedule's, 2 in two-stage)
        kd_inputs: inputs of logit distillation; interpolated: function matching, the teacher answers mixed inputs
        hard_label_weight: weight of the labels beside the teacher's logits, which get the rest (default: the schedule's)
        cross_fit: folds of a cross-fitted teacher: each labelled row's logits come from a teacher that never saw its label (default: one teacher for all rows)
        supplementary: further texts, labels ignored, for intermediate-layer distillation (default: none)
        supplementary_mode: first: an own stage before the target data (the paper); join: rows beside the target's in every stage (default: first where the method has a stage of its own term, else join)
        augment: rewrites of the training texts, labelled by the teacher alone: all, none, or some of deletion, masking, replacement, crossing, pairing, joined with + (default: the method's)
        augment_ratio: rewritten texts beside each training text, drawn anew in every epoch
        preset: epochs, rates and batch sizes that are not given (default: quick on a CPU, paper on a GPU)
        epochs: epochs of every stage that has no own setting (default: the preset's)
        max_steps: a cap on the optimiser steps of each stage (default: none)
        accumulation: micro-batches of one optimiser step; more of them need less memory
        save_minutes: minutes between checkpoints, which a killed stage resumes from
        save_steps: steps between checkpoints instead of minutes (default: as --save-minutes says)
        keep: weights that a stage with labels or logits ends with: of the best epoch on the selection split, of the last one, or the average over the epochs that end in the last half of its steps
        precision: of training passes; auto: bf16 where the hardware multiplies it, else fp32 (fp16: for older GPUs); scores are always fp32
        gradient_checkpointing: compute activations again in the backward pass: less memory, about a third more time
        seed: seed of training
        finetune_epochs: epochs of fine-tuning on labels (default: quick 10 (up to 1,500 rows) or 4 (up to 10,000 rows) or 2, paper 20 (up to 1,500 rows) or 4)
        finetune_learning_rate: learning rate of fine-tuning (default: quick 0.0001, paper 2e-05)
        finetune_batch_size: batch size of fine-tuning (default: quick 16, paper 16)
        ild_epochs: epochs of stage 1 (default: quick 10 (up to 1,500 rows) or 4 (up to 10,000 rows) or 2, paper 20 (up to 20,000 rows) or 10 (up to 200,000 rows) or 5)
        ild_learning_rate: learning rate of stage 1 (default: quick 0.0001, paper 3e-05)
        ild_batch_size: batch size of stage 1 (default: quick 32, paper 32)
        kd_epochs: epochs of stage 2 (default: quick 10 (up to 1,500 rows) or 3 (up to 10,000 rows) or 2, paper 4)
        kd_learning_rate: learning rate of stage 2 (default: quick 0.0001, paper 3e-05)
        kd_batch_size: batch size of stage 2 (default: quick 32, paper 16)
        output: folder of the run: models, scores and logs
        keep_stages: keep the weights that each stage ended with, not the finished models alone
        report_to: trackers that follow every stage: tensorboard, wandb, mlflow, trackio, joined with commas (default: none)
        cache: folder of teacher outputs, may be shared by runs (default: inside the run's folder)
        track_validation: also score validation at every evaluation, to report the best of them beside the score; chooses nothing
        trials: runs in all, those of earlier starts included
        search: option=low:high or option=a|b|c, joined with commas (default: the learning rates of the method's stages)
    """
    ...
