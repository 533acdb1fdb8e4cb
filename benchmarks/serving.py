"""What serving costs: students of 1 to 6 layers and one without, two vocabularies, four runtimes, side by side.

The demo's encoder (6 layers x 384) is fine-tuned on the demo's tweets; plain KD distils its first 1 to 5 layers and a
static student from it, with the demo's settings, and the sixth is the teacher itself. Each is served by PyTorch, ONNX
Runtime in fp32 and int8 and OpenVINO, with its whole vocabulary and with one of 7,000 tokens, and scored as it is
served. Then all take turns in one process, with the same number of threads. Some are there twice: where a model's two
times differ by more than 5 %, the machine was not quiet enough, that part of the table is inconclusive, and the exit
code is 3. The same command goes on where it stopped, and measures such a part again.

    python -m benchmarks.serving [--quick] [--threads 2] [--runs runs/serving] [--output FILE]

Then `python -m tools.serving_picture` draws docs/serving.svg.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from rich.progress import track
from transformers import PreTrainedModel, PreTrainedTokenizerBase

import crild
from crild.console import quiet_libraries, say
from crild.data.tweets import NAME, tweet_splits
from crild.demo import settings
from crild.files import write_whole
from crild.inference import bytes_on_disk
from crild.models import loading
from crild.models.architecture import model_inputs
from crild.models.vocabulary import trim
from crild.run.folder import environment
from crild.serving import int8, onnx, openvino
from crild.serving.folder import bytes_of
from crild.serving.proof import processor
from crild.serving.session import onnx_runner
from crild.serving.timing import take_turns, threads_of_torch

DEPTHS, STATIC, VOCABULARY = (1, 2, 3, 4, 5, 6), 0, 7000  # the last depth is the teacher's
ENGINES = ("PyTorch", "ONNX", "ONNX int8", "OpenVINO")
BATCHES, LENGTHS = (1, 8, 32), (16, 64, 128)
CELLS = [f"{batch}x{length}" for batch in BATCHES for length in LENGTHS]
ROUNDS, SECONDS = 40, 120.0  # of a cell, at most; three rounds always
LIMITS = (0.95, 1.05)  # of a model's time to its own
TEACHER = "6 layers, full, PyTorch"
TWICE = (TEACHER, "3 layers, trimmed, ONNX int8")
INCONCLUSIVE = 3  # exit code
FIGURES = Path("benchmarks/results/serving.json")

Run = Callable[[dict[str, np.ndarray]], np.ndarray]
"""From inputs (B, L) to logits (B, C)."""


@dataclass(frozen=True)
class Student:
    """A trained student with one of its vocabularies, and the folder of its files."""

    layers: int
    vocabulary: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    folder: Path

    @property
    def name(self) -> str:
        """For tables."""
        depth = f"{self.layers} layer{'s' if self.layers > 1 else ''}" if self.layers else "static"
        return f"{depth}, {self.vocabulary}"

    def inputs(self, texts: Sequence[str], length: int, fixed: bool = False) -> dict[str, np.ndarray]:
        """Return texts as the model reads them, cut to ``length`` tokens; ``fixed`` where all are that long."""
        batch = self.tokenizer(list(texts), truncation=True, max_length=length, padding=True, return_tensors="pt")
        assert not fixed or batch["attention_mask"].all()
        return {name: ids.numpy() for name, ids in model_inputs(batch, self.model).items()}


def distilled(folder: Path, depths: Sequence[int], quick: bool) -> dict[int, str]:
    """Return the folders of the trained students by their depth; finished runs are not run again."""
    values = settings()
    train = values["train"] | ({"max_steps": 2, "train_rows": 80} if quick else {})
    data = "demo:100" if quick else values["data"]
    own = {name: value for name, value in train.items() if name.startswith("finetune_")}
    shared = {name: train[name] for name in ("max_length", "seed", "max_steps", "train_rows") if name in train}
    teacher = folder / "teacher"
    crild.finetune(base=NAME, data=data, output=str(teacher), **shared, **own)
    students = {}
    for depth in depths[:-1]:
        rate = {"kd_learning_rate": train["kd_learning_rate"]} if depth else {}  # a static student has its own
        found = crild.distill(
            teacher=str(teacher / "teacher"),
            base=NAME,
            student=f"first:{depth}" if depth else "static",
            method="kd",
            control=False,
            data=data,
            supplementary=data,
            supplementary_mode=train["supplementary_mode"],
            kd_batch_size=train["kd_batch_size"],
            output=str(folder / f"kd-{depth}"),
            **shared,
            **rate,
            **values["kd"],
        )
        students[depth] = found["student"]["path"]
    return students | {DEPTHS[-1]: str(teacher / "teacher")}


def with_vocabularies(depth: int, path: str, texts: list[str], folder: Path) -> Iterator[Student]:
    """Yield a trained student with its whole vocabulary and with a smaller one."""
    model, _ = loading.load_model(path, "student")
    tokenizer = loading.load_tokenizer(path, "student")
    smaller = trim(model, tokenizer, texts, size=VOCABULARY)
    whole = {"full": (model, tokenizer), "trimmed": (smaller.model, smaller.tokenizer)}
    for name, (each, own) in whole.items():
        yield Student(depth, name, each.cpu().eval(), own, folder / f"{depth}-{name}")


def write_files(student: Student, texts: list[str]) -> None:
    """Write what the runtimes read, unless it is there."""
    done, exact = student.folder / "done", student.folder / "fp32.onnx"
    if done.exists():
        return
    say(f"{student.name}: writing its files")
    student.folder.mkdir(parents=True, exist_ok=True)
    student.model.save_pretrained(student.folder)
    sample = {name: torch.from_numpy(ids) for name, ids in student.inputs(texts[:3], 11).items()}
    onnx.save(onnx.to_onnx(student.model, sample), exact)
    int8.quantise(exact, int8.TIERS[0][0], [], student.folder / "int8.onnx")
    openvino.write_openvino(student.model, sample, student.folder / "model.xml")
    done.touch()


def runner(student: Student, engine: str, threads: int) -> tuple[Run, int]:
    """Return what answers with a runtime, and the bytes of its weights."""
    folder = student.folder
    if engine == "PyTorch":
        return partial(in_torch, student.model), bytes_on_disk(folder)
    if engine == "OpenVINO":
        return in_openvino(folder / "model.xml", threads), bytes_of(folder / "model.xml")
    path = folder / ("int8.onnx" if engine == "ONNX int8" else "fp32.onnx")
    return onnx_runner(path, threads), bytes_of(path)


def in_torch(model: PreTrainedModel, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Return the logits of a batch."""
    with torch.inference_mode():
        return model(**{name: torch.from_numpy(ids) for name, ids in inputs.items()}).logits.numpy()


def in_openvino(path: Path, threads: int) -> Run:
    """Return what answers with OpenVINO in its default precision: bf16 where the processor has it."""
    from openvino import Core

    model = Core().compile_model(path, "CPU", {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"})
    return lambda inputs: model(inputs)["logits"]


def accuracy(student: Student, run: Run, rows: Dataset, length: int) -> float:
    """Return the share of rows that a served student gets right."""
    texts = sorted(zip(rows["text"][:], rows["label"][:], strict=True), key=lambda each: len(each[0]))
    names, right = loading.label_names(student.model.config), 0
    for start in range(0, len(texts), 32):
        some, labels = zip(*texts[start : start + 32], strict=True)
        answers = run(student.inputs(some, length)).argmax(-1)
        right += sum(names[i] == label for i, label in zip(answers, labels, strict=True))
    return right / len(texts)


def time_cell(
    students: dict[str, tuple[Student, Run]], twice: dict[str, Run], cell: str, texts: list[str], rounds: int
) -> dict[str, Any]:
    """Return the milliseconds of a batch of so many texts, all of them so long, and how the controls did.

    Args:
        students: by name.
        twice: models that are also among the students, loaded once more.
        cell: batch x length.
        texts: long ones.
        rounds: at most.
    """
    batch, length = map(int, cell.split("x"))
    models = students | {f"{name}, again": (students[name][0], run) for name, run in twice.items()}

    def prepare(student: Student, run: Run, chosen: Sequence[int]) -> Callable[[], object]:
        return partial(run, student.inputs([texts[i % len(texts)] for i in chosen], length, fixed=True))

    numbers = np.arange(rounds * batch).reshape(rounds, batch).tolist()
    times = take_turns({name: partial(prepare, *each) for name, each in models.items()}, numbers, SECONDS)
    medians = {name: 1000 * float(np.median(each)) for name, each in times.items()}
    controls = {name: medians.pop(f"{name}, again") / medians[name] for name in twice}
    steady = all(LIMITS[0] <= ratio <= LIMITS[1] for ratio in controls.values())
    return {"ms": medians, "controls": controls, "rounds": len(times[TWICE[0]]), "conclusive": steady}


def long_texts(texts: Sequence[str]) -> list[str]:
    """Return texts of far more tokens than are timed, made of some tweets each."""
    return [" ".join(texts[i : i + 20]) for i in range(0, len(texts) - 20, 20)]


def markdown(result: dict[str, Any]) -> str:
    """Return the page beside the JSON file."""
    cells, machine, versions = result["cells"], result["machine"], result["versions"]
    tokens = {each["vocabulary"]: each["tokens"] for each in result["models"].values()}
    unsure = [cell for cell, each in cells.items() if not each["conclusive"]]
    ratios = [ratio for each in cells.values() for ratio in each["controls"].values()]
    tried = max(each["tried"] for each in cells.values())
    lines = [
        "# What serving costs",
        "",
        "Written by `make bench-serving`, drawn by `python -m tools.serving_picture`: the demo's teacher (6 layers x "
        "384), its students by plain KD, and a static one, each scored as it is served on "
        f"{result['rows']} held-out tweets. {machine['processor']}, {machine['threads']} thread(s) for every model; "
        f"torch {versions['torch']}, onnxruntime {versions['onnxruntime']}, openvino {versions['openvino']}. Medians "
        "of models that take turns in one process; tokenising is not timed. OpenVINO runs in its default precision, "
        "bf16 where the processor has it; `crild export --format openvino` serves fp32.",
        "",
        f"A/A control: {' and '.join(TWICE)} are there twice; a model's time over its own is {min(ratios):.3f} to "
        f"{max(ratios):.3f}"
        + (f", so that {', '.join(unsure)} are **inconclusive**." if unsure else ", inside 0.95 to 1.05 everywhere.")
        + (f" A part outside was measured again, {tried - 1} time(s) at most." if tried > 1 else ""),
        "",
        "## Times as fast as the teacher in PyTorch",
        "",
        f"Batch x tokens. *Full*: {tokens['full']:,} tokens of vocabulary; *trimmed*: {tokens['trimmed']:,}.",
        "",
        *table(result, lambda name, cell: f"{cells[cell]['ms'][TEACHER] / cells[cell]['ms'][name]:.1f}"),
        "",
        "## Milliseconds a batch",
        "",
        *table(result, lambda name, cell: f"{cells[cell]['ms'][name]:.3g}"),
    ]
    return "\n".join(lines) + "\n"


def table(result: dict[str, Any], shown: Callable[[str, str], str]) -> list[str]:
    """Return a line for each served model, a column for each batch and length."""
    cells = [f"{cell}{'' if each['conclusive'] else ' ?'}" for cell, each in result["cells"].items()]
    lines = [f"| model | MB | score | {' | '.join(cells)} |", f"|---|---|---|{'---|' * len(cells)}"]
    for name, each in result["models"].items():
        numbers = [
            f"{each['bytes'] / 1e6:.1f}",
            f"{each['score']:.4f}",
            *(shown(name, cell) for cell in result["cells"]),
        ]
        lines.append(f"| {name} | {' | '.join(numbers)} |")
    return lines


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Train, write, score and time what is not there yet; return it all."""
    folder, output = Path(options.runs), Path(options.output)
    values, depths = settings(), (3, 6) if options.quick else (STATIC, *DEPTHS)
    splits = tweet_splits("demo:100" if options.quick else values["data"])
    texts = [*splits["train"]["text"], *splits["unlabelled"]["text"]]
    trained = distilled(folder / "runs", depths, options.quick)
    students: list[Student] = []
    for depth, path in trained.items():
        students += with_vocabularies(depth, path, texts, folder / "files")
    for student in students:
        write_files(student, texts)
    kept = folder / "measured.json"
    about = {"processor": processor(), "threads": options.threads}
    earlier = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    found = earlier if about.items() <= earlier.items() else {**about, "models": {}, "cells": {}}
    models: dict[str, tuple[Student, Run]] = {}
    for student in track(students, description="scoring"):
        for engine in ENGINES:
            name = f"{student.name}, {engine}"
            run, size = runner(student, engine, options.threads)
            models[name] = student, run
            if name not in found["models"]:
                score = accuracy(student, run, splits["validation"], values["train"]["max_length"])
                named = {"layers": student.layers, "vocabulary": student.vocabulary, "engine": engine}
                found["models"][name] = {**named, "tokens": len(student.tokenizer), "bytes": size, "score": score}
                write_whole(kept, json.dumps(found, indent=1) + "\n")
    twice = {name: again(*models[name], options.threads) for name in TWICE}
    long, rounds = long_texts(texts), 5 if options.quick else ROUNDS
    for cell in track(["1x16", "8x64"] if options.quick else CELLS, description="timing"):
        before = found["cells"].get(cell, {"conclusive": False, "tried": 0})
        if not before["conclusive"]:
            load = os.getloadavg()[0]
            timed = time_cell(models, twice, cell, long, rounds)
            found["cells"][cell] = {**timed, "tried": before["tried"] + 1, "load_before": round(load, 2)}
            write_whole(kept, json.dumps(found, indent=1) + "\n")
    result = {"rows": len(splits["validation"]), "quick": options.quick, **environment(), **found}
    result["versions"] |= runtimes()
    result["machine"]["processor"] = result.pop("processor")
    result.pop("threads")
    write_whole(output, json.dumps(result, indent=1) + "\n")
    write_whole(output.with_suffix(".md"), markdown(result))
    return result


def again(student: Student, run: Run, threads: int) -> Run:
    """Return the same model once more, loaded anew."""
    engine = next(each for each in TWICE if each.startswith(student.name)).rpartition(", ")[2]
    if engine != "PyTorch":
        return runner(student, engine, threads)[0]
    return partial(in_torch, loading.load_model(str(student.folder), "student").model.eval())


def runtimes() -> dict[str, str]:
    """Return the versions of what serves."""
    from importlib.metadata import version

    return {name: version(name) for name in ("onnxruntime", "openvino")}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two depths, two cells, students that learned nothing")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--runs", help="folder of what is trained and written")
    parser.add_argument("--output", help="of the figures, beside a page of them")
    options = parser.parse_args()
    options.runs = options.runs or ("runs/serving-quick" if options.quick else "runs/serving")
    options.output = options.output or (f"{options.runs}/serving.json" if options.quick else str(FIGURES))
    quiet_libraries()
    with threads_of_torch(options.threads):
        result = measure(options)
    print(markdown(result))
    unsure = [cell for cell, each in result["cells"].items() if not each["conclusive"]]
    if unsure:
        print(f"inconclusive: {', '.join(unsure)}: the same model twice took unlike times; the machine was not quiet")
        return INCONCLUSIVE
    return 0


if __name__ == "__main__":
    sys.exit(main())
