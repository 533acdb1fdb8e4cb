"""Every method, from its declaration to a student: what is captured, that it learns, that no two are the same."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from transformers import DistilBertConfig, DistilBertForSequenceClassification, pipeline

import crild
import crild.training.distiller
from crild.config import DistillConfig, build, stage_settings
from crild.errors import CrildError
from crild.methods import METHODS, find_method
from crild.methods.describe import stages
from crild.methods.recipe import Recipe
from crild.objectives import OBJECTIVES, Shape, captured, compose
from crild.preparation import prepare
from crild.training.distiller import Distiller
from tests.architectures import padded_batch, small_model
from tests.conftest import tiny_tokenizer

WITH_TERM = [name for name, method in METHODS.items() if method.matches is not None]
QUICK = {"control": False, "precision": "fp32"}


def history(output: Path, stage: str) -> list[dict]:
    return [json.loads(line) for line in (output / "stages" / stage / "history.jsonl").open()]


def sha256(output: Path) -> str:
    return hashlib.sha256((output / "student" / "model.safetensors").read_bytes()).hexdigest()


def held_out(output: Path) -> list[float]:
    """The method's own loss on the held-out rows, at every evaluation; the consistency term is no part of it."""
    steps = [json.loads(line) for line in (output / "stages/ild/steps.jsonl").open()]
    weights = {k: t["weight"] for k, t in steps[-1]["terms"].items() if not k.startswith("consistency/")}
    return [sum(w * entry["held_out"][k] for k, w in weights.items()) for entry in history(output, "ild")]


# ---- what is captured ----


@pytest.mark.parametrize("depths", [(3, 6), (6, 12)])
@pytest.mark.parametrize("name", WITH_TERM)
def test_the_documented_number_of_tensors_is_captured(name, depths, monkeypatch):
    method = METHODS[name]
    student, teacher = (small_model("bert", seed=i, num_hidden_layers=n) for i, n in enumerate(depths))
    objective = compose(method.matches, method.layer_map, Shape.of(student.config), Shape.of(teacher.config))
    recipe = Recipe(intermediate_weight=1.0, interpolate=method.interpolate)
    seen = {}
    original = crild.training.distiller.capture

    def counted(model, *args):
        features = original(model, *args)
        tensors = [features.logits] + [
            x for layer in features.layers.values() for x in (layer.hidden, layer.query, layer.key, layer.value)
        ]
        seen[id(model)] = sum(x is not None for x in tensors)
        return features

    monkeypatch.setattr(crild.training.distiller, "capture", counted)
    batch = padded_batch() | {"words": torch.arange(9).expand(5, -1) // 2}
    Distiller(student, recipe, teacher, objective)(batch, lam=0.7)
    found = [seen[id(model)] for model in (student, teacher)]
    assert found == [len(captured(objective, side)) for side in ("student", "teacher")]

    from docs.build import counts

    assert counts(method)[[(3, 6), (6, 12)].index(depths)] == f"{found[0]} + {found[1]}"


# ---- every method learns ----


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_TERM)
def test_the_held_out_loss_falls_and_not_without_learning(name, tiny_teacher, film_data, tmp_path):
    common = {"teacher": str(tiny_teacher), "data": str(film_data), "student": 2, "student_width": 16, "method": name}
    losses = {}
    for rate in (5e-3, 0.0):
        output = tmp_path / str(rate)
        steps = 40 if rate else 10
        crild.distill(**common, output=str(output), ild_learning_rate=rate, max_steps=steps, kd_epochs=1, **QUICK)
        losses[rate] = held_out(output)
    assert history(tmp_path / "0.005", "ild")[0]["step"] == 0
    assert losses[5e-3][-1] <= 0.9 * losses[5e-3][0]
    assert losses[0.0] == pytest.approx([losses[0.0][0]] * len(losses[0.0]), rel=1e-5)


@pytest.fixture(scope="module")
def students(tiny_teacher, film_data, tmp_path_factory):
    """The sha256 of every method's student in both schedules and two shapes, a few steps each."""
    found = {}
    for shape in ({"student": 3}, {"student": 2, "student_width": 16}):
        for name, method in METHODS.items():
            for schedule in ("two-stage", "paper") if method.paper else ("two-stage",):
                output = tmp_path_factory.mktemp("run") / "out"
                crild.distill(
                    teacher=str(tiny_teacher), data=str(film_data), method=name, schedule=schedule, output=str(output),
                    max_steps=3, **shape, **QUICK,
                )  # fmt: skip
                found[len(shape), schedule, name] = sha256(output)
    return found


@pytest.mark.slow
def test_no_two_methods_end_with_the_same_student(students):
    for shape in (1, 2):
        values = {key: value for key, value in students.items() if key[0] == shape}
        assert len(set(values.values())) == len(values) == 17 + 12


@pytest.mark.slow
def test_declared_equivalents_are_equal(tiny_teacher, film_data, tmp_path):
    outputs = {}
    for name in ("u-ild", *METHODS["u-ild"].equals):
        outputs[name] = tmp_path / name
        crild.distill(
            teacher=str(tiny_teacher), data=str(film_data), student=1, method=name, output=str(outputs[name]),
            max_steps=3, **QUICK,
        )  # fmt: skip
    assert len({sha256(output) for output in outputs.values()}) == 1


# ---- schedules ----


def plan(tiny_teacher, film_data, tmp_path, **options):
    options = {"teacher": str(tiny_teacher), "data": str(film_data), "student": "2", **options}
    return prepare(build(DistillConfig, {**options, "output": str(tmp_path / "out")}))


@pytest.mark.parametrize("name", METHODS)
def test_two_stage_is_the_own_term_then_the_teachers_logits_without_labels(name, tiny_teacher, film_data, tmp_path):
    run = plan(tiny_teacher, film_data, tmp_path, method=name)
    ours = [stage for stage in run.stages if stage.trains == "student"]
    expected = {"ft": ["student"], "kd": ["kd"], "ted": ["filters", "ild", "kd"]}.get(name, ["ild", "kd"])
    assert [stage.name for stage in ours] == expected
    for stage in ours:
        if stage.name == "ild":
            assert (stage.recipe.intermediate_weight, stage.recipe.uses_logits, stage.recipe.uses_labels) == (
                1.0,
                False,
                False,
            )
        elif stage.name == "kd":
            assert (stage.recipe.distillation, stage.recipe.task, stage.recipe.temperature) == (1.0, 0.0, 2.0)
    assert [stage.name for stage in run.stages if stage.trains == "control"] == ([] if name == "ft" else ["control"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cr-ild", "own term, then KD (T = 2)"),
        ("pkd", "100 own term + 0.7 KD + 0.3 labels (T = 10)"),
        ("tinybert", "own term, then KD (T = 1)"),
        ("minilmv2", "own term, then labels"),
        ("mixkd", "own term + labels + mixed labels"),
        ("ted", "filters on labels, then 50 own term + 20 KD + labels (T = 2)"),
    ],
)
def test_paper_schedules(name, expected):
    assert stages(find_method(name), "paper") == expected


def test_hard_labels_and_temperature_override_a_schedule(tiny_teacher, film_data, tmp_path):
    run = plan(tiny_teacher, film_data, tmp_path, method="pkd", schedule="paper", hard_label_weight=0.25, temperature=5)
    recipe = run.stage("joint").recipe
    assert (recipe.distillation, recipe.task, recipe.temperature, recipe.intermediate_weight) == (0.75, 0.25, 5, 100.0)


def test_as_released_takes_random_padded_batches_and_drops_the_last(tiny_teacher, film_data, tmp_path):
    run = plan(tiny_teacher, film_data, tmp_path, method="cr-ild-as-released", max_length=40)
    first, second = run.stage("ild"), run.stage("kd")
    for stage in (first, second):
        assert (stage.settings.grouped, stage.settings.drop_last) == (False, True)
        assert stage.settings.steps_per_epoch(stage.rows) == stage.rows // 32
    assert (first.settings.pad_to, second.settings.pad_to) == (40, None)
    assert (first.recipe.partners, first.recipe.masked, first.recipe.consistency) == ("reversed", False, 0.0)
    plain = plan(tiny_teacher, film_data, tmp_path, method="cr-ild").stage("ild")
    assert (plain.settings.grouped, plain.settings.drop_last, plain.settings.pad_to) == (True, False, None)


# ---- composition ----


@pytest.mark.parametrize(
    "options",
    [
        {"features": "ckd", "layer_map": "skip", "interpolate": True, "consistency": 0.2},
        {"features": "relations", "layer_map": "emd", "hard_label_weight": 0.5},
        {"features": "hidden+0.1*logits+pkd", "layer_map": "1-2,2-4", "method": "cr-ild", "ema": True},
        {"features": "attention-kl+hidden", "layer_map": "random", "interpolate": True},
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


# ---- state, and who gets it ----


@pytest.mark.parametrize("name", ["bert-emd", "rail-kd", "ted", "tinybert"])
def test_state_is_kept_beside_the_student_and_never_in_it(name, tiny_teacher, film_data, tmp_path):
    from safetensors.torch import load_file

    output = tmp_path / "out"
    crild.distill(
        teacher=str(tiny_teacher), data=str(film_data), student=2, student_width=16, method=name, output=str(output),
        max_steps=3, **QUICK,
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


def test_masses_go_on_from_supplementary_to_target_data(tiny_teacher, film_data, tmp_path):
    from safetensors.torch import load_file

    output = tmp_path / "out"
    crild.distill(
        teacher=str(tiny_teacher), data=str(film_data), student=2, method="bert-emd", output=str(output), max_steps=2,
        supplementary=str(film_data / "train.jsonl"), **QUICK,
    )  # fmt: skip
    first, second = (load_file(output / f"stages/{s}/objective.safetensors") for s in ("supplementary", "ild"))
    key = next(key for key in first if key.endswith("student_mass"))
    assert not torch.allclose(first[key], torch.full_like(first[key], 0.5))
    assert not torch.equal(first[key], second[key])


# ---- unlike models ----


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


@pytest.mark.parametrize(("heads", "fails"), [(None, False), (2, True)])
def test_attention_maps_need_equal_heads(heads, fails, tiny_teacher, film_data, tmp_path):
    options = {"method": "cr-ild", "student_width": 16, "student_heads": heads}
    if not fails:
        assert plan(tiny_teacher, film_data, tmp_path, **options).objective is not None
        return
    with pytest.raises(CrildError, match="2 heads and the teacher 4; use `--features qkv`"):
        plan(tiny_teacher, film_data, tmp_path, **options)
    run = plan(tiny_teacher, film_data, tmp_path, **options, features="qkv")
    assert run.student.config.num_attention_heads == 2


@pytest.mark.parametrize(("weights", "said"), [("sliced", "sliced to width 16"), ("fresh", "fresh weights")])
def test_narrower_students_say_where_their_weights_come_from(weights, said, tiny_teacher, film_data, tmp_path):
    run = plan(tiny_teacher, film_data, tmp_path, method="kd", student_width=16, student_weights=weights)
    assert said in run.student_init
    assert run.student.config.hidden_size == 16


# ---- found in review ----


@pytest.mark.parametrize("mode", ["first", "join"])
def test_words_are_known_of_supplementary_texts_too(mode, tiny_teacher, film_data, tmp_path):
    crild.distill(
        teacher=str(tiny_teacher), data=str(film_data), student=2, method="mgskd", output=str(tmp_path / "out"),
        max_steps=2, supplementary=str(film_data / "train.jsonl"), supplementary_mode=mode, **QUICK,
    )  # fmt: skip
    assert (tmp_path / "out/stages/supplementary").exists() == (mode == "first")


def test_a_narrower_student_cannot_have_the_teachers_head(tiny_teacher, film_data, tmp_path):
    with pytest.raises(CrildError, match="another shape"):
        plan(tiny_teacher, film_data, tmp_path, method="kd", student_width=16, student_head="teacher")


def test_features_bring_their_own_map(tiny_teacher, film_data, tmp_path):
    run = plan(tiny_teacher, film_data, tmp_path, method="cr-ild", features="ckd")
    assert run.objective.layer_map.name == "uniform"
    assert "layer_distances" in run.objective.terms


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
        plan(tiny_teacher, film_data, tmp_path / "b", method="cr-ild", consistency_features="qkv")


def test_an_objective_without_a_gradient_is_refused_before_training(tiny_teacher, film_data, tmp_path):
    try:

        @crild.objective("constant")
        def constant(student, teacher, mask):
            return (student.hidden.detach() - teacher.hidden).square().mean(-1)

        with pytest.raises(CrildError, match="does not depend on the student"):
            plan(tiny_teacher, film_data, tmp_path, method="l-ild", features="constant")
    finally:
        OBJECTIVES.pop("constant", None)


def test_validation_can_be_followed_and_chooses_nothing(tiny_teacher, film_data, tmp_path):
    options = {"teacher": str(tiny_teacher), "data": str(film_data), "student": 2, "method": "kd", "max_steps": 8}
    followed = crild.distill(**options, output=str(tmp_path / "a"), track_validation=True, **QUICK)
    crild.distill(**options, output=str(tmp_path / "b"), **QUICK)
    assert sha256(tmp_path / "a") == sha256(tmp_path / "b")
    scores = [entry["validation"] for entry in history(tmp_path / "a", "kd") if "validation" in entry]
    assert followed["student"]["best_validation"] == max(scores) >= followed["student"]["score"]


@pytest.mark.parametrize("kind", ["finetune", "ild", "kd"])
def test_the_epoch_to_keep_is_that_of_every_stage(kind):
    assert stage_settings(DistillConfig(), kind, 100).keep == "best"
    assert stage_settings(DistillConfig(keep="last"), kind, 100).keep == "last"


def test_held_out_rows_for_choices_never_touch_validation(tiny_teacher, film_data, tmp_path):
    run = plan(tiny_teacher, film_data, tmp_path, method="kd", validation="held-out")
    assert list(run.validation) == ["held out"]
    assert len(run.train) + len(run.selection) + len(run.validation["held out"]) == 160
