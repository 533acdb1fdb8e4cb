"""Static students: a mean of embeddings under a linear head, and a whole run of one."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy
from transformers import AutoModelForSequenceClassification, TrainerCallback, dynamic_module_utils, pipeline

import crild
from crild.errors import CrildError
from crild.models.loading import load_model
from crild.models.static import StaticConfig, StaticForSequenceClassification, static_student
from tests.architectures import ARCHITECTURES, PAD, VOCAB, padded_batch, small_model
from tests.runs import history, prepared, sha256

LENGTHS = (9, 5, 7, 3, 6)


@pytest.fixture
def student():
    return static_student(small_model("bert"), seed=1)


def test_the_logits_are_a_linear_map_of_the_mean_over_real_tokens(student):
    batch = padded_batch(LENGTHS)
    table, head = student.embeddings.weight.detach().numpy(), student.classifier
    with torch.no_grad():
        logits = student(**batch).logits.numpy()
    for ids, length, found in zip(batch["input_ids"].tolist(), LENGTHS, logits, strict=True):
        mean = sum(table[token] for token in ids[:length]) / length
        np.testing.assert_allclose(found, head.weight.detach().numpy() @ mean + head.bias.detach().numpy(), atol=1e-6)


def test_neither_padding_nor_the_rest_of_the_batch_changes_a_row(student):
    batch, more = padded_batch(LENGTHS), padded_batch(LENGTHS, extra=20)
    with torch.no_grad():
        expected = student(**batch).logits
        torch.testing.assert_close(student(**more).logits, expected)
        torch.testing.assert_close(student(**{k: v.flip(1) for k, v in more.items()}).logits, expected)  # on the left
        for row, length in enumerate(LENGTHS):  # alone, and without a mask
            alone = student(batch["input_ids"][row : row + 1, :length]).logits
            torch.testing.assert_close(alone, expected[row : row + 1])
    assert expected.std(0).min() > 0.001


def test_gradients_reach_the_embeddings_of_real_tokens_alone(student):
    batch = padded_batch(LENGTHS)
    student(**batch, labels=torch.tensor([0, 1, 2, 0, 1])).loss.backward()
    used = set(batch["input_ids"][batch["attention_mask"].bool()].tolist())
    moved = student.embeddings.weight.grad.abs().sum(1).nonzero().flatten().tolist()
    assert set(moved) == used
    assert PAD not in used
    assert len(used) < VOCAB


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_gives_its_word_embeddings(name):
    source = small_model(name, id2label={0: "a", 1: "b", 2: "c"})
    made = static_student(source, seed=3)
    table = source.get_input_embeddings().weight
    assert torch.equal(made.embeddings.weight, table)
    assert made.embeddings.weight.data_ptr() != table.data_ptr()
    assert (made.config.hidden_size, made.config.num_hidden_layers) == (table.shape[1], 0)
    assert made.config.id2label == {0: "a", 1: "b", 2: "c"}
    again, other = static_student(source, seed=3), static_student(source, seed=4)
    assert torch.equal(made.classifier.weight, again.classifier.weight)
    assert not torch.equal(made.classifier.weight, other.classifier.weight)


def test_it_is_saved_and_loaded_as_any_classifier(student, tmp_path):
    student.save_pretrained(tmp_path)
    assert set(load_file(tmp_path / "model.safetensors")) == {
        "embeddings.weight", "classifier.weight", "classifier.bias",
    }  # fmt: skip
    batch, labels = padded_batch(), torch.tensor([0, 1, 2, 0, 1])
    loaded = load_model(str(tmp_path), "model")
    assert loaded.head_is_trained
    for again in (loaded.model, AutoModelForSequenceClassification.from_pretrained(tmp_path)):
        with torch.no_grad():
            found, expected = again(**batch, labels=labels), student(**batch).logits
            assert torch.equal(found.logits, expected)
            assert torch.equal(again(**batch, return_dict=False)[0], expected)
        assert found.loss == pytest.approx(float(cross_entropy(expected, labels)))
        assert isinstance(again.config, StaticConfig)


def test_it_is_loaded_by_the_code_beside_it_where_there_is_no_crild(student, tmp_path, monkeypatch):
    student.save_pretrained(tmp_path / "model")
    assert "crild" not in [line.split()[1] for line in (tmp_path / "model/static.py").open() if "import " in line]
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    name = student.config.auto_map["AutoModelForSequenceClassification"]
    theirs = dynamic_module_utils.get_class_from_dynamic_module(name, str(tmp_path / "model"))
    assert theirs is not StaticForSequenceClassification
    with torch.no_grad():
        found = theirs.from_pretrained(tmp_path / "model")(**padded_batch()).logits
        assert torch.equal(found, student(**padded_batch()).logits)


# ---- whole runs ----

OPTIONS = {
    "student": "static", "method": "kd", "kd_epochs": 4, "kd_learning_rate": 0.03, "finetune_epochs": 4,
    "finetune_learning_rate": 0.03, "precision": "fp32",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny, tiny_teacher, film_data):
    output = tmp_path_factory.mktemp("static") / "run"
    options = {"teacher": str(tiny_teacher), "base": str(tiny), "data": str(film_data), **OPTIONS}
    return options, output, crild.distill(**options, output=str(output))


def test_a_static_student_learns_from_a_teacher_and_is_a_run_like_any_other(run, tiny, film_data, tmp_path):
    _, output, result = run
    student = result["student"]
    table = load_file(tiny / "model.safetensors")["embeddings.word_embeddings.weight"]
    assert (student["layers"], student["parameters"]) == (0, table.numel() + 2 * table.shape[1] + 2)
    assert student["score"] > 0.75 > result["constant"]["score"]
    assert "control" in result
    assert student["latency_ms"] < result["teacher"]["latency_ms"]
    assert student["init"] == f"word embeddings of the pre-trained encoder {tiny}, no layers, fresh head"
    opened = crild.RunFolder.open(output)
    assert (opened.student.config.num_hidden_layers, opened.objective) == (0, None)
    assert crild.evaluate(model=str(output), data=str(film_data))["score"] == student["score"]
    answers = tmp_path / "answers.csv"
    assert crild.predict(model=str(output), data=str(film_data), output=str(answers))["rows"] == 60
    assert "add `trust_remote_code=True`" in (output / "student/README.md").read_text()
    classify = pipeline("text-classification", model=str(output / "student"), device="cpu")
    assert classify("a really great film")[0]["label"] == "pos"


class Stop(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 11:
            raise KeyboardInterrupt


def test_a_static_run_that_was_cut_off_ends_with_the_same_student(run, tmp_path):
    options, output, _ = run
    options = {name: value for name, value in options.items() if not name.startswith("finetune_")}
    options |= {"control": False, "output": str(tmp_path / "run"), "save_steps": 4}
    with pytest.raises(KeyboardInterrupt):
        crild.distill(**options, callbacks=[Stop()])
    crild.distill(**options)
    assert sha256(tmp_path / "run") == sha256(output)
    assert history(tmp_path / "run", "kd") == history(output, "kd")


def test_a_saved_static_model_is_a_student_and_nothing_else(run, tiny_teacher, film_data, tmp_path):
    saved = str(run[1] / "student")
    models = prepared(tiny_teacher, film_data, tmp_path, student=saved, method="ft").models
    assert models.student.config.num_hidden_layers == 0
    for options, said in (
        ({"student": saved, "method": "pkd"}, "use --method kd"),
        ({"student": saved, "method": "mixkd"}, "use --method kd"),
        ({"student": saved, "method": "kd", "kd_inputs": "interpolated"}, "--kd-inputs plain"),
        ({"base": saved, "method": "kd"}, "base: .* is a static model"),
        ({"teacher": saved, "method": "kd"}, "teacher: .* is a static model"),
    ):
        with pytest.raises(CrildError, match=said):
            prepared(tiny_teacher, film_data, tmp_path, **options)
