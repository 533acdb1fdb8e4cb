"""`export`: a classifier -> a folder that runs without PyTorch, written whole or not at all, with its proof."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from crild.config import ExportConfig, takes
from crild.console import say, warn
from crild.data.batching import Collator
from crild.data.tokenise import tokenise
from crild.errors import CrildError
from crild.files import check_folder, room_in, write_folder, write_whole
from crild.metrics import paired_interval
from crild.models.architecture import model_inputs
from crild.randomness import own_random_state
from crild.run.card import write_section
from crild.run.classifier import Classifier, load_classifier, run_of
from crild.run.folder import PROOF, SERVED, RunFolder
from crild.run.objects import configured
from crild.serving import int8, onnx, openvino, page
from crild.serving.confidence import with_confidence
from crild.serving.folder import FP32, bytes_of, remove_model, write_about, write_confidence, write_tokenizer
from crild.serving.packages import refuse_missing, warn_of_version
from crild.serving.proof import BATCHES, Compared, compare, cost, measure_times, processor, weights_of
from crild.serving.result import Export
from crild.serving.rows import ScoredRows, read_rows
from crild.serving.session import MODEL, Session
from crild.serving.timing import busy, threads_of_torch
from crild.serving.vocabulary import about_vocabulary, too_few, trimmed

MOST_DIFFERENCE = 1e-4  # of a logit in fp32
SAMPLE_ROWS, SAMPLE_LENGTH = 3, 11  # of what a graph is traced with: sizes that occur nowhere else in it


@takes(ExportConfig)
@own_random_state()
def export(
    config: ExportConfig | None = None, *, tokenizer: PreTrainedTokenizerBase | None = None, **options: Any
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
    """
    with (
        TemporaryDirectory(prefix="crild-") as folder,
        configured(ExportConfig, config, options, tokenizer, lambda _: Path(folder)) as (whole, objects),
    ):
        found = write_export(whole)
    return replace(found, model=objects.get("model", found.model))


@dataclass(frozen=True)
class Job:
    """An export that is ready to start: everything is read, nothing is written.

    Attributes:
        config: its options.
        run: of the model, where it is a run's.
        classifier: the model in PyTorch, on the CPU.
        exported: what is written: the same, or it with a trimmed vocabulary.
        teacher: of the run; ``None`` where there is none, or it is not there any more.
        rows: to report on.
        selection: to choose on; ``None`` where nothing is chosen.
        length: tokens kept of a text.
        output: the folder that is to be.
        notes: what the user should know.
    """

    config: ExportConfig
    run: RunFolder | None
    classifier: Classifier
    exported: Classifier
    teacher: Classifier | None
    rows: ScoredRows
    selection: ScoredRows | None
    length: int
    output: Path
    notes: tuple[str, ...]

    @property
    def to_int8(self) -> bool:
        """Whether weights get 8 bits."""
        return self.config.quantize == "int8"

    @property
    def file(self) -> str:
        """Name of the model's file."""
        return MODEL[self.config.format]


def write_export(config: ExportConfig) -> Export:
    """Export as a configuration says; see `export`."""
    if not config.model:
        raise CrildError("the model is missing: crild export RUN-OR-MODEL")
    refuse_missing(config)
    run = run_of(config.model)
    if config.output is None and run is None:
        raise CrildError("--output is missing: folder of the export (of a run's, RUN/served)")
    output = check_folder(config.output or f"{run and run.path / SERVED}", PROOF, "crild export")
    if (output / PROOF).exists() and not config.overwrite:
        raise CrildError(f"--output {output}: it holds an export; choose another folder, or --overwrite")
    warn_of_version()
    job = read(config, run, output)
    found: list[Export] = []
    with room_in(output.absolute().parent), threads_of_torch(config.threads) as threads:
        write_folder(output, lambda folder: found.append(fill(job, folder, threads)))
    for note in found[0].notes:
        warn(note)
    if run is not None:
        write_section(Path(job.classifier.path), "Served", page.proof_markdown(found[0]))
    return found[0]


def read(config: ExportConfig, run: RunFolder | None, output: Path) -> Job:
    """Load the models and read the rows."""
    assert config.model is not None
    classifier = on_cpu(load_classifier(config.model, "model", config))
    teacher, notes = None, []
    if run is not None and "student" in run.result:
        try:
            teacher = on_cpu(load_classifier(str(run.teacher_path), "teacher", config))
        except CrildError as error:
            notes.append(f"the run's teacher is not compared ({error})")
    rows, selection, more = read_rows(config, classifier, run, teacher)
    exported, about = trimmed(config, classifier, run)
    notes += [*more, *about]
    length = classifier.length(config.max_length)
    return Job(config, run, classifier, exported, teacher, rows, selection, length, output, tuple(notes))


def on_cpu(classifier: Classifier) -> Classifier:
    """Return a classifier where exported files run."""
    return replace(classifier, model=classifier.model.cpu().eval())


def fill(job: Job, folder: Path, threads: int) -> Export:
    """Write everything into a folder, and return the proof."""
    write_tokenizer(folder, job.exported.tokenizer, job.length)
    sample = sample_inputs(job)
    write_about(folder, job.exported, job.length, job.config.format, sample)
    say(f"exporting {job.classifier.path} to {job.config.format}")
    if job.config.format == "openvino":
        openvino.write_openvino(job.exported.model, sample, folder / job.file)
        found = prove(job, folder, threads)
    elif job.to_int8:
        found = quantised(job, folder, sample, threads)
    else:
        onnx.save(onnx.to_onnx(job.exported.model, sample), folder / job.file)
        found = prove(job, folder, threads)
    found = with_confidence(found, job.run, job.classifier.task_type, job.selection, Session(folder, threads))
    write_confidence(folder, found.temperature, found.cascade.threshold if found.cascade else None)
    write_whole(folder / PROOF, found.to_json())
    page.write_pages(folder, found, pairs="text_pair" in job.rows.rows.column_names)
    return found


def sample_inputs(job: Job) -> dict[str, Tensor]:
    """Return inputs (3, 11) of the model, from real texts, to trace it with."""
    few = job.rows.rows.select(np.resize(np.arange(len(job.rows.rows)), SAMPLE_ROWS).tolist())
    tokenizer, model = job.exported.tokenizer, job.exported.model
    tokenised = tokenise(few, tokenizer, SAMPLE_LENGTH).remove_columns("labels")
    return model_inputs(Collator(tokenizer, SAMPLE_LENGTH)([tokenised[i] for i in range(SAMPLE_ROWS)]), model)


def quantised(job: Job, folder: Path, sample: dict[str, Tensor], threads: int) -> Export:
    """Write the model in 8 bits, by the scheme that the selection rows choose; keep fp32 where that loses too much."""
    classifier, rows = job.exported, job.selection
    assert rows is not None
    program = onnx.to_onnx(classifier.model, sample)
    ends = onnx.end_nodes(program, classifier.model)
    onnx.save(program, folder / FP32)
    logits, texts = classifier.logits(rows.rows, job.length), rows.texts

    def judge(path: Path) -> Compared:
        return compare(classifier.task_type, rows, logits, Session(folder, threads, path.name).logits(texts))

    exact = judge(folder / FP32)
    refuse_difference(exact.largest, classifier)
    say(f"in fp32 logits differ from PyTorch's by at most {exact.largest:.1g}; quantising")
    choice, tried = int8.choose(folder / FP32, ends, judge, job.config.tolerance)
    os.replace(choice.path, folder / job.file)
    for each in tried:
        each.path.unlink(missing_ok=True)
    found = replace(
        prove(job, folder, threads),
        scheme=choice.scheme.name,
        fp32_difference=exact.largest,
        schemes=tuple(each.to_dict() for each in tried),
    )
    if found.lost_to_int8 <= job.config.tolerance:
        remove_model(folder / FP32)
        return found
    return replace(found, fp32_file=FP32, notes=(*found.notes, too_much(found, job.config.tolerance)))


def too_much(found: Export, tolerance: float) -> str:
    """Return a warning about an int8 file that loses more than it may, with what to do."""
    return (
        f"int8 loses {found.lost_to_int8:.4f} of the score, more than --tolerance {tolerance:g}: serve {FP32}, which "
        "is kept beside it, or export with --quantize none"
    )


def prove(job: Job, folder: Path, threads: int) -> Export:
    """Compare the exported model with the PyTorch model on the rows to report on, and time both and the teacher.

    Raises:
        CrildError: logits in fp32 are not the PyTorch model's.
    """
    classifier, rows, session = job.classifier, job.rows, Session(folder, threads)
    task_type = classifier.task_type
    logits, others = classifier.logits(rows.rows, job.length), session.logits(rows.texts)
    found = exact = compare(task_type, rows, logits, others)
    vocabulary, notes = None, list(job.notes)
    if job.exported is not classifier:
        exact = compare(task_type, rows, job.exported.logits(rows.rows, job.length), others)
        vocabulary = about_vocabulary(classifier, job.exported, rows, exact.before)
        if (lost := round(found.before - exact.before, 9)) > job.config.tolerance:
            notes.append(too_few(vocabulary, lost, job.config.tolerance))
    if not job.to_int8:
        refuse_difference(exact.largest, classifier)
    if note := busy():
        notes.append(note)
    say("timing the models, which take turns")
    classifiers = ({"teacher": job.teacher} if job.teacher else {}) | {"before": classifier}
    times = measure_times(classifiers, session, rows, job.length)
    scores: dict[str, float] = {"before": found.before, "served": found.after}
    if job.teacher and job.run is not None and not job.config.data:
        scores["teacher"] = job.run.result["teacher"]["score"]
    sizes = {name: weights_of(each) for name, each in classifiers.items()} | {"served": bytes_of(folder / job.file)}
    speedups = {
        name: {size: times[size][name].mean / times[size]["served"].mean for size in BATCHES} for name in classifiers
    }
    return Export(
        path=str(job.output),
        model=classifier.path,
        format=job.config.format,
        quantize=job.config.quantize,
        scheme=None,
        task_type=task_type.name,
        metric=rows.metric,
        rows=len(rows.rows),
        score_before=found.before,
        score_after=found.after,
        difference_interval=paired_interval(
            rows.measure, rows.truth, task_type.answers(others), task_type.answers(logits)
        ),
        agreement=found.agreement,
        agreement_metric=task_type.agreement,
        largest_difference=found.largest,
        fp32_difference=exact.largest,
        bytes_before=sizes["before"],
        bytes=sizes["served"],
        speedup_batch1=speedups["before"][1],
        speedup_batch32=speedups["before"][32],
        teacher_bytes=sizes.get("teacher"),
        teacher_speedup_batch1=speedups["teacher"][1] if job.teacher else None,
        teacher_speedup_batch32=speedups["teacher"][32] if job.teacher else None,
        threads=threads,
        processor=processor(),
        models={name: cost(sizes[name], scores.get(name), *(times[size][name] for size in BATCHES)) for name in sizes},
        vocabulary=vocabulary,
        notes=tuple(notes),
    )


def refuse_difference(largest: float, classifier: Classifier) -> None:
    """Raise `CrildError` where logits in fp32 are not the PyTorch model's."""
    if not largest <= MOST_DIFFERENCE:  # NaN is refused as well
        model = classifier.model
        raise CrildError(
            f"{type(model).__name__} ({model.config.model_type}): logits of the exported file differ from PyTorch's by "
            f"{largest:.2g}, more than {MOST_DIFFERENCE:g}: the exporter does not take this architecture as it is"
        )
