"""What a user is told about a student."""

import re

import pytest

import crild
from crild.run.advice import distance, nearer
from tests.conftest import write_jsonl


@pytest.mark.parametrize(
    ("layers", "kind", "option"),
    [
        ([0, 1, 2], "far", "--student 0,1,5"),
        ([0], "far", "--student last:1"),
        ([0, 1, 5], "near", "--student 0,1,5"),
        ([3, 4, 5], "near", "--student 3,4,5"),
        ([0, 2, 4], None, "--student 0,2,5"),
        ([0, 1, 2, 3, 4, 5], None, "--student 0,1,2,3,4,5"),
    ],
)
def test_near_keeps_the_last_layer_and_far_the_first_ones(layers, kind, option):
    assert distance(layers, 6) == kind
    assert nearer(layers, 6) == option


def test_what_a_near_and_a_far_student_are_is_said_before_the_run(cli, tiny_teacher, film_data, tmp_path):
    arguments = ["distill", "--teacher", tiny_teacher, "--data", film_data, "--method", "kd", "--no-control"]
    code, _, err = cli(*arguments, "--student", "2", "--max-steps", "1", "--output", tmp_path / "far")
    assert code == 0
    lines = err.splitlines()
    (said,) = [line for line in lines if "the student is far" in line]
    assert "--student 0,3; docs/results.md" in said
    assert not said.startswith("warning")
    own = "without --base the student, and so the control too, starts from the teacher's own weights"
    assert own in lines  # information, no warning
    result = crild.RunFolder.open(tmp_path / "far").result
    assert own in result["notes"]
    _, _, err = cli(*arguments, "--student", "last:2", "--max-steps", "1", "--output", tmp_path / "near")
    assert "the student is near" in err


def test_a_student_below_the_control_is_told_with_what_it_lacked(cli, tiny, film_data, tmp_path):
    """The control learns at the rate that the teacher had, the student at none."""
    texts = write_jsonl(tmp_path / "more.jsonl", [{"text": f"good film {i}"} for i in range(8)])
    code, _, err = cli(
        "distill", "--teacher", tiny, "--data", film_data, "--student", "2", "--method", "cr-ild",
        "--finetune-epochs", "6", "--finetune-learning-rate", "3e-3", "--ild-learning-rate", "0",
        "--kd-learning-rate", "0", "--ild-epochs", "1", "--kd-epochs", "1", "--supplementary", texts,
        "--output", tmp_path / "run",
    )  # fmt: skip
    assert code == 0, err
    result = crild.RunFolder.open(tmp_path / "run").result
    assert result["student"]["score"] < result["control"]["score"]
    (warning,) = re.findall(r"warning: the student scores .*", err)
    assert f"below the same student without a teacher ({result['control']['score']:.4f})" in warning
    assert f"not above always giving the same answer ({result['constant']['score']:.4f})" in warning
    for way in ("--augment all", "more passes (--ild-epochs 2)", "a nearer student (--student 0,3)"):
        assert way in warning
    assert "--supplementary" not in warning
