"""`export`: a classifier -> a folder that runs without PyTorch, written whole or not at all, with its proof."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from crild.config import ExportConfig, takes
from crild.console import say, warn
from crild.data.batching import Collator
from crild.data.tokenise import tokenise
from crild.errors import CrildError
from crild.files import check_folder, write_folder, write_whole
from crild.inference import bytes_on_disk, parameters
from crild.models.architecture import model_inputs
from crild.randomness import own_random_state
from crild.run.classifier import Classifier, load_classifier, run_of
from crild.run.folder import RunFolder
from crild.run.objects import configured
from crild.serving import int8, onnx, page
from crild.serving.proof import BATCHES, Compared, compare, measure_times
from crild.serving.result import Export, Served
from crild.serving.rows import ScoredRows, read_rows
from crild.serving.session import ABOUT, MODEL, TOKENIZER, Session
from crild.serving.timing import Times, threads_of_torch

PROOF = "export.json"  # tells whose folder it is
FP32 = "model.fp32.onnx"
SERVED = "served"  # in a run's folder
MOST_DIFFERENCE = 1e-4  # of a logit in fp32
SAMPLE_ROWS, SAMPLE_LENGTH = 3, 11  # what the graph is traced with; sizes that occur nowhere else in it


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
        teacher: of the run; ``None`` where there is none, or it is not there any more.
        rows: to report on.
        selection: to choose on; ``None`` where nothing is chosen.
        length: tokens kept of a text.
        notes: what the user should know.
    """

    config: ExportConfig
    run: RunFolder | None
    classifier: Classifier
    teacher: Classifier | None
    rows: ScoredRows
    selection: ScoredRows | None
    length: int
    notes: tuple[str, ...]


def write_export(config: ExportConfig) -> Export:
    """Export as a configuration says; see `export`."""
    if not config.model:
        raise CrildError("the model is missing: crild export RUN-OR-MODEL")
    refuse_missing(config)
    run = run_of(config.model)
    if config.output is None and run is None:
        raise CrildError("--output is missing: folder of the export (that of a run is RUN/served)")
    output = check_folder(config.output or str(run.path / SERVED), PROOF, "crild export")  # type: ignore[union-attr]
    if (output / PROOF).exists() and not config.overwrite:
        raise CrildError(f"--output {output}: it holds an export: choose another folder, or --overwrite")
    job = read(config, run)
    found: list[Export] = []
    with threads_of_torch(config.threads) as threads:
        write_folder(output, lambda folder: found.append(fill(job, folder, output, threads)))
    for note in found[0].notes:
        warn(note)
    return found[0]


def refuse_missing(config: ExportConfig) -> None:
    """Raise `CrildError` where packages are missing, or do not do what is asked for."""
    onnx.refuse_without(onnx.PACKAGES, "serve", "crild export")
    onnx.refuse_untested_transformers()


def read(config: ExportConfig, run: RunFolder | None) -> Job:
    """Load the models and read the rows."""
    assert config.model is not None
    classifier = on_cpu(load_classifier(config.model, "model", config))
    teacher, notes = None, []
    if run is not None and "student" in run.result:
        try:
            teacher = on_cpu(load_classifier(str(run.teacher_path), "teacher", config))
        except CrildError as error:
            notes.append(f"the run's teacher is not compared: {error}")
    rows, selection, more = read_rows(config, classifier, run, teacher)
    length = classifier.length(config.max_length)
    return Job(config, run, classifier, teacher, rows, selection, length, (*notes, *more))


def on_cpu(classifier: Classifier) -> Classifier:
    """Return a classifier where exported files run."""
    return replace(classifier, model=classifier.model.cpu().eval())


def fill(job: Job, folder: Path, output: Path, threads: int) -> Export:
    """Write everything into a folder, and return the proof."""
    config, classifier = job.config, job.classifier
    write_tokenizer(classifier.tokenizer, job.length, folder / TOKENIZER)
    sample = sample_inputs(classifier, job.rows)
    write_about(job, folder, tuple(sample))
    say(f"exporting {classifier.path} to {config.format}")
    to_int8 = config.quantize == "int8"
    file = FP32 if to_int8 else MODEL[config.format]
    program = onnx.to_onnx(classifier.model, sample)
    ends = onnx.end_nodes(program, classifier.model)
    onnx.save(program, folder / file)
    first = job.selection if to_int8 else job.rows
    assert first is not None
    exact = compared(job, first, Session(folder, threads, file))
    refuse_difference(exact.largest, classifier)
    schemes: list[int8.Tried] = []
    choice = None
    proof = exact
    if to_int8:
        say(f"fp32: logits differ by at most {exact.largest:.1g} from PyTorch's; quantising")
        choice, schemes = int8.choose(folder / file, ends, judge(job, first, folder, threads), config.tolerance)
        os.replace(choice.path, folder / MODEL[config.format])
        for each in schemes:
            each.path.unlink(missing_ok=True)
        proof = compared(job, job.rows, Session(folder, threads))
    found = put_together(job, folder, output, threads, proof, exact.largest, choice, schemes)
    if found.fp32_file is None and to_int8:
        onnx.remove(folder / FP32)
    write_whole(folder / PROOF, found.to_json())
    page.write_pages(folder, found, "text_pair" in job.rows.rows.column_names)
    return found


def write_tokenizer(tokenizer: PreTrainedTokenizerBase, length: int, path: Path) -> None:
    """Write a tokenizer that cuts and pads by itself, as crild does.

    Raises:
        CrildError: it is no fast one, and only transformers can run it.
    """
    if not tokenizer.is_fast:
        raise CrildError(
            f"the tokenizer, a {type(tokenizer).__name__}, is a slow one, which needs transformers to run: save the "
            "model with a fast tokenizer (one with a tokenizer.json)"
        )
    core = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    core.enable_truncation(length, direction=tokenizer.truncation_side)
    core.enable_padding(
        direction=tokenizer.padding_side,
        pad_id=tokenizer.pad_token_id,
        pad_type_id=tokenizer.pad_token_type_id,
        pad_token=tokenizer.pad_token,
    )
    core.save(str(path))


def sample_inputs(classifier: Classifier, rows: ScoredRows) -> dict[str, Tensor]:
    """Return inputs (3, 11) of the model, to trace it with."""
    few = rows.rows.select(np.resize(np.arange(len(rows.rows)), SAMPLE_ROWS).tolist())
    tokenised = tokenise(few, classifier.tokenizer, SAMPLE_LENGTH).remove_columns("labels")
    batch = Collator(classifier.tokenizer, SAMPLE_LENGTH)([tokenised[i] for i in range(SAMPLE_ROWS)])
    return model_inputs(batch, classifier.model)


def write_about(job: Job, folder: Path, inputs: tuple[str, ...]) -> None:
    """Write what a program must know to serve the model."""
    classifier = job.classifier
    about = {
        "format": job.config.format,
        "model": MODEL[job.config.format],
        "task_type": classifier.task_type.name,
        "labels": classifier.names if classifier.task_type.named else None,
        "max_length": job.length,
        "padding_id": classifier.tokenizer.pad_token_id,
        "inputs": list(inputs),
    }
    write_whole(folder / ABOUT, json.dumps(about, indent=2, ensure_ascii=False) + "\n")


def compared(job: Job, rows: ScoredRows, session: Session) -> Compared:
    """Return how an exported file's answers differ from the PyTorch model's."""
    logits = job.classifier.logits(rows.rows, job.length)
    return compare(job.classifier.task_type, rows, logits, session.logits(rows.texts))


def refuse_difference(largest: float, classifier: Classifier) -> None:
    """Raise `CrildError` where logits in fp32 are not the PyTorch model's."""
    if not largest <= MOST_DIFFERENCE:  # so is NaN
        model = classifier.model
        raise CrildError(
            f"{type(model).__name__} ({model.config.model_type}): the exported file's logits differ from PyTorch's by "
            f"{largest:.2g}, more than {MOST_DIFFERENCE:g}: the exporter does not take this architecture as it is"
        )


def judge(job: Job, rows: ScoredRows, folder: Path, threads: int) -> int8.Judge:
    """Return what measures a quantised file on the selection rows."""
    logits, texts = job.classifier.logits(rows.rows, job.length), rows.texts

    def measured(path: Path) -> tuple[float, float, float]:
        others = Session(folder, threads, path.name).logits(texts)
        found = compare(job.classifier.task_type, rows, logits, others)
        return found.lost, found.agreement, found.rms

    return measured


def put_together(
    job: Job,
    folder: Path,
    output: Path,
    threads: int,
    proof: Compared,
    fp32_difference: float,
    choice: int8.Tried | None,
    schemes: list[int8.Tried],
) -> Export:
    """Time the models, and return everything that was found."""
    say("timing the models, which take turns")
    classifiers = ({"teacher": job.teacher} if job.teacher else {}) | {"before": job.classifier}
    times = measure_times(classifiers, {"served": Session(folder, threads)}, job.rows, job.length)
    scores = {"before": proof.before, "served": proof.after}
    if job.run is not None and job.teacher and not job.config.data:
        scores["teacher"] = job.run.result["teacher"]["score"]
    sizes = {name: bytes_of(each) for name, each in classifiers.items()}
    sizes["served"] = onnx.size(folder / MODEL[job.config.format])
    models = {name: Served(sizes[name], *costs(times, name), scores.get(name)) for name in times[1]}

    def speedup(name: str, batch_size: int) -> float:
        return times[batch_size][name].mean / times[batch_size]["served"].mean

    teacher: dict[str, Any] = {}
    if job.teacher:
        teacher = {"teacher_bytes": sizes["teacher"]}
        teacher |= {f"teacher_speedup_batch{size}": speedup("teacher", size) for size in BATCHES}
    loses = choice is not None and proof.lost > job.config.tolerance
    notes = (*job.notes, too_much(proof.lost, job.config.tolerance)) if loses else job.notes
    return Export(
        path=str(output),
        model=job.classifier.path,
        format=job.config.format,
        quantize=job.config.quantize,
        scheme=None if choice is None else choice.scheme,
        task_type=job.classifier.task_type.name,
        metric=job.rows.metric,
        rows=len(job.rows.rows),
        score_before=proof.before,
        score_after=proof.after,
        difference_interval=proof.interval,
        agreement=proof.agreement,
        agreement_metric=job.classifier.task_type.agreement,
        largest_difference=proof.largest,
        fp32_difference=fp32_difference,
        bytes_before=sizes["before"],
        bytes=sizes["served"],
        threads=threads,
        processor=processor(),
        models=models,
        speedup_batch1=speedup("before", 1),
        speedup_batch32=speedup("before", 32),
        schemes=tuple({k: v for k, v in asdict(each).items() if k != "path"} for each in schemes),
        fp32_file=FP32 if loses else None,
        notes=tuple(notes),
        **teacher,
    )


def costs(times: Mapping[int, Mapping[str, Times]], name: str) -> tuple[dict[str, float], dict[str, float]]:
    """Return a model's latency in milliseconds at batch 1 and its rows a second at batch 32."""
    one, many = asdict(times[1][name]), asdict(times[32][name])
    return {kind: 1000 * value for kind, value in one.items()}, {kind: 32 / value for kind, value in many.items()}


def bytes_of(classifier: Classifier) -> int:
    """Return the bytes of a model's weights in files; of one on the hub, in fp32."""
    return bytes_on_disk(Path(classifier.path)) or 4 * parameters(classifier.model)


def too_much(lost: float, tolerance: float) -> str:
    """Return a warning about an int8 file that loses more than it may, with what to do."""
    return (
        f"int8 loses {lost:.4f} of the score, more than --tolerance {tolerance:g}: serve {FP32}, which is kept beside "
        "it, or distil a student that keeps more of its score (more texts, more layers)"
    )


def processor() -> str:
    """Return what times are measured on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()
