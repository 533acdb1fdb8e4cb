"""What would run: stages, recipes, settings, and what is refused before it starts."""

import json
from dataclasses import replace

import pytest

from crild.config import DistillConfig, FinetuneConfig
from crild.config.presets import STATIC_RATE
from crild.errors import CrildError
from crild.methods import METHODS
from crild.run.plan import Facts, Plan, idle_options, plan_distillation, plan_finetuning

FACTS = Facts(rows=144, labelled=144)


def plan(facts=FACTS, **options):
    return plan_distillation(DistillConfig(preset="quick", **options), facts)


@pytest.mark.parametrize("name", METHODS)
def test_two_stage_is_the_own_term_then_the_teachers_logits_without_labels(name):
    run = plan(method=name)
    ours = [stage for stage in run.stages if stage.trains == "student"]
    expected = {"ft": ["student"], "kd": ["kd"], "kd-rewrites": ["kd"], "ted": ["filters", "ild", "kd"]}.get(
        name, ["ild", "kd"]
    )
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


def test_hard_labels_and_temperature_override_a_schedule():
    run = plan(method="pkd", schedule="paper", hard_label_weight=0.25, temperature=5)
    recipe = run.stage("joint").recipe
    assert (recipe.distillation, recipe.task, recipe.temperature, recipe.intermediate_weight) == (0.75, 0.25, 5, 1.0)


def test_a_static_student_has_a_rate_of_its_own_and_its_teacher_has_not(tmp_path):
    def rates(**options):
        stages = plan(replace(FACTS, teacher_is_trained=False), method="kd", **options).stages
        return {stage.name: stage.settings.learning_rate for stage in stages}

    assert rates(student="static") == {"teacher": 1e-4, "kd": STATIC_RATE, "control": STATIC_RATE}
    assert rates(student="static", kd_learning_rate=0.5) == {"teacher": 1e-4, "kd": 0.5, "control": STATIC_RATE}
    assert rates() == {"teacher": 1e-4, "kd": 1e-4, "control": 1e-4}
    for kind, rate in (("crild-static", STATIC_RATE), ("bert", 1e-4)):  # one of its own, given as a path
        (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
        assert rates(student=str(tmp_path)) == {"teacher": 1e-4, "kd": rate, "control": rate}


@pytest.mark.parametrize(("method", "schedule", "stage"), [("l-ild", "two-stage", "kd"), ("pkd", "paper", "joint")])
def test_interpolated_logits_leave_the_intermediate_term_on_its_own_inputs(method, schedule, stage):
    run = plan(method=method, schedule=schedule, kd_inputs="interpolated")
    assert {
        s.name: (s.recipe.interpolate, s.recipe.interpolate_logits) for s in run.stages if s.trains == "student"
    } == {s.name: (False, s.name == stage) for s in run.stages if s.trains == "student"}


def test_as_released_takes_random_padded_batches_and_drops_the_last():
    run = plan(replace(FACTS, max_length=40), method="cr-ild-as-released")
    first, second = run.stage("ild"), run.stage("kd")
    for stage in (first, second):
        assert (stage.settings.grouped, stage.settings.drop_last) == (False, True)
        assert stage.settings.steps_per_epoch(stage.rows) == stage.rows // 32
    assert (first.settings.pad_to, second.settings.pad_to) == (40, None)
    assert (first.recipe.partners, first.recipe.masked, first.recipe.consistency) == ("reversed", False, 0.0)
    assert {stage.recipe.adam_epsilon for stage in (first, second)} == {1e-6}
    plain = plan(method="cr-ild").stage("ild")
    assert plain.recipe.adam_epsilon == 1e-8
    assert (plain.settings.grouped, plain.settings.drop_last, plain.settings.pad_to) == (True, False, None)


def test_a_plan_survives_json():
    run = plan(method="cr-ild", hard_label_weight=0.5, consistency_features="h")
    assert Plan.of(json.loads(json.dumps(run.to_dict()))) == run


def test_a_teacher_that_is_not_trained_is_fine_tuned_first():
    run = plan(replace(FACTS, teacher_is_trained=False), method="kd")
    assert [stage.name for stage in run.stages] == ["teacher", "kd", "control"]
    assert [stage.name for stage in plan_finetuning(FinetuneConfig(), FACTS).stages] == ["teacher"]


@pytest.mark.parametrize(
    ("mode", "names", "rows"), [("first", ["supplementary", "ild", "kd"], 144), ("join", ["ild", "kd"], 444)]
)
def test_supplementary_texts_are_a_stage_of_their_own_or_rows_beside(mode, names, rows):
    run = plan(replace(FACTS, supplementary=300), method="cr-ild", supplementary="more.txt",
               supplementary_mode=mode, control=False)  # fmt: skip
    assert [stage.name for stage in run.stages] == names
    assert run.stage("ild").rows == rows


def test_supplementary_texts_come_first_only_where_there_is_a_stage_for_them():
    more = replace(FACTS, supplementary=300)
    names = {method: [stage.name for stage in plan(more, method=method, supplementary="more.txt", control=False).stages]
             for method in ("kd", "kd-rewrites", "cr-ild")}  # fmt: skip
    assert names == {"kd": ["kd"], "kd-rewrites": ["kd"], "cr-ild": ["supplementary", "ild", "kd"]}
    assert plan(more, method="kd", supplementary="more.txt").stage("kd").rows == 444
    with pytest.raises(CrildError, match="use --supplementary-mode join"):
        plan(more, method="kd", supplementary="more.txt", supplementary_mode="first")


def test_an_option_of_a_term_that_the_method_has_not_names_one_that_has_it():
    with pytest.raises(CrildError, match=r"--features would do nothing with method kd.*such as --method cr-ild"):
        plan(method="kd", features="hidden")


def test_rewrites_are_rows_beside_where_the_teacher_is_asked_and_nowhere_else():
    more = replace(FACTS, supplementary=300, teacher_is_trained=False)
    run = plan(more, method="ted", augment="all", augment_ratio=1.5, supplementary="more.txt")
    rows = {stage.name: (stage.rows, stage.augmented) for stage in run.stages}
    assert rows == {
        "teacher": (144, 0), "filters": (144, 0), "supplementary": (300, 0), "ild": (360, 216), "kd": (360, 216),
        "control": (144, 0),
    }  # fmt: skip
    assert run.stage("ild").steps == 10 * -(-360 // 32)
    assert run.notes == ("1.5 rewritten texts (all) beside each of 144, drawn anew in every epoch",)
    joined = plan(more, augment="deletion", supplementary="more.txt", supplementary_mode="join")
    assert joined.stage("kd").rows == 144 + 432 + 300
    assert plan(method="kd").notes == ()


def test_a_teacher_for_each_fold_is_fine_tuned_before_the_student_learns():
    run = plan(method="l-ild", cross_fit=5, base="encoder", control=False)
    folds = [stage for stage in run.stages if stage.trains == "fold"]
    assert [stage.name for stage in run.stages] == [*(f"fold-{k}" for k in range(1, 6)), "ild", "kd"]
    assert [(stage.fold, stage.on, stage.rows) for stage in folds] == [(k, "labelled", 144 - 28) for k in range(1, 6)]
    assert {(stage.recipe.task, stage.settings.epochs) for stage in folds} == {(1.0, 10)}
    known = plan(replace(FACTS, folds=(70, 74), teacher_is_trained=False), method="kd", cross_fit=2, finetune_epochs=3)
    assert [(stage.rows, stage.settings.epochs) for stage in known.stages if stage.fold] == [(74, 3), (70, 3)]
    assert known.notes == (
        "the logits of 144 labelled rows come from 2 further teachers: of each row from one that never saw its label",
    )
    assert Plan.of(json.loads(json.dumps(run.to_dict()))) == run


@pytest.mark.parametrize("method", ["kd", "ft"])
def test_an_unknown_rewrite_is_refused_and_the_nearest_suggested(method):
    with pytest.raises(CrildError, match=r"^--augment: there is no rewrite 'crosing' \(did you mean 'crossing'\?\)"):
        plan(method=method, augment="deletion+crosing")


def test_a_method_may_bring_rewrites_and_the_user_has_the_last_word():
    def added(**options):
        return [stage.augmented for stage in plan(**options).stages if stage.trains == "student"]

    assert added(method="cr-ild-rewrites") == [3 * FACTS.rows] * 2
    assert added(method="cr-ild-rewrites", augment="none") == added(method="cr-ild") == [0, 0]
    assert added(method="cr-ild", augment="all") == [3 * FACTS.rows] * 2
    assert "3 rewritten texts (all)" in plan(method="cr-ild-rewrites").notes[0]
    assert plan(method="kd-rewrites").stages == plan(method="kd", augment="all").stages


@pytest.mark.parametrize(
    ("options", "facts", "idle"),
    [
        ({"method": "kd", "features": "qkv"}, FACTS, "features"),
        ({"method": "kd", "layer_map": "uniform"}, FACTS, "layer-map"),
        ({"method": "kd", "ild_epochs": 3}, FACTS, "ild-epochs"),
        ({"method": "ft", "kd_learning_rate": 1e-5}, FACTS, "kd-learning-rate"),
        ({"method": "cr-ild", "finetune_epochs": 3, "control": False}, FACTS, "finetune-epochs"),
        ({"method": "l-ild", "consistency": 0.5}, FACTS, "consistency"),
        ({"method": "cr-ild", "interpolate": False, "consistency": 0.5}, FACTS, "consistency"),
        ({"method": "cr-ild", "consistency": 0.0, "consistency_features": "h"}, FACTS, "consistency-features"),
        ({"method": "cr-ild", "ema_decay": 0.9}, FACTS, "ema-decay"),
        ({"method": "cr-ild", "ema": True, "consistency": 0.0}, FACTS, "ema"),
        ({"method": "cr-ild", "relation_heads": 12}, FACTS, "relation-heads"),
        ({"method": "mixkd", "layer_map": "uniform"}, FACTS, "layer-map"),
        ({"method": "ft", "hard_label_weight": 0.0}, FACTS, "hard-label-weight"),
        ({"method": "ft", "kd_inputs": "interpolated"}, FACTS, "kd-inputs"),
        ({"method": "kd", "width_map": "learned"}, FACTS, "width-map"),
        ({"method": "minilmv2", "width_map": "learned"}, FACTS, "width-map"),
        ({"method": "mixkd", "schedule": "paper", "kd_inputs": "interpolated"}, FACTS, "kd-inputs"),
        ({"method": "kd", "hard_label_weight": 1.0, "kd_inputs": "interpolated"}, FACTS, "kd-inputs"),
        ({"method": "kd", "temperature": 3.0}, replace(FACTS, task_type="regression"), "temperature"),
        ({"method": "cr-ild", "supplementary_mode": "join"}, FACTS, "supplementary-mode"),
        ({"method": "ft", "supplementary": "more.txt"}, replace(FACTS, supplementary=9), "supplementary"),
        (
            {"method": "kd", "supplementary": "more.txt", "supplementary_mode": "first"},
            replace(FACTS, supplementary=9),
            "supplementary-mode first",
        ),
        ({"method": "ft", "augment": "all"}, FACTS, "augment"),
        ({"method": "ft", "cross_fit": 3, "base": "encoder"}, FACTS, "cross-fit"),
        ({"method": "kd", "hard_label_weight": 1.0, "cross_fit": 3, "base": "encoder"}, FACTS, "cross-fit"),
        ({"method": "kd", "augment_ratio": 2.0}, FACTS, "augment-ratio"),
        ({"method": "kd", "epochs": 2, "kd_epochs": 3, "control": False}, FACTS, "epochs"),
    ],
)
def test_an_option_that_acts_nowhere_is_refused(options, facts, idle):
    with pytest.raises(CrildError, match=f"^--{idle} would do nothing with method {options['method']}"):
        plan(facts, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"method": "cr-ild", "consistency": 0.1},  # the method's own value
        {"method": "l-ild", "interpolate": False},
        {"method": "kd", "temperature": 2.0, "hard_label_weight": 0.0},
        {"method": "kd", "finetune_epochs": 3},  # the control's
        {"method": "minilmv2", "relation_heads": 12, "layer_map": "1-3", "ild_epochs": 1, "epochs": 2},
        {"method": "cr-ild", "ema": True, "ema_decay": 0.9, "consistency_features": "h"},
        {"method": "kd", "augment": "all", "augment_ratio": 2.0},
        {"method": "u-ild", "cross_fit": 2, "base": "encoder"},
        {"method": "kd", "augment": "deletion+crossing"},
        {"method": "ft", "control": False, "finetune_learning_rate": 1e-4},
    ],
)
def test_an_option_that_acts_may_have_the_value_that_it_would_have_anyway(options):
    assert idle_options(DistillConfig(**options), FACTS) == []
    plan(**options)


def test_what_a_whole_grid_says_may_do_nothing_in_one_run():
    options = DistillConfig(method="kd", features="qkv", temperature=3.0)
    assert plan_distillation(options, FACTS, may_idle={"features"}).matching is None
    with pytest.raises(CrildError, match="--features"):
        plan_distillation(options, FACTS, may_idle={"temperature"})


def test_labels_are_asked_for_where_there_are_none():
    nothing = replace(FACTS, labelled=0)
    assert [stage.name for stage in plan(nothing, method="kd").stages] == ["kd"]
    for options in (
        {"method": "ted"},
        {"method": "kd", "hard_label_weight": 0.5},
        {"method": "pkd", "schedule": "paper"},
    ):
        with pytest.raises(CrildError, match="learns from labels"):
            plan(nothing, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"method": "cr-ild", "accumulation": 5},
            "--accumulation 5 does not divide the batch size 32 of the ILD stage",
        ),
        ({"method": "cr-ild", "ild_batch_size": 4, "accumulation": 4}, "mixes rows of a micro-batch"),
        ({"cross_fit": 5}, "--cross-fit 5 fine-tunes teachers of its own: give --base"),
        ({"cross_fit": 5, "teacher": "t", "base": "t"}, "--cross-fit 5 fine-tunes teachers of its own: give --base"),
        ({"cross_fit": 145, "base": "b"}, "--cross-fit 145: there are too few different labelled texts"),
        (
            {"method": "kd", "kd_inputs": "interpolated", "kd_batch_size": 4, "accumulation": 4},
            "--kd-inputs interpolated mixes rows of a micro-batch",
        ),
        ({"method": "cr-ild", "features": "mgskd"}, "looks at the words of one text"),
        ({"method": "mixkd", "schedule": "paper", "interpolate": False}, "learns labels of interpolated inputs"),
    ],
)
def test_contradictions_are_refused(options, message):
    with pytest.raises(CrildError, match=message):
        plan(**options)
