"""Models and rows in memory do what the same models and rows in files do, and stay as they are."""

import json
from copy import deepcopy
from dataclasses import replace
from unittest.mock import ANY

import pandas as pd
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from torch.utils.data import DataLoader
from transformers import AutoModelForSequenceClassification, AutoTokenizer, TrainerCallback

import crild
from crild.errors import CrildError
from tests.conftest import reviews
from tests.runs import QUICK, sha256
from tests.tiny import save_tiny

FEW = {"student": 2, "method": "kd", "max_steps": 2, **QUICK}


@pytest.fixture(scope="module")
def rows():
    return pd.DataFrame(reviews(120))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("saved"), head=True)


def load(folder):
    return AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


class Noted(TrainerCallback):
    """Notes the stages whose steps it sees; from a step on it ends the run."""

    def __init__(self, end_at=None):
        self.stages, self.steps, self.end_at = [], 0, end_at

    def on_step_end(self, args, state, control, **kwargs):
        self.steps += 1
        if self.steps == self.end_at:
            raise LookupError("enough")

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        self.stages.append(metrics["stage"])


def test_a_script_with_a_model_of_its_own_is_the_same_run_as_its_files(tiny, rows, tmp_path):
    # fine-tuned with plain transformers
    torch.manual_seed(0)
    names = {"id2label": {0: "neg", 1: "pos"}, "label2id": {"neg": 0, "pos": 1}}
    model = AutoModelForSequenceClassification.from_pretrained(tiny, **names)
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(3):
        for texts, labels in DataLoader(list(zip(rows.text, rows.label == "pos", strict=True)), batch_size=30):
            batch = tokenizer(list(texts), padding=True, truncation=True, max_length=64, return_tensors="pt")
            model(**batch, labels=labels.long()).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    model.train()
    model.bert.embeddings.requires_grad_(False)
    before, config = deepcopy(model.state_dict()), model.config.to_dict()

    notes = Noted()
    options = {**FEW, "method": "cr-ild"}
    result = crild.distill(
        teacher=model, tokenizer=tokenizer, data=rows, output=tmp_path / "memory", callbacks=[notes], **options
    )
    assert {"text", "label", "teacher", "student"} <= set(result.predictions.columns)
    assert len(result.predictions) == 24
    assert set(notes.stages) == {"ild", "kd"}
    # what was given is as it was
    assert model.training
    assert not model.bert.embeddings.word_embeddings.weight.requires_grad
    assert model.classifier.weight.requires_grad
    assert model.config.to_dict() == config
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
    # and by path
    model.save_pretrained(tmp_path / "teacher")
    tokenizer.save_pretrained(tmp_path / "teacher")
    rows.to_csv(tmp_path / "rows.csv", index=False)
    crild.distill(teacher=tmp_path / "teacher", data=tmp_path / "rows.csv", output=tmp_path / "files", **options)
    assert sha256(tmp_path / "memory") == sha256(tmp_path / "files")
    given = json.loads((tmp_path / "memory/run.json").read_text())["given"]
    assert given["data"].startswith("DataFrame, 120 rows, ")
    assert given["teacher"].startswith("BertForSequenceClassification, ")
    moved = (tmp_path / "memory").rename(tmp_path / "moved")
    assert crild.RunFolder.open(moved).teacher_path.parent == moved / "inputs"


def test_an_ended_run_goes_on_with_equal_objects_and_no_others(saved, rows, tmp_path):
    model, tokenizer = load(saved)
    options = {**FEW, "max_steps": 4, "save_steps": 2, "output": tmp_path / "run"}
    with pytest.raises(LookupError):
        crild.distill(teacher=model, tokenizer=tokenizer, data=rows, callbacks=[Noted(3)], **options)
    kept = sorted(path.name for path in (tmp_path / "run/inputs").iterdir())
    assert len(kept) == 2
    with pytest.raises(CrildError, match=r"holds another run \(data: "):
        crild.distill(teacher=model, tokenizer=tokenizer, data=rows[:-1], **options)
    other = deepcopy(model)
    torch.nn.init.zeros_(other.classifier.weight)
    with pytest.raises(CrildError, match=r"holds another run \(teacher: "):
        crild.distill(teacher=other, tokenizer=tokenizer, data=rows, **options)
    assert sorted(path.name for path in (tmp_path / "run/inputs").iterdir()) == kept
    model, tokenizer = load(saved)  # equal ones, of which the tokenizer remembers an earlier call
    tokenizer(["good film"], padding="max_length", truncation=True, max_length=7)
    backwards = range(len(rows) - 1, -1, -1)
    equal = Dataset.from_pandas(rows).select(backwards).select(backwards).with_format("numpy")
    notes = Noted()
    crild.distill(teacher=model, tokenizer=tokenizer, data=rows.set_index(rows.index + 7), callbacks=[notes], **options)
    assert notes.steps == 2
    whole = crild.distill(teacher=saved, data=equal, **{**options, "output": tmp_path / "whole"})
    assert sha256(tmp_path / "run") == sha256(tmp_path / "whole")
    assert whole["teacher"]["path"] == str(saved)


def test_a_dataset_dict_is_read_as_a_folder_of_splits(saved, rows, tmp_path):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    parts = {
        name: Dataset.from_list(reviews(count, seed=seed)).cast(features)
        for seed, (name, count) in enumerate({"train": 80, "validation": 30}.items())
    }
    more = DatasetDict(unlabelled=Dataset.from_list([{"text": row["text"]} for row in reviews(15, seed=9)]))
    result = crild.distill(teacher=saved, data=DatasetDict(parts), supplementary=more, output=tmp_path / "run",
                           **{**FEW, "method": "l-ild"})  # fmt: skip
    assert (result.rows["validation"], result.rows["supplementary"], result.labels) == (30, 15, ["neg", "pos"])
    held_out = pd.DataFrame(reviews(30, seed=1))
    other = crild.distill(teacher=saved, data=parts["train"], validation=held_out, output=tmp_path / "apart", **FEW)
    assert other["teacher"]["score"] == result["teacher"]["score"]


def test_evaluate_and_finetune_take_objects_and_leave_nothing_behind(saved, rows, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    model, tokenizer = load(saved)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    found = crild.evaluate(model=model, tokenizer=tokenizer, data=rows)
    assert replace(found, model=str(saved)) == crild.evaluate(model=saved, data=tmp_path / "rows.csv")
    assert found.model.startswith(f"BertForSequenceClassification, {model.num_parameters()} parameters")
    assert found["score"] == pytest.approx((found.predictions.answer == found.predictions.label).mean())
    both = crild.evaluate(model=saved, compare=model, tokenizer=tokenizer, data=rows)
    assert (both.compare["model"], both.compare["differ"]) == (found.model, 0)
    answers = crild.predict(
        model=model, tokenizer=tokenizer, data=rows.drop(columns="label"), output=tmp_path / "a.csv"
    )
    assert (answers["model"], answers["rows"]) == (found.model, len(rows))
    assert crild.check(data=rows).to_dict() == crild.check(data=tmp_path / "rows.csv").to_dict() | {"notes": ANY}
    assert not list((tmp_path / "tmp").iterdir())
    tuned = crild.finetune(base=model, tokenizer=tokenizer, data=rows, output=tmp_path / "run", max_steps=1)
    assert tuned.teacher.config.id2label == {0: "neg", 1: "pos"}


def test_a_grid_of_objects_is_the_grid_of_their_files(saved, rows, tmp_path):
    model, tokenizer = load(saved)
    grid = {"tasks": {"films": rows}, "methods": ["kd"], "seeds": [1], "threads": 1,
            "options": {"teacher": model, "student": 2, "max_steps": 1, "precision": "fp32"}}  # fmt: skip
    first = crild.compare(grid, tmp_path / "grid", tokenizer=tokenizer)
    assert (tmp_path / "grid/inputs").is_dir()
    again = crild.compare(grid, tmp_path / "grid", tokenizer=tokenizer)
    assert str(again) == str(first)
    rows.to_csv(tmp_path / "films.csv", index=False)
    files = grid | {
        "tasks": {"films": str(tmp_path / "films.csv")},
        "options": grid["options"] | {"teacher": str(saved)},
    }
    assert crild.compare(files, tmp_path / "files").to_frame()["mean"].equals(first.to_frame()["mean"])
    with pytest.raises(CrildError, match=r"holds a run with other options \(data"):
        crild.compare(grid | {"tasks": {"films": rows[:-1]}}, tmp_path / "grid", tokenizer=tokenizer)
    assert len(list((tmp_path / "grid/inputs").iterdir())) == 2


def test_a_student_may_be_a_model_and_what_is_given_twice_is_one_file(saved, rows, tmp_path):
    small, tokenizer = load(save_tiny(tmp_path / "small", layers=1))
    options = {**FEW, "teacher": saved, "data": rows}
    result = crild.distill(
        **{**options, "student": small, "supplementary": rows, "method": "l-ild"}, tokenizer=tokenizer,
        output=tmp_path / "memory",
    )  # fmt: skip
    assert result["student"]["layers"] == 1
    assert sorted(each.name.partition("-")[0] for each in (tmp_path / "memory/inputs").iterdir()) == ["data", "model"]
    for name, student, more in (("a", small, {"tokenizer": tokenizer}), ("b", tmp_path / "small", {})):
        crild.distill(**{**options, "student": student}, output=tmp_path / name, **more)
    assert sha256(tmp_path / "a") == sha256(tmp_path / "b")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"data": [{"text": "good"}]}, "data: a list is no data: give a path, a Dataset, a DatasetDict or a DataFrame"),
        ({"teacher": {}}, "teacher: a dict is no model: give a path or a transformers model"),
        ({"student": torch.nn.Linear(1, 1)},
         "student: a Linear is no model: give a path or a transformers model, or layers such as 3"),
        ({"tokenizer": None}, "teacher: a model in memory needs its tokenizer: add tokenizer=..."),
        ({"tokenizer": "bert"}, "teacher: a model in memory needs its tokenizer: add tokenizer=..., and a str is none"),
        ({"teacher": "x"}, "tokenizer: it goes with a model that is given as an object; a model's folder has its own"),
        ({"data": pd.DataFrame({"x": ["a", "b"], "y": [1, 2]})},
         "data (DataFrame, 2 rows): no text column is recognised among x, y: name it with --text (and --text-pair)"),
        ({"data": DatasetDict(mine=Dataset.from_dict({"text": ["a"]}))},
         "data: a DatasetDict with the split 'mine': crild knows train, unlabelled, validation, dev"),
        ({"data": pd.DataFrame({"text": ["a", 1]})}, "data: a DataFrame that makes no table ("),
        ({"metric": pd.DataFrame({"text": ["a", "b"]})}, "metric: text 0 a 1 b is not text"),
        ({"lable": "x"}, "unknown option 'lable' (did you mean 'label'?)"),
        ({"output": None}, "--output is missing: the folder of the crild run"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_and_leaves_nothing_behind(given, message, saved, rows, tmp_path):
    model, tokenizer = load(saved)
    options = {"teacher": model, "tokenizer": tokenizer, "data": rows, "output": tmp_path / "a/run", **FEW}
    with pytest.raises(CrildError) as caught:
        crild.distill(**{**options, **given})
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_inputs_of_a_start_that_came_to_nothing_are_no_other_run(saved, rows, tmp_path):
    inputs = tmp_path / "run/inputs"
    inputs.mkdir(parents=True)
    (inputs / f"data-{'0' * 16}.parquet").touch()
    (inputs / "tmpabc.part").mkdir()
    crild.distill(teacher=saved, data=rows, output=tmp_path / "run", **FEW)
    (tmp_path / "mine/inputs").mkdir(parents=True)
    (tmp_path / "mine/inputs/notes.txt").touch()
    with pytest.raises(CrildError, match="not empty and holds no crild run"):
        crild.distill(teacher=saved, data=rows, output=tmp_path / "mine", **FEW)
