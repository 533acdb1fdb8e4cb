"""The model card: valid for the hub, what the score was measured on, and nothing of this machine."""

import json
import re
import shutil
from xml.etree import ElementTree

import pandas as pd
import pytest
from huggingface_hub import ModelCard
from sklearn.metrics import f1_score

import crild
from crild.run.card import copy_licence, hub_name, licence_of, shown
from tests.conftest import reviews, write_jsonl
from tests.tiny import save_tiny

FRESH = [{"text": f"{row['text']} number {i}", "label": row["label"]} for i, row in enumerate(reviews(10, seed=5))]


def card(folder, teacher, validation=FRESH, train=None, **options):
    data = folder / "data"
    write_jsonl(data / "train.jsonl", train or reviews(80))
    write_jsonl(data / "validation.jsonl", validation)
    options = {"student": 2, "method": "kd", "max_steps": 1, "control": False} | options
    crild.distill(teacher=str(teacher), data=str(data), output=str(folder / "run"), **options)
    return ModelCard.load(folder / "run/student/README.md")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tiny_teacher):
    """A run with everything in it: its folder, and its card."""
    folder = tmp_path_factory.mktemp("whole")
    teacher = folder / "my_teacher"
    shutil.copytree(tiny_teacher, teacher)
    (teacher / "README.md").write_text("---\nlicense: mit\n---\n# A card\n")
    extra = folder / "more_texts.txt"
    extra.write_text("a good film number 1\na bad film number 2\n")
    options = {"method": "cr-ild", "control": True, "train_rows": 70, "label_noise": 0.1, "supplementary": str(extra),
               "student_head": "fresh"}  # fmt: skip
    return folder, card(folder, teacher, **options)


def test_the_hub_reads_the_metadata(whole):
    data = whole[1].data
    assert data.base_model == ["my_teacher"]
    assert data.datasets == ["data", "more_texts.txt"]
    assert data.license == "mit"
    assert (data.library_name, data.pipeline_tag) == ("transformers", "text-classification")
    assert {"crild", "knowledge-distillation", "cr-ild"} == set(data.tags)
    assert data.metrics[0] == "accuracy"
    assert ModelCard(str(whole[1])).data.to_dict() == data.to_dict()


def test_its_picture_is_in_the_folder(whole):
    folder, read = whole
    names = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", read.text)
    assert names == ["scores.svg"]
    root = ElementTree.parse(folder / "run/student/scores.svg").getroot()
    said = " ".join(root.itertext())
    result = json.loads((folder / "run/result.json").read_text())
    for role, name in (("teacher", "teacher"), ("control", "student without teacher"), ("student", "student")):
        assert f"{name}: {result[role]['score']:.4f}" in said
    assert not [each for each in root.iter() if "href" in each.attrib]  # it needs nothing else


def test_evaluation_results_are_the_runs(whole):
    folder, read = whole
    result = json.loads((folder / "run/result.json").read_text())
    found = {each.metric_name: each for each in read.data.eval_results}
    assert {name: each.metric_value for name, each in found.items()} == pytest.approx(
        result["student"]["scores"], abs=1e-4
    )
    assert found["matthews"].metric_type == "matthews_correlation"
    each = found["accuracy"]
    assert (each.task_type, each.dataset_type, each.dataset_name) == ("text-classification", "data", "data")
    assert each.dataset_split == "validation"


def test_costs_stand_beside_the_teachers(whole):
    folder, read = whole
    result = json.loads((folder / "run/result.json").read_text())
    (row,) = [line for line in read.text.splitlines() if line.startswith("| this student |")]
    for what in ("parameters", "bytes", "latency_ms"):
        assert f"({result['student'][what] / result['teacher'][what]:.2f})" in row
    assert "| the same student without a teacher |" in read.text


def test_classes_have_scores_and_what_was_capped_is_said(whole):
    folder, read = whole
    text = read.text
    assert "| label | rows | precision | recall | F1 | teacher's F1 |" in text
    rows = pd.read_parquet(folder / "run/predictions.parquet")
    for name in ("neg", "pos"):
        (line,) = [each for each in text.splitlines() if each.startswith(f"| {name} | ")]
        scores = [f1_score(rows["label"], rows[model], pos_label=name) for model in ("student", "teacher")]
        assert line.endswith(f"| {scores[0]:.3f} | {scores[1]:.3f} |")
        assert scores[0] < scores[1]
    for option in ("max_length", "max_steps", "train_rows", "label_noise"):
        assert f"(`{option}`)" in text
    assert "10% of the training labels were replaced" in text


def test_no_path_of_this_machine_stands_there(whole):
    folder, read = whole
    assert str(folder) not in str(read)
    assert not [word for word in str(read).split() if word.startswith(("/", "~", "'/", "(/", "`/"))]
    assert "the fine-tuned teacher" in read.text
    assert "Teacher: my\\_teacher." in read.text


def test_rows_that_were_also_trained_on_are_told(tiny, tmp_path):
    text = card(tmp_path, tiny, [*FRESH, *reviews(80)[:4]]).text
    assert "Measured on 14 rows, 4 of them with a text that was also trained on (validation of data)." in text
    assert "not used for training" not in text


def test_names_from_data_are_shown_as_they_are(tiny, tmp_path):
    nasty = {"neg": "*bad*|<b>", "pos": "[good](x)\n# `one`"}
    rows = [row | {"label": nasty[row["label"]]} for row in reviews(80)]
    tests = [row | {"label": nasty[row["label"]]} for row in FRESH]
    read = card(tmp_path, tiny, tests, rows)
    assert "Measured on 10 rows that were not used for training or selection" in read.text
    assert r"Labels: \*bad\*\|&lt;b&gt;, \[good\](x) \# \`one\`." in read.text
    assert "\n# `one`" not in read.text
    assert r"| \*bad\*\|&lt;b&gt; | " in read.text


def test_scores_of_rows_without_labels_are_agreement(tmp_path):
    teacher = save_tiny(tmp_path / "teacher", head=True)
    texts = [{"text": row["text"]} for row in reviews(80)]
    read = card(tmp_path, teacher, [{"text": row["text"]} for row in FRESH], texts)
    assert [each.metric_type for each in read.data.eval_results] == ["agreement"]
    assert "a score is how often the answer is the teacher's" in read.text
    assert read.data.license is None
    assert "Left open: teacher states none." in read.text


def test_a_regression_has_no_classes(tiny, tmp_path):
    rows = [row | {"label": 0.5 + i / 7} for i, row in enumerate(reviews(80))]
    read = card(tmp_path, tiny, [row | {"label": 0.1 * i} for i, row in enumerate(FRESH)], rows)
    assert "Labels: one number." in read.text
    assert "precision" not in read.text
    assert "pearsonr" in read.data.metrics


# ---- names and licences ----


def test_only_the_last_component_of_a_path_is_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner/name").mkdir(parents=True)
    assert shown("owner/name") == shown("owner/name/") == shown(str(tmp_path / "owner/name")) == "name"
    assert shown("/gone/since/x.csv") == shown("~/x.csv") == shown("./x.csv") == "x.csv"
    assert shown(".") == tmp_path.name
    assert shown("google/bert-base") == "google/bert-base"
    assert hub_name("google/data:config") == "google/data"
    assert hub_name("my data.csv") is None
    assert hub_name(None) is None


def test_licences(tmp_path):
    stated, silent, own, broken = (tmp_path / name for name in ("stated", "silent", "own", "broken"))
    for folder in (stated, silent, own, broken):
        folder.mkdir()
    (stated / "README.md").write_text("---\nlicense: apache-2.0\nlanguage: en\n---\n")
    (silent / "README.md").write_text("# No metadata\n")
    (own / "LICENSE.txt").write_text("Be kind.")
    (broken / "README.md").write_text("---\nlicense: [\n---\n")
    assert licence_of(str(stated), None) == {"license": "apache-2.0"}
    assert licence_of(str(silent), None) == licence_of(str(broken), None) == {}
    found = licence_of(str(own), None)
    assert found == {"license": "other", "license_name": "own-licence", "license_link": "LICENSE.txt"}
    assert copy_licence({str(own): found}, tmp_path) == found
    assert (tmp_path / "LICENSE.txt").read_text() == "Be kind."
    assert copy_licence({str(own): found, str(stated): {"license": "apache-2.0"}}, tmp_path) == {}
    assert copy_licence({}, tmp_path) == {}
