"""`crild demo`: a real encoder and really noisy labels, both from PyPI; no network once installed.

The teacher learns from about a thousand tweets that a crowd labelled, the student from the teacher on these and some
thousands of tweets without labels. In the end the student leaves as a file that runs without PyTorch. Everything is
scored on held-out tweets on which the whole crowd agreed (see `crild.data.tweets`).
"""

import json
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from crild.config import ExportConfig, PredictConfig, build
from crild.console import say
from crild.data import tweets
from crild.errors import CrildError, to_install
from crild.files import check_folder, write_whole
from crild.inference import parameters
from crild.metrics import bootstrap_interval
from crild.run.classifier import load_classifier
from crild.run.folder import RunFolder
from crild.run.predictions import RunRows
from crild.run.start import distill
from crild.serving.export import PROOF, export
from crild.serving.packages import NEEDS
from crild.serving.proof import BATCHES, in_session, in_torch
from crild.serving.result import Export
from crild.serving.rows import ScoredRows, scored
from crild.serving.session import Session
from crild.serving.timing import threads_of_torch, time_models

MARKER, RESULT = "demo.json", "result.json"  # the first tells whose folder it is
TRAINED = {
    "teacher": "teacher",
    "control": "student without teacher",
    "kd": "student, plain KD",
    "student": "student, CR-ILD",
}
SERVED = {"served": "served: int8 ONNX, trimmed"}
LEGEND = "kept: share of the teacher's score; ms: one row at a time; rows/s: 32 at a time"


def settings() -> dict[str, Any]:
    """Return the committed configuration."""
    values: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("demo.yaml").read_text(encoding="utf-8"))
    return values


def run_demo(output: str, values: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run the demo, or go on with it.

    Args:
        output: run directory; holds the two runs ``cr-ild/`` and ``kd/``.
        values: the configuration; by default the committed one.

    Returns:
        Scores and costs of ``teacher``, ``control`` (the student without a teacher), ``kd`` and ``student`` (CR-ILD).

    Raises:
        CrildError: the demo's packages are not installed, or ``output`` holds something else.
    """
    values = values or settings()
    folder = check_folder(output, MARKER, "demo")
    marker = folder / MARKER
    if marker.exists() and json.loads(marker.read_text(encoding="utf-8")) != values:
        raise CrildError(f"--output {output}: the folder holds a demo of another version; choose another one")
    tweets.encoder()  # a missing package is said before anything is written
    if missing := [name for name in (*NEEDS["onnx"], "skeletoken") if find_spec(name) is None]:
        raise CrildError(f"the demo needs {', '.join(missing)}: {to_install('demo')}")
    splits = tweets.tweet_splits(values["data"])
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(marker, json.dumps(values, indent=2) + "\n")
    say(
        f"demo: {len(splits['train'])} tweets with noisy labels, {len(splits['unlabelled'])} without, "
        f"{len(splits['validation'])} held out on which the whole crowd agreed"
    )
    common = {
        "data": values["data"],
        "supplementary": values["data"],
        "base": tweets.NAME,
        "student": values["student"],
        **values["train"],
    }
    ours = distill(teacher=tweets.NAME, method="cr-ild", output=str(folder / "cr-ild"), **common, **values["cr-ild"])
    say("plain KD on the same texts, for comparison")
    plain = distill(
        teacher=str(folder / "cr-ild" / "teacher"),
        method="kd",
        control=False,
        output=str(folder / "kd"),
        **{name: value for name, value in common.items() if not name.startswith(("ild_", "finetune_"))},
        **values["kd"],
    )
    began = time.perf_counter()
    served, answered = serve(folder, values["served"])
    result = {**ours, "kd": plain["student"], "served": served}
    result["control"] |= {name: ours["student"][name] for name in ("parameters", "bytes")}
    time_side_by_side(result, answered)
    result["minutes"] = round(ours["minutes"] + plain["minutes"] + (time.perf_counter() - began) / 60, 2)
    write_whole(folder / RESULT, json.dumps(result, indent=2) + "\n")
    return result


def serve(folder: Path, options: dict[str, Any]) -> tuple[dict[str, Any], ScoredRows]:
    """Export the student of CR-ILD, unless that was done before.

    Args:
        folder: of the demo.
        options: of the export.

    Returns:
        Its score, size and folder, and the held-out rows.
    """
    path, run = folder / "served", RunFolder.open(folder / "cr-ild")
    if not (path / PROOF).exists():
        say("the student of CR-ILD as a file that runs without PyTorch")
        export(build(ExportConfig, {"model": str(run.path), "output": str(path), **options}))
    found, rows = Export.of(json.loads((path / PROOF).read_text(encoding="utf-8"))), RunRows.of(run)
    held_out = scored(rows, rows.held_out)
    answers = rows.task_type.answers(Session(path).logits(held_out.texts))
    assert found.vocabulary is not None
    dropped = found.vocabulary.before - found.vocabulary.kept
    width = run.student.config.hidden_size
    served = {
        "score": held_out.measure(held_out.truth, answers),
        "interval": bootstrap_interval(held_out.measure, held_out.truth, answers),
        "parameters": parameters(run.student) - dropped * width,
        "bytes": found.bytes,
        "tokens": found.vocabulary.kept,
        "path": str(path),
    }
    return served, held_out


def time_side_by_side(result: dict[str, Any], rows: ScoredRows) -> None:
    """Write each model's ``latency_ms`` at batch 1 and ``rows_a_second`` at batch 32.

    All take turns on the same rows in this process, with the same number of threads.

    Args:
        result: of the demo.
        rows: the held-out ones.
    """
    length = result["max_length"]
    say("timing all models, which take turns")
    with threads_of_torch(None) as threads:
        models = {}
        for name in TRAINED:
            classifier = load_classifier(result[name]["path"], name, PredictConfig())
            classifier.model.cpu().eval()
            models[name] = in_torch(classifier, rows, length)
        models["served"] = in_session(Session(Path(result["served"]["path"]), threads), rows.texts)
        lengths = [len(text) for text in rows.texts]
        one, many = (time_models(models, lengths, batch) for batch in BATCHES)
    for name in models:
        result[name] |= {"latency_ms": 1000 * one[name].mean, "rows_a_second": BATCHES[1] / many[name].mean}


def show_demo(result: dict[str, Any]) -> None:
    """Print the demo's table and what to do next."""
    from rich.console import Console

    from crild.reporting.table import Row, constant_row, summary

    rows = [Row(name, result[key], result[key]) for key, name in (TRAINED | SERVED).items()]
    rows += constant_row(result)
    out = Console(highlight=False)
    title = f"{result['rows']['validation']} held-out tweets on which the whole crowd agreed"
    out.print(summary(rows, result["metric"], title))
    teacher, served, path = result["teacher"], result["served"], result["student"]["path"]
    print(LEGEND)
    faster, more = teacher["latency_ms"] / served["latency_ms"], served["rows_a_second"] / teacher["rows_a_second"]
    print(f"The served one is {faster:.1f} x as fast as the teacher in PyTorch, {more:.1f} x at batch 32,")
    print(f"and has 1/{teacher['bytes'] / served['bytes']:.0f} of its bytes.")
    print(f"One seed, {result['minutes']:.1f} minutes. The student is in {path}")
    print("Next: ask the served one, score the student on your own file, or distil your own:")
    print(f"  python {served['path']}/serve.py 'what a lovely day'")
    print(f"  crild evaluate {path} --data YOUR.csv")
    print("  crild distill --teacher YOUR_CLASSIFIER --data YOUR.csv --student 3 \\")
    print("      --supplementary MORE.txt --output OUT")
