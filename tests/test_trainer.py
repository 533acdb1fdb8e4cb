"""The public trainer: what a stage of `crild.distill` gives, and everything of `transformers.Trainer` beside it."""

import os
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers.trainer
from datasets import Dataset
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, HfArgumentParser, TrainerCallback, TrainingArguments

import crild
from crild.config import DistillConfig
from crild.config.arguments import described
from crild.inference import predict
from crild.methods import Recipe
from crild.models.cut import cut
from crild.models.head import copy_head
from crild.objectives import Shape, compose
from crild.run.start import open_folder, prepare
from crild.trainer import stage_of
from crild.training.arguments import OPTIONS
from tests.conftest import reviews
from tests.tiny import save_tiny, tiny_tokenizer

ROOT = Path(__file__).resolve().parents[1]
CR_ILD = ["attention", "hidden", "consistency/attention", "consistency/hidden"]


@pytest.fixture(scope="module")
def teacher_folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("teacher"), head=True)


@pytest.fixture
def teacher(teacher_folder):
    return AutoModelForSequenceClassification.from_pretrained(teacher_folder)


def rows(count=32, seed=0):
    found = [{"text": row["text"], "label": int(row["label"] == "pos")} for row in reviews(count, seed)]
    return Dataset.from_list(found)


def arguments(folder, **options):
    quick = {"stage": "ild", "num_train_epochs": 2, "learning_rate": 1e-3, "logging_steps": 1, "save_strategy": "no",
             "report_to": "none", "disable_tqdm": True, "use_cpu": True}  # fmt: skip
    return crild.DistillationArguments(str(folder), **quick | options)


def trainer_of(folder, teacher, method="cr-ild", train=None, student=None, **options):
    own = {name: options.pop(name) for name in ("eval_dataset", "callbacks", "compute_metrics") if name in options}
    student = cut(teacher, [0, 1]) if student is None else student
    train = rows() if train is None else train
    args = arguments(folder, **options)
    return crild.DistillationTrainer(student, teacher, method, args, train, processing_class=tiny_tokenizer(), **own)


def logged(trainer, names=CR_ILD):
    return [[entry[name] for name in names] for entry in trainer.state.log_history if "loss" in entry]


def weights(model):
    return {name: x.detach().clone() for name, x in model.state_dict().items()}


def same(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(x, other[name]) for name, x in one.items())


def test_each_stage_ends_as_that_of_a_run(tiny_teacher, film_data, tmp_path):
    options = {"teacher": str(tiny_teacher), "data": str(film_data), "student": "2", "control": False, "keep": "last",
               "method": "cr-ild", "epochs": 2, "precision": "fp32", "preset": "quick",
               "output": str(tmp_path / "run")}  # fmt: skip
    config, folder = open_folder(DistillConfig(**options))
    run = prepare(config, folder)
    student, teacher = run.models.student, run.models.teacher
    copy_head(student, teacher)
    crild.distill(**options, keep_stages=True)
    for stage in ("ild", "kd"):
        args = arguments(tmp_path / stage, stage=stage, learning_rate=1e-4, per_device_train_batch_size=32)
        train = run.inputs.train
        crild.DistillationTrainer(
            student, teacher, "cr-ild", args, train, processing_class=run.inputs.tokenizer
        ).train()
        ours, theirs = weights(student), load_file(tmp_path / f"run/stages/{stage}/model.safetensors")
        if stage == "ild":
            assert same(ours, theirs)
        for name, x in ours.items():  # a run's teacher answers in larger batches: other roundings
            torch.testing.assert_close(x, theirs[name], atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize("method", ["kd", "cr-ild"])
def test_rewrites_are_those_of_a_run(tiny_teacher, film_data, tmp_path, method):
    stage = "ild" if method == "cr-ild" else "kd"
    options = {"teacher": str(tiny_teacher), "data": str(film_data), "student": "2", "control": False, "keep": "last",
               "epochs": 2, "precision": "fp32", "preset": "quick", "method": method, "output": str(tmp_path / "run"),
               "augment": "all", "augment_ratio": 2}  # fmt: skip
    run = prepare(*open_folder(DistillConfig(**options)))
    student, teacher = run.models.student, run.models.teacher
    copy_head(student, teacher)
    crild.distill(**options, keep_stages=True)
    args = arguments(tmp_path / "own", stage=stage, learning_rate=1e-4, per_device_train_batch_size=32, augment="all",
                     augment_ratio=2)  # fmt: skip
    texts = run.inputs.task.train
    trainer = crild.DistillationTrainer(student, teacher, method, args, texts, processing_class=run.inputs.tokenizer)
    assert len(trainer.train_dataset) == 3 * len(texts)
    trainer.train()
    theirs = load_file(tmp_path / f"run/stages/{stage}/model.safetensors")
    for name, x in weights(student).items():
        torch.testing.assert_close(x, theirs[name], atol=1e-5, rtol=1e-4, msg=name)


class Kill(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 6:
            os.kill(os.getpid(), signal.SIGKILL)


RESUMABLE = {"num_train_epochs": 3, "save_strategy": "steps", "save_steps": 5, "ema": True, "features": "hidden",
             "width_map": "learned"}  # fmt: skip


def killed(folder, teacher):
    """What `accelerate launch` starts."""
    teacher = AutoModelForSequenceClassification.from_pretrained(teacher)
    trainer_of(folder, teacher, callbacks=[Kill()], **RESUMABLE).train()


def test_a_run_of_accelerate_that_is_killed_ends_with_the_same_weights(teacher, teacher_folder, tmp_path):
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "1", "--cpu", __file__]
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [*command, str(tmp_path / "cut"), str(teacher_folder)], capture_output=True, text=True, env=env
    )
    assert "Signals.SIGKILL" in done.stderr, done.stderr
    assert [path.name for path in (tmp_path / "cut").iterdir()] == ["checkpoint-5"]
    ends = []
    for name, resumes in (("whole", False), ("cut", True)):
        trainer = trainer_of(tmp_path / name, teacher, **RESUMABLE)
        if resumes:
            with torch.no_grad():  # all state is in the checkpoint
                for tensor in trainer.distiller.state_dict().values():
                    tensor.add_(1)
        trainer.train(resume_from_checkpoint=resumes)
        ends.append(weights(trainer.distiller))
    assert {name.split(".")[0] for name in ends[0]} == {"student", "objective", "ema"}
    assert same(*ends)


def test_every_term_is_in_every_log_a_callback_sees_and_in_tensorboard(teacher, tmp_path, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    seen, evaluated = [], []

    class Watch(TrainerCallback):
        def on_log(self, args, state, control, logs=None, **kwargs):
            seen.append(logs)

        def on_evaluate(self, args, state, control, metrics=None, **kwargs):
            evaluated.append(metrics)

    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "events"))
    trainer = trainer_of(
        tmp_path, teacher, stage="joint", eval_dataset=rows(12, 1), eval_strategy="epoch", callbacks=[Watch()],
        report_to="tensorboard", logging_steps=3,
    )  # fmt: skip
    trainer.train()
    names = [*CR_ILD, "kd"]
    training = [entry for entry in seen if "loss" in entry]
    assert len(training) == 2
    assert all(set(names) <= set(entry) for entry in training)
    assert all({f"eval_{name}" for name in names} <= set(entry) for entry in evaluated)
    for entry in evaluated:  # weights of the stage's end
        total = sum(entry[f"eval_{name}"] * (0.1 if "/" in name else 1.0) for name in names)
        assert entry["eval_loss"] == pytest.approx(total, rel=1e-6)
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    for name in names:
        for tag, values in (
            (f"train/{name}", [entry[name] for entry in training]),
            (f"eval/{name}", [entry[f"eval_{name}"] for entry in evaluated]),
        ):
            assert [event.value for event in events.Scalars(tag)] == pytest.approx(values)


def test_callbacks_of_a_run_see_every_term_of_each_stage(tiny_teacher, film_data, tmp_path):
    seen = []

    class Watch(TrainerCallback):
        def on_log(self, args, state, control, logs=None, **kwargs):
            seen.append((Path(args.output_dir).name, set(logs)))

    options = {"teacher": str(tiny_teacher), "data": str(film_data), "output": str(tmp_path / "run"), "student": "2"}
    crild.distill(**options, method="cr-ild", control=False, epochs=1, precision="fp32", callbacks=[Watch()])
    for stage, names in (("ild", CR_ILD), ("kd", ["kd"])):
        found = [keys for name, keys in seen if name == stage]
        assert any(set(names) <= keys for keys in found)
        assert any({f"eval_{name}" for name in names} <= keys for keys in found)


def test_a_logged_term_is_the_mean_over_what_was_counted_since_the_last_entry(teacher, tmp_path):
    one, three = (trainer_of(tmp_path, teacher, logging_steps=n, features="logits", num_train_epochs=3) for n in (1, 3))
    for trainer in (one, three):
        trainer.train()
    each, every = (np.array(logged(trainer, ["logits"])) for trainer in (one, three))
    np.testing.assert_allclose(every[:, 0], each[:, 0].reshape(-1, 3).mean(1), rtol=1e-5)  # batches are of 8 rows


def test_accumulation_changes_nothing(teacher, tmp_path):
    found = []
    for size, parts in ((8, 1), (4, 2)):
        sizes = {"per_device_train_batch_size": size, "gradient_accumulation_steps": parts}
        student = no_dropout(cut(teacher, [0, 1]))
        options = {"stage": "joint", "features": "hidden", "train": rows(28), "student": student}
        trainer = trainer_of(tmp_path, teacher, **options, **sizes)
        trainer.train()
        found.append((logged(trainer, ["loss", "hidden", "kd"]), weights(trainer.student)))
    (terms, ours), (others, theirs) = found
    np.testing.assert_allclose(terms, others, rtol=1e-4, atol=1e-9)
    for name, x in ours.items():
        torch.testing.assert_close(x, theirs[name], atol=5e-5, rtol=1e-3, msg=name)


def no_dropout(model):
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


@pytest.mark.parametrize("options", [{"gradient_checkpointing": True}, {"dataloader_num_workers": 1}])
def test_what_saves_memory_or_time_leaves_the_terms_as_they_are(teacher, tmp_path, options):
    plain, other = (trainer_of(tmp_path, teacher, features="ahqkv", **more) for more in ({}, options))
    names = [*CR_ILD, "relation_qq"]
    for trainer in (plain, other):
        trainer.train()
    student = other.student
    assert student.is_gradient_checkpointing == ("gradient_checkpointing" in options)
    np.testing.assert_allclose(logged(other, names), logged(plain, names), rtol=1e-5)


def test_what_is_saved_is_the_student_alone(teacher, tmp_path):
    answers = iter([0.1, 0.9, 0.4, 0.9])
    options = {"stage": "joint", "save_strategy": "epoch", "eval_strategy": "epoch", "num_train_epochs": 3,
               "load_best_model_at_end": True, "metric_for_best_model": "accuracy"}  # fmt: skip
    trainer = trainer_of(
        tmp_path, teacher, eval_dataset=rows(12, 1), compute_metrics=lambda _: {"accuracy": next(answers)}, **options
    )
    trainer.train()
    trainer.save_model(str(tmp_path / "student"))
    assert {path.name for path in (tmp_path / "student").iterdir()} == {
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "training_args.bin"
    }  # fmt: skip
    tokens = trainer.train_dataset
    expected = predict(trainer.student, tokens, tiny_tokenizer())
    for folder in ("student", "checkpoint-8"):  # the best epoch's are the weights to end with
        loaded, info = AutoModelForSequenceClassification.from_pretrained(tmp_path / folder, output_loading_info=True)
        assert not info["missing_keys"]
        assert not info["unexpected_keys"]
        np.testing.assert_array_equal(predict(loaded, tokens, tiny_tokenizer()), expected)
    last = AutoModelForSequenceClassification.from_pretrained(tmp_path / "checkpoint-12")
    assert not np.array_equal(predict(last, tokens, tiny_tokenizer()), expected)
    np.testing.assert_allclose(trainer.predict(tokens).predictions, expected, rtol=1e-5)  # in batches of 8


def test_the_student_is_pushed_to_the_hub(teacher, tmp_path, monkeypatch):
    pushed = []

    class Hub:
        def create_repo(self, name, **options):
            return SimpleNamespace(repo_id=f"me/{name}")

        def upload_folder(self, repo_id, folder_path, **options):
            pushed.append((repo_id, {path.name for path in Path(folder_path).iterdir()}))

    monkeypatch.setattr(transformers.trainer, "hf_api", Hub)
    trainer = trainer_of(tmp_path / "small", teacher, push_to_hub=True, num_train_epochs=1)
    trainer.train()
    trainer.push_to_hub()
    name, files = pushed[-1]
    assert name == "me/small"
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= files
    assert same(load_file(tmp_path / "small/model.safetensors"), weights(trainer.student))


def test_metrics_are_of_labelled_rows_in_every_stage_and_texts_may_be_tokenised_before(teacher, tmp_path):
    held_out = rows(12, 1)
    labels = [label if i % 3 else None for i, label in enumerate(held_out["label"][:])]
    held_out = held_out.remove_columns("label").add_column("labels", labels)
    seen = []

    def metrics(found):
        seen.append(found)
        return {"rows": len(found.predictions)}

    trainer = trainer_of(tmp_path, teacher, compute_metrics=metrics)
    found = trainer.evaluate(held_out)  # stage ild does not look at logits
    assert found["eval_rows"] == len(seen[0].label_ids) == 8
    tokenised = Dataset.from_dict({**tiny_tokenizer()(held_out["text"][:]), "label": labels})
    again = trainer.evaluate({"a": tokenised, "b": held_out})
    for name in CR_ILD:
        assert again[f"eval_a_{name}"] == again[f"eval_b_{name}"] == found[f"eval_{name}"]
    assert trainer.predict(held_out).metrics == {"test_rows": 8}


def test_the_users_models_are_given_back_as_they_were(teacher, tmp_path):
    trainer = trainer_of(tmp_path, teacher)
    head = trainer.student.classifier.weight.detach().clone()
    trainer.train()
    assert torch.equal(trainer.student.classifier.weight, head)  # no term of stage 1 reaches it
    assert all(parameter.requires_grad for parameter in trainer.student.parameters())


def test_filters_are_trained_by_one_trainer_and_used_by_the_next(teacher, tmp_path):
    first = trainer_of(tmp_path, teacher, "ted", stage="filters")
    student = weights(first.student)
    first.train()
    assert same(weights(first.student), student)
    objective = first.distiller.objective
    filters = weights(objective)
    second = trainer_of(tmp_path, teacher, objective, student=first.student)
    assert same(weights(second.distiller.objective), filters)
    second.train()
    assert logged(second, ["filtered"])
    assert not same(weights(second.student), student)


def test_joint_is_all_terms_of_the_schedule_or_the_papers_own_stage(teacher):
    student = cut(teacher, [0, 1])

    def recipe(method, **options):
        return stage_of(method, arguments("unused", stage="joint", **options), student, teacher)[0]

    together = recipe("cr-ild", temperature=3.0)
    assert together == Recipe(1.0, interpolate=True, consistency=0.1, distillation=1.0, temperature=3.0)
    assert recipe("kd", hard_label_weight=0.25) == Recipe(distillation=0.75, task=0.25)
    assert recipe("minilm", schedule="paper") == Recipe(1.0, task=1.0)
    assert recipe("pkd", schedule="paper") == Recipe(1.0, distillation=0.7, task=0.3, temperature=10.0)
    assert recipe("ft") == Recipe(task=1.0)


# ---- options ----


def test_arguments_are_the_options_of_a_run(tmp_path):
    options = {each.name: each for each in fields(DistillConfig)}
    stock = {each.name for each in fields(TrainingArguments)}
    ours = {each.name: each for each in fields(crild.DistillationArguments) if each.name not in stock}
    assert ours.keys() == OPTIONS | {"stage"}
    for name in OPTIONS:
        assert ours[name].default == options[name].default
        assert ours[name].metadata["help"] == described(DistillConfig, options[name])
    parser = HfArgumentParser(crild.DistillationArguments)
    words = ["--output_dir", str(tmp_path), "--stage", "kd", "--consistency", "0.2", "--interpolate", "false", "--ema"]
    (read,) = parser.parse_args_into_dataclasses(words)
    assert (read.stage, read.consistency, read.interpolate, read.ema, read.max_length) == ("kd", 0.2, False, True, None)
    with pytest.raises(crild.CrildError, match="temperature: -1 is out of range, it must be above 0"):
        crild.DistillationArguments(str(tmp_path), temperature=-1)


def own_objective(teacher):
    return compose("hidden", "last", Shape.of(cut(teacher, [0, 1]).config), Shape.of(teacher.config))


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("cr-lid", {}, "unknown method 'cr-lid'"),
        ("cr-ild", {"stage": "ilt"}, "method cr-ild has no stage 'ilt': use ild, kd or joint"),
        ("kd", {"consistency": 0.2, "stage": "kd"}, "--consistency would do nothing with method kd"),
        ("cr-ild-as-released", {}, "use crild.distill"),
        ("ted", {"stage": "joint"}, "trains filters first"),
        ("cr-ild", {"per_device_train_batch_size": 1}, "per_device_train_batch_size 1: .* needs 2"),
        ("cr-ild", {"label_smoothing_factor": 0.1}, "label_smoothing_factor would do nothing"),
        (own_objective, {"features": "hidden"}, "features would do nothing beside an objective"),
        ("cr-ild", {"train": [1]}, "train_dataset is a list: give a datasets.Dataset"),
        ("cr-ild", {"train": Dataset.from_dict({"words": ["a"]})}, "neither input_ids nor text: its columns are words"),
        ("cr-ild", {"train": Dataset.from_dict({"input_ids": [[1]]})}, "no attention_mask"),
        ("cr-ild", {"train": Dataset.from_dict({"text": ["a"], "label": ["x"]})}, "labels are text"),
        ("cr-ild", {"train": rows().select([])}, "train_dataset has no rows"),
        ("ft", {"stage": "student", "train": rows().remove_columns("label")}, "stage student learns from labels"),
        (
            "kd",
            {"stage": "kd", "augment": "all", "train": Dataset.from_dict({**tiny_tokenizer()(["a"])})},
            "augment all rewrites the training texts: give train_dataset texts",
        ),
        (
            "kd",
            {"stage": "kd", "augment": "all", "train": rows().add_column("teacher_logits", [[0.0, 1.0]] * 32)},
            "a column teacher_logits knows none of them",
        ),
        ("kd", {"stage": "kd", "augment": "all", "train_sampling_strategy": "sequential"}, "anew in every epoch"),
        ("ft", {"stage": "student", "augment": "all"}, "--augment would do nothing with method ft"),
        ("mgskd", {"train": Dataset.from_dict({**tiny_tokenizer()(["a"])})}, "looks at words; give texts"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(teacher, tmp_path, method, options, message):
    method = method(teacher) if callable(method) else method
    with pytest.raises(crild.CrildError, match=message) as caught:
        trainer_of(tmp_path, teacher, method, **options)
    assert "\n" not in str(caught.value)


def test_models_that_do_not_fit_are_refused(teacher, tmp_path):
    other = AutoModelForSequenceClassification.from_pretrained(
        save_tiny(tmp_path / "m", head=True, labels=tuple("abc"))
    )
    with pytest.raises(crild.CrildError, match="the student has 3 outputs and the teacher 2"):
        trainer_of(tmp_path, teacher, student=other)
    with pytest.raises(crild.CrildError, match="the same object"):
        trainer_of(tmp_path, teacher, student=teacher)
    for stage, message in (("ild", "matches a teacher's layers"), ("kd", "learns from a teacher's logits")):
        with pytest.raises(crild.CrildError, match=message):
            trainer_of(tmp_path, None, student=cut(teacher, [0, 1]), stage=stage)
    with pytest.raises(crild.CrildError, match="processing_class is missing"):
        crild.DistillationTrainer(cut(teacher, [0]), teacher, args=arguments(tmp_path), train_dataset=rows())


if __name__ == "__main__":
    killed(sys.argv[1], sys.argv[2])
