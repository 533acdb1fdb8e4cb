"""Scoring a saved classifier."""

import json

import numpy as np
import pandas as pd
import pytest
from transformers import pipeline

import crild
from crild.errors import CrildError
from tests.conftest import complaint, reviews, write_jsonl
from tests.tiny import save_tiny


def test_evaluate_takes_all_rows_of_a_file_and_any_label_order(tiny_teacher, film_data, tmp_path):
    whole = crild.evaluate(model=tiny_teacher, data=film_data)
    rows = [json.loads(line) for line in (film_data / "validation.jsonl").open()]
    alone = crild.evaluate(model=tiny_teacher, data=write_jsonl(tmp_path / "a.jsonl", rows))
    assert (alone["rows"], alone["score"]) == (60, whole["score"])
    coded = [{"text": r["text"], "label": int(r["label"] == "neg")} for r in rows]
    path = write_jsonl(tmp_path / "b.jsonl", coded)
    mapped = crild.evaluate(model=tiny_teacher, data=path, label_map="1=neg,0=pos", metric="f1")
    positive = crild.evaluate(model=tiny_teacher, data=path, label_map="1=neg,0=pos", metric="macro_f1")
    assert mapped["scores"]["accuracy"] == whole["score"]
    assert positive["score"] == pytest.approx(whole["scores"]["macro_f1"])
    assert mapped["score"] == pytest.approx(2 * whole["scores"]["macro_f1"] - whole["scores"]["f1"])  # F1 of "neg"


def test_evaluate_refuses_models_without_a_trained_head_and_data_without_labels(
    tmp_path, tiny, tiny_teacher, film_data
):
    with pytest.raises(CrildError, match="no trained classification head"):
        crild.evaluate(model=tiny, data=film_data)
    path = write_jsonl(tmp_path / "t.jsonl", [{"text": "good film"}, {"text": "bad film"}])
    with pytest.raises(CrildError, match="no labels to score against"):
        crild.evaluate(model=tiny_teacher, data=path)
    regression = save_tiny(tmp_path / "r", head=True, labels=("score",))
    with pytest.raises(CrildError):
        crild.evaluate(model=regression, data=film_data)


def test_texts_longer_than_the_model_takes_are_cut(tiny_teacher, tmp_path):
    rows = [{"text": "good film " * 200, "label": "pos"}, {"text": "bad film", "label": "neg"}]
    path = write_jsonl(tmp_path / "long.jsonl", rows)
    assert crild.evaluate(model=tiny_teacher, data=path, max_length=1000)["rows"] == 2


def test_the_columns_of_the_run_are_read_where_nobody_names_others(cli, tiny, tmp_path):
    rows = pd.DataFrame(reviews(60)).rename(columns={"text": "said", "label": "felt"}).assign(other="neg")
    data = tmp_path / "films.csv"
    rows.to_csv(data, index=False)
    run = tmp_path / "run"
    crild.finetune(base=tiny, data=data, text="said", label="felt", max_steps=1, output=run)
    code, out, err = cli("evaluate", run, "--data", data, "--json")
    assert code == 0, err
    named = crild.evaluate(model=run, data=data, text="said", label="felt")
    assert (json.loads(out)["rows"], json.loads(out)["score"]) == (60, named["score"])
    other = crild.evaluate(model=run, data=data, label="other")
    assert other["score"] == (named.predictions["answer"] == "neg").mean()
    assert crild.predict(model=run, data=data, output=tmp_path / "a.csv")["rows"] == 60
    assert complaint(cli("evaluate", run, "--data", data, "--label", "flet")[2]).startswith(
        f"crild: error: {data}: there is no column 'flet' (did you mean 'felt'?)"
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny, tiny_teacher, film_data):
    """A finished distillation, whose student has learned little."""
    folder = tmp_path_factory.mktemp("scored") / "run"
    crild.distill(
        teacher=str(tiny_teacher),
        base=str(tiny),
        data=str(film_data),
        student=2,
        method="kd",
        control=False,
        max_steps=3,
        output=str(folder),
    )
    return folder


def read(path):
    kinds = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".jsonl": lambda p: pd.read_json(p, lines=True)}
    return kinds[path.suffix](path)


def test_a_run_stands_for_its_student_and_a_fine_tuning_for_its_teacher(run, tiny_teacher, film_data, tmp_path):
    student = crild.evaluate(model=run, data=film_data)
    assert student["model"] == str(run / "student")
    assert student == crild.evaluate(model=run / "student", data=film_data)
    assert crild.evaluate(model=tiny_teacher.parent, data=film_data)["model"] == str(tiny_teacher)
    with pytest.raises(CrildError, match="holds no crild run; it holds the runs run"):
        crild.evaluate(model=run.parent, data=film_data)
    with pytest.raises(CrildError, match=r"no config\.json"):
        crild.evaluate(model=tmp_path, data=film_data)


def test_classes_and_confusion_are_those_of_the_written_rows(run, film_data, tmp_path):
    result = crild.evaluate(model=run, data=film_data, predictions=tmp_path / "rows.parquet")
    frame = pd.read_parquet(tmp_path / "rows.parquet")
    names = result["labels"]
    expected = pd.crosstab(frame["label"], frame["answer"]).reindex(index=names, columns=names, fill_value=0)
    assert result["confusion"] == expected.to_numpy().tolist()
    assert [each["rows"] for each in result["classes"]] == expected.sum(axis=1).tolist()
    assert result["score"] == float((frame["label"] == frame["answer"]).mean())
    probabilities = frame[[f"answer_probability_{name}" for name in names]]
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert [names[i] for i in probabilities.to_numpy().argmax(1)] == frame["answer"].tolist()


def test_two_models_are_compared_row_by_row(run, tiny_teacher, film_data, tmp_path):
    together = crild.evaluate(model=run, compare=tiny_teacher, data=film_data, predictions=tmp_path / "rows.csv")
    alone = {name: crild.evaluate(model=path, data=film_data) for name, path in (("s", run), ("t", tiny_teacher))}
    other = together["compare"]
    assert {name: together[name] for name in alone["s"]} == alone["s"].to_dict()
    assert (other["score"], other["interval"]) == (alone["t"]["score"], alone["t"]["interval"])
    assert other["difference"] == alone["s"]["score"] - alone["t"]["score"]
    frame = pd.read_csv(tmp_path / "rows.csv")
    apart = frame[frame["answer"] != frame["compared"]]
    assert other["differ"] == len(apart) > 10
    assert other["agreement"] == pytest.approx(1 - len(apart) / 60)
    assert [each["row"] for each in other["examples"]] == apart["row"].tolist()[:10]
    low, high = other["difference_interval"]
    assert low <= other["difference"] <= high < 0
    same = crild.evaluate(model=run, compare=run, data=film_data)["compare"]
    assert (same["difference"], same["difference_interval"], same["differ"]) == (0.0, [0.0, 0.0], 0)
    assert same["examples"] == []


def test_a_compared_models_classes_may_have_another_order_but_not_other_names(tiny_teacher, film_data, tmp_path):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(tiny_teacher)
    model.classifier.weight.data, model.classifier.bias.data = (
        x.flip(0) for x in (model.classifier.weight.data, model.classifier.bias.data)
    )
    model.config.id2label, model.config.label2id = {0: "POS", 1: "NEG"}, {"POS": 0, "NEG": 1}
    model.save_pretrained(tmp_path / "turned")
    AutoTokenizer.from_pretrained(tiny_teacher).save_pretrained(tmp_path / "turned")
    other = crild.evaluate(model=tiny_teacher, compare=tmp_path / "turned", data=film_data)["compare"]
    assert (other["difference"], other["agreement"], other["differ"]) == (0.0, 1.0, 0)
    names = save_tiny(tmp_path / "names", head=True, labels=("ham", "spam"))
    with pytest.raises(CrildError, match=r"its labels are ham, spam, those of .* are neg, pos"):
        crild.evaluate(model=tiny_teacher, compare=names, data=film_data)
    three = save_tiny(tmp_path / "three", head=True, labels=("a", "b", "c"))
    with pytest.raises(CrildError, match="it does classification into a, b, c, and"):
        crild.evaluate(model=tiny_teacher, compare=three, data=film_data)


def test_numbers_are_compared_by_distance(tmp_path):
    rows = [{"text": f"good film {i % 7}", "label": i / 10} for i in range(30)]
    path = write_jsonl(tmp_path / "numbers.jsonl", rows)
    models = [save_tiny(tmp_path / name, head=True, labels=("score",), layers=n) for name, n in (("a", 1), ("b", 2))]
    result = crild.evaluate(model=models[0], compare=models[1], data=path, predictions=tmp_path / "rows.jsonl")
    assert "classes" not in result
    frame = pd.read_json(tmp_path / "rows.jsonl", lines=True)
    farthest = (frame["answer"] - frame["compared"]).abs().max()
    first = result["compare"]["examples"][0]
    assert abs(first["answer"] - first["compared"]) == pytest.approx(farthest)
    assert result["compare"]["agreement_metric"] == "pearson"


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_answers_to_rows_without_labels_are_those_of_a_pipeline(ending, tiny_teacher, tmp_path):
    texts = ["good film", "  ", "bad plot, very dull", "nice acting"]
    data = write_jsonl(tmp_path / "new.jsonl", [{"id": i, "text": text} for i, text in enumerate(texts)])
    output = tmp_path / f"answers{ending}"
    result = crild.predict(model=tiny_teacher.parent, data=data, output=output)
    frame = read(output)
    assert frame["row"].tolist() == [0, 2, 3]  # the row without text has no answer
    assert result["notes"] == [f"{data}: 1 rows without text dropped"]
    assert result["answers"] == {name: (frame["answer"] == name).sum() for name in ("neg", "pos")}
    classify = pipeline("text-classification", model=str(tiny_teacher), device="cpu", top_k=None)
    for row, found in zip(frame.to_dict("records"), classify([texts[i] for i in frame["row"]]), strict=True):
        assert row["answer"] == found[0]["label"]
        for each in found:
            assert row[f"answer_probability_{each['label']}"] == pytest.approx(each["score"], abs=1e-5)
    before = output.read_bytes()
    with pytest.raises(CrildError, match="exists: choose another name, or --overwrite"):
        crild.predict(model=tiny_teacher, data=data, output=output)
    assert output.read_bytes() == before
    crild.predict(model=tiny_teacher, data=data, output=output, overwrite=True)
    assert not list(tmp_path.glob("*.part"))


def test_labels_that_the_model_does_not_know_do_not_matter_to_predict(tiny_teacher, tmp_path):
    data = write_jsonl(tmp_path / "a.jsonl", [{"text": "good film", "label": "ham"}, {"text": "bad", "label": None}])
    assert crild.predict(model=tiny_teacher, data=data, output=tmp_path / "a.csv")["rows"] == 2


def test_several_labels_a_row_are_lists_that_csv_has_as_json(tmp_path):
    model = save_tiny(tmp_path / "m", head=True, labels=("cheap", "late", "rude"),
                      problem_type="multi_label_classification")  # fmt: skip
    rows = [{"text": "good film", "labels": ["cheap", "rude"]}, {"text": "bad plot", "labels": []}]
    data = write_jsonl(tmp_path / "a.jsonl", rows)
    result = crild.evaluate(model=model, data=data, predictions=tmp_path / "a.csv")
    assert [each["rows"] for each in result["classes"]] == [1, 0, 1]
    assert "confusion" not in result
    assert [json.loads(each) for each in pd.read_csv(tmp_path / "a.csv")["label"]] == [["cheap", "rude"], []]
