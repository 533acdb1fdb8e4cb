"""Bad input of every kind: a table of what is asked for wrongly, or is broken, and the words of the line that says so.

A value may be a function of the test's `Place`. Every case starts from a command that would run, see `sound`.
"""

import gzip
import json
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow
import torch
from pyarrow.parquet import write_table
from safetensors.torch import load_file, save_file

from tests.architectures import SMALL_GPT
from tests.conftest import WORDS, reviews, save_tiny, write_jsonl


@dataclass(frozen=True)
class Place:
    """Where a case is made: an empty folder, and what all of them read.

    Attributes:
        path: the folder of the case.
        tiny, teacher: an encoder, and a classifier that was fine-tuned from it.
        run: the finished run whose teacher that is.
        films: a folder of data.
    """

    path: Path
    tiny: Path
    teacher: Path
    run: Path
    films: Path


@dataclass(frozen=True)
class Case:
    """One command, and words of its one line."""

    verb: str
    options: dict[str, Any]
    says: str


def sound(verb: str, t: Place) -> dict[str, Any]:
    """Return options with which a verb runs; the one without a name is called as messages call it."""
    return {
        "distill": {"teacher": t.teacher, "data": t.films, "student": 2, "method": "cr-ild", "output": t.path / "out"},
        "finetune": {"base": t.tiny, "data": t.films, "output": t.path / "out"},
        "tune": {"teacher": t.teacher, "data": t.films, "student": 2, "trials": 1, "output": t.path / "out"},
        "frontier": {"teacher": t.teacher, "data": t.films, "output": t.path / "out"},
        "check": {"DATA": t.films},
        "evaluate": {"MODEL": t.teacher, "data": t.films},
        "predict": {"MODEL": t.teacher, "data": t.films, "output": t.path / "out.csv"},
        "export": {"MODEL": t.run, "output": t.path / "out"},
        "compare": {"GRID": t.path / "grid.yaml", "output": t.path / "out"},
        "diagnose": {"RUNS": t.run},
    }.get(verb, {})


def command(case: Case, t: Place) -> list[str]:
    """Return what would be typed."""
    made = {name: value(t) if callable(value) else value for name, value in case.options.items()}
    words = [case.verb]
    for name, value in (sound(case.verb, t) | made).items():
        for each in value if isinstance(value, tuple) else (value,):
            if each is None:
                continue
            words += [] if name.isupper() else [f"--{name.replace('_', '-')}"]
            words += [] if each is True else [str(each)]
    return words


# ---- what is broken ----

Made = Callable[[Place], Path]


def file(name: str, content: bytes | str) -> Made:
    """A file of the case."""

    def make(t: Place) -> Path:
        path = t.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


def csv(*lines: str, header: str = "text,label") -> Made:
    return file("d.csv", "\n".join([header, *lines, ""]))


def jsonl(*rows: Any) -> Made:
    return file("d.jsonl", "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))


def two_classes(*labels: Any, count: int = 40) -> Made:
    """Rows with these labels in turn."""
    return jsonl(*({"text": f"good film {i}", "label": labels[i % len(labels)]} for i in range(count)))


def parquet(columns: dict[str, Any], metadata: dict[str, str] | None = None) -> Made:
    def make(t: Place) -> Path:
        table = pyarrow.table(columns)
        write_table(table.replace_schema_metadata(metadata) if metadata else table, t.path / "d.parquet")
        return t.path / "d.parquet"

    return make


def features(kind: dict[str, Any]) -> dict[str, str]:
    """What `datasets` writes beside a table: the text column is of another kind."""
    return {
        "huggingface": json.dumps({"info": {"features": {"text": kind, "label": {"dtype": "int64", "_type": "Value"}}}})
    }


def folder(*files: Made, name: str = "") -> Made:
    """The case's folder, or the one of that name in it, with files in it."""

    def make(t: Place) -> Path:
        for each in files:
            each(t)
        (t.path / name).mkdir(exist_ok=True)
        return t.path / name

    return make


def in_zip(name: str) -> bytes:
    """What a spreadsheet saves."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, "x" * 100)
    return out.getvalue()


def broken(change: Callable[[Path], Any], what: str = "teacher") -> Made:
    """A copy of the teacher (or of the encoder, or the run) that something was done to."""

    def make(t: Place) -> Path:
        copy = t.path / what
        shutil.copytree(getattr(t, what), copy)
        change(copy)
        return copy

    return make


def json_of(name: str, **changes: Any) -> Callable[[Path], Any]:
    """Change entries of a JSON file."""

    def change(path: Path) -> None:
        values = json.loads((path / name).read_text())
        (path / name).write_text(json.dumps({**values, **changes}))

    return change


def config(**changes: Any) -> Made:
    return broken(json_of("config.json", **changes))


def tensors(change: Callable[[dict[str, torch.Tensor]], Any]) -> Made:
    """The teacher with other weights."""

    def write(path: Path) -> None:
        state = load_file(path / "model.safetensors")
        change(state)
        save_file(state, path / "model.safetensors", {"format": "pt"})

    return broken(write)


def content(name: str, data: bytes | str) -> Callable[[Path], Any]:
    return lambda path: (path / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def cut(name: str, share: float = 0.5) -> Callable[[Path], Any]:
    """Only the first part of a file is there."""

    def change(path: Path) -> None:
        data = (path / name).read_bytes()
        (path / name).write_bytes(data[: int(len(data) * share)])

    return change


class Harm:
    """What unpickling would do."""

    def __reduce__(self) -> Any:
        return os.mkdir, (f"{os.environ['HARM']}",)


def pickled(name: str) -> Callable[[Path], Any]:
    """Weights as a pickle, which is a program; the safe file is gone."""

    def change(path: Path) -> None:
        os.environ["HARM"] = str(path / "harm")
        (path / "model.safetensors").unlink()
        (path / name).write_bytes(pickle.dumps(Harm()))

    return change


def gpt(t: Place) -> Path:
    from transformers import GPT2Config, GPT2LMHeadModel

    GPT2LMHeadModel(GPT2Config(**SMALL_GPT)).save_pretrained(t.path / "gpt")
    return t.path / "gpt"


def unlabelled(t: Place) -> Path:
    return file("u.txt", "\n".join(row["text"] for row in reviews(60)))(t)


def grid(text: str) -> Made:
    """A grid with a base, tasks and methods, and more; a line replaces the one of its name."""
    usual = {"tasks": "[films]", "methods": "[kd]", "options": "{base: x}"}
    for line in text.split("\n"):
        usual[line.partition(":")[0]] = line.partition(":")[2]
    return file("grid.yaml", "\n".join(f"{name}: {value}" for name, value in usual.items() if value != " -"))


LAUGHS = "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(9)
)
DEEP = "[" * 200 + "]" * 200
VALIDATION_TEXT = reviews(60, seed=1)[0]["text"]

FILES = {
    "missing data": Case("distill", {"data": lambda t: t.path / "nowhere.csv"}, "no such file or folder"),
    "empty file": Case("check", {"DATA": file("e.csv", b"")}, "e.csv: the file is empty"),
    "header alone": Case("check", {"DATA": csv()}, "the file has no rows"),
    "blank TSV": Case("check", {"DATA": file("b.tsv", b"\n\n")}, "the file is empty"),
    "blank text file": Case("check", {"DATA": file("b.txt", b"\n \n")}, "no rows"),
    "blank JSONL": Case("check", {"DATA": file("b.jsonl", b"\n\n")}, "no rows"),
    "not UTF-8": Case("check", {"DATA": file("l.csv", b"text,label\ncaf\xe9,pos\n")}, "line 2 is not UTF-8"),
    "UTF-16": Case("check", {"DATA": file("l.csv", "text,label\na,b\n".encode("utf-16"))}, "not UTF-8"),
    "UTF-16 JSONL": Case("check", {"DATA": file("l.jsonl", '{"text": "a"}\n'.encode("utf-16"))}, "not UTF-8"),
    "UTF-16 without a mark": Case(
        "check", {"DATA": file("l.csv", "text,label\na,b\n".encode("utf-16-le"))}, "zero bytes"
    ),
    "zero bytes": Case("check", {"DATA": csv("good\0film,pos", "bad,neg")}, "zero bytes"),
    "zero bytes in JSONL": Case("check", {"DATA": file("l.jsonl", b"\0" * 100)}, "zero bytes"),
    "spreadsheet": Case("check", {"DATA": file("d.xlsx", in_zip("xl/workbook.xml"))}, "unknown kind of file"),
    "spreadsheet called CSV": Case("check", {"DATA": file("d.csv", in_zip("xl/workbook.xml"))}, "d.csv"),
    "archive": Case("check", {"DATA": file("d.csv.gz", gzip.compress(b"text,label\na,b\n"))}, "unknown kind of file"),
    "compressed, called CSV": Case("check", {"DATA": file("d.csv", gzip.compress(b"text,label\na,b\n"))}, "not UTF-8"),
    "no ending": Case("check", {"DATA": file("data", b"text,label\na,b\n")}, "unknown kind of file"),
    "no Parquet": Case("check", {"DATA": file("x.parquet", b"nonsense")}, "not a readable Parquet file"),
    "half a Parquet file": Case(
        "check",
        {"DATA": lambda t: (parquet({"text": ["a b"] * 99})(t), cut("d.parquet")(t.path))[0]},
        "not a readable Parquet file",
    ),
    "Parquet without columns": Case("check", {"DATA": parquet({})}, "d.parquet"),
    "Parquet without rows": Case("check", {"DATA": parquet({"text": []})}, "no rows"),
    "Parquet of pictures": Case(
        "check",
        {
            "DATA": parquet(
                {"text": [{"path": "/etc/passwd", "bytes": None}] * 20, "label": [0, 1] * 10},
                features({"_type": "Image"}),
            )
        },
        "does not hold text",
    ),  # fmt: skip
    "Parquet of what nobody knows": Case(
        "check", {"DATA": parquet({"text": ["a"] * 20}, features({"_type": "Evil"}))}, "d.parquet"
    ),
    "Parquet of bytes": Case("check", {"DATA": parquet({"text": [b"a", b"\xff"] * 9})}, "does not hold text"),
    "Parquet of numbers": Case("check", {"DATA": parquet({"text": [1.5, 2.5] * 9})}, "does not hold text"),
    "Parquet of structures": Case("check", {"DATA": parquet({"text": [{"a": "b"}] * 9})}, "does not hold text"),
    "Parquet of lists": Case("check", {"DATA": parquet({"text": [["a"]] * 9})}, "does not hold text"),
    "folder of nothing": Case("check", {"DATA": folder(name="d")}, "a data folder needs a train file"),
    "folder called CSV": Case("check", {"DATA": folder(name="d.csv")}, "a data folder needs a train file"),
    "folder without train": Case(
        "finetune", {"data": folder(file("d/test.csv", "text,label\na,b\n"), name="d")}, "there is no train split"
    ),
    "folder of one broken file": Case(
        "check",
        {"DATA": folder(file("d/train.csv", "text,label\na,b\n"), file("d/dev.jsonl", "{"), name="d")},
        "dev.jsonl: line 1",
    ),
    "saved data set without its state": Case(
        "check", {"DATA": folder(file("d/dataset_info.json", "{}"), name="d")}, "not a readable `datasets` directory"
    ),
    "saved data set that is no JSON": Case(
        "check", {"DATA": folder(file("d/dataset_dict.json", "["), name="d")}, "not a readable `datasets` directory"
    ),
    "saved data set of files elsewhere": Case(
        "check",
        {
            "DATA": folder(
                file("d/dataset_info.json", "{}"),
                file(
                    "d/state.json",
                    '{"_data_files": [{"filename": "../../../../../etc/passwd"}], "_fingerprint": "a", '
                    '"_format_columns": null, "_format_kwargs": {}, "_format_type": null, "_split": null}',
                ),
                name="d",
            )
        },
        "outside",
    ),  # fmt: skip
    "device": Case("check", {"DATA": "/dev/zero"}, "no such file or folder"),
    "pipe": Case(
        "check", {"DATA": lambda t: os.mkfifo(t.path / "d.csv") or t.path / "d.csv"}, "no such file or folder"
    ),
    "link to nothing": Case(
        "check", {"DATA": lambda t: (t.path / "d.csv").symlink_to("none") or t.path / "d.csv"}, "no such file or folder"
    ),
    "link to itself": Case(
        "check",
        {"DATA": lambda t: (t.path / "d.csv").symlink_to("d.csv") or t.path / "d.csv"},
        "no such file or folder",
    ),
    "name too long": Case("check", {"DATA": lambda t: t.path / ("x" * 300 + ".csv")}, "too long"),
    "name of a hundred thousand characters": Case("check", {"DATA": "x" * 100_000}, "too long"),
    "name that is no UTF-8": Case("check", {"DATA": "caf\udce9.csv"}, "is not UTF-8 text"),
    "name that colours the terminal": Case("check", {"DATA": "a\x1b[31m.csv"}, "a [31m.csv"),
    "name of two lines": Case("check", {"DATA": "a\ncrild: error: b.csv"}, "a crild: error: b.csv"),
    "bad JSON": Case("check", {"DATA": jsonl({"text": "a"}, '{"text": ')}, "line 2 is not valid JSON"),
    "JSON of numbers": Case("check", {"DATA": file("d.jsonl", "[1, 2]")}, "every line must be a JSON object"),
    "JSON of one word": Case("check", {"DATA": file("d.json", '"text"')}, "every line must be a JSON object"),
    "JSON nested too deeply": Case("check", {"DATA": jsonl('{"text": ' + "[" * 100_000)}, "nested too deeply"),
    "half a character in JSON": Case("check", {"DATA": jsonl(*[r'{"text": "a\ud800"}'] * 9)}, "half of a character"),
    "JSON of kinds": Case(
        "check", {"DATA": jsonl({"text": "a"}, {"text": 1}, {"text": ["b"]})}, "'text' mixes kinds of values"
    ),
    "text that is a number": Case("check", {"DATA": jsonl(*[{"text": 3, "label": 1}] * 9)}, "does not hold text"),
    "text that is an object": Case("check", {"DATA": jsonl(*[{"text": {"a": "b"}}] * 9)}, "does not hold text"),
    "number that is too large": Case("check", {"DATA": jsonl(*[{"text": "a", "label": 10**30}] * 9)}, "'label'"),
    "number of 5000 digits": Case("check", {"DATA": jsonl('{"text": "a", "label": ' + "9" * 5000 + "}")}, "line 1"),
    "rows of another width": Case("check", {"DATA": csv(*["a, b,c"] * 30)}, "do not have the header's 2 columns"),
    "lost quotation mark": Case("check", {"DATA": csv(*["good,a"] * 30, '"lost,b', *["bad,b"] * 30)}, "line 32"),
    "revision of a file": Case("check", {"data_revision": "main"}, "a revision is for data sets on the hub"),
    "supplementary missing": Case(
        "distill", {"supplementary": lambda t: t.path / "none.txt"}, "no such file or folder"
    ),
    "supplementary empty": Case("distill", {"supplementary": file("s.txt", "")}, "s.txt: the file is empty"),
    "all texts held out": Case(
        "distill", {"supplementary": file("v.txt", VALIDATION_TEXT)}, "every text is in selection"
    ),
    "data of predict": Case("predict", {"data": file("e.jsonl", b"")}, "e.jsonl: the file is empty"),
    "validation broken": Case(
        "finetune", {"validation": file("v.csv", b"text,label\n\xff,a\n")}, "line 2 is not UTF-8"
    ),
}

COLUMNS = {
    "no text column": Case("distill", {"data": csv("1,x", "2,y", header="a,label")}, "no text column"),
    "no such column": Case("check", {"text": "txt"}, "no column 'txt' (did you mean 'text'?)"),
    "no such label column": Case("check", {"label": "lable"}, "no column 'lable' (did you mean 'label'?)"),
    "no such column of several": Case("check", {"label": "label,b"}, "no column 'b'"),
    "empty name": Case("check", {"text": ""}, "no column ''"),
    "column twice": Case("check", {"DATA": csv("a,b", header="text,text")}, "appears twice"),
    "columns without names": Case("check", {"DATA": csv("a,b,c", header=",,")}, "no text column"),
    "one column, two roles": Case("check", {"text": "label", "label": "label"}, "name the same column, 'label'"),
    "the label as text": Case("check", {"text": "label"}, "looks like the label column"),
    "the text as label": Case("check", {"label": "text"}, "would be the text and the label"),
    "pair of a single text": Case("check", {"text_pair": "b"}, "no column 'b'"),
    "column of the teacher's data elsewhere": Case(
        "evaluate", {"data": csv("1,x", header="a,label"), "text": "text"}, "there is no column 'text'"
    ),
    "columns of rows to answer": Case("predict", {"data": csv("1,x", header="a,b")}, "no text column"),
    "column whose name colours the terminal": Case(
        "check", {"DATA": csv("a,b", header="\x1b[31mred,label")}, " [31mred"
    ),
}

LABELS = {
    "one class": Case("distill", {"data": two_classes("pos")}, "at least two classes"),
    "one row": Case("finetune", {"data": csv("good,pos")}, "too few rows"),
    "two rows": Case("finetune", {"data": csv("good,pos", "bad,neg")}, ""),
    "no labels to learn from": Case("finetune", {"data": unlabelled}, "has no labels, which fine-tuning needs"),
    "labels that are all missing": Case("finetune", {"data": two_classes(None)}, "has no labels"),
    "labels that are no numbers": Case("finetune", {"data": two_classes(float("nan"))}, "has no labels"),
    "labels that are blank": Case("finetune", {"data": two_classes(" ", "")}, "has no labels"),
    "labels without bound": Case(
        "finetune", {"data": two_classes(float("inf"), 1.5), "task": "regression"}, "label 'inf' is not a number"
    ),
    "words in regression": Case(
        "finetune", {"data": two_classes("good", "bad"), "task": "regression"}, "is not a number, as regression needs"
    ),
    "labels that are objects": Case("finetune", {"data": two_classes({"a": 1}, {"a": 2})}, "column 'label'"),
    "labels that are lists of objects": Case(
        "finetune", {"data": two_classes([{"a": 1}], [{"a": 2}])}, "column 'label'"
    ),
    "labels that are lists of lists": Case("finetune", {"data": two_classes([["a"]], [["b"]])}, "column 'label'"),
    "a class for every row": Case(
        "finetune",
        {"data": jsonl(*({"text": f"film {i}", "label": f"c{i}"} for i in range(60)))},
        "60 different labels",
    ),
    "unknown labels": Case("distill", {"data": two_classes("ham", "spam")}, "does not know the labels ham, spam"),
    "more labels than the teacher": Case("distill", {"data": two_classes(0, 1, 2)}, "the teacher only 2"),
    "numbers for a classifier": Case("distill", {"data": two_classes(*(i + 0.5 for i in range(30)))}, "label"),
    "lists for a classifier": Case("distill", {"data": two_classes(["a"], ["b", "c"])}, "rows have lists of labels"),
    "columns of labels say 7": Case(
        "finetune", {"data": csv("a,0,1", "b,1,7", header="text,x,y"), "label": "x,y"}, "column 'y' says '7'"
    ),
    "labels of validation": Case("finetune", {"validation": two_classes("ham", "spam")}, "ham"),
    "no labels to score": Case("evaluate", {"data": unlabelled}, "has no labels to score against"),
    "other labels to score": Case("evaluate", {"data": two_classes("ham", "spam")}, "does not know the labels"),
    "bad label map": Case("distill", {"label_map": "pos"}, "old=new"),
    "map of no label": Case("distill", {"label_map": "good=pos"}, "the data has no label 'good'"),
    "map to no label": Case("distill", {"label_map": "pos=good"}, "the teacher has no label 'good'"),
    "map to one label": Case("distill", {"label_map": "pos=neg"}, "two labels of the data become the teacher's 'neg'"),
    "map to one new label": Case("finetune", {"label_map": "pos=neg"}, "two labels get the same name"),
    "bad metric": Case("distill", {"metric": "acuracy"}, "did you mean 'accuracy'?"),
    "metric of another task": Case("distill", {"metric": "pearson"}, "no metric 'pearson' for classification"),
    "metric of two classes": Case(
        "finetune", {"data": two_classes("a", "b", "c"), "metric": "f1"}, "needs two classes"
    ),
    "metric of lists": Case(
        "finetune", {"data": two_classes(["a"], ["b"]), "metric": "accuracy"}, "use one of micro_f1"
    ),
    "imbalance of lists": Case(
        "finetune", {"data": two_classes(["a"], ["b"]), "imbalance": 0.5}, "--imbalance needs one class a row"
    ),
    "imbalance of numbers": Case(
        "finetune",
        {"data": two_classes(*(i + 0.5 for i in range(30))), "imbalance": 0.5},
        "--imbalance is about classes",
    ),
    "noise without labels": Case(
        "distill", {"data": unlabelled, "label_noise": 0.1}, "--label-noise and --imbalance change labels"
    ),
    "no labels for filters": Case(
        "distill",
        {"method": "ted", "data": unlabelled},
        "method ted with features ted, two-stage schedule, learns from labels",
    ),
    "no labels for filters of another method": Case(
        "distill", {"method": "l-ild", "features": "ted", "data": unlabelled}, "learns from labels"
    ),
    "labels that nobody sees": Case(
        "distill",
        {"method": "minilm", "schedule": "paper", "hard_label_weight": "0.5"},
        "--hard-label-weight would do nothing",
    ),
    "held out of rows to score": Case("evaluate", {"validation": "held-out"}, "--validation held-out is for training"),
}

TEXTS = {
    "texts of length 0": Case(
        "finetune", {"data": jsonl(*[{"text": "", "label": i % 2} for i in range(20)])}, "no row has text"
    ),
    "texts of spaces": Case(
        "finetune",
        {"data": jsonl(*[{"text": " \t\u00a0\u3000", "label": i % 2} for i in range(20)])},
        "no row has text",
    ),
    "texts that are missing": Case(
        "finetune", {"data": jsonl(*[{"text": None, "label": i % 2} for i in range(20)])}, "no row has text"
    ),
    "length 0": Case("finetune", {"max_length": 0}, "max_length: 0 is out of range"),
    "length below 8": Case("predict", {"max_length": 7}, "it must be at least 8"),
}

MODELS = {
    "missing teacher": Case("distill", {"teacher": lambda t: t.path / "nowhere"}, "no such folder"),
    "teacher that is a file": Case("distill", {"teacher": file("model.bin", b"x")}, "model.bin"),
    "teacher without a configuration": Case("distill", {"teacher": folder(name="t")}, "no config.json"),
    "configuration that is no JSON": Case(
        "distill", {"teacher": broken(content("config.json", "{"))}, "teacher: cannot load"
    ),
    "configuration that is a list": Case(
        "distill", {"teacher": broken(content("config.json", "[]"))}, "teacher: cannot load"
    ),
    "configuration that is no UTF-8": Case(
        "distill", {"teacher": broken(content("config.json", b'{"\xff": 1}'))}, "teacher: cannot load"
    ),
    "configuration nested too deeply": Case(
        "distill", {"teacher": broken(content("config.json", '{"a":' + "[" * 100_000))}, "teacher: cannot load"
    ),
    "configuration without a type": Case(
        "distill", {"teacher": broken(content("config.json", "{}"))}, "teacher: cannot load"
    ),
    "unknown type of model": Case("distill", {"teacher": config(model_type="brt")}, "teacher: cannot load"),
    "no text model": Case("distill", {"teacher": config(model_type="vit", architectures=None)}, "not an encoder"),
    "causal": Case("distill", {"teacher": gpt}, "causal model"),
    "another head": Case(
        "distill", {"teacher": config(architectures=["BertForTokenClassification"])}, "a token classifier"
    ),
    "unknown problem": Case("distill", {"teacher": config(problem_type="ranking")}, "teacher:"),
    "width that is text": Case("distill", {"teacher": config(hidden_size="wide")}, "teacher: "),
    "negative width": Case("distill", {"teacher": config(hidden_size=-32)}, "teacher: "),
    "width that heads do not divide": Case("distill", {"teacher": config(num_attention_heads=5)}, "teacher: "),
    "no heads": Case("distill", {"teacher": config(num_attention_heads=0)}, "teacher: "),
    "no layers": Case("distill", {"teacher": config(num_hidden_layers=0)}, "teacher: "),
    "a billion layers": Case("distill", {"teacher": config(num_hidden_layers=10**9)}, "1000000000 layers"),
    "layers that are text": Case("distill", {"teacher": config(num_hidden_layers="many")}, "teacher: "),
    "a billion tokens": Case("distill", {"teacher": config(vocab_size=10**9)}, "teacher: "),
    "no positions": Case("distill", {"teacher": config(max_position_embeddings=0)}, "teacher: "),
    "labels with a hole": Case("distill", {"teacher": config(id2label={"0": "a", "2": "b"})}, "teacher: "),
    "labels that are a list": Case("distill", {"teacher": config(id2label=["a", "b"])}, "teacher: "),
    "two labels of one name": Case("distill", {"teacher": config(id2label={"0": "pos", "1": "pos"})}, "teacher: "),
    "more labels than the head": Case(
        "distill", {"teacher": config(id2label={"0": "a", "1": "b", "2": "c"})}, "teacher: "
    ),
    "no weights": Case("distill", {"teacher": broken(lambda p: (p / "model.safetensors").unlink())}, "teacher: "),
    "weights cut in half": Case(
        "distill", {"teacher": broken(cut("model.safetensors"))}, "teacher: cannot load the weights"
    ),
    "weights cut in the header": Case(
        "distill", {"teacher": broken(cut("model.safetensors", 0.001))}, "teacher: cannot load the weights"
    ),
    "empty weights": Case(
        "distill", {"teacher": broken(content("model.safetensors", b""))}, "teacher: cannot load the weights"
    ),
    "weights that say they are endless": Case(
        "distill",
        {"teacher": broken(content("model.safetensors", struct.pack("<Q", 2**62) + b"{}"))},
        "cannot load the weights",
    ),
    "weights that are a page": Case(
        "distill",
        {"teacher": broken(content("model.safetensors", "<html>not found</html>"))},
        "cannot load the weights",
    ),
    "weights left behind by Git": Case(
        "distill",
        {
            "teacher": broken(
                content("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
            )
        },
        "git lfs pull",
    ),
    "a pickle called safetensors": Case(
        "distill", {"teacher": broken(pickled("model.safetensors"))}, "cannot load the weights"
    ),
    "a pickle": Case("distill", {"teacher": broken(pickled("pytorch_model.bin"))}, "pytorch_model.bin"),
    "a pickle to be scored": Case("evaluate", {"MODEL": broken(pickled("pytorch_model.bin"))}, "pytorch_model.bin"),
    "a pickled student": Case("distill", {"student": broken(pickled("pytorch_model.bin"))}, "pytorch_model.bin"),
    "pickled parts": Case(
        "distill",
        {
            "teacher": broken(
                lambda p: (
                    pickled("part.bin")(p),
                    content("pytorch_model.bin.index.json", '{"weight_map": {"a": "part.bin"}, "metadata": {}}')(p),
                )
            )
        },
        "pytorch_model.bin",
    ),
    "parts elsewhere": Case(
        "distill",
        {
            "teacher": broken(
                lambda p: (
                    (p / "model.safetensors").rename(p.parent / "m.safetensors"),
                    content(
                        "model.safetensors.index.json", '{"weight_map": {"a": "../m.safetensors"}, "metadata": {}}'
                    )(p),
                )
            )
        },
        "outside",
    ),  # fmt: skip
    "an adapter": Case(
        "distill",
        {"teacher": broken(content("adapter_config.json", '{"base_model_name_or_path": "x/y", "peft_type": "LORA"}'))},
        "adapter",
    ),
    "weights that are no numbers": Case(
        "distill", {"teacher": tensors(lambda s: s["classifier.weight"].fill_(float("nan")))}, "classifier.weight"
    ),
    "one weight without bound": Case(
        "evaluate",
        {"MODEL": tensors(lambda s: s["bert.embeddings.word_embeddings.weight"][3].fill_(float("inf")))},
        "word_embeddings.weight",
    ),
    "a base without numbers": Case(
        "finetune",
        {"base": tensors(lambda s: s["bert.embeddings.LayerNorm.bias"].fill_(float("nan")))},
        "LayerNorm.bias",
    ),
    "a missing tensor": Case(
        "distill", {"teacher": tensors(lambda s: s.pop("bert.encoder.layer.1.output.dense.weight"))}, "lack 1 tensors"
    ),
    "a tensor of another shape": Case(
        "distill",
        {"teacher": tensors(lambda s: s.update({"bert.encoder.layer.1.output.dense.bias": torch.zeros(7)}))},
        "teacher: ",
    ),
    "no head to score with": Case("evaluate", {"MODEL": lambda t: t.tiny}, "has no trained classification head"),
    "code in the model": Case(
        "distill", {"teacher": config(model_type="mine", auto_map={"AutoConfig": "mine.Mine"})}, "teacher: cannot load"
    ),
    "no tokenizer": Case(
        "distill", {"teacher": broken(lambda p: [f.unlink() for f in p.glob("token*")])}, "has no tokenizer"
    ),
    "tokenizer that is no JSON": Case(
        "distill", {"teacher": broken(content("tokenizer.json", "{"))}, "cannot load the tokenizer"
    ),
    "tokenizer cut in half": Case("distill", {"teacher": broken(cut("tokenizer.json"))}, "cannot load the tokenizer"),
    "tokenizer without a model": Case(
        "distill", {"teacher": broken(json_of("tokenizer.json", model=None))}, "cannot load the tokenizer"
    ),
    "tokenizer settings that are a list": Case(
        "distill", {"teacher": broken(content("tokenizer_config.json", "[]"))}, "tokenizer"
    ),
    "tokenizer without padding": Case(
        "distill", {"teacher": broken(json_of("tokenizer_config.json", pad_token=None))}, "no padding token"
    ),
    "tokenizer of another model": Case(
        "distill", {"teacher": broken(lambda p: save_tokenizer(p, [*WORDS, "zebra", "lion"]))}, "teacher: the tokenizer"
    ),
    "tokenizer that is code": Case(
        "distill",
        {
            "teacher": broken(
                json_of(
                    "tokenizer_config.json", auto_map={"AutoTokenizer": ["mine.Mine", None]}, tokenizer_class="Mine"
                )
            )
        },
        "tokenizer",
    ),
    "other vocabulary": Case(
        "distill",
        {"student": lambda t: save_tiny(t.path / "s", layers=2, words=[*WORDS, "zebra"])},
        "different vocabularies",
    ),
    "base of another vocabulary": Case(
        "distill", {"base": lambda t: save_tiny(t.path / "s", words=[*WORDS, "zebra"])}, "different vocabularies"
    ),
    "larger student": Case(
        "distill", {"student": lambda t: save_tiny(t.path / "s", layers=6)}, "more than the teacher's 4"
    ),
    "compared with another task": Case(
        "evaluate", {"compare": lambda t: save_tiny(t.path / "s", head=True, labels=("a", "b", "c"))}, "--compare"
    ),
    "embeddings of no model": Case("check", {"teacher": folder(name="t")}, "no config.json"),
    "searched with no model": Case("tune", {"teacher": folder(name="t")}, "no config.json"),
    "frontier of no model": Case("frontier", {"teacher": folder(name="t")}, "no config.json"),
    "export of a pickle": Case("export", {"MODEL": broken(pickled("pytorch_model.bin"))}, "pytorch_model.bin"),
    "remote code that is not pinned": Case("distill", {"teacher": "owner/name", "trust_remote_code": True}, "commit"),
    "remote code of a branch": Case(
        "evaluate", {"MODEL": "owner/name", "trust_remote_code": True, "revision": "main"}, "commit"
    ),
    "not in the cache": Case("distill", {"teacher": "owner/name"}, "teacher: "),
    "hub name that is none": Case("distill", {"teacher": "owner/na me!"}, "teacher: "),
}


def save_tokenizer(path: Path, words: list[str]) -> None:
    from tests.conftest import tiny_tokenizer

    tiny_tokenizer(words).save_pretrained(path)


OPTIONS = {
    "unknown verb": Case("distil", {}, "did you mean 'distill'?"),
    "unknown method": Case("distill", {"method": "cr-idl"}, "unknown method 'cr-idl' (did you mean 'cr-ild'?)"),
    "method to explain": Case("methods", {"NAME": "cr-ldi"}, "unknown method"),
    "unknown option": Case("distill", {"methd": "kd"}, "unknown option '--methd' (did you mean '--method'?)"),
    "unknown option of the demo": Case("demo", {"outptu": "x"}, "unknown option '--outptu' (did you mean '--output'?)"),
    "unknown switch": Case("methods", {"jsn": True}, "did you mean '--json'?"),
    "option without a value": Case("distill", {"seed": True}, "expected one argument"),
    "value of a switch": Case("distill", {"ema": "true"}, "'true' is no option"),
    "bad number": Case("distill", {"seed": "many"}, "seed: 'many' is not a whole number"),
    "negative epochs": Case("distill", {"epochs": "-1"}, "epochs: -1 is out of range"),
    "no epochs": Case("finetune", {"finetune_epochs": 0}, "at least 1"),
    "half an epoch": Case("distill", {"kd_epochs": 0.5}, "is not a whole number"),
    "temperature 0": Case("distill", {"temperature": 0}, "temperature: 0.0 is out of range, it must be above 0"),
    "temperature that is no number": Case("distill", {"temperature": "nan"}, "temperature"),
    "endless rate": Case("distill", {"kd_learning_rate": "inf"}, "kd_learning_rate"),
    "negative rate": Case("finetune", {"finetune_learning_rate": "-1e-3"}, "at least 0"),
    "more noise than labels": Case("finetune", {"label_noise": 1.5}, "at most 1"),
    "seed too large": Case("distill", {"seed": "5000000000"}, "at most 4294967295"),
    "no rows to train on": Case("finetune", {"train_rows": 0}, "at least 1"),
    "one row to train on": Case("finetune", {"train_rows": 1}, "too few rows"),
    "batch of nothing": Case("finetune", {"finetune_batch_size": 0}, "at least 1"),
    "unknown preset": Case("distill", {"preset": "fast"}, "none of quick, paper"),
    "unknown schedule": Case("distill", {"schedule": "papr"}, "papr"),
    "verbose without a plan": Case("distill", {"verbose": True}, "--verbose would do nothing without --dry-run"),
    "no such student": Case("distill", {"student": "thre"}, "neither layers"),
    "too many layers": Case("distill", {"student": "9"}, "4 layers"),
    "layers that do not rise": Case("distill", {"student": "2,1"}, "layers must rise"),
    "student of no layers": Case("distill", {"student": "0"}, "at least one layer"),
    "bad layer map": Case("distill", {"layer_map": "uniformly"}, "did you mean 'uniform'?"),
    "layer map of layers that are not there": Case("distill", {"layer_map": "1-9"}, "9"),
    "features without stage 1": Case(
        "distill", {"method": "kd", "features": "qkv"}, "--features would do nothing with method kd"
    ),
    "average without consistency": Case(
        "distill",
        {"method": "l-ild", "config": file("e.yaml", "ema: true")},
        "--ema would do nothing with method l-ild",
    ),
    "consistency without interpolation": Case(
        "distill", {"method": "l-ild", "consistency": "0.2"}, "would do nothing with method l-ild"
    ),
    "texts that KD would not see": Case(
        "distill", {"method": "kd", "supplementary": file("m.txt", "good film")}, "use --supplementary-mode join"
    ),
    "heads that do not divide": Case("distill", {"features": "qkv", "relation_heads": "5"}, "does not divide"),
    "accumulation": Case("distill", {"accumulation": "3"}, "does not divide the batch size 32"),
    "nothing to mix": Case("distill", {"accumulation": "32"}, "needs at least 2"),
    "decay without average": Case("distill", {"ema_decay": "0.9"}, "--ema-decay would do nothing"),
    "unknown features": Case("distill", {"features": "hiden"}, "no objective 'hiden' (did you mean 'hidden'?)"),
    "features twice": Case("distill", {"features": "hidden+ah"}, "hidden is named twice"),
    "weight of features": Case("distill", {"features": "0*hidden"}, "no positive weight"),
    "map that leaves nothing": Case("distill", {"student": "1", "method": "pkd"}, "use --layer-map last"),
    "map for another objective": Case("distill", {"method": "alp-kd", "layer_map": "last"}, "use --layer-map all"),
    "objective for another map": Case(
        "distill", {"method": "ckd", "layer_map": "emd"}, "use --layer-map last or uniform"
    ),
    "words of mixed texts": Case("distill", {"method": "mgskd", "interpolate": "true"}, "use --interpolate false"),
    "samples without a batch": Case("distill", {"method": "mgskd", "accumulation": "16"}, "needs at least 3"),
    "interpolation without a term": Case("distill", {"method": "kd", "interpolate": "true"}, "would do nothing"),
    "consistency on plain inputs": Case("distill", {"interpolate": "false", "consistency": "0.1"}, "would do nothing"),
    "map without layers": Case("distill", {"method": "mixkd", "layer_map": "uniform"}, "--layer-map would do nothing"),
    "rewrites of no kind": Case("distill", {"augment": "deletoin"}, "did you mean 'deletion'?"),
    "rewrites of pairs": Case("distill", {"augment": "pairing"}, "pairing is of pairs"),
    "one fold": Case("distill", {"cross_fit": 1}, "at least 2"),
    "missing plugin": Case("distill", {"plugin": lambda t: t.path / "none.py"}, "no such file"),
    "failing plugin": Case("distill", {"plugin": file("p.py", "1 / 0")}, "ZeroDivisionError"),
    "plugin that is no Python": Case("distill", {"plugin": file("p.py", "def (")}, "p.py"),
    "plugin of bytes": Case("distill", {"plugin": file("p.py", b"\xff\0")}, "p.py"),
    "plugin that leaves": Case("distill", {"plugin": file("p.py", "import sys; sys.exit(0)")}, "p.py"),
    "width of a path": Case(
        "distill",
        {"student": lambda t: save_tiny(t.path / "s", layers=2), "student_width": "16"},
        "not for one of its own PATH",
    ),
    "width of a static student": Case("distill", {"student": "static", "student_width": "16"}, "or a static one"),
    "layers of a static student": Case("distill", {"student": "static"}, "use --method kd"),
    "heads without width": Case("distill", {"student_heads": "2"}, "add --student-width"),
    "width of a student that heads do not divide": Case("distill", {"student_width": "18"}, "18"),
    "wider student": Case("distill", {"student_width": "64"}, "64"),
    "unequal heads": Case("distill", {"student_width": "16", "student_heads": "2"}, "use `--features qkv`"),
    "vocabulary of no tokens": Case("distill", {"vocabulary": "0"}, "neither auto nor a number of tokens"),
    "search of no option": Case("tune", {"search": "temprature=1:2"}, "did you mean 'temperature'"),
    "search of no range": Case("tune", {"search": "temperature=2:1"}, "is neither low:high"),
    "search without an option": Case("tune", {"search": "0.1:1"}, "--search"),
    "search scored elsewhere": Case("tune", {"validation": lambda t: t.films}, "--validation"),
    "no trials": Case("tune", {"trials": 0}, "at least 1"),
    "vocabularies of a frontier": Case(
        "frontier", {"vocabularies": "small"}, "--vocabularies: 'small' is none of full, auto"
    ),
    "widths of a frontier": Case("frontier", {"widths": "thin"}, "--widths: 'thin' is neither"),
    "students of a frontier": Case(
        "frontier",
        {"students": "9", "widths": "full"},
        "no student can be trained and served: 9 layers cannot be: --student",
    ),
    "latency of a frontier": Case("frontier", {"max_latency": "10s"}, "max_latency: '10s' is not a number"),
    "method of a frontier": Case("frontier", {"method": "magic"}, "magic"),
    "workers of a frontier": Case("frontier", {"workers": "-1"}, "workers"),
    "format of an export": Case("export", {"format": "tflite"}, "none of onnx, openvino"),
    "tolerance of an export": Case("export", {"tolerance": -1}, "at least 0"),
    "budget of a diagnosis": Case("diagnose", {"budget": 0}, "above 0"),
    "rows of a diagnosis": Case("diagnose", {"rows": 1}, "at least 8"),
}

MISSING = {
    f"no {name} to {verb}": Case(verb, {name: None}, f"{name if name.isupper() else '--' + name} is missing")
    for verb, names in {
        "distill": ("teacher", "data", "output"),
        "finetune": ("base", "data", "output"),
        "tune": ("teacher", "data", "output"),
        "frontier": ("teacher", "data", "output"),
        "check": ("DATA",),
        "evaluate": ("MODEL", "data"),
        "predict": ("MODEL", "data", "output"),
        "export": ("MODEL",),
        "compare": ("GRID",),
        "diagnose": ("RUNS",),
    }.items()
    for name in names
}

YAML = {
    "bad YAML": Case("distill", {"config": file("r.yaml", "seed: [1\nmethod")}, "r.yaml: line 2: not valid YAML"),
    "no such YAML": Case("distill", {"config": lambda t: t.path / "none.yaml"}, "no such file"),
    "YAML that is a folder": Case("distill", {"config": lambda t: t.path}, "not readable"),
    "YAML that is a list": Case("distill", {"config": file("r.yaml", "- seed")}, "lines of `option: value`"),
    "YAML that is a number": Case("distill", {"config": file("r.yaml", "3")}, "lines of `option: value`"),
    "YAML of bytes": Case("distill", {"config": file("r.yaml", b"seed: \xff")}, "not readable"),
    "YAML of two documents": Case("distill", {"config": file("r.yaml", "seed: 1\n---\nseed: 2")}, "another document"),
    "unknown key": Case("distill", {"config": file("r.yaml", "temprature: 2")}, "did you mean 'temperature'?"),
    "key that is a number": Case("distill", {"config": file("r.yaml", "1: 2")}, "lines of `option: value`"),
    "key twice": Case(
        "distill", {"config": file("r.yaml", "seed: 1\nseed: 2")}, "line 2: not valid YAML ('seed' is there twice)"
    ),
    "wrong type": Case("distill", {"config": file("r.yaml", "epochs: many")}, "epochs: 'many' is not a whole number"),
    "list for a text": Case("distill", {"config": file("r.yaml", "data: [a, b]")}, "data: ['a', 'b'] is not text"),
    "object for a number": Case(
        "distill", {"config": file("r.yaml", "seed: {a: 1}")}, "seed: {'a': 1} is not a whole number"
    ),
    "switch that is a word": Case(
        "distill", {"config": file("r.yaml", "ema: sure")}, "ema: 'sure' is not true or false"
    ),
    "endless YAML number": Case("distill", {"config": file("i.yaml", "max_steps: .inf")}, "max_steps"),
    "number that no program reads": Case("distill", {"config": file("r.yaml", "seed: " + "9" * 5000)}, "r.yaml"),
    "a day that never was": Case("distill", {"config": file("r.yaml", "data: 2026-02-30")}, "r.yaml: not valid YAML"),
    "a day": Case("distill", {"config": file("r.yaml", "data: 2026-02-20")}, "is not text"),
    "zero byte in a name": Case(
        "distill", {"data": None, "config": file("r.yaml", r'data: "a\0b"')}, "is not UTF-8 text"
    ),
    "half a character in a name": Case(
        "distill", {"data": None, "config": file("r.yaml", r'data: "a\ud800"')}, "is not UTF-8 text"
    ),
    "object of Python": Case(
        "distill", {"config": file("r.yaml", "seed: !!python/object/apply:os.getpid []")}, "not valid YAML"
    ),
    "billion laughs": Case(
        "distill", {"config": file("r.yaml", LAUGHS + "epochs: *j")}, "its aliases make too many values"
    ),
    "billion laughs in a grid": Case(
        "compare", {"GRID": file("grid.yaml", LAUGHS + "seeds: *j")}, "its aliases make too many values"
    ),
    "merged without end": Case(
        "distill",
        {
            "config": file(
                "r.yaml",
                "a: &a {x: 1}\n"
                + "".join(
                    f"{chr(98 + i)}: &{chr(98 + i)} {{<<: [{', '.join(['*' + chr(97 + i)] * 9)}]}}\n" for i in range(9)
                ),
            )
        },
        "its aliases make too many values",
    ),  # fmt: skip
    "list in itself": Case("distill", {"config": file("r.yaml", "epochs: &a [*a]")}, "nested too deeply"),
    "nested": Case("distill", {"config": file("r.yaml", f"epochs: {DEEP}")}, "nested too deeply"),
    "nested beyond reading": Case("distill", {"config": file("r.yaml", "[" * 5000)}, "not valid YAML"),
}

GRIDS = {
    "no such grid": Case("compare", {}, "no such file"),
    "grid of nothing": Case("compare", {"GRID": file("grid.yaml", "")}, "no tasks"),
    "unknown entry": Case("compare", {"GRID": grid("method: kd")}, "unknown entry 'method' (did you mean 'methods'"),
    "no methods": Case("compare", {"GRID": grid("methods: -")}, "no methods"),
    "no encoder": Case("compare", {"GRID": grid("options: {}")}, "neither base (an encoder) nor teacher"),
    "unknown method in a grid": Case("compare", {"GRID": grid("methods: [kdd]")}, "unknown method 'kdd'"),
    "unknown option of a method": Case(
        "compare", {"GRID": grid("methods: {a: {method: kd, temprature: 2}}")}, "did you mean 'temperature'"
    ),
    "options that are a list": Case("compare", {"GRID": grid("options: [base]")}, "options holds lines"),
    "options with a number for a name": Case("compare", {"GRID": grid("options: {base: x, 3: 4}")}, "3"),
    "method with a number for an option": Case("compare", {"GRID": grid("methods: {kd: {3: 4}}")}, "3"),
    "method of numbers": Case("compare", {"GRID": grid("methods: {kd: 3}")}, "options are lines"),
    "task twice": Case("compare", {"GRID": grid("tasks: [a/films, b/films]")}, "'films' is there twice"),
    "seeds of words": Case("compare", {"GRID": grid("seeds: [a]")}, "is not a list of whole numbers"),
    "seed twice": Case("compare", {"GRID": grid("seeds: [1, 1]")}, "a seed is there twice"),
    "seed beyond bounds": Case("compare", {"GRID": grid("seeds: [5000000000]")}, "at most 4294967295"),
    "seeds that do not pair": Case("compare", {"GRID": grid("data_seeds: [1, 2]")}, "give one, or one for each seed"),
    "threads of nothing": Case("compare", {"GRID": grid("threads: 0")}, "threads"),
    "what the grid decides": Case(
        "compare", {"GRID": grid("options: {base: x, seed: 3}")}, "seed is decided by the grid"
    ),
    "tune that is a word": Case("compare", {"GRID": grid("tune: please")}, "give lines of `entry: value`"),
    "names that differ in punctuation": Case(
        "compare", {"GRID": grid("methods: {a b: {method: kd}, a/b: {method: kd}}")}, ""
    ),
    "names that climb": Case("compare", {"GRID": grid("methods: {..: {method: kd}}")}, ".."),
    "no run of that name": Case("compare", {"GRID": grid("seeds: [1]"), "only": "mnli*"}, "no run has such a name"),
    "no output": Case("compare", {"GRID": grid("seeds: [1]"), "output": None}, "--output is missing"),
    "no workers": Case("compare", {"GRID": grid("seeds: [1]"), "workers": "0"}, "workers"),
    "workers that are a word": Case("compare", {"GRID": grid("seeds: [1]"), "workers": "many"}, "workers"),
}

OUTPUTS = {
    "output under a file": Case(
        "distill", {"output": lambda t: file("file", "x")(t) / "out"}, "no folder that can be written to"
    ),
    "output that is a file": Case("finetune", {"output": file("file", "x")}, "a file of that name exists"),
    "output that holds something else": Case(
        "distill", {"output": folder(file("d/thesis.txt", "precious"), name="d")}, "holds no crild run"
    ),
    "output into the teacher": Case("distill", {"output": lambda t: t.teacher}, "holds no crild run"),
    "output into the data": Case("finetune", {"output": lambda t: t.films}, "holds no crild run"),
    "output into another run": Case("finetune", {"output": lambda t: t.run, "seed": 7}, "the folder holds another run"),
    "output that cannot be written to": Case(
        "finetune", {"output": "/proc/x"}, "/proc is no folder that can be written to"
    ),
    "output of a name that is too long": Case("finetune", {"output": lambda t: t.path / ("x" * 300)}, "too long"),
    "grid into a folder of something else": Case(
        "compare", {"GRID": grid("seeds: [1]"), "output": folder(file("d/x", ""), name="d")}, "holds no grid"
    ),
    "search into a folder of something else": Case(
        "tune", {"output": folder(file("d/x", ""), name="d")}, "holds no search"
    ),
    "frontier into a folder of something else": Case(
        "frontier", {"output": folder(file("d/x", ""), name="d")}, "the folder is not empty"
    ),
    "export into a folder of something else": Case(
        "export", {"output": folder(file("d/x", ""), name="d")}, "holds no crild export"
    ),
    "export of a model to nowhere": Case(
        "export", {"MODEL": lambda t: t.teacher, "output": None}, "--output is missing"
    ),
    "export of a model without rows": Case("export", {"MODEL": lambda t: t.teacher}, "--data"),
    "answers of no kind": Case("predict", {"output": "a.xlsx"}, "--output: a.xlsx says no format"),
    "answers over a file": Case("predict", {"output": file("a.csv", "precious")}, "or --overwrite"),
    "answers over a folder": Case(
        "predict", {"output": folder(name="a.csv"), "overwrite": True}, "exists: choose another name"
    ),
    "answers into no folder": Case("predict", {"output": lambda t: t.path / "none/a.csv"}, "no such folder"),
    "answers where nothing can be written": Case("predict", {"output": "/proc/a.csv"}, "/proc/a.csv"),
    "rows over a file": Case("evaluate", {"predictions": file("a.csv", "precious")}, "or --overwrite"),
    "cache that is a file": Case("distill", {"cache": file("cache", "x")}, "--cache"),
    "cache that cannot be written to": Case("distill", {"cache": "/proc/cache"}, "--cache"),
}

RUNS = {
    "run that is not there": Case("diagnose", {"RUNS": lambda t: t.path / "none"}, "no such folder"),
    "no run": Case("diagnose", {"RUNS": lambda t: t.path}, "holds no crild run"),
    "run twice": Case("diagnose", {"RUNS": lambda t: (t.run, t.run)}, "the run is named twice"),
    "run that is not finished": Case(
        "diagnose", {"RUNS": broken(lambda p: (p / "result.json").unlink(), "run")}, "is not finished"
    ),
    "several runs": Case(
        "evaluate",
        {"MODEL": lambda t: (shutil.copytree(t.run, t.path / "runs/a"), t.path / "runs")[1]},
        "holds the runs a",
    ),
    "no run to export": Case("export", {"MODEL": lambda t: t.path}, "no config.json"),
    "half a result": Case("diagnose", {"RUNS": broken(cut("result.json"), "run")}, "result.json"),
    "half a result to score": Case("evaluate", {"MODEL": broken(cut("result.json"), "run")}, "result.json"),
    "half a result to export": Case("export", {"MODEL": broken(cut("result.json"), "run")}, "result.json"),
    "result that is a list": Case("diagnose", {"RUNS": broken(content("result.json", "[]"), "run")}, "result.json"),
    "result without models": Case("export", {"MODEL": broken(content("result.json", "{}"), "run")}, "result.json"),
    "half a plan": Case("diagnose", {"RUNS": broken(cut("plan.json"), "run")}, "plan.json"),
    "plan of nothing": Case("diagnose", {"RUNS": broken(content("plan.json", "{}"), "run")}, "plan.json"),
    "options that are no YAML": Case("diagnose", {"RUNS": broken(content("config.yaml", "["), "run")}, "config.yaml"),
    "options of a bomb": Case(
        "diagnose", {"RUNS": broken(content("config.yaml", LAUGHS + "seed: *j"), "run")}, "config.yaml"
    ),
    "facts of nothing": Case("diagnose", {"RUNS": broken(content("run.json", "["), "run")}, "run.json"),
    "half of its answers": Case("export", {"MODEL": broken(cut("predictions.parquet"), "run")}, "predictions.parquet"),
    "its teacher is a pickle": Case(
        "diagnose", {"RUNS": broken(lambda p: pickled("pytorch_model.bin")(p / "teacher"), "run")}, "pytorch_model.bin"
    ),
    "its teacher is gone": Case(
        "evaluate", {"MODEL": broken(lambda p: shutil.rmtree(p / "teacher"), "run")}, "teacher"
    ),
    "goes on with broken options": Case(
        "finetune", {"output": broken(content("config.yaml", "["), "run")}, "config.yaml"
    ),
}

CASES = {
    f"{theme}: {name}": case
    for theme, cases in {
        "files": FILES,
        "columns": COLUMNS,
        "labels": LABELS,
        "texts": TEXTS,
        "models": MODELS,
        "options": OPTIONS,
        "missing": MISSING,
        "YAML": YAML,
        "grids": GRIDS,
        "outputs": OUTPUTS,
        "runs": RUNS,
    }.items()
    for name, case in cases.items()
}

# ---- odd, but sound: these run ----

LONG = "good " * 20_000
ODD_TEXTS = [
    LONG,
    "x" * 100_000,
    "🎬👨‍👩‍👧‍👦🏳️‍🌈 good",
    "\x00\x01\x07\x1b[31mred\x7f\u200b\u202e",
    "a\u0301\u0301\u0301" * 300,
    "日本語の映画 نص عربي",
    "[PAD] [CLS] [MASK] </s>",
    "=cmd|' /C calc'!A0",
    "\u2028\u2029\u0085\ufeff",
    "null",
    "NaN",
    "-1",
]


def odd_rows(*more: dict[str, Any]) -> Made:
    """Forty rows of which some are odd."""
    rows = [{"text": text, "label": ("neg", "pos")[i % 2]} for i, text in enumerate(ODD_TEXTS)]
    return jsonl(*reviews(40), *rows, *more)


SOUND = {
    "odd texts": ("distill", {"data": odd_rows(), "dry_run": True}),
    "odd texts to check": ("check", {"DATA": odd_rows()}),
    "odd texts to answer": ("predict", {"data": odd_rows()}),
    "odd texts to score": ("evaluate", {"data": odd_rows(), "predictions": lambda t: t.path / "rows.csv"}),
    "odd texts in CSV": ("check", {"DATA": csv(*(f'"{text}",{i % 2}' for i, text in enumerate([*ODD_TEXTS[:3], *ODD_TEXTS[4:]] * 3)))}),
    "odd labels": ("finetune", {"data": two_classes("🙂", "\x1b[31mred", "a\nb", "x" * 500), "dry_run": True}),
    "odd labels to check": ("check", {"DATA": two_classes("🙂", "\x1b[31mred", "a\nb", "[bold]x[/bold]")}),
    "odd column names": (
        "check", {"DATA": jsonl(*({"t\nx\x1b[31m": f"film {i}", "🙂": i % 2} for i in range(40))), "text": "t\nx\x1b[31m", "label": "🙂"}
    ),
    "duplicated rows": ("finetune", {"data": jsonl(*[{"text": "good film", "label": "pos"}, {"text": "bad film", "label": "neg"}] * 40), "dry_run": True}),
    "duplicated rows to check": ("check", {"DATA": jsonl(*[{"text": "good film", "label": "pos"}] * 40)}),
    "one class to check": ("check", {"DATA": two_classes("pos")}),
    "some labels are missing": ("finetune", {"data": two_classes("pos", "neg", None, float("nan"), ""), "dry_run": True}),
    "no labels at all": ("distill", {"data": unlabelled, "dry_run": True}),
    "one row to answer": ("predict", {"data": csv("good,x")}),
    "one row to score": ("evaluate", {"data": csv("good,pos")}),
    "a mark at the beginning": ("check", {"DATA": file("d.csv", b"\xef\xbb\xbftext,label\r\n" + b"good,pos\r\nbad,neg\r\n" * 9)}),
    "a mark at the beginning of YAML": ("distill", {"config": file("r.yaml", b"\xef\xbb\xbfseed: 3\n"), "dry_run": True}),
    "Parquet of categories": ("check", {"DATA": parquet({"text": [f"film {i}" for i in range(30)], "label": pyarrow.array(["a", "b", "c"] * 10).dictionary_encode()})}),
    "Parquet of long texts": ("check", {"DATA": parquet({"text": pyarrow.array([f"film {i}" for i in range(30)], pyarrow.large_string()), "label": [0, 1] * 15})}),
    "YAML with aliases": ("distill", {"config": file("r.yaml", "epochs: &a 2\nkd_epochs: *a\n"), "dry_run": True}),
    "a word for a seed": ("finetune", {"seed": "3.0", "dry_run": True}),
}  # fmt: skip
