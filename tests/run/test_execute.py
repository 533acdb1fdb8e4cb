"""Runs from end to end: students, state beside them, results."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import DistilBertConfig, DistilBertForSequenceClassification, pipeline

import crild
from crild.errors import CrildError
from crild.objectives import OBJECTIVES
from tests.conftest import WORDS, complaint, save_tiny, tiny_tokenizer, write_jsonl
from tests.runs import QUICK, history, prepared, run_distill, sha256


@pytest.mark.parametrize(
    "options",
    [
        {"features": "ckd", "layer_map": "skip", "interpolate": True, "consistency": 0.2},
        {"features": "relations", "layer_map": "emd", "hard_label_weight": 0.5},
        {"features": "hidden+0.1*logits+pkd", "layer_map": "1-2,2-4", "method": "cr-ild", "ema": True},
        {"features": "attention-kl+hidden", "layer_map": "random", "interpolate": True},
        {
            "method": "cr-ild",
            "features": "ah+head-input",
            "width_map": "learned",
            "kd_inputs": "interpolated",
            "keep": "average",
        },
        {"method": "pkd", "schedule": "two-stage", "features": "pkd+0.5*head-input"},
        {"method": "cr-ild", "features": "alp-kd"},
        {"method": "mgskd", "layer_map": "last-k"},
        {"method": "l-ild", "features": "ted"},
        {"method": "ted", "features": "hidden"},
    ],
)
def test_any_objective_goes_with_any_sensible_map_and_input(options, tiny_teacher, film_data, tmp_path):
    config = {"method": "u-ild", "teacher": str(tiny_teacher), "data": str(film_data), "student": "3", **options}
    path = tmp_path / "run.yaml"
    path.write_text(json.dumps({**config, "output": str(tmp_path / "out"), "max_steps": 2, **QUICK}))
    from crild.cli import main

    assert main(["distill", "--config", str(path)]) == 0
    assert (tmp_path / "out/stages/filters").exists() == (options.get("features") == "ted")
    steps = [json.loads(line) for line in (tmp_path / "out/stages/ild/steps.jsonl").open()]
    names = set(steps[-1]["terms"])
    assert any(name.startswith("consistency/") for name in names) == bool(
        options.get("consistency") or options.get("method") == "cr-ild"
    )
    if options.get("features") == "hidden+0.1*logits+pkd":
        assert {k: t["weight"] for k, t in steps[-1]["terms"].items() if "/" not in k} == {
            "hidden": 1.0, "logits": 0.1, "patient": 1.0,
        }  # fmt: skip


def test_three_lines_add_an_objective(tiny_teacher, film_data, tmp_path):
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "import crild, torch\n"
        "@crild.objective('cosine')\n"
        "def cosine(student, teacher, mask):\n"
        "    return 1 - torch.cosine_similarity(student.hidden.float(), teacher.hidden.float(), dim=-1)\n"
    )
    try:
        result = crild.distill(
            teacher=str(tiny_teacher), data=str(film_data), student=2, method="cr-ild", plugin=str(plugin),
            features="cosine", layer_map="uniform", output=str(tmp_path / "out"), max_steps=3, **QUICK,
        )  # fmt: skip
        assert result["student"]["score"] > 0
        step = json.loads((tmp_path / "out/stages/ild/steps.jsonl").read_text().splitlines()[-1])
        assert {"cosine", "consistency/cosine"} <= set(step["terms"])
        # a width that it was not written for is one clear line
        with pytest.raises(CrildError, match="features 'cosine' failed"):
            crild.distill(
                teacher=str(tiny_teacher), data=str(film_data), student=2, student_width=16, features="cosine",
                output=str(tmp_path / "other"),
            )  # fmt: skip
    finally:
        OBJECTIVES.pop("cosine", None)


@pytest.mark.parametrize("name", ["bert-emd", "rail-kd", "ted", "tinybert"])
def test_state_is_kept_beside_the_student_and_never_in_it(name, tiny_teacher, film_data, tmp_path):
    from safetensors.torch import load_file

    output = tmp_path / "out"
    crild.distill(
        teacher=str(tiny_teacher), data=str(film_data), student=2, student_width=16, method=name, output=str(output),
        max_steps=3, keep_stages=True, **QUICK,
    )  # fmt: skip
    state = load_file(output / "stages/ild/objective.safetensors")
    expected = {"bert-emd": "student_mass", "rail-kd": "layer_map.drawn", "ted": "teacher_3.weight", "tinybert": "map"}
    wanted = "teacher_2.weight" if name == "ted" else expected[name]
    assert any(wanted in key for key in state), sorted(state)
    student = load_file(output / "student/model.safetensors")
    assert all(key.startswith(("bert.", "classifier.")) for key in student)
    if name == "ted":  # the teacher's filters stay as the labels made them, the student's go on
        before = load_file(output / "stages/filters/objective.safetensors")
        changed = {key for key in state if not torch.equal(state[key], before[key])}
        assert changed
        assert all("filters.student" in key for key in changed)


def test_a_map_of_equal_widths_learns_beside_the_student(tiny_teacher, film_data, tmp_path):
    output = tmp_path / "out"
    options = {"teacher": str(tiny_teacher), "data": str(film_data), "student": 2, "method": "tinybert"}
    crild.distill(**options, width_map="learned", output=str(output), max_steps=3, keep_stages=True, **QUICK)
    state = load_file(output / "stages/ild/objective.safetensors")
    drawn = prepared(
        tiny_teacher, film_data, tmp_path / "again", method="tinybert", width_map="learned"
    ).models.objective
    maps = {name: value for name, value in drawn.state_dict().items() if name.endswith("width_map.weight")}
    assert {tuple(value.shape) for value in maps.values()} == {(32, 32)}
    assert len(maps) == 2  # one of embeddings, one of hidden states
    assert not any(torch.equal(state[name], value) for name, value in maps.items())
    student = load_file(output / "student/model.safetensors")
    assert all(key.startswith(("bert.", "classifier.")) for key in student)


def test_masses_go_on_from_supplementary_to_target_data(tiny_teacher, film_data, tmp_path):
    from safetensors.torch import load_file

    output = tmp_path / "out"
    crild.distill(
        teacher=str(tiny_teacher), data=str(film_data), student=2, method="bert-emd", output=str(output), max_steps=2,
        supplementary=str(film_data / "train.jsonl"), keep_stages=True, **QUICK,
    )  # fmt: skip
    first, second = (load_file(output / f"stages/{s}/objective.safetensors") for s in ("supplementary", "ild"))
    key = next(key for key in first if key.endswith("student_mass"))
    assert not torch.allclose(first[key], torch.full_like(first[key], 0.5))
    assert not torch.equal(first[key], second[key])


def save_distilbert(folder: Path) -> Path:
    tokenizer = tiny_tokenizer()
    torch.manual_seed(0)
    config = DistilBertConfig(
        vocab_size=len(tokenizer), dim=32, n_heads=4, n_layers=2, hidden_dim=48, max_position_embeddings=64
    )
    DistilBertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", ["cr-ild", "tinybert", "minilmv2", "kd"])
def test_a_bert_teacher_and_a_distilbert_student(name, tiny_teacher, film_data, tmp_path):
    student = save_distilbert(tmp_path / "distilbert")
    crild.distill(
        teacher=str(tiny_teacher), data=str(film_data), student=str(student), method=name,
        output=str(tmp_path / "out"), max_steps=3, control=True,
    )  # fmt: skip
    classify = pipeline("text-classification", model=str(tmp_path / "out/student"))
    assert classify("a good film")[0]["label"] in ("neg", "pos")


@pytest.mark.parametrize("mode", ["first", "join"])
def test_words_are_known_of_supplementary_texts_too(mode, tiny_teacher, film_data, tmp_path):
    crild.distill(
        teacher=str(tiny_teacher), data=str(film_data), student=2, method="mgskd", output=str(tmp_path / "out"),
        max_steps=2, supplementary=str(film_data / "train.jsonl"), supplementary_mode=mode, **QUICK,
    )  # fmt: skip
    assert (tmp_path / "out/stages/supplementary").exists() == (mode == "first")


def test_the_result_says_what_was_matched(tiny_teacher, film_data, tmp_path):
    result = crild.distill(
        teacher=str(tiny_teacher), data=str(film_data), student=2, method="u-ild", features="h",
        output=str(tmp_path / "out"), max_steps=1, **QUICK,
    )  # fmt: skip
    assert (result["schedule"], result["features"], result["layer_map"]) == ("two-stage", "h", "uniform")
    card = (tmp_path / "out/student/README.md").read_text()
    assert "`u-ild`, two-stage schedule, features `h`, layer map `uniform`" in card


def test_consistency_can_act_on_a_part_of_what_is_matched(tiny_teacher, film_data, tmp_path):
    output = tmp_path / "out"
    options = {"teacher": str(tiny_teacher), "data": str(film_data), "student": 2, "method": "cr-ild"}
    crild.distill(**options, consistency_features="h", output=str(output), max_steps=1, **QUICK)
    step = json.loads((output / "stages/ild/steps.jsonl").read_text().splitlines()[-1])
    assert {name for name in step["terms"] if "/" in name} == {"consistency/hidden"}
    with pytest.raises(CrildError, match="relations is not matched"):
        prepared(tiny_teacher, film_data, tmp_path / "b", method="cr-ild", consistency_features="qkv")


def test_validation_can_be_followed_and_chooses_nothing(tiny_teacher, film_data, tmp_path):
    options = {"teacher": str(tiny_teacher), "data": str(film_data), "student": 2, "method": "kd", "max_steps": 8}
    followed = crild.distill(**options, output=str(tmp_path / "a"), track_validation=True, **QUICK)
    crild.distill(**options, output=str(tmp_path / "b"), **QUICK)
    assert sha256(tmp_path / "a") == sha256(tmp_path / "b")
    scores = [entry["validation"] for entry in history(tmp_path / "a", "kd") if "validation" in entry]
    assert followed["student"]["best_validation"] == max(scores) >= followed["student"]["score"]


def test_interpolated_logits_come_from_the_live_teacher(tiny_teacher, film_data, tmp_path):
    options = {"teacher": str(tiny_teacher), "data": str(film_data), "student": 2, "method": "kd", "kd_epochs": 2}
    crild.distill(**options, output=str(tmp_path / "plain"), **QUICK)
    crild.distill(**options, kd_inputs="interpolated", output=str(tmp_path / "mixed"), **QUICK)
    assert sha256(tmp_path / "mixed") != sha256(tmp_path / "plain")
    assert [(tmp_path / name / "cache").exists() for name in ("plain", "mixed")] == [True, False]
    steps = [json.loads(line) for line in (tmp_path / "mixed/stages/kd/steps.jsonl").open()]
    assert len({step["lambda"] for step in steps}) == len(steps)
    assert all("score" in entry for entry in history(tmp_path / "mixed", "kd")[1:])


def test_a_run_end_to_end(cli, tmp_path, tiny_teacher, film_data):
    result, err = run_distill(cli, tmp_path, "--teacher", tiny_teacher, "--data", film_data, "--student", "2")
    assert "the teacher scores" in err
    assert "about" in err
    run = tmp_path / "run"
    assert result == json.loads((run / "result.json").read_text())
    assert result["metric"] == "accuracy"
    assert result["student"]["init"] == "layers 0, 1 of the fine-tuned teacher, the teacher's head"
    assert {"score", "interval", "parameters", "bytes", "latency_ms"} <= set(result["student"])
    assert result["control"]["score"] >= 0
    assert result["selection"]["score"] >= 0
    assert sorted(p.name for p in (run / "stages").iterdir()) == ["control", "ild", "kd"]
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["preset"] == "quick"
    assert config["seed"] == 42
    assert "torch" in json.loads((run / "run.json").read_text())["versions"]
    history = [json.loads(line) for line in (run / "stages/ild/history.jsonl").open()]
    assert set(history[-1]["train"]) == set(history[-1]["held_out"])
    # the student is a plain transformers model: no width map, label names, tokenizer, card
    student = run / "student"
    assert all(name.startswith(("bert.", "classifier.")) for name in load_file(student / "model.safetensors"))
    names = {p.name for p in student.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= names
    assert not [p for p in run.rglob("*") if p.suffix in (".bin", ".pt", ".pth", ".pkl")]
    from transformers import pipeline

    classify = pipeline("text-classification", model=str(student))
    assert classify("good great film")[0]["label"] in ("neg", "pos")
    code, out, _ = cli("evaluate", student, "--data", film_data, "--json")
    assert code == 0
    assert json.loads(out)["score"] == pytest.approx(result["student"]["score"])


def test_a_teacher_without_a_head_is_fine_tuned_first_and_is_also_the_base(cli, tmp_path, tiny, film_data):
    result, _ = run_distill(
        cli, tmp_path, "--teacher", tiny, "--data", film_data, "--student", "every:2", "--no-control"
    )
    assert result["control"] is None
    assert result["teacher"]["fine_tuned_here"]
    assert "layers 0, 2 of the pre-trained" in result["student"]["init"]
    assert (tmp_path / "run/teacher/model.safetensors").exists()


def test_unlabelled_rows_alone_give_agreement_with_the_teacher(cli, tmp_path, tiny_teacher, film_data):
    rows = [json.loads(line) for line in (film_data / "train.jsonl").open()]
    path = write_jsonl(tmp_path / "texts.jsonl", [{"text": row["text"]} for row in rows])
    result, _ = run_distill(cli, tmp_path, "--teacher", tiny_teacher, "--data", path, "--student", "2")
    assert result["metric"] == "agreement"
    assert result["control"] is None
    assert result["teacher"]["score"] == 1.0
    assert 0.0 <= result["student"]["score"] <= 1.0


@pytest.mark.parametrize("mode", ["first", "join"])
def test_supplementary_texts(mode, cli, tmp_path, tiny_teacher, film_data):
    more = tmp_path / "more.txt"
    more.write_text("\n".join(f"good {word} film" for word in WORDS))
    result, _ = run_distill(
        cli, tmp_path, "--teacher", tiny_teacher, "--data", film_data, "--student", "2", "--no-control",
        "--supplementary", more, "--supplementary-mode", mode,
    )  # fmt: skip
    assert result["rows"]["supplementary"] == len(WORDS)
    stages = sorted(p.name for p in (tmp_path / "run/stages").iterdir())
    assert stages == (["ild", "kd", "supplementary"] if mode == "first" else ["ild", "kd"])


def test_a_narrower_student_from_a_path_gets_a_width_map_that_is_not_shipped(cli, tmp_path, tiny_teacher, film_data):
    small = save_tiny(tmp_path / "small", layers=2, hidden_size=16)
    result, _ = run_distill(
        cli, tmp_path, "--teacher", tiny_teacher, "--data", film_data, "--student", small, "--no-control"
    )
    names = set(load_file(tmp_path / "run/student/model.safetensors"))
    assert all(name.startswith(("bert.", "classifier.")) for name in names)
    assert result["student"]["init"] == f"weights of {small}, fresh head"


def test_labels_in_another_order_than_the_teachers(cli, tmp_path, tiny_teacher, film_data):
    rows = [json.loads(line) for line in (film_data / "train.jsonl").open()]
    swapped = [{"text": r["text"], "label": {"neg": 1, "pos": 0}[r["label"]]} for r in rows]
    path = write_jsonl(tmp_path / "coded.jsonl", swapped)
    common = ["--teacher", tiny_teacher, "--data", path, "--student", "2", "--no-control"]
    code, _, err = cli("distill", *common, "--output", tmp_path / "run")
    assert code == 2
    assert "--label-map" in complaint(err)
    assert not (tmp_path / "run").exists()
    result, _ = run_distill(cli, tmp_path, *common, "--label-map", "1=neg,0=pos")
    assert result["teacher"]["score"] > 0.8


def test_the_python_api_says_the_same(tmp_path, tiny_teacher, film_data):
    import crild

    result = crild.distill(
        teacher=tiny_teacher,
        data=film_data,
        student=2,
        method="kd",
        output=tmp_path / "run",
        max_steps=3,
        control=False,
    )
    assert result["method"] == "kd"
    assert crild.evaluate(model=tmp_path / "run/student", data=film_data)["score"] == result["student"]["score"]
    with pytest.raises(crild.CrildError, match="did you mean 'teacher'"):
        crild.distill(techer="x")
