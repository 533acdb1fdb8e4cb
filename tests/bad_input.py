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
from tests.conftest import reviews
from tests.tiny import WORDS, save_tiny


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


def asked(verb: str) -> Callable[..., Case]:
    """Return what makes a case of a verb: words of its line, and the options that are not as in `sound`."""
    return lambda says, **options: Case(verb, options, says)


distill, finetune, check, evaluate, predict = map(asked, ("distill", "finetune", "check", "evaluate", "predict"))
tune, frontier, compare, export, diagnose = map(asked, ("tune", "frontier", "compare", "export", "diagnose"))
demo, methods = map(asked, ("demo", "methods"))


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


def moved(path: Path) -> None:
    """The run's teacher was somewhere that is not there."""
    text = (path / "result.json").read_text()
    (path / "result.json").write_text(text.replace(json.loads(text)["teacher"]["path"], "/none/teacher"))


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


def with_code(name: str, **changes: Any) -> Made:
    """The teacher with a Python file that would leave a trace, which a JSON file of it names."""

    def change(path: Path) -> None:
        content("mine.py", f"import os\nos.mkdir({str(path / 'harm')!r})\n")(path)
        json_of(name, **changes)(path)

    return broken(change)


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
    "missing data": distill("no such file or folder", data=lambda t: t.path / "nowhere.csv"),
    "empty file": check("e.csv: the file is empty", DATA=file("e.csv", b"")),
    "header alone": check("the file has no rows", DATA=csv()),
    "blank TSV": check("the file is empty", DATA=file("b.tsv", b"\n\n")),
    "blank text file": check("no rows", DATA=file("b.txt", b"\n \n")),
    "blank JSONL": check("no rows", DATA=file("b.jsonl", b"\n\n")),
    "not UTF-8": check("line 2 is not UTF-8", DATA=file("l.csv", b"text,label\ncaf\xe9,pos\n")),
    "UTF-16": check("not UTF-8", DATA=file("l.csv", "text,label\na,b\n".encode("utf-16"))),
    "UTF-16 JSONL": check("not UTF-8", DATA=file("l.jsonl", '{"text": "a"}\n'.encode("utf-16"))),
    "UTF-16 without a mark": check("zero bytes", DATA=file("l.csv", "text,label\na,b\n".encode("utf-16-le"))),
    "zero bytes": check("zero bytes", DATA=csv("good\0film,pos", "bad,neg")),
    "zero bytes in JSONL": check("zero bytes", DATA=file("l.jsonl", b"\0" * 100)),
    "spreadsheet": check("unknown kind of file", DATA=file("d.xlsx", in_zip("xl/workbook.xml"))),
    "spreadsheet called CSV": check("d.csv", DATA=file("d.csv", in_zip("xl/workbook.xml"))),
    "archive": check("unknown kind of file", DATA=file("d.csv.gz", gzip.compress(b"text,label\na,b\n"))),
    "compressed, called CSV": check("d.csv: line 1", DATA=file("d.csv", gzip.compress(b"text,label\na,b\n"))),
    "no ending": check("unknown kind of file", DATA=file("data", b"text,label\na,b\n")),
    "no Parquet": check("not a readable Parquet file", DATA=file("x.parquet", b"nonsense")),
    "half a Parquet file": check(
        "not a readable Parquet file", DATA=lambda t: (parquet({"text": ["a b"] * 99})(t), cut("d.parquet")(t.path))[0]
    ),
    "Parquet without columns": check("d.parquet", DATA=parquet({})),
    "Parquet without rows": check("no rows", DATA=parquet({"text": []})),
    "Parquet of pictures": check(
        "does not hold text",
        DATA=parquet(
            {"text": [{"path": "/etc/passwd", "bytes": None}] * 20, "label": [0, 1] * 10}, features({"_type": "Image"})
        ),
    ),
    "Parquet of what nobody knows": check("d.parquet", DATA=parquet({"text": ["a"] * 20}, features({"_type": "Evil"}))),
    "Parquet of bytes": check("does not hold text", DATA=parquet({"text": [b"a", b"\xff"] * 9})),
    "Parquet of numbers": check("does not hold text", DATA=parquet({"text": [1.5, 2.5] * 9})),
    "Parquet of structures": check("does not hold text", DATA=parquet({"text": [{"a": "b"}] * 9})),
    "Parquet of lists": check("does not hold text", DATA=parquet({"text": [["a"]] * 9})),
    "folder of nothing": check("a data folder needs a train file", DATA=folder(name="d")),
    "folder called CSV": check("a data folder needs a train file", DATA=folder(name="d.csv")),
    "folder without train": finetune(
        "there is no train split", data=folder(file("d/test.csv", "text,label\na,b\n"), name="d")
    ),
    "folder of one broken file": check(
        "dev.jsonl: line 1", DATA=folder(file("d/train.csv", "text,label\na,b\n"), file("d/dev.jsonl", "{"), name="d")
    ),
    "saved data set without its state": check(
        "not a readable `datasets` directory", DATA=folder(file("d/dataset_info.json", "{}"), name="d")
    ),
    "saved data set that is no JSON": check(
        "not a readable `datasets` directory", DATA=folder(file("d/dataset_dict.json", "["), name="d")
    ),
    "saved data set of files elsewhere": check(
        "outside",
        DATA=folder(
            file("d/dataset_info.json", "{}"),
            file(
                "d/state.json",
                '{"_data_files": [{"filename": "../../../../../etc/passwd"}], "_fingerprint": "a", '
                '"_format_columns": null, "_format_kwargs": {}, "_format_type": null, "_split": null}',
            ),
            name="d",
        ),
    ),
    "device": check("no such file or folder", DATA="/dev/zero"),
    "pipe": check("no such file or folder", DATA=lambda t: os.mkfifo(t.path / "d.csv") or t.path / "d.csv"),
    "link to nothing": check(
        "no such file or folder", DATA=lambda t: (t.path / "d.csv").symlink_to("none") or t.path / "d.csv"
    ),
    "link to itself": check(
        "no such file or folder", DATA=lambda t: (t.path / "d.csv").symlink_to("d.csv") or t.path / "d.csv"
    ),
    "name too long": check("too long", DATA=lambda t: t.path / ("x" * 300 + ".csv")),
    "name of a hundred thousand characters": check("too long", DATA="x" * 100_000),
    "name that is no UTF-8": check("is not UTF-8 text", DATA="caf\udce9.csv"),
    "name that colours the terminal": check("a [31m.csv", DATA="a\x1b[31m.csv"),
    "name of two lines": check("a crild: error: b.csv", DATA="a\ncrild: error: b.csv"),
    "bad JSON": check("line 2 is not valid JSON", DATA=jsonl({"text": "a"}, '{"text": ')),
    "JSON of numbers": check("every line must be a JSON object", DATA=file("d.jsonl", "[1, 2]")),
    "JSON of one word": check("every line must be a JSON object", DATA=file("d.json", '"text"')),
    "JSON nested too deeply": check("nested too deeply", DATA=jsonl('{"text": ' + "[" * 100_000)),
    "half a character in JSON": check("half of a character", DATA=jsonl(*[r'{"text": "a\ud800"}'] * 9)),
    "JSON of kinds": check("'text' mixes kinds of values", DATA=jsonl({"text": "a"}, {"text": 1}, {"text": ["b"]})),
    "text that is a number": check("does not hold text", DATA=jsonl(*[{"text": 3, "label": 1}] * 9)),
    "text that is an object": check("does not hold text", DATA=jsonl(*[{"text": {"a": "b"}}] * 9)),
    "number that is too large": check("'label'", DATA=jsonl(*[{"text": "a", "label": 10**30}] * 9)),
    "number of 5000 digits": check("line 1", DATA=jsonl('{"text": "a", "label": ' + "9" * 5000 + "}")),
    "rows of another width": check("do not have the header's 2 columns", DATA=csv(*["a, b,c"] * 30)),
    "lost quotation mark": check("line 32", DATA=csv(*["good,a"] * 30, '"lost,b', *["bad,b"] * 30)),
    "revision of a file": check("a revision is for data sets on the hub", data_revision="main"),
    "supplementary missing": distill("no such file or folder", supplementary=lambda t: t.path / "none.txt"),
    "supplementary empty": distill("s.txt: the file is empty", supplementary=file("s.txt", "")),
    "all texts held out": distill("every text is in selection", supplementary=file("v.txt", VALIDATION_TEXT)),
    "data of predict": predict("e.jsonl: the file is empty", data=file("e.jsonl", b"")),
    "validation broken": finetune("line 2 is not UTF-8", validation=file("v.csv", b"text,label\n\xff,a\n")),
}

COLUMNS = {
    "no text column": distill("no text column", data=csv("1,x", "2,y", header="a,label")),
    "no such column": check("no column 'txt' (did you mean 'text'?)", text="txt"),
    "no such label column": check("no column 'lable' (did you mean 'label'?)", label="lable"),
    "no such column of several": check("no column 'b'", label="label,b"),
    "empty name": check("no column ''", text=""),
    "column twice": check("appears twice", DATA=csv("a,b", header="text,text")),
    "columns without names": check("no text column", DATA=csv("a,b,c", header=",,")),
    "one column, two roles": check("name the same column, 'label'", text="label", label="label"),
    "the label as text": check("looks like the label column", text="label"),
    "the text as label": check("would be the text and the label", label="text"),
    "pair of a single text": check("no column 'b'", text_pair="b"),
    "column of the teacher's data elsewhere": evaluate(
        "there is no column 'text'", data=csv("1,x", header="a,label"), text="text"
    ),
    "columns of rows to answer": predict("no text column", data=csv("1,x", header="a,b")),
    "column whose name colours the terminal": check(" [31mred", DATA=csv("a,b", header="\x1b[31mred,label")),
}

LABELS = {
    "one class": distill("at least two classes", data=two_classes("pos")),
    "one row": finetune("too few rows", data=csv("good,pos")),
    "two rows": finetune("too few rows", data=csv("good,pos", "bad,neg")),
    "no labels to learn from": finetune("has no labels, which fine-tuning needs", data=unlabelled),
    "labels that are all missing": finetune("has no labels", data=two_classes(None)),
    "labels that are no numbers": finetune("has no labels", data=two_classes(float("nan"))),
    "labels that are blank": finetune("has no labels", data=two_classes(" ", "")),
    "labels without bound": finetune(
        "label 'inf' is not a number", data=two_classes(float("inf"), 1.5), task="regression"
    ),
    "words in regression": finetune(
        "is not a number, as regression needs", data=two_classes("good", "bad"), task="regression"
    ),
    "labels that are objects": finetune("column 'label'", data=two_classes({"a": 1}, {"a": 2})),
    "labels that are lists of objects": finetune("column 'label'", data=two_classes([{"a": 1}], [{"a": 2}])),
    "labels that are lists of lists": finetune("column 'label'", data=two_classes([["a"]], [["b"]])),
    "a class for every row": finetune(
        "60 different labels", data=jsonl(*({"text": f"film {i}", "label": f"c{i}"} for i in range(60)))
    ),
    "unknown labels": distill("does not know the labels ham, spam", data=two_classes("ham", "spam")),
    "more labels than the teacher": distill("the teacher only 2", data=two_classes(0, 1, 2)),
    "numbers for a classifier": distill("label", data=two_classes(*(i + 0.5 for i in range(30)))),
    "lists for a classifier": distill("rows have lists of labels", data=two_classes(["a"], ["b", "c"])),
    "columns of labels say 7": finetune(
        "column 'y' says '7'", data=csv("a,0,1", "b,1,7", header="text,x,y"), label="x,y"
    ),
    "labels of validation": finetune("ham", validation=two_classes("ham", "spam")),
    "no labels to score": evaluate("has no labels to score against", data=unlabelled),
    "other labels to score": evaluate("does not know the labels", data=two_classes("ham", "spam")),
    "bad label map": distill("old=new", label_map="pos"),
    "map of no label": distill("the data has no label 'good'", label_map="good=pos"),
    "map to no label": distill("the teacher has no label 'good'", label_map="pos=good"),
    "map to one label": distill("two labels of the data become the teacher's 'neg'", label_map="pos=neg"),
    "map to one new label": finetune("two labels get the same name", label_map="pos=neg"),
    "bad metric": distill("did you mean 'accuracy'?", metric="acuracy"),
    "metric of another task": distill("no metric 'pearson' for classification", metric="pearson"),
    "metric of two classes": finetune("needs two classes", data=two_classes("a", "b", "c"), metric="f1"),
    "metric of lists": finetune("use one of micro_f1", data=two_classes(["a"], ["b"]), metric="accuracy"),
    "imbalance of lists": finetune("--imbalance needs one class a row", data=two_classes(["a"], ["b"]), imbalance=0.5),
    "imbalance of numbers": finetune(
        "--imbalance is about classes", data=two_classes(*(i + 0.5 for i in range(30))), imbalance=0.5
    ),
    "noise without labels": distill("--label-noise and --imbalance change labels", data=unlabelled, label_noise=0.1),
    "no labels for filters": distill(
        "method ted with features ted, two-stage schedule, learns from labels", method="ted", data=unlabelled
    ),
    "no labels for filters of another method": distill(
        "learns from labels", method="l-ild", features="ted", data=unlabelled
    ),
    "labels that nobody sees": distill(
        "--hard-label-weight would do nothing", method="minilm", schedule="paper", hard_label_weight="0.5"
    ),
    "held out of rows to score": evaluate("--validation held-out is for training", validation="held-out"),
}

TEXTS = {
    "texts of length 0": finetune("no row has text", data=jsonl(*[{"text": "", "label": i % 2} for i in range(20)])),
    "texts of spaces": finetune(
        "no row has text", data=jsonl(*[{"text": " \t\u00a0\u3000", "label": i % 2} for i in range(20)])
    ),
    "texts that are missing": finetune(
        "no row has text", data=jsonl(*[{"text": None, "label": i % 2} for i in range(20)])
    ),
    "length 0": finetune("max_length: 0 is out of range", max_length=0),
    "length below 8": predict("it must be at least 8", max_length=7),
}

MODELS = {
    "missing teacher": distill("no such folder", teacher=lambda t: t.path / "nowhere"),
    "teacher that is a file": distill("model.bin", teacher=file("model.bin", b"x")),
    "teacher without a configuration": distill("no config.json", teacher=folder(name="t")),
    "configuration that is no JSON": distill("teacher: cannot load", teacher=broken(content("config.json", "{"))),
    "configuration that is a list": distill("teacher: cannot load", teacher=broken(content("config.json", "[]"))),
    "configuration that is no UTF-8": distill(
        "teacher: cannot load", teacher=broken(content("config.json", b'{"\xff": 1}'))
    ),
    "configuration nested too deeply": distill(
        "teacher: cannot load", teacher=broken(content("config.json", '{"a":' + "[" * 100_000))
    ),
    "configuration without a type": distill("teacher: cannot load", teacher=broken(content("config.json", "{}"))),
    "unknown type of model": distill("teacher: cannot load", teacher=config(model_type="brt")),
    "no text model": distill("not an encoder", teacher=config(model_type="vit", architectures=None)),
    "causal": distill("causal model", teacher=gpt),
    "another head": distill("a token classifier", teacher=config(architectures=["BertForTokenClassification"])),
    "unknown problem": distill("teacher:", teacher=config(problem_type="ranking")),
    "width that is text": distill("hidden_size", teacher=config(hidden_size="wide")),
    "negative width": distill("says hidden_size: -32", teacher=config(hidden_size=-32)),
    "width that heads do not divide": distill(
        "is not a multiple of the number of attention heads (5)", teacher=config(num_attention_heads=5)
    ),
    "no heads": distill("says num_attention_heads: 0", teacher=config(num_attention_heads=0)),
    "no layers": distill("says num_hidden_layers: 0", teacher=config(num_hidden_layers=0)),
    "a billion layers": distill("says num_hidden_layers: 1000000000", teacher=config(num_hidden_layers=10**9)),
    "layers that are text": distill("num_hidden_layers", teacher=config(num_hidden_layers="many")),
    "a billion tokens": distill("says vocab_size: 1000000000", teacher=config(vocab_size=10**9)),
    "no positions": distill("says max_position_embeddings: 0", teacher=config(max_position_embeddings=0)),
    "labels with a hole": distill("does not name its labels", teacher=config(id2label={"0": "a", "2": "b"})),
    "labels that are a list": distill("teacher: ", teacher=config(id2label=["a", "b"])),
    "two labels of one name": distill("does not name its labels", teacher=config(id2label={"0": "pos", "1": "pos"})),
    "more labels than the head": distill(
        "have other shapes than its config.json says", teacher=config(id2label={"0": "a", "1": "b", "2": "c"})
    ),
    "no weights": distill(
        "no file named model.safetensors", teacher=broken(lambda p: (p / "model.safetensors").unlink())
    ),
    "weights cut in half": distill("teacher: cannot load the weights", teacher=broken(cut("model.safetensors"))),
    "weights cut in the header": distill(
        "teacher: cannot load the weights", teacher=broken(cut("model.safetensors", 0.001))
    ),
    "empty weights": distill("teacher: cannot load the weights", teacher=broken(content("model.safetensors", b""))),
    "weights that say they are endless": distill(
        "cannot load the weights", teacher=broken(content("model.safetensors", struct.pack("<Q", 2**62) + b"{}"))
    ),
    "weights that are a page": distill(
        "cannot load the weights", teacher=broken(content("model.safetensors", "<html>not found</html>"))
    ),
    "weights left behind by Git": distill(
        "git lfs pull",
        teacher=broken(
            content("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
        ),
    ),
    "a pickle called safetensors": distill("cannot load the weights", teacher=broken(pickled("model.safetensors"))),
    "a pickle": distill("pytorch_model.bin", teacher=broken(pickled("pytorch_model.bin"))),
    "a pickle to be scored": evaluate("pytorch_model.bin", MODEL=broken(pickled("pytorch_model.bin"))),
    "a pickled student": distill("pytorch_model.bin", student=broken(pickled("pytorch_model.bin"))),
    "pickled parts": distill(
        "pytorch_model.bin",
        teacher=broken(
            lambda p: (
                pickled("part.bin")(p),
                content("pytorch_model.bin.index.json", '{"weight_map": {"a": "part.bin"}, "metadata": {}}')(p),
            )
        ),
    ),
    "parts elsewhere": distill(
        "outside",
        teacher=broken(
            lambda p: (
                (p / "model.safetensors").rename(p.parent / "m.safetensors"),
                content("model.safetensors.index.json", '{"weight_map": {"a": "../m.safetensors"}, "metadata": {}}')(p),
            )
        ),
    ),
    "an adapter": distill(
        "adapter",
        teacher=broken(content("adapter_config.json", '{"base_model_name_or_path": "x/y", "peft_type": "LORA"}')),
    ),
    "weights that are no numbers": distill(
        "classifier.weight", teacher=tensors(lambda s: s["classifier.weight"].fill_(float("nan")))
    ),
    "one weight without bound": evaluate(
        "word_embeddings.weight",
        MODEL=tensors(lambda s: s["bert.embeddings.word_embeddings.weight"][3].fill_(float("inf"))),
    ),
    "a base without numbers": finetune(
        "LayerNorm.bias", base=tensors(lambda s: s["bert.embeddings.LayerNorm.bias"].fill_(float("nan")))
    ),
    "a missing tensor": distill(
        "lack 1 tensors", teacher=tensors(lambda s: s.pop("bert.encoder.layer.1.output.dense.weight"))
    ),
    "a tensor of another shape": distill(
        "have other shapes than its config.json says",
        teacher=tensors(lambda s: s.update({"bert.encoder.layer.1.output.dense.bias": torch.zeros(7)})),
    ),
    "no head to score with": evaluate("has no trained classification head", MODEL=lambda t: t.tiny),
    "code in the model": distill(
        "--trust-remote-code runs it",
        teacher=with_code("config.json", model_type="mine", auto_map={"AutoConfig": "mine.Mine"}),
    ),
    "no tokenizer": distill("has no tokenizer", teacher=broken(lambda p: [f.unlink() for f in p.glob("token*")])),
    "tokenizer that is no JSON": distill("cannot load the tokenizer", teacher=broken(content("tokenizer.json", "{"))),
    "tokenizer cut in half": distill("cannot load the tokenizer", teacher=broken(cut("tokenizer.json"))),
    "tokenizer without a model": distill(
        "cannot load the tokenizer", teacher=broken(json_of("tokenizer.json", model=None))
    ),
    "tokenizer settings that are a list": distill("tokenizer", teacher=broken(content("tokenizer_config.json", "[]"))),
    "tokenizer without padding": distill(
        "no padding token", teacher=broken(json_of("tokenizer_config.json", pad_token=None))
    ),
    "tokenizer of another model": distill(
        "teacher: the tokenizer", teacher=broken(lambda p: save_tokenizer(p, [*WORDS, "zebra", "lion"]))
    ),
    "other vocabulary": distill(
        "different vocabularies", student=lambda t: save_tiny(t.path / "s", layers=2, words=[*WORDS, "zebra"])
    ),
    "base of another vocabulary": distill(
        "different vocabularies", base=lambda t: save_tiny(t.path / "s", words=[*WORDS, "zebra"])
    ),
    "larger student": distill("more than the teacher's 4", student=lambda t: save_tiny(t.path / "s", layers=6)),
    "compared with another task": evaluate(
        "--compare", compare=lambda t: save_tiny(t.path / "s", head=True, labels=("a", "b", "c"))
    ),
    "embeddings of no model": check("no config.json", teacher=folder(name="t")),
    "searched with no model": tune("no config.json", teacher=folder(name="t")),
    "frontier of no model": frontier("no config.json", teacher=folder(name="t")),
    "export of a pickle": export("pytorch_model.bin", MODEL=broken(pickled("pytorch_model.bin"))),
    "remote code that is not pinned": distill("commit", teacher="owner/name", trust_remote_code=True),
    "remote code of a branch": evaluate("commit", MODEL="owner/name", trust_remote_code=True, revision="main"),
    "not in the cache": distill("teacher: ", teacher="owner/name"),
    "hub name that is none": distill("teacher: ", teacher="owner/na me!"),
}


def save_tokenizer(path: Path, words: list[str]) -> None:
    from tests.tiny import tiny_tokenizer

    tiny_tokenizer(words).save_pretrained(path)


OPTIONS = {
    "unknown verb": Case("distil", {}, "did you mean 'distill'?"),
    "unknown method": distill("unknown method 'cr-idl' (did you mean 'cr-ild'?)", method="cr-idl"),
    "method to explain": methods("unknown method", NAME="cr-ldi"),
    "unknown option": distill("unknown option '--methd' (did you mean '--method'?)", methd="kd"),
    "unknown option of the demo": demo("unknown option '--outptu' (did you mean '--output'?)", outptu="x"),
    "unknown switch": methods("did you mean '--json'?", jsn=True),
    "option without a value": distill("expected one argument", seed=True),
    "value of a switch": distill("'true' is no option", ema="true"),
    "bad number": distill("seed: 'many' is not a whole number", seed="many"),
    "negative epochs": distill("epochs: -1 is out of range", epochs="-1"),
    "no epochs": finetune("at least 1", finetune_epochs=0),
    "half an epoch": distill("is not a whole number", kd_epochs=0.5),
    "temperature 0": distill("temperature: 0 is out of range, it must be above 0", temperature=0),
    "temperature that is no number": distill("temperature", temperature="nan"),
    "endless rate": distill("kd_learning_rate", kd_learning_rate="inf"),
    "negative rate": finetune("at least 0", finetune_learning_rate="-0.001"),
    "more noise than labels": finetune("at most 1", label_noise=1.5),
    "seed too large": distill("at most 4294967295", seed="5000000000"),
    "no rows to train on": finetune("at least 1", train_rows=0),
    "one row to train on": finetune("too few rows", train_rows=1),
    "batch of nothing": finetune("at least 1", finetune_batch_size=0),
    "unknown preset": distill("none of quick, paper", preset="fast"),
    "unknown schedule": distill("papr", schedule="papr"),
    "verbose without a plan": distill("--verbose would do nothing without --dry-run", verbose=True),
    "no such student": distill("neither layers", student="thre"),
    "too many layers": distill("4 layers", student="9"),
    "layers that do not rise": distill("layers must rise", student="2,1"),
    "student of no layers": distill("at least one layer", student="0"),
    "bad layer map": distill("did you mean 'uniform'?", layer_map="uniformly"),
    "layer map of layers that are not there": distill("9", layer_map="1-9"),
    "features without stage 1": distill("--features would do nothing with method kd", method="kd", features="qkv"),
    "average without consistency": distill(
        "--ema would do nothing with method l-ild", method="l-ild", config=file("e.yaml", "ema: true")
    ),
    "consistency without interpolation": distill(
        "would do nothing with method l-ild", method="l-ild", consistency="0.2"
    ),
    "texts that KD would not see": distill(
        "use --supplementary-mode join",
        method="kd",
        supplementary_mode="first",
        supplementary=file("m.txt", "good film"),
    ),
    "heads that do not divide": distill("does not divide", features="qkv", relation_heads="5"),
    "accumulation": distill("does not divide the batch size 32", accumulation="3"),
    "nothing to mix": distill("needs at least 2", accumulation="32"),
    "decay without average": distill("--ema-decay would do nothing", ema_decay="0.9"),
    "unknown features": distill("no objective 'hiden' (did you mean 'hidden'?)", features="hiden"),
    "features twice": distill("hidden is named twice", features="hidden+ah"),
    "weight of features": distill("no positive weight", features="0*hidden"),
    "map that leaves nothing": distill("use --layer-map last", student="1", method="pkd"),
    "map for another objective": distill("use --layer-map all", method="alp-kd", layer_map="last"),
    "objective for another map": distill("use --layer-map last or uniform", method="ckd", layer_map="emd"),
    "words of mixed texts": distill("use --interpolate false", method="mgskd", interpolate="true"),
    "half precision without a GPU": distill("--precision fp16 is for GPUs, and there is none", precision="fp16"),
    "activations of a model without layers": distill(
        "--gradient-checkpointing: a StaticForSequenceClassification cannot",
        student="static",
        method="kd",
        gradient_checkpointing=True,
    ),
    "checkpoints all the time": distill("save_minutes: 0 is out of range", save_minutes="0"),
    "samples without a batch": distill("needs at least 3", method="mgskd", accumulation="16"),
    "interpolation without a term": distill("would do nothing", method="kd", interpolate="true"),
    "consistency on plain inputs": distill("would do nothing", interpolate="false", consistency="0.1"),
    "map without layers": distill("--layer-map would do nothing", method="mixkd", layer_map="uniform"),
    "rewrites of no kind": distill("did you mean 'deletion'?", augment="deletoin"),
    "rewrites of pairs": distill("pairing is of pairs", augment="pairing"),
    "one fold": distill("at least 2", cross_fit=1),
    "missing plugin": distill("no such file", plugin=lambda t: t.path / "none.py"),
    "failing plugin": distill("ZeroDivisionError", plugin=file("p.py", "1 / 0")),
    "plugin that is no Python": distill("p.py", plugin=file("p.py", "def (")),
    "plugin of bytes": distill("p.py", plugin=file("p.py", b"\xff\0")),
    "plugin that leaves": distill("p.py", plugin=file("p.py", "import sys; sys.exit(0)")),
    "width of a path": distill(
        "not for one of its own PATH", student=lambda t: save_tiny(t.path / "s", layers=2), student_width="16"
    ),
    "width of a static student": distill("or a static one", method="kd", student="static", student_width="16"),
    "layers of a static student": distill("use --method kd", student="static"),
    "heads without width": distill("add --student-width", student_heads="2"),
    "width of a student that heads do not divide": distill("18", student_width="18"),
    "wider student": distill("64", student_width="64"),
    "unequal heads": distill("use `--features qkv`", student_width="16", student_heads="2"),
    "vocabulary of no tokens": distill("neither auto nor a number of tokens", vocabulary="0"),
    "search of no option": tune("did you mean 'temperature'", search="temprature=1:2"),
    "search of no range": tune("is neither low:high", search="temperature=2:1"),
    "search without an option": tune("--search", search="0.1:1"),
    "search scored elsewhere": tune("--validation", validation=lambda t: t.films),
    "no trials": tune("at least 1", trials=0),
    "vocabularies of a frontier": frontier(
        "--vocabularies: 'small' is neither full, auto nor a number of tokens", vocabularies="small"
    ),
    "widths of a frontier": frontier("--widths: 'thin' is neither", widths="thin"),
    "students of a frontier": frontier(
        "no student can be trained and served: 9 layers cannot be: --student", students="9", widths="full"
    ),
    "latency of a frontier": frontier("max_latency: '10s' is not a number", max_latency="10s"),
    "method of a frontier": frontier("magic", method="magic"),
    "workers of a frontier": frontier("workers", workers="-1"),
    "format of an export": export("none of onnx, openvino", format="tflite"),
    "tolerance of an export": export("at least 0", tolerance=-1),
    "budget of a diagnosis": diagnose("above 0", budget=0),
    "rows of a diagnosis": diagnose("at least 8", rows=1),
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
    "bad YAML": distill("r.yaml: line 2: not valid YAML", config=file("r.yaml", "seed: [1\nmethod")),
    "no such YAML": distill("no such file", config=lambda t: t.path / "none.yaml"),
    "YAML that is a folder": distill("not readable", config=lambda t: t.path),
    "YAML that is a list": distill("lines of `option: value`", config=file("r.yaml", "- seed")),
    "YAML that is a number": distill("lines of `option: value`", config=file("r.yaml", "3")),
    "YAML of bytes": distill("not readable", config=file("r.yaml", b"seed: \xff")),
    "YAML of two documents": distill("another document", config=file("r.yaml", "seed: 1\n---\nseed: 2")),
    "unknown key": distill("did you mean 'temperature'?", config=file("r.yaml", "temprature: 2")),
    "key that is a number": distill("lines of `option: value`", config=file("r.yaml", "1: 2")),
    "key twice": distill("line 2: not valid YAML ('seed' is there twice)", config=file("r.yaml", "seed: 1\nseed: 2")),
    "wrong type": distill("epochs: 'many' is not a whole number", config=file("r.yaml", "epochs: many")),
    "list for a text": distill("data: ['a', 'b'] is not text", config=file("r.yaml", "data: [a, b]")),
    "object for a number": distill("seed: {'a': 1} is not a whole number", config=file("r.yaml", "seed: {a: 1}")),
    "switch that is a word": distill("ema: 'sure' is not true or false", config=file("r.yaml", "ema: sure")),
    "endless YAML number": distill("max_steps", config=file("i.yaml", "max_steps: .inf")),
    "number that no program reads": distill("r.yaml", config=file("r.yaml", "seed: " + "9" * 5000)),
    "a day that never was": distill("r.yaml: not valid YAML", config=file("r.yaml", "data: 2026-02-30")),
    "a day": distill("is not text", config=file("r.yaml", "data: 2026-02-20")),
    "zero byte in a name": distill("is not UTF-8 text", data=None, config=file("r.yaml", r'data: "a\0b"')),
    "half a character in a name": distill("is not UTF-8 text", data=None, config=file("r.yaml", r'data: "a\ud800"')),
    "object of Python": distill("not valid YAML", config=file("r.yaml", "seed: !!python/object/apply:os.getpid []")),
    "billion laughs": distill("its aliases make too many values", config=file("r.yaml", LAUGHS + "epochs: *j")),
    "billion laughs in a grid": compare(
        "its aliases make too many values", GRID=file("grid.yaml", LAUGHS + "seeds: *j")
    ),
    "merged without end": distill(
        "nested too deeply",
        config=file(
            "r.yaml",
            "a: &a {x: 1}\n"
            + "".join(
                f"{chr(98 + i)}: &{chr(98 + i)} {{<<: [{', '.join(['*' + chr(97 + i)] * 9)}]}}\n" for i in range(9)
            ),
        ),
    ),
    "list in itself": distill("nested too deeply", config=file("r.yaml", "epochs: &a [*a]")),
    "nested": distill("nested too deeply", config=file("r.yaml", f"epochs: {DEEP}")),
    "nested beyond reading": distill("not valid YAML", config=file("r.yaml", "[" * 1500)),
}

GRIDS = {
    "no such grid": compare("no such file"),
    "grid of nothing": compare("no tasks", GRID=file("grid.yaml", "")),
    "unknown entry": compare("unknown entry 'method' (did you mean 'methods'", GRID=grid("method: kd")),
    "no methods": compare("no methods", GRID=grid("methods: -")),
    "no encoder": compare("neither base (an encoder) nor teacher", GRID=grid("options: {}")),
    "unknown method in a grid": compare("unknown method 'kdd'", GRID=grid("methods: [kdd]")),
    "unknown option of a method": compare(
        "did you mean 'temperature'", GRID=grid("methods: {a: {method: kd, temprature: 2}}")
    ),
    "options that are a list": compare("options holds lines", GRID=grid("options: [base]")),
    "options with a number for a name": compare("3", GRID=grid("options: {base: x, 3: 4}")),
    "method with a number for an option": compare("3", GRID=grid("methods: {kd: {3: 4}}")),
    "method of numbers": compare("options are lines", GRID=grid("methods: {kd: 3}")),
    "task twice": compare("'films' is there twice", GRID=grid("tasks: [a/films, b/films]")),
    "seeds of words": compare("is not a list of whole numbers", GRID=grid("seeds: [a]")),
    "seed twice": compare("a seed is there twice", GRID=grid("seeds: [1, 1]")),
    "seed beyond bounds": compare("it must be from 0 to 4294967295", GRID=grid("seeds: [5000000000]")),
    "seeds that do not pair": compare("give one, or one for each seed", GRID=grid("data_seeds: [1, 2]")),
    "threads of nothing": compare("threads", GRID=grid("threads: 0")),
    "what the grid decides": compare("seed is decided by the grid", GRID=grid("options: {base: x, seed: 3}")),
    "search of an unknown option": compare(
        "tune: search: unknown option 'temprature'", GRID=grid("tune: {search: {temprature: [1, 2]}}")
    ),
    "another name of the baseline": compare("did you mean 'baseline'", GRID=grid("reference: kd")),
    "tune that is a word": compare("give lines of `entry: value`", GRID=grid("tune: please")),
    "no run of that name": compare("no run has such a name", GRID=grid("seeds: [1]"), only="mnli*"),
    "no output": compare("--output is missing", GRID=grid("seeds: [1]"), output=None),
    "no workers": compare("workers", GRID=grid("seeds: [1]"), workers="0"),
    "workers that are a word": compare("workers", GRID=grid("seeds: [1]"), workers="many"),
}

OUTPUTS = {
    "output under a file": distill("no folder that can be written to", output=lambda t: file("file", "x")(t) / "out"),
    "output that is a file": finetune("a file of that name exists", output=file("file", "x")),
    "output that holds something else": distill(
        "holds no crild run", output=folder(file("d/thesis.txt", "precious"), name="d")
    ),
    "output into the teacher": distill("holds no crild run", output=lambda t: t.teacher),
    "output into the data": finetune("holds no crild run", output=lambda t: t.films),
    "output into another run": finetune("the folder holds another run", output=lambda t: t.run, seed=7),
    "output that cannot be written to": finetune("/proc is no folder that can be written to", output="/proc/x"),
    "output of a name that is too long": finetune("too long", output=lambda t: t.path / ("x" * 300)),
    "grid into a folder of something else": compare(
        "holds no grid", GRID=grid("seeds: [1]"), output=folder(file("d/x", ""), name="d")
    ),
    "search into a folder of something else": tune("holds no search", output=folder(file("d/x", ""), name="d")),
    "frontier into a folder of something else": frontier(
        "the folder is not empty", output=folder(file("d/x", ""), name="d")
    ),
    "export into a folder of something else": export("holds no crild export", output=folder(file("d/x", ""), name="d")),
    "export of a model to nowhere": export("--output is missing", MODEL=lambda t: t.teacher, output=None),
    "export of a model without rows": export("--data", MODEL=lambda t: t.teacher),
    "answers of no kind": predict("--output: a.xlsx says no format", output="a.xlsx"),
    "answers over a file": predict("or --overwrite", output=file("a.csv", "precious")),
    "answers over a folder": predict("exists: choose another name", output=folder(name="a.csv"), overwrite=True),
    "answers into no folder": predict("no such folder", output=lambda t: t.path / "none/a.csv"),
    "answers where nothing can be written": predict("/proc/a.csv", output="/proc/a.csv"),
    "rows over a file": evaluate("or --overwrite", predictions=file("a.csv", "precious")),
    "cache that is a file": distill("--cache", cache=file("cache", "x")),
    "cache that cannot be written to": distill("--cache", cache="/proc/cache"),
}

RUNS = {
    "run that is not there": diagnose("no such folder", RUNS=lambda t: t.path / "none"),
    "no run": diagnose("holds no crild run", RUNS=lambda t: t.path),
    "run twice": diagnose("the run is named twice", RUNS=lambda t: (t.run, t.run)),
    "run that is not finished": diagnose("is not finished", RUNS=broken(lambda p: (p / "result.json").unlink(), "run")),
    "several runs": evaluate(
        "holds the runs a", MODEL=lambda t: (shutil.copytree(t.run, t.path / "runs/a"), t.path / "runs")[1]
    ),
    "no run to export": export("no config.json", MODEL=lambda t: t.path),
    "half a result": diagnose("result.json", RUNS=broken(cut("result.json"), "run")),
    "half a result to score": evaluate("result.json", MODEL=broken(cut("result.json"), "run")),
    "half a result to export": export("result.json", MODEL=broken(cut("result.json"), "run")),
    "result that is a list": diagnose("result.json", RUNS=broken(content("result.json", "[]"), "run")),
    "result without models": export("result.json", MODEL=broken(content("result.json", "{}"), "run")),
    "half a plan": diagnose("plan.json", RUNS=broken(cut("plan.json"), "run")),
    "plan of nothing": diagnose("plan.json", RUNS=broken(content("plan.json", "{}"), "run")),
    "options that are no YAML": diagnose("config.yaml", RUNS=broken(content("config.yaml", "["), "run")),
    "options of a bomb": diagnose("config.yaml", RUNS=broken(content("config.yaml", LAUGHS + "seed: *j"), "run")),
    "goes on with broken facts": finetune("run.json", output=broken(content("run.json", "["), "run")),
    "half of its answers": export("predictions.parquet", MODEL=broken(cut("predictions.parquet"), "run")),
    "its teacher is a pickle": diagnose(
        "pytorch_model.bin", RUNS=broken(lambda p: pickled("pytorch_model.bin")(p / "teacher"), "run")
    ),
    "its teacher is gone": evaluate("teacher", MODEL=broken(lambda p: (shutil.rmtree(p / "teacher"), moved(p)), "run")),
    "goes on with broken options": finetune("config.yaml", output=broken(content("config.yaml", "["), "run")),
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
    "odd texts in CSV": (
        "check",
        {"DATA": csv(*(f'"{text}",{i % 2}' for i, text in enumerate([*ODD_TEXTS[:3], *ODD_TEXTS[4:]] * 3)))},
    ),
    "odd labels": ("finetune", {"data": two_classes("🙂", "\x1b[31mred", "a\nb", "x" * 500), "dry_run": True}),
    "odd labels to check": ("check", {"DATA": two_classes("🙂", "\x1b[31mred", "a\nb", "[bold]x[/bold]")}),
    "odd column names": (
        "check",
        {
            "DATA": jsonl(*({"t\nx\x1b[31m": f"film {i}", "🙂": i % 2} for i in range(40))),
            "text": "t\nx\x1b[31m",
            "label": "🙂",
        },
    ),
    "duplicated rows": (
        "finetune",
        {
            "data": jsonl(*[{"text": "good film", "label": "pos"}, {"text": "bad film", "label": "neg"}] * 40),
            "dry_run": True,
        },
    ),
    "duplicated rows to check": ("check", {"DATA": jsonl(*[{"text": "good film", "label": "pos"}] * 40)}),
    "one class to check": ("check", {"DATA": two_classes("pos")}),
    "some labels are missing": (
        "finetune",
        {"data": two_classes("pos", "neg", None, float("nan"), ""), "dry_run": True},
    ),
    "no labels at all": ("distill", {"data": unlabelled, "dry_run": True}),
    "one row to answer": ("predict", {"data": csv("good,x")}),
    "one row to score": ("evaluate", {"data": csv("good,pos")}),
    "a mark at the beginning": (
        "check",
        {"DATA": file("d.csv", b"\xef\xbb\xbftext,label\r\n" + b"good,pos\r\nbad,neg\r\n" * 9)},
    ),
    "a mark at the beginning of YAML": (
        "distill",
        {"config": file("r.yaml", b"\xef\xbb\xbfseed: 3\n"), "dry_run": True},
    ),
    "Parquet of categories": (
        "check",
        {
            "DATA": parquet(
                {
                    "text": [f"film {i}" for i in range(30)],
                    "label": pyarrow.array(["a", "b", "c"] * 10).dictionary_encode(),
                }
            )
        },
    ),
    "Parquet of long texts": (
        "check",
        {
            "DATA": parquet(
                {"text": pyarrow.array([f"film {i}" for i in range(30)], pyarrow.large_string()), "label": [0, 1] * 15}
            )
        },
    ),
    "YAML with aliases": ("distill", {"config": file("r.yaml", "epochs: &a 2\nkd_epochs: *a\n"), "dry_run": True}),
    "code beside the tokenizer": (
        "evaluate",
        {
            "MODEL": with_code(
                "tokenizer_config.json", auto_map={"AutoTokenizer": ["mine.Mine", None]}, tokenizer_class="Mine"
            )
        },
    ),
    "a word for a seed": ("finetune", {"seed": "3.0", "dry_run": True}),
}
