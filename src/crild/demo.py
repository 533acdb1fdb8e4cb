"""`crild demo`: a real encoder and really noisy labels, both from PyPI; no network once installed.

The teacher learns from about a thousand tweets that a crowd labelled, the student from the teacher on these and some
thousands of tweets without labels. Everything is scored on held-out tweets on which the whole crowd agreed (see
`crild.data.tweets`).
"""

import json
from pathlib import Path
from typing import Any

import yaml
from datasets import Dataset

from crild.console import say
from crild.data import tweets
from crild.data.tokenise import tokenise
from crild.errors import CrildError
from crild.files import check_folder, write_whole
from crild.inference import latencies
from crild.models.loading import load_model, load_tokenizer
from crild.run.start import distill

MARKER, RESULT = "demo.json", "result.json"  # the first tells whose folder it is
FOUR = {
    "teacher": "teacher",
    "control": "student without teacher",
    "kd": "student, plain KD",
    "student": "student, CR-ILD",
}
TIMED_ROWS = 80


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
    result = {**ours, "kd": plain["student"], "minutes": round(ours["minutes"] + plain["minutes"], 2)}
    result["control"] |= {name: ours["student"][name] for name in ("parameters", "bytes")}
    time_side_by_side([result[name] for name in FOUR], splits["validation"]["text"][:TIMED_ROWS], ours["max_length"])
    write_whole(folder / RESULT, json.dumps(result, indent=2) + "\n")
    return result


def time_side_by_side(models: list[dict[str, Any]], texts: list[str], max_length: int) -> None:
    """Write each model's ``latency_ms`` anew, all of them taking turns on the same texts in this process."""
    loaded = [load_model(model["path"], "model")[0] for model in models]
    tokenizer = load_tokenizer(models[0]["path"], "model")
    rows = tokenise(Dataset.from_dict({"text": texts, "labels": [None] * len(texts)}), tokenizer, max_length)
    for model, seconds in zip(models, latencies([(each, rows, tokenizer) for each in loaded]), strict=True):
        model["latency_ms"] = seconds * 1000


def show_demo(result: dict[str, Any]) -> None:
    """Print the demo's table and what to do next."""
    from rich.console import Console

    from crild.reporting.table import LEGEND, Row, constant_row, summary

    rows = [Row(name, result[key], result[key]) for key, name in FOUR.items()]
    rows += constant_row(result)
    out = Console(highlight=False)
    title = f"{result['rows']['validation']} held-out tweets on which the whole crowd agreed"
    out.print(summary(rows, result["metric"], title))
    path = result["student"]["path"]
    print(LEGEND)
    print(f"One seed, {result['minutes']:.1f} minutes. The student is in {path}")
    print("Next: score it on your own file, or distil your own classifier:")
    print(f"  crild evaluate {path} --data YOUR.csv")
    print("  crild distill --teacher YOUR_CLASSIFIER --data YOUR.csv --student 3 \\")
    print("      --supplementary MORE.txt --output OUT")
