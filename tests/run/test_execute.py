"""Runs from end to end: students, state beside them, results."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import DistilBertConfig, DistilBertForSequenceClassification, TrainerCallback, pipeline

import crild
from crild.config import DistillConfig
from crild.errors import CrildError
from crild.inference import predict
from crild.methods import Recipe
from crild.objectives import OBJECTIVES
from crild.run import execute, start
from crild.run.folder import RunFolder
from crild.run.models import fresh_classifier
from crild.training.distiller import Distiller
from crild.training.stage import StageTrainer
from crild.training.terms import Step
from tests.conftest import complaint, write_jsonl
from tests.run.finished import finished
from tests.runs import QUICK, history, prepared, run_distill, sha256
from tests.tiny import WORDS, save_tiny, tiny_tokenizer


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
                teacher=str(tiny_teacher), data=str(film_data), student=2, student_width=16, method="cr-ild",
                features="cosine", output=str(tmp_path / "other"),
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


def test_rewrites_beside_the_training_rows(tiny_teacher, film_data, tmp_path, monkeypatch):
    seen = []
    forward = Distiller.forward

    def noted(self, batch, **passes):
        if self.training:
            seen.append(batch)
        return forward(self, batch, **passes)

    monkeypatch.setattr(Distiller, "forward", noted)
    result = crild.distill(
        teacher=str(tiny_teacher), data=str(film_data), student=2, method="mgskd", hard_label_weight=0.5,
        augment="all", augment_ratio=2, ild_epochs=1, kd_epochs=2, output=str(tmp_path / "out"), **QUICK,
    )  # fmt: skip
    assert result["rows"]["train"] == 144
    assert result["rows"]["augmented"] == 288
    assert "2 rewritten texts (all) beside each of 144, drawn anew in every epoch" in result["notes"]
    steps = [json.loads(line) for line in (tmp_path / "out/stages/kd/steps.jsonl").open()]
    assert len(steps) == 2 * -(-432 // 32)
    for first, last in ((0, 14), (14, 28)):
        epoch = [step["terms"] for step in steps[first:last]]
        assert sum(terms["kd"]["count"] for terms in epoch) == 432
        assert sum(terms["task"]["count"] for terms in epoch) == 144
    batches = [batch for batch in seen if "teacher_logits" not in batch]  # the teacher answers while the student learns
    assert len(batches) == len(seen)
    assert {"words"} <= set(seen[0])  # for what looks at the words of a text
    epochs = [
        {tuple(row) for batch in part for row in batch["input_ids"].tolist()} for part in (seen[-28:-14], seen[-14:])
    ]
    assert len(epochs[0] - epochs[1]) > 144  # others in every epoch
    assert {"input_ids", "labels"} <= set(seen[-1])


def test_a_rewrite_that_the_data_cannot_have_is_refused_before_training(tiny_teacher, film_data, tmp_path):
    with pytest.raises(CrildError, match="--augment pairing: pairing is of pairs"):
        prepared(tiny_teacher, film_data, tmp_path, method="kd", augment="pairing")


def trained_apart(run, fold, tmp_path):
    """The logits of all training rows, from a teacher that is fine-tuned on those of other folds by plain calls."""
    inputs, config = run.inputs, run.config
    model = fresh_classifier(config.base, "base", inputs.task, config)
    labels = inputs.train["labels"][:]
    others = [i for i in range(len(inputs.train)) if labels[i] is not None and inputs.folds[i] != fold]
    settings = run.plan.stage(f"fold-{fold}").settings
    StageTrainer(
        Distiller(model, Recipe(task=1.0)), inputs.train.select(others), inputs.selection, inputs.tokenizer, settings,
        tmp_path / f"apart-{fold}", f"fold-{fold}", config.seed, score=run.scorer.target("selection").score,
    ).run()  # fmt: skip
    return predict(model, inputs.train, inputs.tokenizer)


@pytest.mark.parametrize("augment", [{}, {"augment": "all", "augment_ratio": 1.0}])
def test_a_labelled_rows_logits_come_from_a_teacher_that_never_saw_its_label(
    augment, tiny, tiny_teacher, film_data, tmp_path, monkeypatch
):
    path = tmp_path / "data"
    found = [json.loads(line) for line in (film_data / "train.jsonl").open()]
    write_jsonl(path / "train.jsonl", [row | ({"label": None} if i % 5 == 0 else {}) for i, row in enumerate(found)])
    write_jsonl(path / "validation.jsonl", found[:40])
    options = {
        "base": str(tiny), "data": str(path), "method": "kd", "cross_fit": 2, "finetune_epochs": 1, "kd_epochs": 1,
        "finetune_learning_rate": 3e-3, **augment, **QUICK,
    }  # fmt: skip
    run = prepared(tiny_teacher, path, tmp_path, **options)
    trained, used, teacher = {}, {}, run.models.teacher
    init, forward = StageTrainer.__init__, Step.teacher_logits.func

    def started(self, distiller, train, *args, **more):
        trained[args[4]] = [tuple(ids) for ids in train["input_ids"][:]] if args[4].startswith("fold") else train
        init(self, distiller, train, *args, **more)

    def answered(step):
        logits = forward(step)
        if step.models.student.training:
            for ids, row in zip(step.batch["input_ids"].tolist(), logits, strict=True):
                used.setdefault(tuple(ids), []).append(row)
        return logits

    monkeypatch.setattr(StageTrainer, "__init__", started)
    monkeypatch.setattr(Step, "teacher_logits", property(answered))
    execute.execute(run)
    monkeypatch.undo()
    inputs = run.inputs
    ids = [tuple(row) for row in inputs.train["input_ids"][:]]
    by_fold = {fold: trained_apart(run, fold, tmp_path) for fold in (1, 2)}
    main = predict(teacher, inputs.train, inputs.tokenizer)
    assert sum(fold is None for fold in inputs.folds) > 20
    for one, other in ((main, by_fold[1]), (main, by_fold[2]), (by_fold[1], by_fold[2])):
        assert np.abs(one - other).max(1).min() > 1e-3  # none can be taken for another
    for i, fold in enumerate(inputs.folds):
        rows = next(v for k, v in used.items() if k[: len(ids[i])] == ids[i] and not any(k[len(ids[i]) :]))
        expected = torch.tensor(main[i] if fold is None else by_fold[fold][i])
        assert any(torch.allclose(row, expected, atol=1e-5) for row in rows), i
        for other in (1, 2):
            assert (ids[i] in trained[f"fold-{other}"]) == (fold is not None and fold != other)
    assert not list((tmp_path / "out/stages").glob("fold-*/*.safetensors"))
    assert (tmp_path / "out/stages/fold-1/history.jsonl").exists()


def test_folds_are_shared_by_runs_with_the_same_cache_and_an_untrained_teacher_gives_them_its_encoder(
    tiny, film_data, tmp_path, monkeypatch
):
    options = {
        "teacher": str(tiny), "data": str(film_data), "student": 2, "cross_fit": 2, "max_steps": 2,
        "cache": str(tmp_path / "cache"), **QUICK,
    }  # fmt: skip
    result = crild.distill(**options, method="kd", output=str(tmp_path / "a"))
    assert result["teacher"]["fine_tuned_here"]
    fitted = sorted((tmp_path / "cache").glob("fold-logits-*"))
    assert len(fitted) == 2
    crild.distill(**options, method="l-ild", output=str(tmp_path / "b"))
    assert not (tmp_path / "b/stages/fold-1").exists()
    assert sorted((tmp_path / "cache").glob("fold-logits-*")) == fitted
    crild.distill(**options, method="kd", seed=7, output=str(tmp_path / "c"))
    assert len(list((tmp_path / "cache").glob("fold-logits-*"))) == 4


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
    result, err = run_distill(
        cli, tmp_path, "--teacher", tiny_teacher, "--data", film_data, "--student", "2", "--method", "cr-ild"
    )
    assert "the teacher scores" in err
    assert "less than a minute" in err
    run = tmp_path / "run"
    assert result == json.loads((run / "result.json").read_text())
    assert result["metric"] == "accuracy"
    assert result["student"]["init"] == "layers 0, 1 of the fine-tuned teacher, the teacher's head"
    assert {"score", "interval", "parameters", "bytes", "latency_ms"} <= set(result["student"])
    assert result["control"]["score"] >= 0
    assert result["selection"]["score"] >= 0
    assert sorted(p.name for p in (run / "stages").iterdir()) == ["control", "ild", "kd"]
    page = (run / "report.html").read_text()
    assert f"it scores {result['student']['score']:.4f}, its teacher {result['teacher']['score']:.4f}" in page
    assert "Gap at the end" in page
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
        "--method", "cr-ild", "--supplementary", more, "--supplementary-mode", mode,
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


class Notes(TrainerCallback):
    """Notes what it is told; from an evaluation on it may end the run."""

    def __init__(self, end_at=None):
        self.entries, self.end_at = [], end_at

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        self.entries.append(metrics)
        if len(self.entries) == self.end_at:
            raise LookupError("enough")


def test_callbacks_follow_every_stage_and_may_end_a_run_that_goes_on_later(tiny_teacher, film_data, tmp_path):
    options = {"teacher": str(tiny_teacher), "data": str(film_data), "student": 2, "method": "l-ild", "ild_epochs": 1,
               "kd_epochs": 2, **QUICK}  # fmt: skip
    notes = Notes()
    whole = crild.distill(output=str(tmp_path / "whole"), callbacks=[notes], **options)
    assert notes.entries == [*history(tmp_path / "whole", "ild"), *history(tmp_path / "whole", "kd")]
    assert [(e["stage"], e["epoch"], "score" in e) for e in notes.entries] == [
        ("ild", 0, False), ("ild", 1, False), ("kd", 0, False), ("kd", 1, True), ("kd", 2, True),
    ]  # fmt: skip
    with pytest.raises(LookupError, match="enough"):
        crild.distill(output=str(tmp_path / "ended"), callbacks=[Notes(4)], **options)
    assert not (tmp_path / "ended" / "holder.lock").exists()
    result = crild.distill(output=str(tmp_path / "ended"), **options)
    assert result["student"]["score"] == whole["student"]["score"]
    assert sha256(tmp_path / "ended") == sha256(tmp_path / "whole")
    notes = Notes()
    crild.finetune(base=str(tiny_teacher), data=str(film_data), output=str(tmp_path / "t"), max_steps=2,
                   callbacks=[notes])  # fmt: skip
    assert notes.entries[-1]["stage"] == "teacher"


def test_runs_that_share_a_cache_score_their_teacher_once(tiny_teacher, film_data, tmp_path, monkeypatch):
    asked, original = [], execute.predict

    def predict(model, rows, *more, **options):
        asked.append((model.config.num_hidden_layers, len(rows)))
        return original(model, rows, *more, **options)

    monkeypatch.setattr(execute, "predict", predict)
    options = {
        "teacher": str(tiny_teacher),
        "data": str(film_data),
        "student": 2,
        "method": "kd",
        "max_steps": 2,
        **QUICK,
    }
    plain = crild.distill(output=str(tmp_path / "plain"), **options)
    first = crild.distill(output=str(tmp_path / "first"), cache=str(tmp_path / "cache"), **options)
    asked.clear()
    second = crild.distill(output=str(tmp_path / "second"), cache=str(tmp_path / "cache"), **options)
    assert {layers for layers, _ in asked} == {2}
    assert plain["teacher"]["scores"] == first["teacher"]["scores"] == second["teacher"]["scores"]


def test_latencies_are_measured_where_they_are_wanted(tiny_teacher, film_data, tmp_path):
    config = DistillConfig(teacher=str(tiny_teacher), data=str(film_data), student="2", method="kd", max_steps=1,
                           output=str(tmp_path / "run"), **QUICK)  # fmt: skip
    result = start.run(config, timed=False, measured=False)
    assert "latency_ms" not in result["student"]
    assert "latency_ms" not in result["teacher"]


def test_a_report_that_fails_loses_no_run(tmp_path, caplog):
    """It is written when the result is there already; what goes wrong is said."""
    run = finished(tmp_path / "run", rows=20)
    (run.path / "predictions.parquet").write_text("no table")
    execute.show(RunFolder(run.path))
    (record,) = caplog.records
    assert "its report could not be written (CrildError: " in record.getMessage()
    assert not (run.path / "report.html").exists()
