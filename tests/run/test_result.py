"""A result is typed, and is what ``result.json`` holds."""

import json

import pytest

import crild
from crild.run.result import Result


@pytest.fixture(scope="module")
def result(tmp_path_factory, tiny_teacher, film_data):
    output = tmp_path_factory.mktemp("result") / "run"
    return crild.distill(
        teacher=str(tiny_teacher),
        data=str(film_data),
        student=2,
        output=str(output),
        max_steps=2,
        track_validation=True,
    )


def test_it_survives_json_and_keeps_its_keys(result):
    values = json.loads(result.to_json())
    assert Result.of(values) == result
    assert list(values) == [
        "task", "kind", "metric", "labels", "max_length", "rows", "seed", "notes", "method", "schedule", "features",
        "layer_map", "student_spec", "teacher", "control", "student", "selection", "constant", "minutes",
    ]  # fmt: skip
    assert set(values["teacher"]) == {
        "score", "interval", "scores", "parameters", "layers", "bytes", "latency_ms", "path", "fine_tuned_here"
    }  # fmt: skip
    assert set(values["student"]) == {
        "score", "interval", "scores", "parameters", "layers", "bytes", "latency_ms", "path", "init", "best_validation"
    }  # fmt: skip


def test_it_reads_as_a_dictionary_and_by_attributes(result):
    assert result["student"]["score"] == result.models["student"].score
    assert dict(result) == result.to_dict()
    assert "kd" not in result


def test_a_fine_tuning_has_a_teacher_alone(tiny, film_data, tmp_path):
    result = crild.finetune(base=str(tiny), data=str(film_data), output=str(tmp_path / "run"), max_steps=1)
    assert "student" not in result
    assert "method" not in result
    assert Result.of(json.loads((tmp_path / "run/result.json").read_text())) == result


def test_the_constant_answer_stands_beside_the_scores(result, film_data):
    labels = [json.loads(line)["label"] for line in (film_data / "validation.jsonl").open()]
    assert result.constant == max(labels.count("neg"), labels.count("pos")) / len(labels)


def test_a_model_that_always_says_the_same_is_told(tiny, film_data, tmp_path, caplog):
    result = crild.distill(
        teacher=str(tiny), data=str(film_data), student=2, method="kd", output=str(tmp_path / "run"), max_steps=1,
        finetune_learning_rate=0.0,
    )  # fmt: skip
    told = [note for note in result["notes"] if "to every row" in note]
    assert any(note.startswith("the teacher answers '") for note in told)
    assert told[0] in caplog.messages
